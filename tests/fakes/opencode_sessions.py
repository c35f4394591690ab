"""
Sessions of the fake OpenCode: what they put on the feed, and what they show when read.

Shapes and order are those of OpenCode 1.18.33, as recorded in `tests/data/opencode`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from anyio.lowlevel import checkpoint
from attrs import define, field

from tests.fakes.acts import Act

Json: TypeAlias = dict[str, Any]

VERSION = "1.18.33"
PROJECT = "48727e2fbbd2c68695cea855b7cd78f2c7b388f7"
MODEL = {"providerID": "fake", "modelID": "fake-model"}
_ABORTED: Json = {"name": "MessageAbortedError", "data": {"message": "Aborted"}}
_ENDED = ("completed", "error")


@define(eq=False)
class Backstage:
    """What sessions need of their server."""

    tell: Callable[[str, str, Json], None]
    """Put an event on the feed: the directory, its kind, what it says."""
    record: Callable[[str, str, Json], None]
    """Put a durable one on it."""
    new_id: Callable[[str], str]
    now: Callable[[], int]
    ask: Callable[[str, Json], asyncio.Future[Json]]
    """List a permission or a question; the future is for its answer."""
    play: Callable[[FakeSession, str, Sequence[Act]], Awaitable[None]]
    """Play the turn of a prompt."""
    adopt: Callable[[FakeSession], None]
    """Take in a sub-agent's session."""
    idle: Callable[[], str]
    """Say how a good turn's idle comes: once, twice, early, late or never."""
    pause: Callable[[], Awaitable[None]] = checkpoint
    """What passes between two words."""


@define(eq=False)
class FakeMessage:
    """A message and its parts, as the HTTP interface shows them."""

    info: Json
    parts: dict[str, Json] = field(factory=dict)

    @property
    def json(self) -> Json:
        """All of it; a text that is not whole is shown empty."""
        return {"info": self.info, "parts": [_as_stored(part) for part in self.parts.values()]}


def _as_stored(part: Json) -> Json:
    if part["type"] in ("text", "reasoning") and "time" in part and "end" not in part["time"]:
        return {**part, "text": ""}
    return part


@define(eq=False)
class FakeSession:
    """A session, its messages and its turns."""

    stage: Backstage
    id: str
    directory: str
    title: str = ""
    parent: FakeSession | None = None
    messages: list[FakeMessage] = field(factory=list)
    busy: bool = False
    children: list[FakeSession] = field(factory=list)
    owed: list[Callable[[], None]] = field(factory=list)
    """Idles that come late."""
    diffs: dict[str, list[Json]] = field(factory=dict)
    """What the turn of each prompt has changed."""
    created: int = field(init=False)
    job: asyncio.Task[None] | None = field(default=None, init=False)
    _queue: list[tuple[str, Sequence[Act]]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.created = self.stage.now()

    @property
    def json(self) -> Json:
        """The session as the HTTP interface shows it."""
        parent = {} if self.parent is None else {"parentID": self.parent.id}
        tokens = {"input": 0, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}}
        return {
            "id": self.id,
            "slug": "lucky-moon",
            "projectID": PROJECT,
            "directory": self.directory,
            "path": "",
            **parent,
            "cost": 0,
            "tokens": tokens,
            "title": self.title or "New session - 2026-11-22T11:23:43.854Z",
            "version": VERSION,
            "time": {"created": self.created, "updated": self.stage.now()},
        }

    def find(self, message: str) -> FakeMessage | None:
        """Give a message by its id."""
        return next((known for known in self.messages if known.info["id"] == message), None)

    # The feed

    def say(self, kind: str, **properties: object) -> None:
        """Tell something that is not kept."""
        self.stage.tell(self.directory, kind, {"sessionID": self.id, **properties})

    def record(self, kind: str, **properties: object) -> None:
        """Tell something that is kept: its twin follows."""
        self.stage.record(self.directory, kind, {"sessionID": self.id, **properties})

    def say_busy(self) -> None:
        """Tell that it works."""
        self.say("session.status", status={"type": "busy"})

    def say_idle(self) -> None:
        """Tell that it rests."""
        self.say("session.status", status={"type": "idle"})
        self.say("session.idle")

    def update(self) -> None:
        """Tell the session's own state."""
        self.record("session.updated", info=self.json)

    def settle(self) -> None:
        """Tell what follows any change: noise."""
        self.update()
        self.say("session.diff", diff=[])

    # Prompts

    def prompt(self, message: str, parts: Sequence[Json], acts: Sequence[Act]) -> None:
        """
        Take a prompt and begin to work, or go on.

        One that came before gets its parts once more, but no second answer. One that comes while another one is
        worked on waits; of several that wait, the last one alone is answered.
        """
        known = self.find(message)
        self.take(message, parts)
        if self.busy:
            if known is None:
                self._queue.append((message, acts))
        elif known is not None and any(other.info.get("parentID") == message for other in self.messages):
            self.say_busy()
            self.say_idle()
        else:
            self.begin(message, acts)

    def take(self, message: str, parts: Sequence[Json]) -> None:
        """Keep a message of the user's."""
        user = self.find(message)
        info = self._user_info(message)
        if user is None:
            user = FakeMessage(info)
            self.messages.append(user)
        self.update()
        self.record("message.updated", info=info)
        for told in parts:
            part = {**told, "messageID": message, "sessionID": self.id, "id": self.stage.new_id("prt")}
            user.parts[part["id"]] = part
            self.record("message.part.updated", part=part, time=self.stage.now())
        self.update()

    def _user_info(self, message: str) -> Json:
        return {
            "id": message,
            "role": "user",
            "sessionID": self.id,
            "time": {"created": self.stage.now()},
            "agent": "build",
            "model": MODEL,
        }

    def begin(self, message: str, acts: Sequence[Act]) -> None:
        """Work on a prompt."""
        self.busy = True
        self.job = asyncio.get_running_loop().create_task(self._work(message, acts), name=f"fake turn {message}")

    async def ended(self) -> None:
        """Wait until it no longer works."""
        if self.job is not None:
            await self.job

    async def _work(self, message: str, acts: Sequence[Act]) -> None:
        await self.stage.play(self, message, acts)
        if self._queue:
            prompt, more = self._queue[-1]
            self._queue.clear()
            self.begin(prompt, more)

    def drop(self) -> list[asyncio.Task[None]]:
        """Work on nothing any more, at once and without a word; gives what is still to be waited for."""
        self._queue.clear()
        self.busy = False
        dropped = [job for child in self.children for job in child.drop()]
        if self.job is not None:
            self.job.cancel()
            dropped.append(self.job)
        return dropped

    async def abort(self) -> None:
        """Stop working, as OpenCode tells it: first that it rests, then what becomes of what was under way."""
        if not self.busy:
            self.say_idle()
            return
        dropped = self.drop()
        self.say_aborted()
        await asyncio.gather(*dropped, return_exceptions=True)

    def say_aborted(self) -> None:
        """Tell what an abort did."""
        for child in self.children:
            if child.messages and "completed" not in child.messages[-1].info["time"]:
                child.say_aborted()
        self.say("session.error", error=_ABORTED)
        self.say_idle()
        answer = self.messages[-1]
        if answer.info["role"] == "assistant":
            for part in list(answer.parts.values()):
                self._cut(answer, part)
            self._fail(answer, _ABORTED)
        self.say_idle()

    def _cut(self, answer: FakeMessage, part: Json) -> None:
        now = self.stage.now()
        if part["type"] in ("text", "reasoning") and "end" not in part["time"]:
            self.put(answer, {**part, "time": {**part["time"], "end": now}})
        if part["type"] == "tool" and part["state"]["status"] not in _ENDED:
            state = {"status": "error", "input": part["state"]["input"], "error": "Tool execution aborted"}
            state |= {"metadata": {"interrupted": True}, "time": {"start": now, "end": now}}
            self.put(answer, {**part, "state": state})

    def _fail(self, answer: FakeMessage, error: Json) -> None:
        time = {**answer.info["time"], "completed": self.stage.now()}
        answer.info = {**answer.info, "error": error, "time": time}
        self.record("message.updated", info=answer.info)

    def put(self, answer: FakeMessage, part: Json) -> None:
        """Show a part as it stands."""
        answer.parts[part["id"]] = part
        self.record("message.part.updated", part=part, time=self.stage.now())

    def fail(self, answer: FakeMessage, error: Json) -> None:
        """End a turn with an error, which is told more than once."""
        self.say("session.error", error=error)
        self.say_idle()
        self._fail(answer, error)
        self.busy = False
        self.say_idle()
