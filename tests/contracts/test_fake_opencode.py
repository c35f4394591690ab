"""The fake OpenCode tells what the real one was recorded to tell, in the same order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.acts import Act, AskPermission, AskQuestion, Delegate, Fail, Hang, Reason, RunTool, Say
from tests.fakes.clock import settled
from tests.fakes.opencode import FakeOpenCode

pytestmark = pytest.mark.anyio

_DATA = Path(__file__).parents[1] / "data" / "opencode"
_NOISE = ("session.updated", "session.diff", "plugin.", "catalog.", "reference.", "integration.", "server.", "file.")

_BASH = AskPermission("bash", "echo hi")
_DONE = Say("bash finished. Tool said: hi")
_COLOUR = AskQuestion("Question 1: which colour?", ("Red", "Blue"))


class Talk:
    """A session with the fake, as a client which only listens would have it."""

    def __init__(self, *acts: Act) -> None:
        self.fake = FakeOpenCode(scripts={"go": acts})
        self.heard: list[Any] = []
        self.session = ""

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Call the fake."""
        response = await self.fake.handle_async_request(httpx.Request(method, f"http://opencode{path}", json=body))
        if response.headers.get("content-type") != "text/event-stream":
            await response.aread()
        return response

    async def prompt(self) -> None:
        """Open a session and prompt it."""
        self.fake.listen(self.heard.append)
        self.session = (await self.call("POST", "/session", {})).json()["id"]
        await self.call("POST", f"/session/{self.session}/prompt_async", {"parts": [{"type": "text", "text": "go"}]})
        await settled()

    async def reply(self, kind: str, verb: str, body: Any = None) -> None:
        """Answer what is asked."""
        (asked,) = (await self.call("GET", f"/{kind}")).json()
        await self.call("POST", f"/{kind}/{asked['id']}/{verb}", body or {})
        await settled()

    async def abort(self) -> None:
        """Abort the session."""
        await self.call("POST", f"/session/{self.session}/abort")
        await settled()

    @property
    def told(self) -> list[str]:
        """What the fake told."""
        return _outline(self.heard)


def recorded(name: str, sessions: int = 1) -> list[str]:
    """Give what the real one told in the first turn of a recording, of so many sessions."""
    lines = (_DATA / name / "in.sse").read_bytes().splitlines()
    events = [json.loads(line.removeprefix(b"data: ")) for line in lines if line.startswith(b"data: ")]
    firsts = [event["payload"]["properties"].get("sessionID") for event in events if "properties" in event["payload"]]
    known = list(dict.fromkeys(session for session in firsts if session))[:sessions]
    prompts = [event for event in events if _is_prompt(event, known[0])]
    end = events.index(prompts[1]) if len(prompts) > 1 else len(events)
    return _outline([event for event in events[:end] if _session(event) in known])


def _session(event: Any) -> object:
    return event["payload"].get("properties", {}).get("sessionID")


def _is_prompt(event: Any, session: str) -> bool:
    part = event["payload"].get("properties", {}).get("part", {})
    return _session(event) == session and part.get("type") == "text" and "time" not in part


def _outline(events: Sequence[Any]) -> list[str]:
    """Name events in order, without noise, what differs by chance, and repetitions."""
    names = itertools.chain.from_iterable(_names(event["payload"]) for event in events)
    return [name for name, _ in itertools.groupby(names)]


def _names(payload: Any) -> Iterator[str]:
    kind, told = payload["type"], payload.get("properties", {})
    if kind == "sync" or kind.startswith(_NOISE):
        return
    match kind:
        case "message.updated" if told["info"]["role"] == "user":
            return  # it comes again at any time
        case "message.updated":
            marks = [mark for mark in ("finish", "error") if mark in told["info"]]
            whole = ["completed"] if "completed" in told["info"]["time"] else []
            yield " ".join(["message", *marks, *whole])
        case "message.part.updated":
            part = told["part"]
            state = part.get("state", {}).get("status", "end" if "end" in part.get("time", {}) else "")
            yield f"{part['type']} {state}".strip()
        case "session.status":
            yield f"status {told['status']['type']}"
        case _:
            yield kind


@pytest.mark.parametrize(
    ("name", "acts"),
    [
        ("plain_text_async", (Say("one two three"),)),
        ("reasoning", (Reason("why not"), Say("because"))),
        ("tool_bash", (RunTool("bash", output="hi"), _DONE)),
        ("err_401", (Fail("fake provider error 401"),)),
    ],
)
async def test_a_turn_of_its_own_is_told_as_recorded(name: str, acts: tuple[Act, ...]) -> None:
    talk = Talk(*acts)

    await talk.prompt()

    assert talk.told == ["session.created", *_turn(recorded(name))]


@pytest.mark.parametrize(
    ("name", "kind", "verb", "body"),
    [
        ("perm_once", "permission", "reply", {"reply": "once"}),
        ("perm_reject", "permission", "reply", {"reply": "reject"}),
        ("perm_reject_message", "permission", "reply", {"reply": "reject", "message": "Use ls instead, please."}),
        ("question_reply", "question", "reply", {"answers": [["Red"]]}),
        ("question_reject", "question", "reject", None),
    ],
)
async def test_an_answered_turn_is_told_as_recorded(name: str, kind: str, verb: str, body: Any) -> None:
    talk = Talk(_BASH, _DONE) if kind == "permission" else Talk(_COLOUR)

    await talk.prompt()
    await talk.reply(kind, verb, body)

    assert talk.told == ["session.created", *_turn(recorded(name))]


@pytest.mark.parametrize(
    ("name", "acts"),
    [("abort_stream", (Say("one two"), Hang())), ("perm_abort_pending", (_BASH,)), ("abort_before_first", (Hang(),))],
)
async def test_an_aborted_turn_is_told_as_recorded(name: str, acts: tuple[Act, ...]) -> None:
    talk = Talk(*acts)
    await talk.prompt()

    await talk.abort()

    assert _without_ends(talk.told) == ["session.created", *_without_ends(_turn(recorded(name), idles=2))]


async def test_a_sub_agent_is_told_as_recorded() -> None:
    talk = Talk(Delegate((RunTool("bash", output="/"), _DONE)), Say("task finished"))

    await talk.prompt()

    assert talk.told == ["session.created", *_turn(recorded("subagent", sessions=2))]


def _turn(outline: list[str], idles: int = 99) -> list[str]:
    """Give what belongs to the first turn: from the prompt to its last idle, if it is known how many there are."""
    begin = outline.index("text")
    ends = [number for number, name in enumerate(outline) if name == "session.idle"][:idles]
    return outline[begin : ends[-1] + 1]


def _without_ends(outline: list[str]) -> list[str]:
    """Leave out what an abort finds whole or not, by chance."""
    return [name for name in outline if not name.endswith(" end") and name != "permission.replied"]
