"""Share what is heard: how far the texts are that are being told, with replicas that came in the midst of them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Final, Self

from attrs import define, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.earshot import Earshot, Mark
from opencode_a2a_server.app.ports.talk import LONGEST, Talk
from opencode_a2a_server.app.usecases.beside import Beside
from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.events import TextKind
from opencode_a2a_server.domain.ids import PartId

_log = logging.getLogger(__name__)

_AGAIN: Final = 0.5
"""Seconds until it is asked again about what nobody has said anything of."""
_AGAIN_MOST: Final = 10.0
_ASKED_MOST: Final = 1024
"""Texts that somebody waits to hear of; beyond, who asks has to ask again."""
_EMPTY: Final = len('{"marks": []}')


@define(eq=False)
class ShareHearing:
    """
    Ask about texts whose beginning was not heard here, and answer such questions; a context manager while which it does.

    While all replicas have heard everything there is nothing to say.
    """

    earshot: Earshot
    talk: Talk
    clock: Clock
    _asked: set[PartId] = field(factory=set, init=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)
    _beside: Beside = field(factory=Beside, init=False)

    async def __aenter__(self) -> Self:
        self.talk.listen(self._hear)
        self._beside.begin(self._ask(), "ask how far texts are")
        self._beside.begin(self._answer(), "say how far texts are")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._beside.end()

    async def _ask(self) -> None:
        pause, before = _AGAIN, frozenset[PartId]()
        while True:
            parts = await self.earshot.unplaced()
            pause = min(pause * 2, _AGAIN_MOST) if before >= set(parts) else _AGAIN
            before = frozenset(parts)
            await self._say(json.dumps({"ask": parts}))
            await self.clock.sleep(pause)

    async def _answer(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            parts, self._asked = self._asked, set()
            for word in _words(self.earshot.marks(parts)):
                await self._say(word)

    async def _say(self, word: str) -> None:
        try:
            await self.talk.say(word)
        except JournalUnavailable as error:
            _log.info("nothing can be said to the other replicas: %s", error)

    def _hear(self, word: str) -> None:
        """Take a word of another replica, perhaps of another release: what is not understood is passed over."""
        try:
            said = json.loads(word)
            marks = [
                Mark(PartId(part), TextKind(kind), int(length), event)
                for part, kind, length, event in said.get("marks", ())
            ]
            asked = [PartId(part) for part in said.get("ask", ())]
        except (ValueError, TypeError, AttributeError) as error:
            _log.warning("another replica says what is not understood: %s", error)
            return
        for mark in marks:
            self.earshot.place(mark)
        if asked and len(self._asked) < _ASKED_MOST:
            self._asked.update(asked)
            self._wake.set()


def _words(marks: Sequence[Mark]) -> Iterator[str]:
    """Put marks into as few words as hold them."""
    told: list[str] = []
    size = _EMPTY
    for mark in marks:
        one = json.dumps([mark.part, mark.kind.value, mark.length, mark.event])
        if told and size + len(one) + 2 > LONGEST:
            yield _word(told)
            told, size = [], _EMPTY
        told.append(one)
        size += len(one) + 2
    if told:
        yield _word(told)


def _word(told: Sequence[str]) -> str:
    return f'{{"marks": [{", ".join(told)}]}}'
