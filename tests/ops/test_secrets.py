"""Whether a secret that gets into what git tracks would be found."""

from __future__ import annotations

import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCAN = Path(__file__).parents[2] / "ops" / "scan_secrets.py"
MAIN: Callable[[list[str], Path], int] = runpy.run_path(str(SCAN))["main"]
SEEDS = {
    "a key of Amazon's": "AKIA" + "IOSFODNN7EXAMPLE",
    "a private key": "-----BEGIN " + "PRIVATE KEY-----",
    "a password": "password" + ' = "correct horse"',
    "a URL's": "postgresql://me:" + "hush@db/x",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


def track(repository: Path, name: str, text: str) -> None:
    (repository / name).write_text(text)
    subprocess.run(["git", "add", name], cwd=repository, check=True)


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS.keys())
def test_what_looks_like_a_secret_is_found_where_git_tracks_it(
    repository: Path, seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "untracked.py").write_text(seed + "\n")
    before = MAIN([], repository)

    track(repository, "settings.py", f"x = 1\n{seed}\n")

    assert (before, MAIN([], repository)) == (0, 1)
    told = capsys.readouterr().out
    assert "settings.py" in told
    assert seed not in told


def test_what_is_known_may_stay_wherever_in_its_file(repository: Path) -> None:
    seed, other = SEEDS["a password"], SEEDS["a URL's"]
    track(repository, "test_it.py", f"{seed}\n")
    written = MAIN(["--write"], repository)

    track(repository, "test_it.py", f"# moved\n\n{seed}\n")
    moved = MAIN([], repository)
    track(repository, "test_it.py", f"{seed}\nurl = '{other}'\n")

    assert (written, moved, MAIN([], repository)) == (0, 0, 1)
    assert seed not in (repository / ".secrets.baseline").read_text()


def test_the_lock_file_which_is_all_digests_is_left_out(repository: Path) -> None:
    track(repository, "requirements.lock", SEEDS["a password"])

    assert MAIN([], repository) == 0


def test_no_guesses_are_made_by_entropy(repository: Path) -> None:
    digest: Any = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    track(repository, "a.py", f'digest = "{digest}"\n')

    assert MAIN([], repository) == 0
