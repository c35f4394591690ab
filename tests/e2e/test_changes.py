"""What a turn changed, as artifacts: by a real OpenCode, for a real git."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.model import ScriptedModel
from tests.e2e.opencode import RealOpenCode
from tests.e2e.service import RunningService

EDITS = (
    "sed -i 's/two/TWO/' 'edit me.txt'; rm gone.txt; echo more >> ü.txt; mv old.txt new.txt; printf yy > noeol; "
    ": > empty; printf '\\000\\001' > binary"
)


@pytest.fixture(scope="module")
def opencode(opencode_binary: Path, model: ScriptedModel) -> Iterator[RealOpenCode]:
    with RealOpenCode(opencode_binary, model.url, git=True, snapshot=True, permission="allow") as opencode:
        _fill(opencode)
        yield opencode


def _fill(opencode: RealOpenCode) -> None:
    for name, content in {"edit me.txt": "one\ntwo\n", "gone.txt": "bye\n", "ü.txt": "u\n", "noeol": "x"}.items():
        (opencode.workspace / name).write_text(content)
    (opencode.workspace / "old.txt").write_text("move me\n" * 30)


def stream(service: RunningService, text: str) -> list[dict[str, Any]]:
    body = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}}
    with service.stream("/message:stream", body) as frames:
        return [frame for _, frame in frames]


def artifacts(frames: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    told = [frame["artifactUpdate"]["artifact"] for frame in frames if "artifactUpdate" in frame]
    return {artifact["name"]: artifact for artifact in told if artifact.get("name")}


def test_a_turn_that_changed_files_ends_with_a_patch_that_git_takes(opencode: RealOpenCode, tmp_path: Path) -> None:
    before = Path(shutil.copytree(opencode.workspace, tmp_path / "before"))
    settings = {"OPENCODE_BASE_URL": opencode.url, "OPENCODE_DIRECTORY": str(opencode.workspace)}
    with RunningService(settings) as service:
        frames = stream(service, f"[[bash {EDITS}]][[say done]]")

    told = artifacts(frames)
    (patch,) = told["changes.patch"]["parts"]
    (files,) = told["files.json"]["parts"]
    assert patch["mediaType"] == "text/x-diff"
    applied = subprocess.run(
        ["git", "apply", "-"], cwd=before, input=patch["text"].encode(), capture_output=True, check=False
    )
    assert applied.returncode == 0, applied.stderr
    names = {path.name for path in opencode.workspace.iterdir()} - {".git", "binary"}
    assert {path.name for path in before.iterdir()} - {".git"} == names
    for name in names:
        assert (before / name).read_bytes() == (opencode.workspace / name).read_bytes()
    status = {file["path"]: (file["status"], file["in_patch"]) for file in files["data"]}
    assert status["edit me.txt"] == ("modified", True)
    assert status["gone.txt"] == ("deleted", True)
    assert status["binary"] == ("added", False)
    assert "statusUpdate" in frames[-1]


def test_a_turn_that_changed_nothing_has_no_such_artifacts(opencode: RealOpenCode) -> None:
    settings = {"OPENCODE_BASE_URL": opencode.url, "OPENCODE_DIRECTORY": str(opencode.workspace)}
    with RunningService(settings) as service:
        frames = stream(service, "[[bash cat 'edit me.txt']][[say done]]")

    assert {"changes.patch", "files.json"}.isdisjoint(artifacts(frames))
