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
from functools import cache

import pytest

from opencode_a2a_server.adapters.outbound.opencode.codec import decode_messages
from opencode_a2a_server.adapters.outbound.opencode.sse import SseParser
from opencode_a2a_server.domain.events import Event, Gap, MessageSeen, SessionRetrying, TextDelta, TextSeen
from opencode_a2a_server.domain.message import Role
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.turn import Turn
from opencode_a2a_server.domain.updates import Update
from opencode_a2a_server.domain.usage import Usage
from tests.domain.folding import begun, tell, texts, view

from .readable import readable
from .recorded import NAMES, Case, Heard, RecordedTurn, Shown, case

_SETTLES = 12
"""Frames which OpenCode sends in the time a doubt has to settle by itself."""
_LOOKS = 21
"""Recollections in a row after which a turn must know what it is about."""


class Driver:
    """What runs a turn: it tells it what is heard, and asks when the turn doubts."""

    def __init__(self, name: str, recorded: RecordedTurn, task: Task | None = None, shown: Shown | None = None) -> None:
        self.name = name
        self.recorded = recorded
        self.task = task or begun(recorded.session, recorded.prompt)
        self.turn = Turn.of(self.task, recorded.session, recorded.prompt, recorded.bounds)
        if recorded.canceling:
            self.turn.cancel()
        self.shown = shown or Shown()
        self.updates: list[Update] = []
        self.before: list[Heard] = []
        self.heard: list[Heard] = []
        self.asked_at: int | None = None

    def hear(self, heard: Heard) -> None:
        """Hear one frame. A doubt has time to settle before the next question."""
        self.shown.take(heard)
        self.heard.append(heard)
        if heard.data is None:
            self.lose()
            self.wait()
        self.tell(heard.tellings)
        if self.asked_at is not None and len(self.heard) >= self.asked_at + _SETTLES and self.turn.doubtful:
            self.ask()

    def lose(self) -> None:
        """Lose the connection and find another one."""
        self.tell([Gap()])
        self.ask()

    def wait(self) -> None:
        """Hear nothing for so long that the driver asks by itself."""
        for _ in range(_LOOKS):
            self.ask()
        assert not self.turn.doubtful

    def ask(self) -> None:
        """Ask once."""
        self.asked_at = len(self.heard)
        self.tell([self.shown.recall(self.recorded.session)])

    def tell(self, events: Sequence[Event]) -> None:
        """Tell the turn, and the task what comes of it."""
        self._append(self.turn.receive_all(events))
        if reason := self.turn.breach:
            self._append(self.turn.close(TaskState.FAILED, reason))

    def _append(self, updates: Sequence[Update]) -> None:
        self.updates += updates
        tell(self.task, updates)


@cache
def play(recording: Case) -> list[Driver]:
    """Play a recording; each turn begins when its prompt is sent. To be looked at, not to be played on."""
    drivers = []
    for recorded in recording.turns:
        driver, begin = Driver(recording.name, recorded), recording.first(recorded.prompt)
        for number, heard in enumerate(recording.frames):
            if number < begin:
                driver.before.append(heard)
                driver.shown.take(heard)
            elif driver.turn.outcome is None:
                driver.hear(heard)
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
        driver = Driver(name, recorded)

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
    begin = next((message.created for message in seen if message.message == driver.recorded.prompt), 0)
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

    for used_by, family in families.items():
        known = [totals[member] for member in family if member in totals]
        if known and name not in _REVERTED:
            assert used[used_by].total_tokens == sum(tokens for tokens, _ in known)
            assert used[used_by].cost == pytest.approx(sum(cost for _, cost in known))


_REVERTED = {"tool_write_read"}
"""Where OpenCode took messages back, and their usage with them."""


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


UNEXPLAINED = {"unknown_agent", "unknown_model"}
"""Failures which OpenCode tells once and keeps nowhere: who missed it knows only that there is no answer."""
UNCUT = [name for name in NAMES if len(case(name).connections) == 1]
"""Recordings of an OpenCode that lived to their end; a dead one has lost what was not whole."""
LENIENT = {"err_drop", "err_inline", "steps_limit"}
"""
Where it matters what was missed: of two attempts the one whose failure was missed counts as OpenCode keeps it, and
a limit is noticed later.
"""


@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_matter_how_events_are_batched(name: str) -> None:
    chance = random.Random(name)  # noqa: S311 - no secret
    for whole in play(case(name)):
        driver, batch = _again(whole), list[Event]()

        for heard in whole.heard:
            batch += heard.tellings
            driver.shown.take(heard)
            if heard.data is None or chance.random() < 0.1:
                driver.tell(batch)
                batch.clear()
            if heard.data is None:
                driver.lose()
                driver.wait()
        driver.tell(batch)
        driver.wait()

        assert view(driver.task) == view(whole.task)


@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize("name", [name for name in UNCUT if name not in LENIENT])
def test_what_was_missed_is_made_good(name: str, round_: int) -> None:
    chance = random.Random(f"{name} {round_}")  # noqa: S311 - no secret
    for whole in play(case(name)):
        driver = _again(whole)
        first, last = sorted(chance.choices(range(len(whole.heard) + 1), k=2))

        for number, heard in enumerate(whole.heard):
            if number == last:
                driver.lose()
            if first <= number < last:
                driver.shown.take(heard)
            else:
                driver.hear(heard)
        driver.wait()

        assert _lasting(driver) == _lasting(whole)


@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize("name", [name for name in UNCUT if name not in LENIENT])
def test_a_turn_is_taken_up_again_wherever_it_was_left(name: str, round_: int) -> None:
    chance = random.Random(f"{name} {round_}")  # noqa: S311 - no secret
    for whole in play(case(name)):
        driver = _again(whole)
        left = chance.randrange(len(whole.heard))

        for number, heard in enumerate(whole.heard):
            if number == left and driver.turn.outcome is None:
                driver = Driver(name, whole.recorded, driver.task, driver.shown)
                driver.lose()
            driver.hear(heard)
        driver.wait()

        assert _lasting(driver) == _lasting(whole)


@pytest.mark.parametrize("name", [name for name in UNCUT if name not in LENIENT])
def test_a_turn_ends_even_if_nothing_is_heard(name: str) -> None:
    for whole in play(case(name)):
        driver = _again(whole)

        for heard in whole.heard:
            driver.shown.take(heard)
        driver.wait()

        assert _lasting(driver) == _lasting(whole)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_told_twice_when_everything_is_heard_twice(name: str) -> None:
    for whole in play(case(name)):
        driver = _again(whole)

        for heard in whole.heard:
            driver.hear(heard)
            driver.tell([telling for telling in heard.tellings if not isinstance(telling, TextDelta | SessionRetrying)])
        driver.wait()

        assert as_json(driver.updates) == as_json(whole.updates)


def _again(whole: Driver) -> Driver:
    """Give the same turn at its beginning, in an OpenCode that has the same past."""
    driver = Driver(whole.name, whole.recorded)
    for heard in whole.before:
        driver.shown.take(heard)
    return driver


def _lasting(driver: Driver) -> dict[str, object]:
    """Give what a reader has in the end: text that was withdrawn leaves nothing behind."""
    seen = view(driver.task)
    if driver.name in UNEXPLAINED:
        return {"state": seen["state"]}
    artifacts: dict[str, tuple[object, ...]] = seen["artifacts"]
    return {**seen, "artifacts": {part: shown for part, shown in artifacts.items() if shown[-1] != [""]}}
