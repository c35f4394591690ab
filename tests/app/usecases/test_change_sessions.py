"""Who may change which session, and when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.app.usecases.change_sessions import ChangeSessions
from opencode_a2a_server.app.usecases.choose_directory import Named
from opencode_a2a_server.domain.errors import (
    AgentRefused,
    CapabilityMissing,
    MethodDisabled,
    SessionBusy,
    SessionNotFound,
)
from opencode_a2a_server.domain.ids import MessageId, Principal
from tests.app.usecases.workshop import ALICE, BOB, Workshop

pytestmark = pytest.mark.anyio

Change = Callable[[ChangeSessions, Principal, Named], Awaitable[object]]
ANY_TIME: dict[str, Change] = {
    "rename": lambda change, who, named: change.rename(who, named, "new"),
    "fork": lambda change, who, named: change.fork(who, named, None),
    "share": lambda change, who, named: change.share(who, named),
    "unshare": lambda change, who, named: change.unshare(who, named),
    "make": lambda change, who, named: change.create(who, "below", named.id),
}
AT_REST: dict[str, Change] = {
    "delete": lambda change, who, named: change.delete(who, named),
    "revert": lambda change, who, named: change.revert(who, named, MessageId("msg_1"), None),
    "unrevert": lambda change, who, named: change.unrevert(who, named),
}
CHANGES = {**ANY_TIME, **AT_REST}


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


async def test_who_makes_or_copies_a_session_owns_it(workshop: Workshop) -> None:
    made = await workshop.change.create(ALICE, "new", None)
    forked = await workshop.change.fork(ALICE, Named(made.id), None)

    assert workshop.owner(Named(made.id)) == workshop.owner(Named(forked.id)) == ALICE


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_claims_a_session_that_was_nobodys(workshop: Workshop, name: str) -> None:
    free = workshop.have("ses_free")

    await CHANGES[name](workshop.change, ALICE, free)

    assert workshop.owner(free) == ALICE


@pytest.mark.parametrize("name", CHANGES)
async def test_a_foreign_session_is_changed_by_nobody_else(workshop: Workshop, name: str) -> None:
    foreign = workshop.have("ses_foreign", of=BOB)

    with pytest.raises(SessionNotFound):
        await CHANGES[name](workshop.change, ALICE, foreign)

    assert workshop.runtime.editor.calls == []


async def test_a_change_that_fails_claims_nothing(workshop: Workshop) -> None:
    free = workshop.have("ses_free")

    workshop.runtime.editor.raises = AgentRefused("no", 500)

    with pytest.raises(AgentRefused):
        await workshop.change.share(ALICE, free)

    assert workshop.owners.held == {}


@pytest.mark.parametrize("name", CHANGES)
async def test_what_would_break_a_task_at_work_waits_for_its_end(workshop: Workshop, name: str) -> None:
    mine = workshop.have("ses_mine", of=ALICE)

    async with workshop.turns.lend(mine.id):
        if name in AT_REST:
            with pytest.raises(SessionBusy):
                await CHANGES[name](workshop.change, ALICE, mine)
        else:
            await CHANGES[name](workshop.change, ALICE, mine)


async def test_sessions_are_deleted_only_where_that_is_switched_on() -> None:
    workshop = Workshop(enabled=frozenset({Capability.SESSION_SHELL}))
    mine = workshop.have("ses_mine", of=ALICE)

    with pytest.raises(MethodDisabled):
        await workshop.change.delete(ALICE, mine)

    assert mine.id in workshop.runtime.reader.sessions


async def test_sessions_are_deleted_only_by_who_may(workshop: Workshop) -> None:
    with pytest.raises(CapabilityMissing):
        await workshop.change.delete(BOB, workshop.have("ses_his", of=BOB))
