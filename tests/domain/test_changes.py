"""What a turn changed on disk, as artifacts."""

from __future__ import annotations

from opencode_a2a_server.domain.changes import FileChange, FileStatus, changes_told, unified
from opencode_a2a_server.domain.ids import MessageId
from opencode_a2a_server.domain.message import DataPart, TextPart

PROMPT = MessageId("msg_1")
ADDED = FileChange("a.txt", FileStatus.ADDED, 1, 0, "@@ -0,0 +1 @@\n+hello\n")
BINARY = FileChange("b.bin", FileStatus.MODIFIED, text=False)


def test_nothing_is_told_of_no_changes() -> None:
    assert changes_told([], PROMPT, 1000) == []


def test_changes_are_a_patch_and_a_list() -> None:
    patch, files = changes_told([ADDED, BINARY], PROMPT, 1000)

    assert (patch.name, patch.parts) == (
        "changes.patch",
        (
            TextPart(
                "--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+hello\n",
                media_type="text/x-diff",
                filename="changes.patch",
            ),
        ),
    )
    assert (files.name, files.parts) == (
        "files.json",
        (
            DataPart(
                [
                    {"path": "a.txt", "status": "added", "added": 1, "removed": 0, "in_patch": True},
                    {"path": "b.bin", "status": "modified", "added": 0, "removed": 0, "in_patch": False},
                ],
                "application/json",
                "files.json",
            ),
        ),
    )
    assert patch.last
    assert files.last


def test_told_again_they_are_the_same_artifacts_and_another_turns_are_others() -> None:
    first, again, other = (changes_told([ADDED], prompt, 1000) for prompt in (PROMPT, PROMPT, MessageId("msg_2")))

    assert first == again
    assert {told.artifact for told in first}.isdisjoint(told.artifact for told in other)


def test_what_does_not_fit_is_left_out_file_by_file() -> None:
    large = FileChange("large.txt", FileStatus.ADDED, 1, 0, f"@@ -0,0 +1 @@\n+{'x' * 1000}\n")

    patch, files = changes_told([large, ADDED], PROMPT, 200)

    (text,), (data,) = patch.parts, files.parts
    assert isinstance(text, TextPart)
    assert "large" not in text.text
    assert "hello" in text.text
    assert isinstance(data, DataPart)
    assert [entry["in_patch"] for entry in data.data] == [False, True]  # type: ignore[union-attr,call-overload,index]


def test_there_is_no_patch_of_what_is_no_text() -> None:
    (files,) = changes_told([BINARY], PROMPT, 1000)

    assert files.name == "files.json"


def test_a_file_without_content_comes_and_goes_in_gits_own_words() -> None:
    added, deleted = (unified(FileChange("empty", status)) for status in (FileStatus.ADDED, FileStatus.DELETED))

    assert added == "diff --git a/empty b/empty\nnew file mode 100644\nindex 0000000..e69de29\n"
    assert deleted == "diff --git a/empty b/empty\ndeleted file mode 100644\nindex e69de29..0000000\n"


def test_a_change_of_mode_alone_is_no_text() -> None:
    assert unified(FileChange("run.sh", FileStatus.MODIFIED)) == ""
