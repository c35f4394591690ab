"""`ops/run`: a newcomer's first minute."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.opencode import RealOpenCode, environment_of
from tests.e2e.until import until

RUN = Path(__file__).parents[2] / "ops" / "run"


@pytest.fixture
def started(
    start_opencode: Callable[..., RealOpenCode], opencode_binary: Path, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run it in a project whose OpenCode knows the scripted model."""
    # The setting up needs this machine's own way to the package registries, the run only the project's home.
    subprocess.run([RUN, "--help"], check=True, capture_output=True, timeout=300)
    opencode = start_opencode()
    opencode.stop()  # only its home and its project are wanted
    said = tmp_path / "said"
    environment = (
        os.environ
        | environment_of(opencode)
        | {
            "PATH": os.environ["PATH"],
            "OPENCODE_BIN": str(opencode_binary),
            "XDG_STATE_HOME": str(tmp_path),
        }
    )
    with said.open("wb") as output:
        process = subprocess.Popen(
            [RUN], cwd=opencode.workspace, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        yield process, said
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def test_the_printed_line_makes_their_opencode_answer_and_ctrl_c_ends_all(
    started: tuple[subprocess.Popen[bytes], Path],
) -> None:
    process, said = started

    def line() -> str:
        assert process.poll() is None, said.read_text()
        found = re.search(r"^  (curl .*?)\n\n", said.read_text(), flags=re.DOTALL | re.MULTILINE)
        return found[1] if found else ""

    curl = until(line, within=180, what="a curl line")
    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=60, check=False).stdout
    process.send_signal(signal.SIGINT)

    assert "You said" in answer
    assert "TASK_STATE_COMPLETED" in answer
    assert process.wait(60) == 0
