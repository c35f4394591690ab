"""Work in sessions without a task: it counts as a turn, is charged, and who it is for answers what it asks."""

from __future__ import annotations

import pytest
from attrs import evolve

from opencode_a2a_server.app.ports.ledger import Entry
from opencode_a2a_server.app.ports.sessions import Command, Order, SessionState, Spoken
from opencode_a2a_server.app.ports.works import Working
from opencode_a2a_server.app.usecases.answer_interrupt import AnswerInterrupt
from opencode_a2a_server.app.usecases.choose_directory import Named
from opencode_a2a_server.app.usecases.list_interrupts import Asking, ListInterrupts
from opencode_a2a_server.domain.access import Quota
from opencode_a2a_server.domain.errors import (
    AgentUnreachable,
    AlreadyAnswered,
    InterruptNotFound,
    InterruptTypeMismatch,
    RateLimited,
)
from opencode_a2a_server.domain.events import Gap
from opencode_a2a_server.domain.ids import MessageId, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import (
    Action,
    Inquiry,
    Kind,
    Permission,
    PermissionAnswer,
    Question,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
)
from opencode_a2a_server.domain.message import Role, TextPart
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.terms import Rule, Terms
from opencode_a2a_server.domain.usage import Usage
from tests.app.usecases.workshop import ALICE, BOB, Workshop
from tests.fakes.interrupts import FakeInterrupts
from tests.fakes.journal import FakeJournal

pytestmark = pytest.mark.anyio

ORDER = Order((TextPart("go on"),))
HELLO = Command("hello", "")
MINE = SessionId("ses_mine")
PERMISSION = Permission(RequestId("per_1"), MINE, "bash", ("rm *",))
QUESTION = Question(RequestId("que_1"), MINE, (Inquiry("Which?"),))
ONCE = PermissionAnswer(Verdict.ONCE)
DAY = Quota(tokens=100)


def spoken(at: float, tokens: int, session: SessionId = MINE, *, cost: float = 0.0) -> Spoken:
    usage = Usage(output_tokens=tokens, cost=cost)
    return Spoken(MessageId(f"msg_{at}"), session, Role.AGENT, (TextPart("x"),), created=at, usage=usage)


async def begun(workshop: Workshop, named: Named, order: Order = ORDER) -> None:
    await workshop.work.prompt(ALICE, named, order)
    await workshop.clock.turn()


def lists(workshop: Workshop) -> ListInterrupts:
    journal = workshop.turns.journal
    assert isinstance(journal, FakeJournal)
    return ListInterrupts(journal, FakeInterrupts(journal), workshop.answer)


def answers(workshop: Workshop) -> AnswerInterrupt:
    journal = workshop.turns.journal
    assert isinstance(journal, FakeJournal)
    return AnswerInterrupt(
        journal, FakeInterrupts(journal), workshop.turns, workshop.clock, workshop.audit, work=workshop.answer
    )


async def used(workshop: Workshop) -> int:
    """Count tokens by the ledger: how many more a day may have."""
    tokens, _ = await workshop.quotas.ledger.add(
        [entry for entry in _zero(workshop) if entry.measure in ("tokens", "cost")]
    )
    return int(tokens)


def _zero(workshop: Workshop) -> list[Entry]:
    day = int(workshop.clock.now() // 86_400) * 86_400
    return [Entry(ALICE, "tokens", day, 0), Entry(ALICE, "cost", day, 0)]


# What is used


async def test_what_a_prompt_used_is_charged_when_its_session_rests() -> None:
    workshop = Workshop(quota=DAY)
    mine = workshop.have("ses_mine", of=ALICE, at=10)
    workshop.runtime.reader.spoken[MINE] = [spoken(9, 1000)]
    async with workshop.work:
        await begun(workshop, mine)
        while_working = await used(workshop)

        workshop.runtime.worker.rest(MINE, spoken(11, 60), spoken(12, 40))
        await workshop.clock.turn()

        assert (while_working, await used(workshop)) == (0, 100)
        with pytest.raises(RateLimited, match="100 tokens"):
            await workshop.work.prompt(ALICE, mine, ORDER)
    assert await workshop.works.every() == []


async def test_what_commands_and_summaries_used_is_charged_and_the_shell_uses_nothing() -> None:
    workshop = Workshop(quota=Quota(tokens=10_000))
    mine = workshop.have("ses_mine", of=ALICE, at=10)
    async with workshop.work:
        workshop.runtime.reader.spoken[MINE] = [spoken(11, 30)]
        await workshop.work.command(ALICE, mine, HELLO)
        after_command = await used(workshop)

        await workshop.work.summarize(ALICE, mine, None, auto=False)

    assert (after_command, await used(workshop)) == (30, 60)


async def test_sub_agents_of_the_work_are_charged_and_those_of_before_are_not() -> None:
    workshop = Workshop(quota=DAY)
    mine = workshop.have("ses_mine", of=ALICE, at=10)
    child, old = workshop.have("ses_child", parent=mine, at=12), workshop.have("ses_old", parent=mine, at=5)
    workshop.have("ses_grandchild", parent=child, at=13)
    reader = workshop.runtime.reader
    reader.spoken[child.id] = [spoken(12, 5, child.id)]
    reader.spoken[SessionId("ses_grandchild")] = [spoken(13, 7, SessionId("ses_grandchild"))]
    reader.spoken[old.id] = [spoken(4, 1000, old.id)]
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.rest(MINE, spoken(11, 1))
        await workshop.clock.turn()

    assert await used(workshop) == 13


async def test_a_long_history_is_read_no_further_back_than_the_work_began() -> None:
    workshop = Workshop(quota=Quota(tokens=10_000))
    mine = workshop.have("ses_mine", of=ALICE, at=500)
    workshop.runtime.reader.spoken[MINE] = [spoken(at, 1) for at in range(1, 400)]
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.rest(MINE, *(spoken(501 + number, 1) for number in range(150)))
        await workshop.clock.turn()

    assert await used(workshop) == 150


async def test_work_that_fails_is_charged_what_it_used() -> None:
    workshop = Workshop(quota=DAY)
    mine = workshop.have("ses_mine", of=ALICE, at=10)
    workshop.runtime.reader.spoken[MINE] = [spoken(11, 20)]
    workshop.runtime.worker.raises = AgentUnreachable("no route")
    async with workshop.work:
        with pytest.raises(AgentUnreachable):
            await workshop.work.command(ALICE, mine, HELLO)

    assert await used(workshop) == 20
    assert await workshop.works.every() == []


async def test_a_runtime_that_cannot_tell_what_was_used_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    workshop = Workshop(quota=DAY)
    mine = workshop.have("ses_mine", of=ALICE, at=10)
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.rest(MINE)
        await workshop.clock.turn()  # it is seen to rest
        workshop.runtime.reader.raises = AgentUnreachable("no route")
        await workshop.follow.settle(Working(Session(MINE, Directory("/w")), ALICE, 0, 0))

    assert "what session ses_mine used is not charged to alice" in caplog.text


async def test_who_has_no_budget_causes_no_reading() -> None:
    workshop = Workshop()
    mine = workshop.have("ses_mine", of=ALICE, at=10)
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.rest(MINE, spoken(11, 60))
        await workshop.clock.turn()

    assert await used(workshop) == 0
    assert await workshop.works.every() == []


async def test_work_counts_as_a_turn_until_it_rests() -> None:
    workshop = Workshop(quota=Quota(turns=1))
    mine, other = workshop.have("ses_mine", of=ALICE), workshop.have("ses_other", of=ALICE)
    async with workshop.work:
        await begun(workshop, mine)

        with pytest.raises(RateLimited, match="1 turns at once"):
            await workshop.work.prompt(ALICE, other, ORDER)
        with pytest.raises(RateLimited, match="1 turns at once"):
            async with workshop.quotas.admitted(ALICE, lambda: 0):
                pass

        workshop.runtime.worker.rest(MINE)
        await workshop.clock.turn()
        await begun(workshop, other)

    assert [session for session, _ in workshop.runtime.worker.orders] == [MINE, other.id]


# What is asked


async def test_what_a_session_asks_is_listed_and_answered_by_whom_it_works_for() -> None:
    workshop = Workshop()
    mine = workshop.have("ses_mine", of=ALICE)
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.ask(PERMISSION)
        workshop.runtime.worker.ask(QUESTION)
        await workshop.clock.turn()

        listed = [await lists(workshop)(ALICE, kind) for kind in Kind]
        await answers(workshop).by_request(ALICE, PERMISSION.id, ONCE)
        await answers(workshop).by_request(ALICE, QUESTION.id, QuestionAnswer((("S",),)))

        assert listed == [[Asking(None, None, PERMISSION)], [Asking(None, None, QUESTION)]]
        assert workshop.runtime.answered == [(PERMISSION.id, ONCE), (QUESTION.id, QuestionAnswer((("S",),)))]
        assert [await lists(workshop)(ALICE, kind) for kind in Kind] == [[], []]
    first, second = workshop.audit.records
    assert (first.action, first.outcome, first.principal) == ("interrupt.answer", "given", ALICE)
    assert first.subject == {"session": MINE, "request": PERMISSION.id}
    assert second.details["answers"] == [["S"]]


async def test_nobody_else_sees_it_or_answers() -> None:
    workshop = Workshop()
    mine = workshop.have("ses_mine", of=ALICE)
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.ask(PERMISSION)
        await workshop.clock.turn()

        assert await lists(workshop)(BOB, Kind.PERMISSION) == []
        with pytest.raises(InterruptNotFound):
            await answers(workshop).by_request(BOB, PERMISSION.id, ONCE)

    assert workshop.runtime.answered == []


async def test_what_other_sessions_of_the_directory_ask_is_none_of_its_business() -> None:
    workshop = Workshop()
    mine = workshop.have("ses_mine", of=ALICE)
    workshop.have("ses_bobs", of=BOB)
    foreign = evolve(PERMISSION, id=RequestId("per_bob"), session=SessionId("ses_bobs"))
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.ask(foreign, heard=False)
        await workshop.clock.turn()

        assert await lists(workshop)(ALICE, Kind.PERMISSION) == []
        with pytest.raises(InterruptNotFound):
            await answers(workshop).by_request(ALICE, foreign.id, ONCE)


async def test_what_a_sub_agent_asks_is_asked_by_the_work() -> None:
    workshop = Workshop()
    mine = workshop.have("ses_mine", of=ALICE)
    child = workshop.have("ses_child", parent=workshop.have("ses_between", parent=mine))
    deep = evolve(PERMISSION, session=child.id)
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.ask(deep)
        await workshop.clock.turn()

        assert await lists(workshop)(ALICE, Kind.PERMISSION) == [Asking(None, None, deep)]


async def test_an_answer_of_the_wrong_kind_or_too_late_is_refused_and_recorded() -> None:
    workshop = Workshop()
    mine = workshop.have("ses_mine", of=ALICE)
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.ask(PERMISSION)
        await workshop.clock.turn()

        with pytest.raises(InterruptTypeMismatch):
            await answers(workshop).by_request(ALICE, PERMISSION.id, QuestionDismissed())
        (working,) = await workshop.works.of(ALICE)
        workshop.runtime.reader.waiting.clear()
        with pytest.raises(AlreadyAnswered, match="no longer waiting"):
            await workshop.answer._answer(working, PERMISSION, ONCE)

    assert [record.outcome for record in workshop.audit.records] == ["refused", "refused"]


async def test_a_rule_decides_before_anybody_is_asked() -> None:
    workshop = Workshop(terms=Terms((Rule(Action.REJECT, permission="bash", reason="no shell"),)))
    mine = workshop.have("ses_mine", of=ALICE)
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.ask(PERMISSION)
        await workshop.clock.turn()

        assert await lists(workshop)(ALICE, Kind.PERMISSION) == []

    assert workshop.runtime.answered == [(PERMISSION.id, PermissionAnswer(Verdict.REJECT, "no shell"))]
    (record,) = workshop.audit.records
    assert (record.channel, record.principal) == ("policy", None)


async def test_nobodys_answer_is_waited_for_longer_than_the_terms_say() -> None:
    workshop = Workshop(terms=Terms(seconds=60, permission=Action.REJECT))
    mine = workshop.have("ses_mine", of=ALICE)
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.ask(PERMISSION)
        await workshop.clock.turn(30)
        ((asking,), answered) = await lists(workshop)(ALICE, Kind.PERMISSION), list(workshop.runtime.answered)

        await workshop.clock.turn(31)

    assert asking.interrupt.deadline is not None
    assert answered == []
    assert workshop.runtime.answered == [(PERMISSION.id, PermissionAnswer(Verdict.REJECT))]
    assert workshop.audit.records[0].channel == "deadline"


async def test_what_was_asked_while_the_feed_was_cut_is_found_out() -> None:
    workshop = Workshop(terms=Terms((Rule(Action.REJECT),)))
    mine = workshop.have("ses_mine", of=ALICE)
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.ask(PERMISSION, heard=False)

        workshop.runtime.worker.tell(Gap())
        await workshop.clock.turn()

    assert [request for request, _ in workshop.runtime.answered] == [PERMISSION.id]


async def test_a_runtime_that_is_away_is_told_the_decision_when_it_is_back() -> None:
    workshop = Workshop(terms=Terms((Rule(Action.REJECT),)))
    mine = workshop.have("ses_mine", of=ALICE)
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.reader.raises = AgentUnreachable("no route")
        workshop.runtime.worker.ask(PERMISSION)
        await workshop.clock.turn()
        while_away = list(workshop.runtime.answered)

        workshop.runtime.reader.raises = None
        await workshop.clock.turn(20)

    assert while_away == []
    assert [request for request, _ in workshop.runtime.answered] == [PERMISSION.id]


# After a restart


async def test_the_next_life_goes_on_with_what_was_under_way() -> None:
    workshop = Workshop(quota=DAY, terms=Terms(seconds=60, permission=Action.REJECT))
    mine = workshop.have("ses_mine", of=ALICE, at=10)
    async with workshop.work:
        await begun(workshop, mine)
        workshop.runtime.worker.ask(PERMISSION, heard=False)

    workshop.live()
    async with workshop.work:
        await workshop.work.take_up()
        await workshop.clock.turn()
        ((asking,),) = (await lists(workshop)(ALICE, Kind.PERMISSION),)
        await answers(workshop).by_request(ALICE, PERMISSION.id, ONCE)
        workshop.runtime.worker.rest(MINE, spoken(11, 60))
        await workshop.clock.turn(6)

        assert asking.interrupt.deadline is not None
        assert await used(workshop) == 60
        assert await workshop.works.every() == []


async def test_what_somebody_else_follows_is_left_to_it() -> None:
    workshop = Workshop()
    mine = workshop.have("ses_mine", of=ALICE)
    async with workshop.work:
        await begun(workshop, mine)
        follow = workshop.follow
        workshop.live()  # a replica: it shares the holds
        async with workshop.work:
            await workshop.work.take_up()
            await workshop.clock.turn()

            assert (list(workshop.follow.inboxes), list(follow.inboxes)) == ([], [MINE])
        await workshop.clock.turn()


async def test_what_nobody_here_follows_is_seen_and_answered_all_the_same() -> None:
    workshop = Workshop(terms=Terms((Rule(Action.REJECT, permission="edit"),)))
    mine = workshop.have("ses_mine", of=ALICE)
    await workshop.works.begin(Working(Session(mine.id, Directory("/w")), ALICE, workshop.clock.now(), 0))
    workshop.runtime.reader.busy[MINE] = SessionState(MINE, "busy")
    edit = evolve(PERMISSION, id=RequestId("per_2"), permission="edit")
    workshop.runtime.worker.ask(PERMISSION, heard=False)
    workshop.runtime.worker.ask(edit, heard=False)

    listed = await lists(workshop)(ALICE, Kind.PERMISSION)
    await answers(workshop).by_request(ALICE, PERMISSION.id, ONCE)

    assert listed == [Asking(None, None, PERMISSION)]
    assert workshop.runtime.answered == [(edit.id, PermissionAnswer(Verdict.REJECT)), (PERMISSION.id, ONCE)]


async def test_work_that_ended_unseen_is_charged_and_forgotten_by_who_looks() -> None:
    workshop = Workshop(quota=DAY)
    mine = workshop.have("ses_mine", of=ALICE)
    working = Working(Session(mine.id, Directory("/w")), ALICE, workshop.clock.now(), 10)
    await workshop.works.begin(working)
    workshop.runtime.reader.spoken[MINE] = [spoken(11, 60)]
    too_early = await lists(workshop)(ALICE, Kind.PERMISSION), await workshop.works.every()

    await workshop.clock.turn(61)
    listed = await lists(workshop)(ALICE, Kind.PERMISSION)

    assert too_early == ([], [working])
    assert (listed, await workshop.works.every(), await used(workshop)) == ([], [], 60)
