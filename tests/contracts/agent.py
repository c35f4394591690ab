"""
The contract of the port `Agent`: what the service relies on, whatever the runtime.

A harness tells how an adapter is made to do things (`AgentHarness`); `test_agent.py` lists the harnesses.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

import pytest
from anyio.lowlevel import checkpoint
from attrs import define

from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.domain.errors import AgentUnreachable, ContentTypeNotSupported
from opencode_a2a_server.domain.events import Gap, Recollection
from opencode_a2a_server.domain.ids import MessageId, Principal, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import (
    Permission,
    PermissionAnswer,
    Question,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
)
from opencode_a2a_server.domain.message import Message, RawPart, Role, TextPart
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import BlockKind
from tests.contracts.follower import Fold, Follower, following, listening, prompt_of
from tests.fakes.acts import Act, AskPermission, AskQuestion, Delegate, Fail, Hang, Reason, RunTool, Say

_YES = PermissionAnswer(Verdict.ONCE)
_EVERYTHING: tuple[Act, ...] = (
    Reason("What is to be done? "),
    Say("First I look. "),
    RunTool("read", output="a b c"),
    AskPermission("bash", "rm -rf build"),
    RunTool("bash", error="no such file"),
    Say("It was not there. "),
)


@define(eq=False)
class AgentHarness(ABC):
    """One adapter, and how it is made to do what the contract speaks of."""

    delegates: ClassVar[bool] = True
    """Whether the runtime has sub-agents."""
    can_be_down: ClassVar[bool] = True
    """Whether the runtime is somewhere else, so that it can be out of reach."""

    agent: Agent

    @abstractmethod
    def message(self, *acts: Act) -> Message:
        """Give a message which has this done, in this order."""

    @abstractmethod
    def lapse(self) -> AbstractAsyncContextManager[None]:
        """Let the agent miss what is said meanwhile; on leaving, it hears again."""

    def down(self) -> AbstractAsyncContextManager[None]:
        """Let nobody reach the runtime meanwhile."""
        raise NotImplementedError

    def unmappable(self) -> Message:
        """Give a message that the runtime cannot take."""
        part = RawPart(b"?", "application/x-unsupported-by-anybody")
        return Message(MessageId("unmappable"), Role.USER, (part,))


class AgentContract:
    """The suite."""

    # Prompts

    async def test_what_is_said_after_listening_began_is_heard_whole(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(Say("one two three four"))) as turn:
            await turn.end()

        assert (turn.text, turn.task.state) == ("one two three four", TaskState.COMPLETED)

    async def test_a_prompt_is_admitted_before_it_is_done(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(Say("working"), Hang())) as turn:
            seen = await harness.agent.recall(turn.session, turn.turn.prompt)

            assert turn.session.id in seen.busy
            await harness.agent.abort(turn.session)

    async def test_the_same_prompt_given_twice_at_once_is_worked_on_once(self, harness: AgentHarness) -> None:
        message = harness.message(Say("once"), AskPermission("bash", "ls"))
        async with following(harness.agent, message) as turn:
            await turn.asked()

            await harness.agent.prompt(prompt_of(turn, message))
            await harness.agent.answer(turn.session, await turn.asked(), _YES)
            await turn.end()
            await turn.look()

        assert turn.text == "once"

    async def test_the_same_prompt_given_again_after_its_end_is_not_worked_on(self, harness: AgentHarness) -> None:
        message = harness.message(Say("once"))
        async with following(harness.agent, message) as turn:
            await turn.end()

            await harness.agent.prompt(prompt_of(turn, message))
            seen = await harness.agent.recall(turn.session, turn.turn.prompt)

        assert turn.session.id not in seen.busy
        assert await self._recalled(harness, turn, message) == turn.fold

    async def test_prompt_ids_are_never_the_same(self, harness: AgentHarness) -> None:
        ids = {harness.agent.new_prompt_id() for _ in range(100)}

        assert len(ids) == 100

    async def test_a_message_for_work_gets_no_bare_reply(self, harness: AgentHarness) -> None:
        reply = await harness.agent.reply(Principal("somebody"), harness.message(Say("hello")))

        assert reply is None

    # Output

    async def test_reasoning_text_and_tools_are_heard_in_their_order(self, harness: AgentHarness) -> None:
        message = harness.message(Reason("why not "), Say("before "), RunTool("read", output="abc"), Say("after "))
        async with following(harness.agent, message) as turn:
            await turn.end()

        blocks = [(kind, name, text) for kind, name, text, _, _ in turn.fold.blocks if kind is not BlockKind.TOOL]
        kinds = [kind for kind, *_ in turn.fold.blocks]
        assert kinds == [BlockKind.REASONING, BlockKind.TEXT, BlockKind.TOOL, BlockKind.TEXT]
        assert [text for _, _, text in blocks] == ["why not ", "before ", "after "]

    async def test_all_blocks_are_whole_when_the_turn_is_over(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(Reason("a "), Say("b "), RunTool("read"))) as turn:
            await turn.end()

        assert all(artifact.closed for artifact in turn.task.artifacts.values())

    async def test_a_failing_tool_does_not_fail_the_turn(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(RunTool("bash", error="no"), Say("well"))) as turn:
            await turn.end()

        assert (turn.text, turn.task.state) == ("well", TaskState.COMPLETED)

    async def test_what_was_consumed_is_counted(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(Say("some words"))) as turn:
            await turn.end()

        assert turn.task.usage is not None
        assert turn.task.usage.output_tokens > 0

    async def test_a_failure_is_the_turns(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(Fail("the model is gone"))) as turn:
            await turn.end()

        assert turn.task.state is TaskState.FAILED
        assert "the model is gone" in turn.said_last

    async def test_a_second_turn_tells_nothing_of_the_first(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(Say("first"))) as first:
            await first.end()

        async with following(harness.agent, harness.message(Say("second")), first.session) as second:
            await second.end(looking=True)

        assert second.text == "second"

    # Interrupts

    async def test_an_answer_lets_the_turn_go_on(self, harness: AgentHarness) -> None:
        message = harness.message(AskPermission("bash", "rm -rf build"), Say("done"))
        async with following(harness.agent, message) as turn:
            asked = await turn.asked()

            taken = await harness.agent.answer(turn.session, asked, _YES)
            await turn.end()

        assert isinstance(asked, Permission)
        assert (asked.permission, asked.patterns) == ("bash", ("rm -rf build",))
        assert taken
        assert [resolved.resolution for resolved in turn.task.resolved.values()] == ["once"]
        assert (turn.text, turn.task.state) == ("done", TaskState.COMPLETED)

    async def test_a_second_answer_is_not_taken(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(AskPermission("bash", "ls"), Say("done"))) as turn:
            asked = await turn.asked()
            await harness.agent.answer(turn.session, asked, _YES)

            taken = await harness.agent.answer(turn.session, asked, PermissionAnswer(Verdict.REJECT))
            await turn.end()

        assert not taken
        assert turn.text == "done"

    async def test_an_answer_to_something_unknown_is_not_taken(self, harness: AgentHarness) -> None:
        session = await harness.agent.open_session("")
        unknown = Permission(RequestId("per_unknown"), session.id, "bash")

        assert not await harness.agent.answer(session, unknown, _YES)

    async def test_a_rejection_ends_the_turn(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(AskPermission("bash", "ls"), Say("never"))) as turn:
            asked = await turn.asked()

            await harness.agent.answer(turn.session, asked, PermissionAnswer(Verdict.REJECT))
            await turn.end()

        assert (turn.text, turn.task.state) == ("", TaskState.COMPLETED)
        assert "rejected" in turn.said_last

    async def test_a_rejection_with_a_reason_lets_the_turn_go_on(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(AskPermission("bash", "ls"), Say("otherwise"))) as turn:
            asked = await turn.asked()

            await harness.agent.answer(turn.session, asked, PermissionAnswer(Verdict.REJECT, "use find"))
            await turn.end()

        assert (turn.text, turn.task.state) == ("otherwise", TaskState.COMPLETED)

    async def test_a_question_gets_its_answer(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(AskQuestion("Which size?", ("S", "M")))) as turn:
            asked = await turn.asked()

            taken = await harness.agent.answer(turn.session, asked, QuestionAnswer((("M",),)))
            await turn.end()

        assert isinstance(asked, Question)
        assert [option.label for option in asked.inquiries[0].options] == ["S", "M"]
        assert taken
        assert "M" in turn.text

    async def test_a_dismissed_question_ends_the_turn(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(AskQuestion("Which size?", ("S", "M")))) as turn:
            asked = await turn.asked()

            taken = await harness.agent.answer(turn.session, asked, QuestionDismissed())
            await turn.end()

        assert taken
        assert turn.task.state is TaskState.COMPLETED

    # Aborts

    async def test_an_abort_at_rest_is_no_error(self, harness: AgentHarness) -> None:
        session = await harness.agent.open_session("")

        await harness.agent.abort(session)
        async with following(harness.agent, harness.message(Say("all the same")), session) as turn:
            await turn.end()

        assert turn.text == "all the same"

    async def test_an_abort_in_the_midst_cancels_the_turn(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(Say("so far "), Hang()), canceling=True) as turn:
            await turn.until(lambda _: turn.text == "so far ")

            await harness.agent.abort(turn.session)
            await turn.end()

        assert (turn.text, turn.task.state) == ("so far ", TaskState.CANCELED)
        seen = await harness.agent.recall(turn.session, turn.turn.prompt)
        assert turn.session.id not in seen.busy

    async def test_an_abort_that_nobody_here_asked_for_is_told(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(Say("so far "), Hang())) as turn:
            await turn.until(lambda _: turn.text)

            await harness.agent.abort(turn.session)
            await turn.end()

        assert turn.task.state is TaskState.CANCELED
        assert turn.said_last

    async def test_an_abort_takes_back_what_was_asked(self, harness: AgentHarness) -> None:
        message = harness.message(AskPermission("bash", "ls"), Say("never"))
        async with following(harness.agent, message, canceling=True) as turn:
            await turn.asked()

            await harness.agent.abort(turn.session)
            await turn.end()

        assert turn.task.state is TaskState.CANCELED
        assert (await self._recalled(harness, turn, message)).pending == 0

    async def test_a_session_works_on_after_an_abort(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(Say("so far "), Hang()), canceling=True) as first:
            await first.until(lambda _: first.text)
            await harness.agent.abort(first.session)

            async with following(harness.agent, harness.message(Say("anew")), first.session) as second:
                await second.end()

        assert (second.text, second.task.state) == ("anew", TaskState.COMPLETED)

    # Recollections

    async def test_recalling_at_any_moment_changes_nothing(self, harness: AgentHarness) -> None:
        folds = [await self._play(harness, looking=looking) for looking in (False, True)]

        assert folds[0] == folds[1]

    async def test_recalling_alone_tells_the_same(self, harness: AgentHarness) -> None:
        message = harness.message(*_EVERYTHING)
        async with following(harness.agent, message) as turn:
            await harness.agent.answer(turn.session, await turn.asked(), _YES)
            await turn.end()

        recalled = await self._recalled(harness, turn, message)

        assert recalled.blocks == turn.fold.blocks
        assert (recalled.state, recalled.usage) == (turn.fold.state, turn.fold.usage)

    async def test_recalling_shows_what_waits_for_an_answer(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(AskPermission("bash", "ls"))) as turn:
            asked = await turn.asked()

            seen = await harness.agent.recall(turn.session, turn.turn.prompt)
            await harness.agent.answer(turn.session, asked, _YES)
            await turn.end()
            later = await harness.agent.recall(turn.session, turn.turn.prompt)

        assert [interrupt.id for interrupt in seen.asked] == [asked.id]
        assert later.asked == ()

    async def test_an_unknown_session_is_recalled_as_unknown(self, harness: AgentHarness) -> None:
        unknown = Session(SessionId("ses_unknown"), Directory("/"))

        seen = await harness.agent.recall(unknown, harness.agent.new_prompt_id())

        assert seen == Recollection(frozenset(), (), known=False)

    # Sub-agents

    async def test_a_sub_agent_is_heard_in_a_lane_of_its_own(self, harness: AgentHarness) -> None:
        if not harness.delegates:
            pytest.skip("the runtime has no sub-agents")
        message = harness.message(Delegate((Say("from below "),)), Say("from above "))
        async with following(harness.agent, message) as turn:
            await turn.end()

        texts = [(text, own) for kind, _, text, own, _ in turn.fold.blocks if kind is BlockKind.TEXT]
        assert texts == [("from below ", False), ("from above ", True)]

    async def test_a_sub_agents_question_is_the_turns(self, harness: AgentHarness) -> None:
        if not harness.delegates:
            pytest.skip("the runtime has no sub-agents")
        message = harness.message(Delegate((AskPermission("bash", "ls"), Say("allowed "))), Say("thanks "))
        async with following(harness.agent, message) as turn:
            asked = await turn.asked(looking=True)

            taken = await harness.agent.answer(turn.session, asked, _YES)
            await turn.end()

        assert asked.session != turn.session.id
        assert taken
        assert turn.text == "allowed thanks "

    async def test_an_abort_stops_a_sub_agent_too(self, harness: AgentHarness) -> None:
        if not harness.delegates:
            pytest.skip("the runtime has no sub-agents")
        message = harness.message(Delegate((Say("below "), Hang())))
        async with following(harness.agent, message, canceling=True) as turn:
            await turn.until(lambda _: turn.text)

            await harness.agent.abort(turn.session)
            await turn.end()

        seen = await harness.agent.recall(turn.session, turn.turn.prompt)
        assert turn.task.state is TaskState.CANCELED
        assert seen.busy == frozenset()

    # Hearing

    async def test_waking_a_listener_lets_it_return_with_nothing(self, harness: AgentHarness) -> None:
        session = await harness.agent.open_session("")
        async with listening(harness.agent, session, harness.message(Say("nothing"))) as turn:
            turn.hearing.wake()
            woken = await turn.hear()

        assert [event for event in woken if not isinstance(event, Gap)] == []

    async def test_who_is_interrupted_while_listening_misses_nothing(self, harness: AgentHarness) -> None:
        session = await harness.agent.open_session("")
        message = harness.message(Say("still whole"))
        async with listening(harness.agent, session, message) as turn:
            waiting = asyncio.get_running_loop().create_task(turn.hear())
            await checkpoint()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

            await harness.agent.prompt(prompt_of(turn, message))
            await turn.end()

        assert turn.text == "still whole"

    async def test_two_listeners_hear_the_same(self, harness: AgentHarness) -> None:
        message = harness.message(Say("for both"))
        async with (
            following(harness.agent, message) as one,
            listening(harness.agent, one.session, message, prompt=one.turn.prompt) as other,
        ):
            await one.end()
            await other.look()
            await other.end()

        assert other.text == one.text

    async def test_two_sessions_do_not_hear_each_other(self, harness: AgentHarness) -> None:
        messages = harness.message(Say("to the left")), harness.message(Say("to the right"))
        async with (
            following(harness.agent, messages[0]) as left,
            following(harness.agent, messages[1]) as right,
        ):
            await left.end()
            await right.end()

        for turn in (left, right):
            sessions = {getattr(event, "session", turn.session.id) for event in turn.heard}
            assert sessions == {turn.session.id}
        assert (left.text, right.text) == ("to the left", "to the right")

    async def test_what_was_missed_is_told_as_a_gap_and_can_be_recalled(self, harness: AgentHarness) -> None:
        message = harness.message(Say("before "), AskPermission("bash", "ls"), Say("meanwhile "))
        async with following(harness.agent, message) as turn:
            asked = await turn.asked()
            async with harness.lapse():
                await harness.agent.answer(turn.session, asked, _YES)
                await self._rest(harness, turn)

            await turn.end()

        assert any(isinstance(event, Gap) for event in turn.heard)
        assert (turn.text, turn.task.state) == ("before meanwhile ", TaskState.COMPLETED)

    # The runtime itself

    async def test_what_cannot_be_mapped_is_refused_before_anything_is_kept(self, harness: AgentHarness) -> None:
        harness.agent.check(Message(MessageId("m"), Role.USER, (TextPart("text is always welcome"),)))

        with pytest.raises(ContentTypeNotSupported):
            harness.agent.check(harness.unmappable())

    async def test_a_runtime_that_is_there_is_ready(self, harness: AgentHarness) -> None:
        readiness = await harness.agent.probe()

        assert (readiness.ready, readiness.remedy) == (True, "")

    async def test_a_runtime_out_of_reach_says_what_to_do_and_raises_nothing(self, harness: AgentHarness) -> None:
        if not harness.can_be_down:
            pytest.skip("the runtime is always there")
        async with harness.down():
            readiness = await harness.agent.probe()

        assert not readiness.ready
        assert readiness.remedy

    async def test_calls_to_a_runtime_out_of_reach_are_worth_another_try(self, harness: AgentHarness) -> None:
        if not harness.can_be_down:
            pytest.skip("the runtime is always there")
        message = harness.message(Say("hello"))
        session = await harness.agent.open_session("")
        async with listening(harness.agent, session, message) as turn:
            async with harness.down():
                for call in (
                    harness.agent.open_session(""),
                    harness.agent.prompt(prompt_of(turn, message)),
                    harness.agent.recall(session, turn.turn.prompt),
                    harness.agent.abort(session),
                ):
                    with pytest.raises(AgentUnreachable):
                        await call

            await harness.agent.prompt(prompt_of(turn, message))
            await turn.end()

        assert turn.text == "hello"

    # How the suite goes about it

    async def _play(self, harness: AgentHarness, *, looking: bool) -> Fold:
        async with following(harness.agent, harness.message(*_EVERYTHING)) as turn:
            asked = await turn.asked(looking=looking)
            await harness.agent.answer(turn.session, asked, _YES)
            await turn.end(looking=looking)
            return turn.fold

    async def _recalled(self, harness: AgentHarness, turn: Follower, message: Message) -> Fold:
        """Give what somebody makes of the turn who only asks, and never heard a word."""
        async with listening(harness.agent, turn.session, message, prompt=turn.turn.prompt) as later:
            await later.look()
            return later.fold

    async def _rest(self, harness: AgentHarness, turn: Follower) -> None:
        """Wait until the session rests, without hearing."""
        async with asyncio.timeout(10):
            while turn.session.id in (await harness.agent.recall(turn.session, turn.turn.prompt)).busy:
                await checkpoint()
