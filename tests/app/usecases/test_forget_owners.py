from __future__ import annotations

import pytest

from opencode_a2a_server.adapters.outbound.scripted import Scripted, directed
from opencode_a2a_server.app.usecases.forget_owners import ForgetOwners
from opencode_a2a_server.domain.errors import AgentUnreachable
from opencode_a2a_server.domain.ids import Principal, SessionId
from opencode_a2a_server.domain.session import Directory, FoundSession, Ownership, Session
from tests.fakes.agent import FlakyAgent
from tests.fakes.clock import TurnedClock
from tests.fakes.ids import CountedIds
from tests.fakes.owners import FakeOwners

pytestmark = pytest.mark.anyio

ALICE = Principal("alice")
DAY = 24 * 3600


class House:
    """Ownerships, and a runtime that has some of the sessions."""

    def __init__(self) -> None:
        self.clock = TurnedClock()
        self.owners = FakeOwners(self.clock)
        self.agent = FlakyAgent(Scripted(self.clock, CountedIds("run"), directed))
        self.forget = ForgetOwners(self.owners, self.agent, self.clock)

    def owned(self, number: int, *, there: bool = True, until: float | None = None) -> SessionId:
        session = SessionId(f"ses_{number:05}")
        self.owners.held[session] = Ownership(session, ALICE, until)
        self.here(session, there=there)
        return session

    def here(self, session: SessionId, *, there: bool) -> None:
        if there:
            self.agent.found[session] = FoundSession(Session(session, Directory("/w")))
        else:
            self.agent.found.pop(session, None)


@pytest.fixture
def house(anyio_backend: str) -> House:
    return House()


async def test_a_session_the_runtime_has_stays_its_owners(house: House) -> None:
    session = house.owned(1)

    for _ in range(3):
        assert await house.forget() == 0
        await house.clock.turn(DAY)

    assert list(house.owners.held) == [session]


async def test_one_that_is_gone_for_a_day_is_forgotten(house: House) -> None:
    house.owned(1, there=False)
    assert await house.forget() == 0
    await house.clock.turn(DAY - 1)
    assert await house.forget() == 0

    await house.clock.turn(1)

    assert await house.forget() == 1
    assert house.owners.held == {}


async def test_one_that_was_there_in_between_was_not_gone(house: House) -> None:
    session = house.owned(1, there=False)
    await house.forget()
    house.here(session, there=True)
    await house.clock.turn(DAY / 2)
    await house.forget()
    house.here(session, there=False)
    await house.clock.turn(DAY / 2)

    assert await house.forget() == 0


async def test_a_claim_that_ran_out_is_forgotten_at_once_and_one_that_stands_is_not(house: House) -> None:
    house.owned(1, there=False, until=house.clock.now())
    stands = house.owned(2, there=False, until=house.clock.now() + 30)

    assert await house.forget() == 1
    assert list(house.owners.held) == [stands]


async def test_a_runtime_that_cannot_be_asked_forgets_nothing(house: House) -> None:
    house.owned(1, there=False)
    await house.forget()
    await house.clock.turn(DAY)
    house.agent.raises["find_session"] = AgentUnreachable("no route")

    with pytest.raises(AgentUnreachable):
        await house.forget()

    assert len(house.owners.held) == 1


async def test_many_are_looked_at_over_several_calls(house: House) -> None:
    for number in range(1500):
        house.owned(number, there=False, until=0.0)

    assert [await house.forget() for _ in range(3)] == [1000, 500, 0]


async def test_each_has_its_turn_again(house: House) -> None:
    for number in range(1500):
        house.owned(number)
    await house.forget()
    asked = len(house.agent.looked_up)
    await house.forget()
    await house.forget()

    assert asked == 1000
    assert len(house.agent.looked_up) == 2500
    assert len(set(house.agent.looked_up)) == 1500
