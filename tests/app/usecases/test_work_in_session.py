"""Work in sessions that no task tells of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from attrs import evolve

from opencode_a2a_server.app.ports.sessions import AgentNamed, Command, Order, SessionState, ShellLine, Spoken
from opencode_a2a_server.app.usecases.choose_directory import Named
from opencode_a2a_server.domain.errors import (
    AgentFault,
    AgentRefused,
    AgentUnreachable,
    CapabilityMissing,
    Draining,
    InvalidRequest,
    MethodDisabled,
    SessionBusy,
    SessionNotFound,
)
from opencode_a2a_server.domain.events import Failure, Gap, SessionFailed, TextDelta
from opencode_a2a_server.domain.ids import MessageId, PartId, SessionId
from opencode_a2a_server.domain.message import Role, TextPart, UrlPart
from tests.app.usecases.workshop import ALICE, BOB, Workshop

pytestmark = pytest.mark.anyio

ORDER = Order((TextPart("go on"),))
SCHEMA = {"type": "object"}
LINE = ShellLine("build", "git status")
HELLO = Command("hello", "")


@pytest.fixture
async def workshop(anyio_backend: str) -> AsyncIterator[Workshop]:
    workshop = Workshop()
    async with workshop.work:
        yield workshop


@pytest.fixture
def mine(workshop: Workshop) -> Named:
    return workshop.have("ses_mine", of=ALICE)


async def begun(workshop: Workshop, named: Named, order: Order = ORDER) -> SessionId:
    session = await workshop.work.prompt(ALICE, named, order)
    await workshop.clock.turn()
    return session


async def is_free(workshop: Workshop, session: SessionId) -> bool:
    try:
        async with workshop.turns.lend(session):
            return True
    except SessionBusy:
        return False


# Prompts


async def test_a_prompt_is_taken_and_the_session_kept_until_it_rests(workshop: Workshop, mine: Named) -> None:
    assert await begun(workshop, mine) == mine.id
    while_working = await is_free(workshop, mine.id)

    workshop.runtime.worker.rest(mine.id)
    await workshop.clock.turn()

    ((session, order),) = workshop.runtime.worker.orders
    assert (session, order.parts) == (mine.id, ORDER.parts)
    assert order.id is not None
    assert (while_working, await is_free(workshop, mine.id)) == (False, True)


async def test_an_idle_that_comes_early_frees_nothing(workshop: Workshop, mine: Named) -> None:
    await begun(workshop, mine)

    workshop.runtime.worker.tell(SessionFailed(mine.id, Failure("Overflow", "too long")), Gap())
    await workshop.clock.turn()

    assert not await is_free(workshop, mine.id)


async def test_what_is_said_meanwhile_asks_nobody(workshop: Workshop, mine: Named) -> None:
    await begun(workshop, mine)
    workshop.runtime.reader.raises = AssertionError("nobody should ask")

    workshop.runtime.worker.tell(TextDelta(mine.id, MessageId("msg_1"), PartId("prt_1"), "word"))
    await workshop.clock.turn()

    workshop.runtime.reader.raises = None
    assert not await is_free(workshop, mine.id)


async def test_a_rest_that_is_never_heard_is_found_out(workshop: Workshop, mine: Named) -> None:
    await begun(workshop, mine)
    workshop.runtime.worker.rest(mine.id, heard=False)

    await workshop.clock.turn(6)

    assert await is_free(workshop, mine.id)


async def test_a_runtime_that_is_away_for_a_while_is_asked_again(workshop: Workshop, mine: Named) -> None:
    await begun(workshop, mine)
    workshop.runtime.reader.raises = AgentUnreachable("no route")
    workshop.runtime.worker.rest(mine.id)
    await workshop.clock.turn(20)
    while_away = await is_free(workshop, mine.id)

    workshop.runtime.reader.raises = None
    await workshop.clock.turn(20)

    assert (while_away, await is_free(workshop, mine.id)) == (False, True)


async def test_a_session_that_never_rests_is_aborted() -> None:
    workshop = Workshop(most=60)
    mine = workshop.have("ses_mine", of=ALICE)
    async with workshop.work:
        await begun(workshop, mine)

        await workshop.clock.turn(61)

        assert workshop.runtime.worker.aborted == [mine.id]
        assert await is_free(workshop, mine.id)


async def test_a_session_does_one_thing_at_a_time(workshop: Workshop, mine: Named) -> None:
    await begun(workshop, mine)

    with pytest.raises(SessionBusy):
        await workshop.work.prompt(ALICE, mine, ORDER)
    with pytest.raises(SessionBusy):
        await workshop.work.command(ALICE, mine, HELLO)
    with pytest.raises(SessionBusy):
        await workshop.work.shell(ALICE, mine, LINE)
    with pytest.raises(SessionBusy):
        await workshop.work.summarize(ALICE, mine, None, auto=False)

    assert len(workshop.runtime.worker.orders) == 1


async def test_a_session_that_somebody_else_works_with_is_left_alone(workshop: Workshop, mine: Named) -> None:
    workshop.runtime.reader.busy[mine.id] = SessionState(mine.id, "busy")

    with pytest.raises(SessionBusy):
        await workshop.work.prompt(ALICE, mine, ORDER)

    assert workshop.runtime.worker.orders == []


async def test_a_prompt_that_wants_no_reply_keeps_nobody_out(workshop: Workshop, mine: Named) -> None:
    await begun(workshop, mine, evolve(ORDER, no_reply=True))

    assert await is_free(workshop, mine.id)


async def test_the_first_who_prompts_a_session_with_success_owns_it(workshop: Workshop) -> None:
    free = workshop.have("ses_free")
    await begun(workshop, free)
    with pytest.raises(SessionNotFound):
        await workshop.work.prompt(BOB, free, ORDER)

    workshop.runtime.worker.rest(free.id)
    await workshop.clock.turn()

    assert workshop.owner(free) == ALICE


async def test_a_prompt_that_is_refused_claims_nothing(workshop: Workshop) -> None:
    free = workshop.have("ses_free")
    workshop.runtime.worker.raises = AgentRefused("no", 400)

    with pytest.raises(AgentRefused):
        await workshop.work.prompt(ALICE, free, ORDER)

    assert workshop.owners.held == {}
    assert await is_free(workshop, free.id)


async def test_a_caller_who_goes_away_stops_nothing(workshop: Workshop, mine: Named) -> None:
    workshop.runtime.worker.release = asyncio.Event()
    calling = asyncio.ensure_future(workshop.work.command(ALICE, mine, HELLO))
    await workshop.runtime.worker.begun.wait()

    calling.cancel()
    await workshop.clock.turn()
    while_working = await is_free(workshop, mine.id)
    workshop.runtime.worker.release.set()
    await workshop.clock.turn()

    assert (while_working, await is_free(workshop, mine.id)) == (False, True)


async def test_no_work_is_begun_while_the_service_ends(workshop: Workshop, mine: Named) -> None:
    workshop.turns.draining = True

    with pytest.raises(Draining):
        await workshop.work.prompt(ALICE, mine, ORDER)


async def test_the_end_of_the_service_waits_for_no_work() -> None:
    workshop = Workshop()
    named = workshop.have("ses_mine", of=ALICE)
    async with workshop.work:
        await begun(workshop, named)

    assert await is_free(workshop, named.id)


@pytest.mark.parametrize("order", [Order((AgentNamed("general"), UrlPart("file:///etc/passwd")))])
async def test_files_outside_of_the_workspace_are_given_to_nobody(
    workshop: Workshop, mine: Named, order: Order
) -> None:
    with pytest.raises(InvalidRequest) as prompted:
        await workshop.work.prompt(ALICE, mine, order)
    with pytest.raises(InvalidRequest):
        await workshop.work.command(ALICE, mine, Command("hello", "", files=(UrlPart("file:///etc/passwd"),)))
    with pytest.raises(InvalidRequest):
        await workshop.work.structured(ALICE, mine, order)

    assert prompted.value.field == "request.parts[1].url"
    assert workshop.runtime.worker.orders == []


async def test_a_file_of_the_workspace_is_given_by_its_real_path(workshop: Workshop, mine: Named) -> None:
    paths = workshop.reach.choose.check.paths
    paths.files.add("/w/a.txt")  # type: ignore[attr-defined]

    await begun(workshop, mine, Order((AgentNamed("general"), UrlPart("file:///w/below/../a.txt"))))

    ((_, order),) = workshop.runtime.worker.orders
    assert order.parts == (AgentNamed("general"), UrlPart("file:///w/a.txt"))


# The shell


async def test_who_ran_what_in_the_shell_is_recorded(workshop: Workshop, mine: Named) -> None:
    await workshop.work.shell(ALICE, mine, LINE)

    (record,) = workshop.audit.records
    assert (record.action, record.principal, record.outcome) == ("session_shell", ALICE, "run")
    assert record.subject == {"session": mine.id}
    assert record.details == {"agent": "build", "command": "git status"}


async def test_who_would_have_run_something_in_the_shell_is_recorded_too(workshop: Workshop) -> None:
    with pytest.raises(CapabilityMissing):
        await workshop.work.shell(BOB, workshop.have("ses_his", of=BOB), LINE)
    workshop.runtime.worker.raises = AgentUnreachable("no route")
    with pytest.raises(AgentUnreachable):
        await workshop.work.shell(ALICE, workshop.have("ses_mine", of=ALICE), LINE)

    assert [record.outcome for record in workshop.audit.records] == ["CapabilityMissing", "AgentUnreachable"]


async def test_there_is_a_shell_only_where_it_is_switched_on() -> None:
    workshop = Workshop(enabled=frozenset())
    async with workshop.work:
        with pytest.raises(MethodDisabled):
            await workshop.work.shell(ALICE, workshop.have("ses_mine", of=ALICE), LINE)

    assert workshop.runtime.worker.lines == []


# Structured answers


def answered(session: SessionId, data: object = None) -> Spoken:
    error = None if data is not None else {"name": "StructuredOutputError", "data": {"message": "no such tool"}}
    return Spoken(MessageId("msg_9"), session, Role.AGENT, structured=data, error=error)  # type: ignore[arg-type]


async def asked(workshop: Workshop, named: Named | None) -> tuple[asyncio.Future[Spoken], SessionId]:
    asking = asyncio.ensure_future(workshop.work.structured(ALICE, named, evolve(ORDER, schema=SCHEMA)))
    await workshop.clock.turn()
    return asking, workshop.runtime.worker.orders[-1][0]


@pytest.mark.parametrize("about_a_session", [True, False])
async def test_a_question_is_answered_by_data_and_leaves_nothing_behind(
    workshop: Workshop, mine: Named, *, about_a_session: bool
) -> None:
    before = set(workshop.runtime.reader.sessions)
    asking, session = await asked(workshop, mine if about_a_session else None)

    workshop.runtime.worker.rest(session, answered(session, {"colour": "red"}))

    assert (await asking).structured == {"colour": "red"}
    assert session not in before
    assert set(workshop.runtime.reader.sessions) == before


async def test_a_model_that_gives_no_data_is_told_of(workshop: Workshop, mine: Named) -> None:
    asking, session = await asked(workshop, mine)

    workshop.runtime.worker.rest(session, answered(session))

    with pytest.raises(AgentFault, match="no such tool"):
        await asking
    assert session not in workshop.runtime.reader.sessions


async def test_a_copy_that_cannot_be_deleted_is_the_principals(workshop: Workshop, mine: Named) -> None:
    asking, session = await asked(workshop, mine)
    del workshop.runtime.reader.sessions[session]
    workshop.runtime.reader.add(evolve(workshop.runtime.reader.sessions[mine.id], id=session))
    workshop.runtime.editor.raises = AgentUnreachable("no route")

    workshop.runtime.worker.rest(session, answered(session, {}))

    assert (await asking).structured == {}
    assert workshop.owner(Named(session)) == ALICE


async def test_a_prompt_with_a_schema_works_in_a_copy_that_is_the_principals(workshop: Workshop, mine: Named) -> None:
    copy = await begun(workshop, mine, evolve(ORDER, schema=SCHEMA))

    assert copy != mine.id
    assert workshop.owner(Named(copy)) == ALICE
    assert (await is_free(workshop, mine.id), await is_free(workshop, copy)) == (True, False)
