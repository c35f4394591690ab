"""What a turn changed: OpenCode's own answer, recorded, as a patch that git takes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.opencode.codec import Malformed, decode_changes
from opencode_a2a_server.domain.changes import FileStatus, changes_told
from opencode_a2a_server.domain.ids import MessageId
from opencode_a2a_server.domain.message import TextPart

RECORDED = Path(__file__).parents[3] / "data" / "changes.json"

BEFORE: dict[str, bytes] = {
    "edit me.txt": b"one\ntwo\nthree\n" * 20,
    "sub/gone.txt": b"bye\n",
    "crlf.txt": b"a\r\nb\r\n",
    "bin.dat": bytes(range(256)),
    "ü.txt": b"umlaut\n",
    "mode.sh": b"#!/bin/sh\n",
    "mv.txt": b"move me\n" * 30,
    "noeol": b"x",
}
"""What was there when it was recorded."""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name, content in BEFORE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def git_apply(workspace: Path, patch: str, *options: str) -> str:
    git = shutil.which("git")
    assert git, "git is needed"
    done = subprocess.run(
        [git, "apply", *options, "-"], cwd=workspace, input=patch.encode(), capture_output=True, check=False
    )
    return done.stderr.decode() if done.returncode else ""


def recorded_patch(most: int = 1 << 20) -> str:
    told = changes_told(decode_changes(RECORDED.read_bytes()), MessageId("msg_1"), most)
    (part,) = told[0].parts
    assert isinstance(part, TextPart)
    return part.text


def test_git_takes_the_patch_and_comes_to_what_the_turn_made(workspace: Path) -> None:
    problem = git_apply(workspace, recorded_patch())

    assert problem == ""
    assert (workspace / "edit me.txt").read_bytes() == b"one\nTWO\nthree\n" * 20
    assert (workspace / "crlf.txt").read_bytes() == b"a\r\nB\r\n"
    assert (workspace / "ü.txt").read_text() == "umlaut\nmore\n"
    assert (workspace / "noeol").read_bytes() == b"yy"
    assert (workspace / "empty").read_bytes() == b""
    assert (workspace / "sub" / "new file.txt").read_bytes() == b"new\n"
    assert (workspace / "moved.txt").read_bytes() == b"move me\n" * 30
    assert not (workspace / "sub" / "gone.txt").exists()
    assert not (workspace / "mv.txt").exists()


def test_git_takes_what_is_left_of_a_patch_that_was_too_large(workspace: Path) -> None:
    patch = recorded_patch(most=600)

    assert 0 < len(patch.encode()) <= 600
    assert git_apply(workspace, patch, "--check") == ""


@pytest.mark.parametrize("name", ["a\tb", "a\nb", 'say "hi"', "back\\slash", "trailing ", "ctrl\x01", "plain"])
def test_git_takes_a_patch_of_a_file_with_an_odd_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("old\n")
    patch = "Index: x\n===\n--- x\t\n+++ x\t\n@@ -1,1 +1,1 @@\n-old\n+new\n"
    change = {"file": name, "patch": patch, "additions": 1, "deletions": 1, "status": "modified"}
    told = changes_told(decode_changes(json.dumps([change]).encode()), MessageId("msg_1"), 1000)
    (part,) = told[0].parts
    assert isinstance(part, TextPart)

    assert git_apply(tmp_path, part.text) == ""
    assert (tmp_path / name).read_text() == "new\n"


def test_a_file_that_is_no_text_is_known_for_that() -> None:
    changes = {change.path: change for change in decode_changes(RECORDED.read_bytes())}

    assert (changes["newbin"].text, changes["newbin"].status) == (False, FileStatus.ADDED)
    assert (changes["mode.sh"].text, changes["mode.sh"].hunks) == (True, "")


def test_a_status_that_is_not_known_says_no_more_than_that_it_changed() -> None:
    (change,) = decode_changes(b'[{"file":"x","status":"teleported"}]')

    assert change.status is FileStatus.CHANGED


def test_what_is_no_list_of_files_is_refused() -> None:
    with pytest.raises(Malformed):
        decode_changes(b'{"files":[]}')
