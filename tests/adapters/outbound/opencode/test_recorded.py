"""
Turns of the real OpenCode, as recorded, from bytes to the task a client reads.

`REWRITE_EXPECTED=1 pytest tests/adapters/outbound/opencode/test_recorded.py` writes what is expected from now on; look
at the difference before you keep it.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence

import pytest

from opencode_a2a_server.adapters.outbound.opencode.codec import decode_frame, decode_messages
from opencode_a2a_server.adapters.outbound.opencode.sse import SseParser
from opencode_a2a_server.domain.events import Event, Gap, MessageSeen, TextSeen
from opencode_a2a_server.domain.message import Role
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.turn import Turn
from opencode_a2a_server.domain.updates import StatusChanged, Update
from opencode_a2a_server.domain.usage import Usage
from tests.domain.folding import begun, tell, texts, view

from .readable import readable
from .recorded import NAMES, Case, Heard, RecordedTurn, Shown, case

_LOOKS = 4
"""Recollections in a row after which a turn must know what it is about."""

EACH = [pytest.param(name, number, id=f"{name}-{number}") for name in NAMES for number in range(len(case(name).turns))]


class Driver:
    """What runs a turn: it tells it what is heard, and asks when the turn doubts."""

    def __init__(self, recorded: RecordedTurn, task: Task | None = None, shown: Shown | None = None) -> None:
        self.recorded = recorded
        self.task = task or begun(recorded.session, recorded.prompt)
        self.turn = Turn.of(self.task, recorded.session, recorded.prompt, recorded.bounds)
        if recorded.canceling:
            self.turn.cancel()
        self.shown = shown or Shown()
        self.updates: list[Update] = []

    def hear(self, heard: Heard) -> None:
        """Hear one frame."""
        self.shown.take(heard)
        if heard.data is None:
            self.lose()
        else:
            self.tell(heard.tellings)

    def lose(self) -> None:
        """Lose the connection and find another one."""
        self.tell([Gap()])
        self.settle()

    def settle(self) -> None:
        """Ask as long as the turn doubts."""
        for _ in range(_LOOKS):
            if self.turn.doubtful:
                self.ask()
        assert not self.turn.doubtful

    def wait(self) -> None:
        """Hear nothing for so long that the driver asks by itself."""
        for _ in range(_LOOKS):
            self.ask()

    def ask(self) -> None:
        """Ask once."""
        self.tell([self.shown.recall(self.recorded.session)])

    def tell(self, events: Sequence[Event]) -> None:
        """Tell the turn, and the task what comes of it."""
        self._append(self.turn.receive_all(events))
        if reason := self.turn.breach:
            self._append(self.turn.close(TaskState.FAILED, reason))

    def _append(self, updates: Sequence[Update]) -> None:
        self.updates += updates
        tell(self.task, updates)


def play(recording: Case) -> list[Driver]:
    """Play a recording; each turn begins where the one before it in its session ended."""
    drivers = []
    ends: dict[str, int] = {}
    for recorded in recording.turns:
        driver, begin = Driver(recorded), ends.get(recorded.session, 0)
        for number, heard in enumerate(recording.frames):
            if number < begin:
                driver.shown.take(heard)
            elif driver.turn.outcome is None:
                driver.hear(heard)
                ends[recorded.session] = number + 1
        driver.wait()
        drivers.append(driver)
    return drivers


def as_json(updates: Sequence[Update]) -> list[object]:
    plain: list[object] = json.loads(json.dumps([readable(update) for update in updates]))
    return plain


@pytest.mark.parametrize("name", NAMES)
def test_each_turn_tells_what_is_expected(name: str) -> None:
    recording = case(name)

    told = [as_json(driver.updates) for driver in play(recording)]

    if os.environ.get("REWRITE_EXPECTED"):
        recording.expect(told)
    assert told == recording.expected


@pytest.mark.parametrize("name", NAMES)
def test_each_turn_ends_as_it_ended_in_opencode(name: str) -> None:
    recording = case(name)

    outcomes = [driver.turn.outcome for driver in play(recording)]

    assert [outcome and outcome.value for outcome in outcomes] == [recorded.state for recorded in recording.turns]


@pytest.mark.parametrize("name", [name for name in NAMES if len(case(name).connections) == 1])
def test_a_turn_is_not_confused_by_what_was_said_before_it(name: str) -> None:
    recording = case(name)
    for alone, recorded in zip(play(recording), recording.turns, strict=True):
        driver = Driver(recorded)

        for heard in recording.frames:
            driver.hear(heard)
        driver.wait()

        assert view(driver.task) == view(alone.task)


@pytest.mark.parametrize("name", NAMES)
def test_the_text_told_is_the_text_opencode_keeps(name: str) -> None:
    recording = case(name)
    for driver, recorded in zip(play(recording), recording.turns, strict=True):
        if recorded.state != "completed":
            continue

        kept = _kept_texts(driver)

        assert {part: text for part, text in texts(driver.task).items() if text} == kept


def _kept_texts(driver: Driver) -> dict[str, str]:
    """Read the texts of a turn off the messages as OpenCode lists them; the prompts of a turn are a chain."""
    told = [telling for session in driver.turn.family for telling in decode_messages(driver.shown.messages(session))]
    seen = [telling for telling in told if isinstance(telling, MessageSeen)]
    begin = next(message.created for message in seen if message.message == driver.recorded.prompt)
    answers = {
        message.message
        for message in seen
        if message.role is Role.AGENT and message.created >= begin and not message.summary
    }
    return {
        telling.part: telling.text
        for telling in told
        if isinstance(telling, TextSeen) and telling.message in answers and telling.text and not telling.synthetic
    }


@pytest.mark.parametrize("name", NAMES)
def test_usage_is_what_opencode_sums_up(name: str) -> None:
    recording = case(name)
    used: dict[str, Usage] = {}
    families: dict[str, frozenset[str]] = {}
    for driver in play(recording):
        session = driver.recorded.session
        used[session] = used.get(session, Usage()) + driver.turn.usage
        families[session] = frozenset(families.get(session, frozenset()) | driver.turn.family)

    totals = _totals(recording)

    for session, family in families.items():
        known = [totals[member] for member in family if member in totals]
        if known and (name, session) not in _CUT_SHORT:
            assert used[session].total_tokens == sum(tokens for tokens, _ in known)
            assert used[session].cost == pytest.approx(sum(cost for _, cost in known))


_CUT_SHORT: set[tuple[str, str]] = set()


def _totals(recording: Case) -> dict[str, tuple[int, float]]:
    """Read the last totals of each session."""
    totals = {}
    for heard in recording.frames:
        payload = json.loads(heard.data or b'{"payload":{"type":""}}')["payload"]
        if payload["type"] == "session.updated":
            info = payload["properties"]["info"]
            tokens = info["tokens"]
            total = sum(tokens[kind] for kind in ("input", "output", "reasoning")) + sum(tokens["cache"].values())
            totals[info["id"]] = (total, info["cost"])
    return totals


@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_matter_how_the_bytes_are_cut(name: str) -> None:
    recording, chance = case(name), random.Random(name)  # noqa: S311 - no secret

    for stream in recording.connections:
        parser, data = SseParser(), []
        for chunk in _cut(stream, chance):
            data += parser.feed(chunk)

        assert data == SseParser().feed(stream)


def _cut(stream: bytes, chance: random.Random) -> Iterator[bytes]:
    while stream:
        size = chance.choice((1, 3, 50, 1000, 20_000))
        yield stream[:size]
        stream = stream[size:]
