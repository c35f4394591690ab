"""What is shown of an agent's work."""

from __future__ import annotations

import pytest

from opencode_a2a_server.app.cli.live import Live
from tests.app.cli.agents import status, task, text, tool


def shown(*answers: dict[str, object]) -> str:
    written: list[str] = []
    live = Live(written.append)
    for answer in answers:
        live.show(answer)
    return "".join(written).replace("\x1b[36m", "").replace("\x1b[0m", "").replace("\x1b[2m", "~")


def test_text_that_is_told_again_is_not_shown_again() -> None:
    assert shown(text("Hel"), {"task": task("WORKING", text="Hello")}, text(" you", append=True)) == "Hello you"


def test_text_that_was_withdrawn_is_followed_by_what_took_its_place() -> None:
    assert shown(text("Wrong"), text("Right")) == "Wrong\nRight"


def test_blocks_that_take_turns_have_lines_of_their_own() -> None:
    assert (
        shown(text("a", artifact="1"), text("b", artifact="2", kind="reasoning"), text("c", artifact="1", append=True))
        == "a\n~b\nc"
    )


def test_a_tool_is_a_line_that_is_not_too_long() -> None:
    lines = shown(tool("completed", title="List\nfiles"), tool("error", error="x" * 500)).splitlines()

    assert lines[0] == "* bash completed List files"
    assert lines[1].endswith("xxx...")
    assert len(lines[1]) < 210


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ({"raw": "YQ==", "filename": "a.txt", "mediaType": "text/plain"}, "[a.txt text/plain]"),
        ({"url": "https://x.example/a", "mediaType": "image/png"}, "[file image/png https://x.example/a]"),
        ({"data": {"a": 1}}, '{"a": 1}'),
    ],
)
def test_parts_that_are_no_text_are_lines(part: dict[str, object], line: str) -> None:
    update = {"taskId": "t", "artifact": {"artifactId": "f", "parts": [part]}}

    assert shown({"artifactUpdate": update}) == line + "\n"


def test_a_question_is_shown_once() -> None:
    asked = status("INPUT_REQUIRED", "Which size?")

    assert shown(asked, asked).count("Which size?") == 1
