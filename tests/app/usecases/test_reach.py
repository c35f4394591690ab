"""What a principal may touch: directories, files, sessions and models; and how much it may have worked on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from attrs import evolve

from opencode_a2a_server.adapters.outbound.scripted import AskInput, Delay, Echo, Hang, Spend, Step
from opencode_a2a_server.adapters.outbound.stores.ledger import MemoryLedger
from opencode_a2a_server.app.usecases.keep_quotas import KeepQuotas
from opencode_a2a_server.domain.access import Quota, Reach
from opencode_a2a_server.domain.errors import Forbidden, RateLimited, SessionNotFound
from opencode_a2a_server.domain.ids import ContextId, Principal, SessionId
from opencode_a2a_server.domain.message import Message, UrlPart
from opencode_a2a_server.domain.session import Directory, ModelChoice, Wishes
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.usage import Usage
from tests.app.house import ALICE, BOB, House, Stage, living
from tests.fakes.choices import NANO, SONNET

pytestmark = pytest.mark.anyio

REACH = Reach(("one",), (f"{SONNET.provider_id}/{SONNET.model_id}",), Quota(turns=1, tokens=100))


def reach_of(principal: Principal) -> Reach:
    return REACH if principal == ALICE else Reach()


@pytest.fixture
async def house(anyio_backend: str) -> AsyncIterator[House]:
    """The use cases, at work in a workspace of which Alice has one directory."""
    stage = Stage()
    stage.scripted.directory = "/work"
    stage.paths.directories |= {"/work", "/work/one", "/work/one/deep", "/work/two"}
    stage.paths.files |= {"/work/one/a.txt", "/work/two/b.txt"}
    stage.paths.links |= {"/work/one/out": "/work/two"}
    async with stage.scripted, living(stage, reach_of=reach_of) as house:
        quotas = KeepQuotas(MemoryLedger(), house.journal, house.clock, reach_of)
        house.turns.charge = quotas.charge
        house.accept = evolve(house.accept, quotas=quotas)
        house.send = evolve(house.send, accept=house.accept)
        yield house


async def send(  # noqa: PLR0913 - a message has many sides
    house: House,
    *steps: Step,
    by: Principal = ALICE,
    directory: str | None = "one",
    model: ModelChoice | None = SONNET,
    session: SessionId | None = None,
    context: ContextId | None = None,
    task: Task | None = None,
    url: str = "",
) -> Task:
    message = house.message(*(steps or (Echo(),)), context=context, task=task)
    parts = (*message.parts, UrlPart(url)) if url else message.parts
    given = None if directory is None else Directory(directory)
    wishes = Wishes(session=session, directory=given, model=model)
    log = await house.send(by, evolve(message, parts=parts, wishes=wishes), return_immediately=True)
    assert not isinstance(log, Message)
    await house.clock.turn()
    return log.task


@pytest.mark.parametrize("directory", ["one", "/work/one", "one/deep", "two/../one"])
async def test_ones_own_directory_and_what_is_below_may_be_worked_in(house: House, directory: str) -> None:
    assert (await send(house, directory=directory)).state is TaskState.COMPLETED


@pytest.mark.parametrize("directory", ["two", "one/../two", "one/out", ".", None])
async def test_no_other_directory_may_nor_the_workspace_itself(house: House, directory: str | None) -> None:
    with pytest.raises(Forbidden, match="you may work in one"):
        await send(house, directory=directory)

    assert (await send(house, directory=directory, by=BOB)).state is TaskState.COMPLETED


async def test_a_file_outside_is_not_read(house: House) -> None:
    assert (await send(house, url="file:///work/one/a.txt")).state is TaskState.COMPLETED
    for url in ("file:///work/two/b.txt", "file:///work/one/out/b.txt"):
        with pytest.raises(Forbidden):
            await send(house, url=url)


async def test_a_session_that_works_elsewhere_is_none_for_who_may_not_go_there(house: House) -> None:
    bobs = await send(house, by=BOB, directory="two")
    assert bobs.session is not None
    house.stage.owners.__init__(house.clock)  # type: ignore[misc] # nobody's any more

    with pytest.raises(SessionNotFound):
        await send(house, directory=None, session=bobs.session.id)


async def test_a_context_whose_session_works_where_one_may_is_gone_on_with(house: House) -> None:
    context = ContextId("c")
    await send(house, context=context)

    again = await send(house, context=context, directory=None)

    assert again.session is not None
    assert again.session.directory == "/work/one"


@pytest.mark.parametrize("model", [NANO, None])
async def test_only_ones_models_may_be_used_and_one_must_be_named(house: House, model: ModelChoice | None) -> None:
    with pytest.raises(Forbidden, match="you may use the models"):
        await send(house, model=model)

    assert (await send(house, model=model, by=BOB)).state is TaskState.COMPLETED


async def test_as_many_turns_as_allowed_and_more_when_one_has_ended(house: House) -> None:
    await send(house, Delay(10))
    with pytest.raises(RateLimited, match="1 turns at once"):
        await send(house)
    await send(house, Hang(), by=BOB)
    await send(house, Hang(), by=BOB)

    await house.clock.turn(20)

    assert (await send(house)).state is TaskState.COMPLETED


async def test_a_turn_that_waits_for_an_answer_takes_no_room(house: House) -> None:
    waiting = await send(house, AskInput("What?"))
    assert waiting.state is TaskState.INPUT_REQUIRED

    assert (await send(house)).state is TaskState.COMPLETED


async def test_what_turns_use_is_charged_and_ends_the_day(house: House) -> None:
    await send(house, Spend(Usage(output_tokens=60)), Echo())
    await send(house, Spend(Usage(output_tokens=60)), Echo())

    with pytest.raises(RateLimited, match="100 tokens of this day"):
        await send(house)
    await house.clock.turn(86_400)

    assert (await send(house)).state is TaskState.COMPLETED
