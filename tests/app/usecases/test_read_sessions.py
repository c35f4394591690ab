"""Who may read which session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve

from opencode_a2a_server.app.ports.sessions import SessionFilter, SessionState
from opencode_a2a_server.app.usecases.choose_directory import Named, Place
from opencode_a2a_server.app.usecases.read_sessions import ReadSessions
from opencode_a2a_server.domain.errors import InvalidRequest, SessionNotFound
from opencode_a2a_server.domain.ids import MessageId, SessionId
from tests.app.usecases.workshop import ALICE, BOB, Workshop

pytestmark = pytest.mark.anyio

ALL = SessionFilter(20)
READS: dict[str, Callable[[ReadSessions, Named], Awaitable[object]]] = {
    "get": lambda read, named: read.get(ALICE, named),
    "children": lambda read, named: read.children(ALICE, named),
    "todos": lambda read, named: read.todos(ALICE, named),
    "diffs": lambda read, named: read.diffs(ALICE, named, None),
    "messages": lambda read, named: read.messages(ALICE, named, 1, None),
    "message": lambda read, named: read.message(ALICE, named, MessageId("msg_1")),
}


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


async def listed(workshop: Workshop, wanted: SessionFilter = ALL) -> list[str]:
    return [one.id for one in await workshop.read.list(ALICE, wanted)]


async def test_ones_own_sessions_and_nobodys_are_listed(workshop: Workshop) -> None:
    workshop.have("ses_mine", of=ALICE, at=3)
    workshop.have("ses_foreign", of=BOB, at=2)
    workshop.have("ses_free", at=1)

    assert await listed(workshop) == ["ses_mine", "ses_free"]


async def test_a_list_is_as_long_as_wanted_whatever_is_left_out_of_it(workshop: Workshop) -> None:
    for number in range(30):
        workshop.have(f"ses_foreign{number}", of=BOB, at=1000 - number)
    workshop.have("ses_mine", of=ALICE, at=1)

    assert await listed(workshop, SessionFilter(1)) == ["ses_mine"]


async def test_a_sub_agents_session_is_seen_by_whom_the_one_it_works_for_is(workshop: Workshop) -> None:
    mine, foreign = workshop.have("ses_mine", of=ALICE, at=9), workshop.have("ses_foreign", of=BOB, at=8)
    workshop.have("ses_below", parent=workshop.have("ses_between", parent=mine, at=7), at=6)
    workshop.have("ses_hidden", parent=foreign, at=5)

    assert await listed(workshop) == ["ses_mine", "ses_between", "ses_below"]
    assert await listed(workshop, SessionFilter(20, search="hidden")) == []
    assert await listed(workshop, SessionFilter(20, search="below")) == ["ses_below"]


async def test_of_sessions_at_work_only_those_one_may_see_are_told(workshop: Workshop) -> None:
    for named in (workshop.have("ses_mine", of=ALICE), workshop.have("ses_foreign", of=BOB)):
        workshop.runtime.reader.busy[named.id] = SessionState(named.id, "busy")

    assert [state.session_id for state in await workshop.read.states(ALICE)] == ["ses_mine"]


async def test_a_session_that_is_deleted_meanwhile_is_not_at_work(workshop: Workshop) -> None:
    gone = SessionId("ses_gone")
    workshop.runtime.reader.busy[gone] = SessionState(gone, "busy")

    assert await workshop.read.states(ALICE) == []


@pytest.mark.parametrize("name", READS)
async def test_a_foreign_session_is_read_by_nobody_else(workshop: Workshop, name: str) -> None:
    foreign = workshop.have("ses_foreign", of=BOB)

    with pytest.raises(SessionNotFound):
        await READS[name](workshop.read, foreign)


@pytest.mark.parametrize("name", READS)
async def test_a_session_is_read_in_no_directory_but_its_own(workshop: Workshop, name: str) -> None:
    mine = evolve(workshop.have("ses_mine", of=ALICE), place=Place("below", "directory"))

    with pytest.raises(InvalidRequest, match="another directory"):
        await READS[name](workshop.read, mine)


async def test_reading_claims_nothing(workshop: Workshop) -> None:
    free = workshop.have("ses_free")

    await workshop.read.get(ALICE, evolve(free, place=Place("/w")))

    assert workshop.owner(free) is None


@pytest.mark.parametrize("directory", ["/etc", "../etc", "/w/nowhere"])
async def test_a_directory_outside_of_the_workspace_is_refused(workshop: Workshop, directory: str) -> None:
    with pytest.raises(InvalidRequest, match="workspace"):
        await workshop.read.list(ALICE, ALL, Place(directory))


async def test_sessions_of_one_directory_are_listed(workshop: Workshop) -> None:
    workshop.have("ses_above", at=1)
    workshop.have("ses_below", directory="/w/below")

    found = await workshop.read.list(ALICE, ALL, Place("below"))

    assert [one.id for one in found] == ["ses_below"]
