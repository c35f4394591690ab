"""
Recorded turns of the real OpenCode, and what it would have shown when asked at any point of them.

`tests/data/opencode/README.md` says what the files are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from opencode_a2a_server.adapters.outbound.opencode.codec import (
    decode_frame,
    decode_messages,
    decode_permissions,
    decode_questions,
    decode_statuses,
)
from opencode_a2a_server.adapters.outbound.opencode.sse import SseParser
from opencode_a2a_server.domain.events import Recollection, SessionOpened, Telling
from opencode_a2a_server.domain.ids import MessageId, SessionId
from opencode_a2a_server.domain.turn import Limits

DATA = Path(__file__).parents[3] / "data" / "opencode"
LOST = b": the connection was lost\n\n"

Json = Any


@frozen
class RecordedTurn:
    """Which turn of a recording to follow, and the state it must end in (None: it does not end)."""

    session: SessionId
    prompt: MessageId
    directory: str
    state: str | None
    canceling: bool = False
    limits: dict[str, int] = field(factory=dict)

    @property
    def bounds(self) -> Limits:
        """The turn's limits."""
        return Limits(**self.limits)


@frozen
class Heard:
    """One frame: its bytes, and what it tells; None where the connection was lost."""

    data: bytes | None
    tellings: tuple[Telling, ...] = ()


@frozen(eq=False)
class Case:
    """One recording."""

    name: str
    connections: tuple[bytes, ...]
    turns: tuple[RecordedTurn, ...]
    frames: tuple[Heard, ...]

    def first(self, identifier: str) -> int:
        """The number of the first frame that names something; the first of all if none does."""
        named = (number for number, heard in enumerate(self.frames) if identifier.encode() in (heard.data or b""))
        return next(named, 0)

    @property
    def expected(self) -> list[list[Json]]:
        """The updates of each turn."""
        expected: list[list[Json]] = json.loads((DATA / self.name / "out.json").read_text("utf-8"))
        return expected

    def expect(self, turns: Sequence[Sequence[Json]]) -> None:
        """Write what is to be expected from now on."""
        blocks = [
            "[\n" + ",\n".join(json.dumps(update, ensure_ascii=False) for update in updates) + "\n]"
            for updates in turns
        ]
        (DATA / self.name / "out.json").write_text("[" + ",\n".join(blocks) + "]\n", "utf-8")


NAMES = sorted(folder.name for folder in DATA.iterdir() if (folder / "in.sse").exists())


@cache
def case(name: str) -> Case:
    """Read one recording."""
    connections = tuple((DATA / name / "in.sse").read_bytes().split(LOST))
    turns = json.loads((DATA / name / "turns.json").read_text("utf-8"))
    return Case(name, connections, tuple(RecordedTurn(**turn) for turn in turns), tuple(_hear(connections)))


def _hear(connections: Sequence[bytes]) -> Iterator[Heard]:
    for number, stream in enumerate(connections):
        if number:
            yield Heard(None)
        for data in SseParser().feed(stream):
            frame = decode_frame(data)
            yield Heard(data, frame.tellings if frame is not None else ())


@define
class Shown:
    """
    What OpenCode shows when asked, after the frames it was given.

    As the real one does: text is "" until it is whole, a restart forgets what is at work and who was asked.
    """

    _messages: dict[str, dict[str, Json]] = field(factory=dict)
    _children: dict[str, list[str]] = field(factory=dict)
    _statuses: dict[str, Json] = field(factory=dict)
    _asked: dict[str, dict[str, Json]] = field(factory=lambda: {"permission": {}, "question": {}})
    _gone: set[str] = field(factory=set)

    def take(self, heard: Heard) -> None:
        """Take in one frame."""
        if heard.data is None:
            self._statuses.clear()
            self._asked = {"permission": {}, "question": {}}
            return
        payload = json.loads(heard.data)["payload"]
        if payload["type"] != "sync":
            self._happen(payload["type"], payload["properties"])

    def _happen(self, event: str, properties: Json) -> None:  # noqa: C901 - one case for each kind of event
        match event.split("."):
            case ["session", "created"] if "parentID" in properties["info"]:
                self._children.setdefault(properties["info"]["parentID"], []).append(properties["info"]["id"])
            case ["session", "deleted"]:
                self._gone.add(properties["info"]["id"])
            case ["session", "status"]:
                self._statuses[properties["sessionID"]] = properties["status"]
                if properties["status"]["type"] == "idle":
                    del self._statuses[properties["sessionID"]]
            case ["message", "updated"]:
                info = properties["info"]
                known = self._messages.setdefault(info["sessionID"], {}).setdefault(info["id"], {"parts": {}})
                known["info"] = info
            case ["message", "removed"]:
                self._messages[properties["sessionID"]].pop(properties["messageID"], None)
            case ["message", "part", "updated"]:
                part = properties["part"]
                self._parts(part["sessionID"], part["messageID"])[part["id"]] = part
            case ["message", "part", "removed"]:
                self._parts(properties["sessionID"], properties["messageID"]).pop(properties["partID"])
            case ["permission" | "question" as kind, "asked"]:
                self._asked[kind][properties["id"]] = properties
            case ["permission" | "question" as kind, "replied" | "rejected"]:
                self._asked[kind].pop(properties["requestID"], None)

    def _parts(self, session: str, message: str) -> dict[str, Json]:
        parts: dict[str, Json] = self._messages.get(session, {}).get(message, {}).get("parts", {})
        return parts

    def messages(self, session: str) -> bytes:
        """Answer `GET /session/{id}/message`."""
        messages = self._messages.get(session, {}).values()
        shown = [{"info": message["info"], "parts": list(message["parts"].values())} for message in messages]
        return json.dumps(sorted(shown, key=lambda message: message["info"]["time"]["created"])).encode()

    def recall(self, session: SessionId) -> Recollection:
        """Ask as the adapter does."""
        if session in self._gone:
            return Recollection(frozenset(), (), known=False)
        told = decode_messages(self.messages(session))
        for child in self._children.get(session, []):
            told += [SessionOpened(SessionId(child), session), *decode_messages(self.messages(child))]
        permissions = decode_permissions(json.dumps(list(self._asked["permission"].values())).encode())
        questions = decode_questions(json.dumps(list(self._asked["question"].values())).encode())
        busy = decode_statuses(json.dumps(self._statuses).encode())
        return Recollection(busy, tuple(told), (*permissions, *questions))
