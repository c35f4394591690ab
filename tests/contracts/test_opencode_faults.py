"""Turns of an OpenCode with faults, from the use cases down to its HTTP: each ends, and tells each word once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from attrs import define, field

from opencode_a2a_server.adapters.outbound.opencode.agent import OpenCode
from opencode_a2a_server.adapters.outbound.opencode.client import Address
from opencode_a2a_server.app.usecases.accept_message import AcceptMessage
from opencode_a2a_server.app.usecases.answer_interrupt import AnswerInterrupt
from opencode_a2a_server.app.usecases.cancel_task import CancelTask
from opencode_a2a_server.app.usecases.check_choice import CheckChoice
from opencode_a2a_server.app.usecases.check_wishes import CheckWishes
from opencode_a2a_server.app.usecases.recover import Recover
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.domain.ids import ContextId, MessageId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import TurnStarted
from tests.app.house import ALICE, CONTEXT, status_of, text_of
from tests.fakes.acts import Act, AskPermission, Delegate, Fail, Hang, Reason, RunTool, Say
from tests.fakes.audit import FakeAudit
from tests.fakes.binding import bind_session
from tests.fakes.clock import TurnedClock
from tests.fakes.holds import FakeHolds
from tests.fakes.ids import CountedIds
from tests.fakes.interrupts import FakeInterrupts
from tests.fakes.journal import FakeJournal
from tests.fakes.opencode import FakeOpenCode, Faults, Idle
from tests.fakes.replicas import FakeReplicas

pytestmark = pytest.mark.anyio

_WORK = (Reason("hm "), Say("one two "), RunTool("read"), Say("three "))
_WORDS = "one two three "


@define(eq=False)
class Service:
    """The use cases in front of an OpenCode."""

    fake: FakeOpenCode
    clock: TurnedClock
    agent: OpenCode
    journal: FakeJournal
    turns: RunTurns
    ids: CountedIds = field(factory=CountedIds)

    @property
    def faults(self) -> Faults:
        """What is wrong with the OpenCode."""
        return self.fake.faults

    @property
    def accept(self) -> AcceptMessage:
        """The use case."""
        bind = self.turns.bind
        answer = AnswerInterrupt(self.journal, FakeInterrupts(self.journal), self.turns, self.clock, self.turns.audit)
        wishes = CheckWishes(bind.bindings, bind.sessions, bind.places, bind, CheckChoice(None, self.clock))
        return AcceptMessage(self.agent, self.journal, self.turns, answer, wishes, self.ids)

    async def begin(self, *acts: Act, context: ContextId = CONTEXT) -> Task:
        """Have a task begun."""
        text = f"do {len(self.fake.scripts)}"
        self.fake.scripts[text] = acts
        return await self.say(text, context=context)

    async def say(self, text: str, task: Task | None = None, context: ContextId | None = None) -> Task:
        """Have something said."""
        accepted = await self.accept(ALICE, self.message(text, task, context))
        assert not isinstance(accepted, Message)
        await self.clock.turn()
        return accepted.log.task

    @staticmethod
    def message(text: str, task: Task | None = None, context: ContextId | None = None) -> Message:
        """Give a message, to a task or in a context."""
        return Message(MessageId(text), Role.USER, (TextPart(text),), context, None if task is None else task.id)

    async def done(self, *acts: Act, seconds: float = 60) -> tuple[str, TaskState]:
        """Give what comes of a task within so many seconds."""
        task = await self.begin(*acts)
        await self.clock.turn(seconds)
        return text_of(task), task.state


@pytest.fixture
async def service(anyio_backend: str) -> AsyncIterator[Service]:
    """Give a service in front of an OpenCode without faults yet."""
    fake, clock = FakeOpenCode(), TurnedClock()
    journal = FakeJournal(clock)
    async with OpenCode.at(Address("http://opencode"), clock, fake) as agent:
        await clock.turn()
        async with RunTurns(agent, journal, bind_session(agent, clock), FakeHolds(), clock, FakeAudit()) as turns:
            yield Service(fake, clock, agent, journal, turns)


@pytest.mark.parametrize("idle", ["once", "twice", "early", "late", "never"])
async def test_a_turn_ends_however_its_idle_comes(service: Service, idle: Idle) -> None:
    service.faults.idle = idle

    done = [await service.done(*_WORK) for _ in range(3)]

    assert done == [(_WORDS, TaskState.COMPLETED)] * 3


async def test_a_good_turn_needs_no_question_to_be_asked(service: Service) -> None:
    await service.done(*_WORK)

    assert not [call for call in service.fake.calls if call.startswith("GET") and "global" not in call]


async def test_a_turn_ends_with_the_feed_off(service: Service) -> None:
    service.faults.feed = "off"
    service.fake.cut()

    assert await service.done(*_WORK) == (_WORDS, TaskState.COMPLETED)


async def test_a_turn_ends_with_a_feed_that_never_says_a_word(service: Service) -> None:
    service.faults.feed = "silent"
    service.fake.cut()

    assert await service.done(*_WORK) == (_WORDS, TaskState.COMPLETED)


@pytest.mark.parametrize("error", [None, httpx.ReadError("reset"), httpx.RemoteProtocolError("cut in a chunk")])
async def test_a_feed_cut_in_mid_turn_loses_no_word(service: Service, error: Exception | None) -> None:
    task = await service.begin(Say("one "), AskPermission("bash", "ls"), *_WORK)
    service.fake.cut(error)

    await service.say("yes", task)
    await service.clock.turn(20)

    assert (text_of(task), task.state) == ("one " + _WORDS, TaskState.COMPLETED)


async def test_a_feed_cut_again_and_again_loses_no_word(service: Service) -> None:
    steps: list[Act] = []
    for number in range(10):
        steps += [Say(f"{number} "), AskPermission("bash", str(number))]
    task = await service.begin(*steps)
    for _ in range(10):
        service.fake.cut()
        await service.say("yes", task)
        await service.clock.turn(3)

    await service.clock.turn(60)

    assert (text_of(task), task.state) == ("0 1 2 3 4 5 6 7 8 9 ", TaskState.COMPLETED)


async def test_there_is_never_more_than_one_feed(service: Service) -> None:
    for number in range(3):
        service.fake.cut()
        await service.clock.turn(30)
        await service.done(*_WORK)
        assert service.fake.feeds == 1, f"after {number + 1} cuts"


async def test_a_feed_that_is_never_answered_is_asked_for_anew(service: Service) -> None:
    service.faults.hangs = True
    service.fake.cut()
    await service.clock.turn(5)
    service.faults.hangs = False

    await service.clock.turn(15)

    assert service.fake.feeds == 1
    assert await service.done(*_WORK) == (_WORDS, TaskState.COMPLETED)


async def test_broken_frames_lose_no_word(service: Service) -> None:
    service.faults.malformed = True

    assert await service.done(*_WORK) == (_WORDS, TaskState.COMPLETED)


async def test_an_error_that_is_all_that_comes_fails_the_task_with_it(service: Service) -> None:
    service.faults.prompts = "error"

    task = await service.begin(*_WORK)
    await service.clock.turn(30)

    assert status_of(task) == (TaskState.FAILED, "Agent not found")


async def test_a_prompt_of_which_nothing_comes_fails_the_task(service: Service) -> None:
    service.faults.prompts = "vanish"

    task = await service.begin(*_WORK)
    await service.clock.turn(30)

    assert task.state is TaskState.FAILED
    assert "never ran it" in status_of(task)[1]


@pytest.mark.parametrize("feed", ["on", "off"])
async def test_an_error_of_the_models_provider_fails_the_task_with_it(service: Service, feed: str) -> None:
    if feed == "off":
        service.faults.feed = "off"
        service.fake.cut()

    task = await service.begin(Say("so far "), Fail("no credit left"))
    await service.clock.turn(30)

    assert status_of(task) == (TaskState.FAILED, "no credit left")
    assert text_of(task) == "so far "
    assert task.failure is not None
    assert task.failure.status == 401


@pytest.mark.parametrize(
    ("answer", "words"), [(500, "500"), (401, "OPENCODE_"), (405, "another dialect"), ("html", "JSON")]
)
async def test_a_refused_prompt_fails_the_task_with_what_to_do(service: Service, answer: int | str, words: str) -> None:
    service.faults.answers["prompt_async"] = answer  # type: ignore[assignment]

    task = await service.begin(*_WORK)

    state, said = status_of(task)
    assert state is TaskState.FAILED
    assert words in said


@pytest.mark.parametrize("answer", [500, 401, 405, "html"])
async def test_what_cannot_be_asked_is_no_matter_while_the_feed_tells_it(service: Service, answer: int | str) -> None:
    task = await service.begin(Say("one "), AskPermission("bash", "ls"), *_WORK)
    for path in ("status", "message", "permission", "question", "children"):
        service.faults.answers[path] = answer  # type: ignore[assignment]

    await service.clock.turn(100)
    await service.say("yes", task)

    assert (text_of(task), task.state) == ("one " + _WORDS, TaskState.COMPLETED)


async def test_an_opencode_that_is_not_ready_yet_is_waited_for(service: Service) -> None:
    service.faults.answers["session"] = 503
    task = await service.begin(*_WORK)
    await service.clock.turn(30)
    service.faults.answers.clear()

    await service.clock.turn(30)

    assert (text_of(task), task.state) == (_WORDS, TaskState.COMPLETED)


async def test_a_restart_in_mid_turn_fails_the_task_and_keeps_what_was_told(service: Service) -> None:
    task = await service.begin(Say("so far "), Hang())
    await service.fake.restart()

    await service.clock.turn(30)

    state, said = status_of(task)
    assert state is TaskState.FAILED
    assert "restarted" in said
    assert text_of(task) == "so far "


async def test_a_restart_forgets_what_was_asked(service: Service) -> None:
    task = await service.begin(AskPermission("bash", "ls"), Say("never"))
    await service.fake.restart()

    await service.clock.turn(30)

    assert task.state is TaskState.FAILED


async def test_a_session_works_on_after_a_restart(service: Service) -> None:
    first = await service.begin(Say("so far "), Hang())
    await service.fake.restart()
    await service.clock.turn(30)

    assert await service.done(*_WORK) == (_WORDS, TaskState.COMPLETED)
    assert first.state is TaskState.FAILED


# A prompt that a restart lost, where it is wanted that it is sent again


async def restarted(service: Service, *acts: Act, then: tuple[Act, ...]) -> Task:
    """Have OpenCode restarted in the midst of a turn, and its model do something else from then on."""
    service.turns.prompt_again = True
    task = await service.begin(*acts)
    service.fake.scripts = dict.fromkeys(service.fake.scripts, then)
    await service.fake.restart()
    await service.clock.turn(30)
    return task


async def test_a_prompt_that_a_restart_lost_is_sent_again(service: Service) -> None:
    task = await restarted(service, Reason("hm "), Say("so far "), Hang(), then=(Say("all of it"),))

    assert (text_of(task), task.state) == ("all of it", TaskState.COMPLETED)
    assert any("sent again" in message.text for message in task.history)
    assert task.usage is not None
    prompts = [update.prompt for update in service.journal.logs[task.id].updates if isinstance(update, TurnStarted)]
    (session,) = service.fake.sessions.values()
    asked = [message.info["id"] for message in session.messages if message.info["role"] == "user"]
    assert prompts == asked
    assert len(set(prompts)) == 2


async def test_a_prompt_is_sent_again_once_only(service: Service) -> None:
    task = await restarted(service, Say("so far "), Hang(), then=(Say("again "), Hang()))
    assert (text_of(task), task.state) == ("again ", TaskState.WORKING)

    await service.fake.restart()
    await service.clock.turn(30)

    assert (text_of(task), task.state) == ("again ", TaskState.FAILED)
    assert service.fake.calls.count(f"POST /session/{task.session.id}/prompt_async") == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("act", [RunTool("bash", "done"), AskPermission("bash", "ls"), Delegate((Say("below "),))])
async def test_what_had_called_a_tool_is_not_done_again(service: Service, act: Act) -> None:
    task = await restarted(service, Say("so far "), act, Hang(), then=(Say("never"),))

    assert (text_of(task).split()[:2], task.state) == (["so", "far"], TaskState.FAILED)
    assert "never" not in text_of(task)


async def test_what_called_a_tool_unheard_is_not_done_again(service: Service) -> None:
    service.turns.prompt_again = True
    service.faults.feed = "off"
    service.fake.cut()
    for path in ("status", "message"):
        service.faults.answers[path] = 503
    task = await service.begin(Say("so far "), RunTool("bash", "done"), Hang())
    service.faults.answers.clear()
    await service.fake.restart()

    await service.clock.turn(60)

    assert task.state is TaskState.FAILED


async def test_a_restart_while_a_task_is_canceled_cancels_it(service: Service) -> None:
    service.turns.prompt_again = True
    task = await service.begin(Say("so far "), Hang())
    service.faults.answers["abort"] = 503
    canceling = asyncio.ensure_future(CancelTask(service.journal, service.turns)(ALICE, task.id))
    await service.clock.turn()
    await service.fake.restart()

    await service.clock.turn(30)
    await canceling

    assert (text_of(task), task.state) == ("so far ", TaskState.CANCELED)


async def test_a_crash_before_the_prompt_was_sent_again_sends_it_once(service: Service) -> None:
    service.turns.prompt_again = True
    task = await service.begin(Say("so far "), Hang())
    service.fake.scripts = dict.fromkeys(service.fake.scripts, (Say("all of it"),))
    service.faults.answers["prompt_async"] = 503
    await service.fake.restart()
    await service.clock.turn(15)
    assert task.again
    await service.turns.__aexit__()
    service.faults.answers.clear()

    journal = service.journal.reopened()
    async with RunTurns(
        service.agent, journal, service.turns.bind, FakeHolds(), service.clock, FakeAudit(), prompt_again=True
    ) as turns:
        await Recover(journal, turns, FakeReplicas(journal))()
        await service.clock.turn(30)
        task = journal.logs[task.id].task

    assert (text_of(task), task.state) == ("all of it", TaskState.COMPLETED)
    (session,) = service.fake.sessions.values()
    assert sum(message.info["role"] == "user" for message in session.messages) == 2


async def test_an_abort_by_somebody_at_opencode_itself_cancels_the_task(service: Service) -> None:
    task = await service.begin(Say("so far "), Hang())
    (session,) = service.fake.sessions.values()

    await session.abort()
    await service.clock.turn(5)

    assert status_of(task) == (TaskState.CANCELED, "The turn was aborted in OpenCode.")


async def test_a_late_idle_of_a_canceled_turn_does_not_end_the_next(service: Service) -> None:
    task = await service.begin(Say("so far "), Hang())
    await CancelTask(service.journal, service.turns)(ALICE, task.id)
    second = await service.begin(Say("one "), AskPermission("bash", "ls"), Say("two"))
    service.fake.say("session.status", sessionID=next(iter(service.fake.sessions)), status={"type": "idle"})
    service.fake.say("session.idle", sessionID=next(iter(service.fake.sessions)))
    await service.clock.turn(5)
    assert second.state is TaskState.INPUT_REQUIRED

    await service.say("yes", second)

    assert (text_of(second), second.state) == ("one two", TaskState.COMPLETED)


async def test_a_sub_agents_permission_is_found_with_the_feed_off(service: Service) -> None:
    service.faults.feed = "off"
    service.fake.cut()
    task = await service.begin(Delegate((AskPermission("bash", "ls"), Say("below "))), Say("above"))
    await service.clock.turn(10)
    assert task.pending

    await service.say("yes", task)
    await service.clock.turn(30)

    texts = {artifact.text: artifact.lane is None for artifact in task.artifacts.values()}
    assert {"below ": False, "above": True}.items() <= texts.items()
    assert task.state is TaskState.COMPLETED


async def test_two_sessions_at_once_do_not_mix(service: Service) -> None:
    contexts = [ContextId(name) for name in ("left", "right")]
    tasks = [await service.begin(Say("a b c "), Hang(), context=context) for context in contexts]
    other = await service.begin(Say("d e f"), context=ContextId("middle"))

    assert [text_of(task) for task in (*tasks, other)] == ["a b c ", "a b c ", "d e f"]


@pytest.mark.parametrize("feed", ["on", "off"])
async def test_the_next_life_takes_up_what_opencode_still_works_on(service: Service, feed: str) -> None:
    task = await service.begin(Say("one "), AskPermission("bash", "ls"), *_WORK)
    await service.turns.__aexit__()
    if feed == "off":
        service.faults.feed = "off"
        service.fake.cut()

    journal = service.journal.reopened()
    async with RunTurns(service.agent, journal, service.turns.bind, FakeHolds(), service.clock, FakeAudit()) as turns:
        again = Service(service.fake, service.clock, service.agent, journal, turns)
        await Recover(journal, turns, FakeReplicas(journal))()
        await service.clock.turn(5)
        task = await again.say("yes", task)
        await service.clock.turn(30)

    assert (text_of(task), task.state) == ("one " + _WORDS, TaskState.COMPLETED)


async def test_a_task_is_canceled_although_opencode_hangs(service: Service) -> None:
    task = await service.begin(Say("so far "), Hang())
    service.faults.hangs = True
    canceling = asyncio.ensure_future(CancelTask(service.journal, service.turns)(ALICE, task.id))

    await service.clock.turn(20)
    await canceling

    assert status_of(task) == (TaskState.CANCELED, "The runtime did not confirm the abort.")
    assert service.turns.active == 0


async def test_a_session_in_which_opencode_goes_on_after_a_cancellation_is_not_used_before_it_rests(
    service: Service,
) -> None:
    task = await service.begin(Say("so far "), Hang())
    service.faults.aborts = "vanish"
    canceling = asyncio.ensure_future(CancelTask(service.journal, service.turns)(ALICE, task.id))
    await service.clock.turn(16)
    await canceling
    later = await service.begin(Say("hello "))
    await service.clock.turn(30)
    assert (later.state, sum(call.endswith("prompt_async") for call in service.fake.calls)) == (TaskState.SUBMITTED, 1)

    service.faults.aborts = "work"
    await service.clock.turn(20)

    assert later.session == task.session
    assert (text_of(task), text_of(later), later.state) == ("so far ", "hello ", TaskState.COMPLETED)


async def test_a_text_goes_on_while_opencode_does_not_say_what_it_shows(service: Service) -> None:
    task = await hung_over_a_question(service)

    await service.clock.turn(2)
    assert text_of(task) == "one two "
    service.faults.hangs = False
    await service.clock.turn(60)

    assert (text_of(task), task.state) == ("one two three four ", TaskState.COMPLETED)


async def hung_over_a_question(service: Service) -> Task:
    """Give a task whose turn asks what there is, since it was quiet, and has no answer; more is said two seconds later."""
    service.fake.pause = lambda: service.clock.sleep(12)
    task = await service.begin(Say("one two "), Say("three four "))
    await service.clock.turn(12)
    service.faults.hangs, before = True, len(service.fake.calls)
    await service.clock.turn(10)
    assert service.fake.calls[before:]
    return task


async def test_a_task_is_canceled_at_once_while_opencode_does_not_say_what_it_shows(service: Service) -> None:
    task = await hung_over_a_question(service)
    service.faults.hangs = False

    canceling = asyncio.ensure_future(CancelTask(service.journal, service.turns)(ALICE, task.id))
    await service.clock.turn()

    assert canceling.done()
    assert status_of(task) == (TaskState.CANCELED, "")


async def test_an_answer_is_given_at_once_while_opencode_does_not_say_what_it_shows(service: Service) -> None:
    task = await service.begin(AskPermission("bash", "ls"), Say("done"))
    service.faults.hangs, before = True, len(service.fake.calls)
    while not service.fake.calls[before:]:
        await service.clock.turn(1)
    service.faults.hangs = False

    await service.say("yes", task)

    assert (text_of(task), task.state) == ("done", TaskState.COMPLETED)


async def test_an_answer_that_opencode_hangs_over_is_told_again_and_counts_once(service: Service) -> None:
    task = await service.begin(AskPermission("bash", "ls"), Say("done"))
    service.faults.hangs = True
    answering = asyncio.ensure_future(service.accept(ALICE, service.message("yes", task)))
    await service.clock.turn(6)
    assert task.given  # it is journaled, and who gave it need not wait
    assert answering.done()
    service.faults.hangs = False

    await service.clock.turn(15)

    assert (text_of(task), task.state) == ("done", TaskState.COMPLETED)
    assert sum(call.endswith("/reply") for call in service.fake.calls) == 2


async def test_an_answer_that_opencode_took_without_saying_so_is_not_given_twice(service: Service) -> None:
    task = await service.begin(AskPermission("bash", "ls"), Say("done"))
    service.faults.mute = "reply"
    answering = asyncio.ensure_future(service.accept(ALICE, service.message("yes", task)))
    await service.clock.turn(6)
    service.faults.mute = ""

    await service.clock.turn(15)

    assert answering.done()
    assert (text_of(task), task.state) == ("done", TaskState.COMPLETED)
