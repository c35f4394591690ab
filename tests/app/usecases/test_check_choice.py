"""Checking what a message chooses against what the runtime has."""

from __future__ import annotations

import asyncio

import pytest

from opencode_a2a_server.app.usecases.check_choice import CheckChoice
from opencode_a2a_server.domain.errors import AgentFault, AgentUnreachable, InvalidRequest
from opencode_a2a_server.domain.session import Directory, ModelChoice, PromptOptions, Wishes
from tests.app.house import ALICE
from tests.fakes.choices import NANO, SONNET, FakeChoices
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio

WORK = Directory("/work")
UNKNOWN = Wishes(model=ModelChoice("nobody", "knows"))


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def choices() -> FakeChoices:
    return FakeChoices()


@pytest.fixture
def check(clock: TurnedClock, choices: FakeChoices) -> CheckChoice:
    return CheckChoice(choices, clock, PromptOptions(SONNET))


async def test_who_chooses_nothing_asks_nothing(check: CheckChoice, choices: FakeChoices) -> None:
    await check(ALICE, Wishes(directory=WORK), WORK)

    assert choices.asked == []


async def test_what_there_is_is_asked_for_once_a_minute_and_directory(
    check: CheckChoice, choices: FakeChoices, clock: TurnedClock
) -> None:
    for directory in (WORK, WORK, None):
        await check(ALICE, Wishes(model=NANO, agent="plan"), directory)
    await clock.turn(61)
    await check(ALICE, Wishes(model=NANO), WORK)

    assert choices.asked == [WORK, None, WORK]


@pytest.mark.parametrize("wishes", [UNKNOWN, Wishes(agent="nobody"), Wishes(variant="nothing")])
async def test_what_there_is_not_is_refused(check: CheckChoice, wishes: Wishes) -> None:
    with pytest.raises(InvalidRequest):
        await check(ALICE, wishes, WORK)


async def test_a_variant_is_the_configured_models_if_no_other_is_named(check: CheckChoice) -> None:
    await check(ALICE, Wishes(variant="high"), WORK)
    with pytest.raises(InvalidRequest):
        await check(ALICE, Wishes(model=NANO, variant="high"), WORK)


async def test_what_came_lately_is_not_refused(check: CheckChoice, choices: FakeChoices, clock: TurnedClock) -> None:
    await check(ALICE, Wishes(model=NANO), WORK)
    await clock.turn(5)
    choices.models[ModelChoice("nobody", "knows")] = ()

    await check(ALICE, UNKNOWN, WORK)


async def test_who_is_refused_again_and_again_does_not_ask_each_time(check: CheckChoice, choices: FakeChoices) -> None:
    for _ in range(10):
        with pytest.raises(InvalidRequest):
            await check(ALICE, UNKNOWN, WORK)

    assert choices.asked == [WORK]


@pytest.mark.parametrize("error", [AgentUnreachable("gone"), AgentFault("odd")])
async def test_where_it_cannot_be_known_nothing_is_refused(
    check: CheckChoice, choices: FakeChoices, error: Exception
) -> None:
    choices.raises = error
    await check(ALICE, UNKNOWN, WORK)
    choices.raises = None

    with pytest.raises(InvalidRequest):
        await check(ALICE, UNKNOWN, WORK)


async def test_a_runtime_that_does_not_answer_holds_nobody_up(
    check: CheckChoice, choices: FakeChoices, clock: TurnedClock
) -> None:
    choices.silent = True
    checking = asyncio.ensure_future(check(ALICE, UNKNOWN, WORK))
    await clock.turn(5)

    assert checking.done()
    await checking


async def test_a_runtime_without_choices_refuses_nothing(clock: TurnedClock) -> None:
    await CheckChoice(None, clock)(ALICE, UNKNOWN, WORK)


async def test_what_is_remembered_is_bounded(check: CheckChoice, choices: FakeChoices) -> None:
    for number in range(66):
        await check(ALICE, Wishes(model=NANO), Directory(f"/{number}"))
    await check(ALICE, Wishes(model=NANO), Directory("/65"))
    await check(ALICE, Wishes(model=NANO), Directory("/0"))

    assert len(choices.asked) == 67
