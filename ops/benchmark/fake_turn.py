"""
Sessions and turns of the fake OpenCode: what they put on the feed and what they answer when read.

Shapes and order are those recorded from OpenCode 1.18.33. No socket and no timer here: a turn is an iterator
of HTTP chunks, and whoever plays it sets the pace.
"""

import itertools
import time
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from ops.benchmark.script import Script

Json: TypeAlias = dict[str, object]

VERSION: Final = "1.18.33"
PROJECT: Final = "48727e2fbbd2c68695cea855b7cd78f2c7b388f7"
_SNAPSHOT: Final = "e23649446d5b2baa9e07b34848d83919fe29ebf8"
_MODEL: Final = {"providerID": "fake", "modelID": "fake-model"}
_ABORTED: Final = {"name": "MessageAbortedError", "data": {"message": "Aborted"}}

_encode = msgspec.json.Encoder().encode
# OpenCode's ids: 12 hexadecimal digits which grow with time, then 14 letters at random. The same 14 do here.
_count = itertools.count(time.time_ns() // 1_000_000 * 0x1000 & 0xFFFF_FFFF_FFFF)
_LETTERS: Final = "0A9cZEcwE1dVpX"
_ID_LENGTH: Final = len("evt_") + 12 + len(_LETTERS)


def new_id(kind: Literal["evt", "ses", "msg", "prt", "per"]) -> str:
    """A unique, time-ordered identifier in OpenCode's form."""
    return f"{kind}_{next(_count):012x}{_LETTERS}"


def frame(event: Json) -> bytes:
    """One event as OpenCode sends it: one SSE frame in an HTTP chunk of its own."""
    body = _encode(event)
    return b"%x\r\ndata: %b\n\n\r\n" % (len(body) + 8, body)


def server_event(kind: str) -> bytes:
    """An event of the server itself, which belongs to no directory."""
    return frame({"payload": {"id": new_id("evt"), "type": kind, "properties": {}}})


def _now() -> int:
    return time.time_ns() // 1_000_000


def _tokens(output: int) -> Json:
    used = 100 if output else 0
    return {"input": used, "output": output, "reasoning": 0, "cache": {"read": 0, "write": 0}}


def _counted(output: int) -> Json:
    return {"total": 100 + output, **_tokens(output)}


class Session:
    """An OpenCode session: its own JSON, its turns, and the events it says."""

    def __init__(self, *, directory: str, asked: Json) -> None:
        self.id = new_id("ses")
        self.directory = directory
        self.turns: list[Turn] = []
        self._created = self._updated = _now()
        self._asked: Json = {key: asked[key] for key in ("title", "parentID", "metadata", "permission") if key in asked}
        self._where: Json = {"directory": directory, "project": PROJECT}
        self._spent = 0
        self._summed_up = False
        self._seq = itertools.count()

    @property
    def busy(self) -> bool:
        """Whether it has a turn which is not over."""
        return bool(self.turns) and not self.turns[-1].over

    def json(self) -> Json:
        """The session as the HTTP interface shows it."""
        first: Json = {"agent": "build", "model": {"id": "fake-model", "providerID": "fake", "variant": "default"}}
        return {
            "id": self.id,
            "slug": "lucky-moon",
            "projectID": PROJECT,
            "directory": self.directory,
            "path": "",
            "cost": 0,
            "tokens": _tokens(self._spent),
            "title": "Fake session title" if self._summed_up else "New session - 2026-11-22T11:23:43.854Z",
            **self._asked,
            **(first if self.turns else {}),
            "version": VERSION,
            **({"summary": {"additions": 0, "deletions": 0, "files": 0}} if self._summed_up else {}),
            "time": {"created": self._created, "updated": self._updated},
        }

    def messages(self) -> list[Json]:
        """All messages so far, as a reader who reconciles finds them."""
        return [message for turn in self.turns for message in turn.messages()]

    def sum_up(self) -> None:
        """Get a title and a summary, as a session does early in its first turn."""
        self._summed_up = True

    def spend(self, output: int) -> None:
        """Add a turn's tokens to the session's."""
        self._spent += output
        self._updated = _now()

    def say(self, kind: str, **properties: object) -> bytes:
        """An event which is not durable and comes once."""
        return self._plain(new_id("evt"), kind, {"sessionID": self.id, **properties})

    def record(self, kind: str, **properties: object) -> bytes:
        """A durable event: the plain frame and, behind it, the same once more as "sync"."""
        event = new_id("evt")
        told: Json = {"sessionID": self.id, **properties}
        sync: Json = {
            "id": event,
            "type": f"{kind}.1",
            "seq": next(self._seq),
            "aggregateID": self.id,
            "data": told,
        }
        twin = frame({**self._where, "payload": {"type": "sync", "syncEvent": sync, "id": event}})
        return self._plain(event, kind, told) + twin

    def record_self(self, kind: Literal["session.created", "session.updated"]) -> bytes:
        """Tell the session's own state."""
        return self.record(kind, info=self.json())

    def _plain(self, event: str, kind: str, told: Json) -> bytes:
        return frame({**self._where, "payload": {"id": event, "type": kind, "properties": told}})


class Turn:
    """One prompt and its answer: an iterator over what goes on the feed, deltas one at a time."""

    def __init__(self, session: Session, *, prompt: str, message: str | None) -> None:
        self.session = session
        self.script = Script.parse(prompt)
        self.over = False
        self.sent = 0
        self._stop: Literal["finish", "abort"] | None = None
        self._began = self._ended = 0
        self._prompt = prompt
        self._asked = _now()
        self._user = message or new_id("msg")
        self._user_part = new_id("prt")
        self._answer = new_id("msg")
        self._parts = [new_id("prt") for _ in range(3)]
        self.permission: Json | None = None
        self._text = ""
        self._chunks = self._play()

    @property
    def told(self) -> bool:
        """Whether all deltas have been sent, so that what follows waits for nothing."""
        return self._stop is not None or self.sent == self.script.n

    def chunks(self) -> bytes | None:
        """The next thing to put on the feed; None when the turn is over."""
        return next(self._chunks, None)

    def stop(self, how: Literal["finish", "abort"]) -> None:
        """End the text with the delta sent last: as if that were all, or as OpenCode's abort does."""
        self._stop = how

    def messages(self) -> list[Json]:
        """The user message and, once it began, the answer. Its text is "" until the part has ended."""
        user: Json = {"info": self._user_info(summary=True), "parts": [self._user_text()]}
        if not self._began:
            return [user]

        parts = [self._step_start(), self._answer_text()]
        if self.over:
            parts.append(self._step_finish())

        return [user, {"info": self._answer_info(completed=self.over, finish=self.over), "parts": parts}]

    def _play(self) -> Iterator[bytes]:
        yield b"".join(self._opening())
        if self.script.ask:
            self.permission = self._asked_for()
            yield self.session.say("permission.asked", **self.permission)
            self.permission = None
        yield from self._deltas()

        self._ended = _now()
        self.session.spend(self.sent)
        yield b"".join(self._aborted() if self._stop == "abort" else self._closing())

    def _opening(self) -> Iterator[bytes]:
        session = self.session
        yield session.record_self("session.updated")
        yield session.record("message.updated", info=self._user_info())
        yield session.record("message.part.updated", part=self._user_text(), time=_now())
        yield session.record_self("session.updated")
        yield session.say("session.status", status={"type": "busy"})
        self._began = _now()
        yield session.record("message.updated", info=self._answer_info())
        yield session.record_self("session.updated")
        session.sum_up()
        yield session.record_self("session.updated")
        yield session.say("session.diff", diff=[])
        yield session.record("message.updated", info=self._user_info(summary=True))
        yield session.say("session.status", status={"type": "busy"})
        yield session.record("message.part.updated", part=self._step_start(), time=_now())
        yield session.record("message.part.updated", part=self._answer_text(), time=_now())

    def _asked_for(self) -> Json:
        return {
            "id": new_id("per"),
            "sessionID": self.session.id,
            "permission": "bash",
            "patterns": ["make check"],
            "always": ["make *"],
            "metadata": {},
            "tool": {"messageID": self._answer, "callID": "call_1"},
        }

    def _deltas(self) -> Iterator[bytes]:
        """The deltas, each as one formatted line: encoding them one by one would make the fake the bottleneck."""
        script = self.script
        spoken: list[str] = []
        whole = self.session.say(
            "message.part.delta",
            messageID=self._answer,
            partID=self._parts[1],
            field="text",
            delta="!" * script.size,
        )
        # Constant lengths make the chunk's size constant as well.
        before, opening, rest = whole.decode().partition('"payload":{"id":"')
        before += opening
        between, after = rest[_ID_LENGTH:].split("!" * script.size)
        for number in range(script.n):
            if self._stop:
                break
            word = script.stamped(number, time.monotonic_ns()) if script.stamp else script.word(number)
            spoken.append(word)
            self.sent += 1
            yield f"{before}{new_id('evt')}{between}{word}{after}".encode()
        self._text = "".join(spoken)

    def _closing(self) -> Iterator[bytes]:
        session = self.session
        yield session.record("message.part.updated", part=self._answer_text(), time=_now())
        yield session.record("message.part.updated", part=self._step_finish(), time=_now())
        yield session.record("message.updated", info=self._answer_info(finish=True))
        yield session.record("message.updated", info=self._answer_info(finish=True, completed=True))
        yield session.say("session.status", status={"type": "busy"})
        self.over = True
        yield from self._idle()
        yield session.record_self("session.updated")
        yield session.say("session.diff", diff=[])
        yield session.record("message.updated", info=self._user_info(summary=True))

    def _aborted(self) -> Iterator[bytes]:
        # Idle is told twice, the first time before the message has ended: that is what OpenCode does.
        yield self.session.say("session.error", error=_ABORTED)
        yield from self._idle()
        yield self.session.record("message.part.updated", part=self._answer_text(), time=_now())
        self.over = True
        yield self.session.record("message.updated", info=self._answer_info(completed=True))
        yield from self._idle()

    def _idle(self) -> Iterator[bytes]:
        yield self.session.say("session.status", status={"type": "idle"})
        yield self.session.say("session.idle")

    def _user_info(self, *, summary: bool = False) -> Json:
        info: Json = {
            "id": self._user,
            "role": "user",
            "sessionID": self.session.id,
            "time": {"created": self._asked},
            "agent": "build",
            "model": _MODEL,
        }
        return {**info, "summary": {"diffs": []}} if summary else info

    def _answer_info(self, *, finish: bool = False, completed: bool = False) -> Json:
        aborted = self._stop == "abort"
        info: Json = {
            "id": self._answer,
            "parentID": self._user,
            "role": "assistant",
            "mode": "build",
            "agent": "build",
            "path": {"cwd": self.session.directory, "root": self.session.directory},
            "cost": 0,
            "tokens": _counted(self.sent) if finish else _tokens(0),
            **_MODEL,
            "time": {"created": self._began, **({"completed": self._ended} if completed else {})},
            "sessionID": self.session.id,
        }
        if finish and not aborted:
            info["finish"] = "stop"
        if completed and aborted:
            info["error"] = _ABORTED

        return info

    def _part(self, which: int, kind: str) -> Json:
        return {
            "id": self._parts[which],
            "messageID": self._answer,
            "sessionID": self.session.id,
            "type": kind,
        }

    def _user_text(self) -> Json:
        return {
            "type": "text",
            "text": self._prompt,
            "messageID": self._user,
            "sessionID": self.session.id,
            "id": self._user_part,
        }

    def _step_start(self) -> Json:
        return {**self._part(0, "step-start"), "snapshot": _SNAPSHOT}

    def _answer_text(self) -> Json:
        ended = {"end": self._ended} if self._ended else {}
        return {
            **self._part(1, "text"),
            "text": self._text if self._ended else "",
            "time": {"start": self._began, **ended},
        }

    def _step_finish(self) -> Json:
        return {
            **self._part(2, "step-finish"),
            "reason": "stop",
            "snapshot": _SNAPSHOT,
            "tokens": _counted(self.sent),
            "cost": 0,
        }
