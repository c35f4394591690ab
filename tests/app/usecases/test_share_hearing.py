from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import pytest
from attrs import define, field

from opencode_a2a_server.app.ports.earshot import Mark
from opencode_a2a_server.app.ports.talk import LONGEST
from opencode_a2a_server.app.usecases.share_hearing import ShareHearing
from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.events import TextKind
from opencode_a2a_server.domain.ids import PartId
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio


@define(eq=False)
class Room:
    """Where those who share what they hear talk."""

    ears: list[Callable[[str], None]] = field(factory=list)
    words: list[str] = field(factory=list)
    down: bool = False

    async def say(self, word: str) -> None:
        if self.down:
            raise JournalUnavailable("no connection")
        self.words.append(word)
        for ear in self.ears:
            ear(word)

    def listen(self, ear: Callable[[str], None]) -> None:
        self.ears.append(ear)


@define(eq=False)
class Ear:
    """What one replica has heard: what it knows and what it does not."""

    known: dict[PartId, Mark] = field(factory=dict)
    unknown: list[PartId] = field(factory=list)
    _some: asyncio.Event = field(factory=asyncio.Event)

    def miss(self, *parts: PartId) -> None:
        self.unknown += parts
        self._some.set()

    async def unplaced(self) -> Sequence[PartId]:
        await self._some.wait()
        return tuple(self.unknown)

    def marks(self, parts: Iterable[PartId]) -> Sequence[Mark]:
        return [self.known[part] for part in parts if part in self.known]

    def place(self, mark: Mark) -> None:
        if mark.part in self.unknown:
            self.unknown.remove(mark.part)
            self.known[mark.part] = mark
        if not self.unknown:
            self._some.clear()


def mark(number: int) -> Mark:
    return Mark(PartId(f"prt_{number:026}"), TextKind.REASONING, 1000 + number, f"evt_{number:026}")


async def test_who_came_late_is_told_by_who_was_there() -> None:
    clock, room, here, there = TurnedClock(), Room(), Ear(), Ear()
    there.known = {mark(number).part: mark(number) for number in range(200)}

    async with ShareHearing(here, room, clock), ShareHearing(there, room, clock):
        here.miss(*there.known)
        await clock.turn()

    assert here.known == there.known
    assert all(len(word) <= LONGEST for word in room.words)


async def test_while_everything_was_heard_nothing_is_said() -> None:
    clock, room = TurnedClock(), Room()

    async with ShareHearing(Ear(), room, clock), ShareHearing(Ear(), room, clock):
        await clock.turn(3600)

    assert room.words == []


async def test_what_nobody_knows_is_asked_again_ever_more_rarely() -> None:
    clock, room, here = TurnedClock(), Room(), Ear()

    async with ShareHearing(here, room, clock):
        here.miss(mark(1).part)
        await clock.turn(3)
        soon = len(room.words)
        await clock.turn(97)

    assert soon == 3
    assert len(room.words) < 20


async def test_a_question_that_got_lost_is_asked_again() -> None:
    clock, room, here, there = TurnedClock(), Room(down=True), Ear(), Ear({mark(1).part: mark(1)})

    async with ShareHearing(here, room, clock), ShareHearing(there, room, clock):
        here.miss(mark(1).part)
        await clock.turn()
        room.down = False
        await clock.turn(1)

    assert here.known == there.known


@pytest.mark.parametrize(
    "word", ["", "{", "[]", "1", '{"marks": [1]}', '{"ask": 3}', '{"marks": [["p", "song", 1, "e"]]}']
)
async def test_what_is_not_understood_is_passed_over(word: str) -> None:
    clock, room, here, there = TurnedClock(), Room(), Ear(), Ear({mark(1).part: mark(1)})

    async with ShareHearing(here, room, clock), ShareHearing(there, room, clock):
        await room.say(word)
        here.miss(mark(1).part)
        await clock.turn()

    assert here.known == there.known
