"""The contract of the port `Agent`: aborts, recollections, sub-agents, listeners, and the runtime itself."""

from __future__ import annotations

import asyncio

import pytest
from anyio.lowlevel import checkpoint

from opencode_a2a_server.domain.errors import AgentUnreachable, ContentTypeNotSupported
from opencode_a2a_server.domain.events import Gap, Recollection
from opencode_a2a_server.domain.ids import MessageId, SessionId
from opencode_a2a_server.domain.interrupt import (
    PermissionAnswer,
    Verdict,
)
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.session import Directory, FoundSession, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import BlockKind
from tests.contracts.follower import Fold, Follower, following, listening, prompt_of, recalled
from tests.contracts.harness import AgentHarness
from tests.fakes.acts import Act, AskPermission, Delegate, Hang, Reason, RunTool, Say

_YES = PermissionAnswer(Verdict.ONCE)
_EVERYTHING: tuple[Act, ...] = (
    Reason("What is to be done? "),
    Say("First I look. "),
    RunTool("read", output="a b c"),
    AskPermission("bash", "rm -rf build"),
    RunTool("bash", error="no such file"),
    Say("It was not there. "),
)


class HearingContract:
    """A part of the suite."""

    # Sessions

    async def test_a_session_works_where_it_is_told_to_or_in_the_workspace(self, harness: AgentHarness) -> None:
        told = await harness.agent.open_session("a title", Directory("/workspace/other"))
        untold = await harness.agent.open_session("a title")

        assert (told.directory, untold.directory) == ("/workspace/other", await harness.agent.workspace())

    async def test_a_session_is_found_by_its_id(self, harness: AgentHarness) -> None:
        session = await harness.agent.open_session("")

        assert await harness.agent.find_session(session.id) == FoundSession(session)

    @pytest.mark.parametrize("name", ["ses_unknown", "nothing", "ses_/../../config", "", "ses_\n", "ses_" + "x" * 500])
    async def test_a_session_that_there_is_not_is_not_found(self, harness: AgentHarness, name: str) -> None:
        assert await harness.agent.find_session(SessionId(name)) is None

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
        assert (await recalled(harness.agent, turn, message)).pending == 0

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

        later = await recalled(harness.agent, turn, message)

        assert later.blocks == turn.fold.blocks
        assert (later.state, later.usage) == (turn.fold.state, turn.fold.usage)

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

    async def test_who_attends_is_called_once_and_hears_all_of_it_later(self, harness: AgentHarness) -> None:
        session = await harness.agent.open_session("")
        message, called = harness.message(Say("one two three")), asyncio.Event()
        calls: list[None] = []

        def call() -> None:
            calls.append(None)
            called.set()

        async with listening(harness.agent, session, message) as turn:
            await turn.settle()
            turn.hearing.attend(call)
            await harness.agent.prompt(prompt_of(turn, message))
            async with asyncio.timeout(10):
                await called.wait()
            await turn.end()

        assert (turn.text, calls) == ("one two three", [None])

    async def test_who_attends_is_called_at_once_if_something_was_said(self, harness: AgentHarness) -> None:
        session = await harness.agent.open_session("")
        calls: list[str] = []
        async with listening(harness.agent, session, harness.message(Say("nothing"))) as turn:
            turn.hearing.wake()
            turn.hearing.attend(lambda: calls.append("woken"))
            await turn.hear()
            turn.hearing.attend(lambda: calls.append("never"))
            turn.hearing.attend(None)
            turn.hearing.wake()

        assert calls == ["woken"]

    async def test_who_is_interrupted_while_listening_misses_nothing(self, harness: AgentHarness) -> None:
        session = await harness.agent.open_session("")
        message = harness.message(Say("one two three four five six"))
        async with (
            listening(harness.agent, session, message) as turn,
            listening(harness.agent, session, message, prompt=turn.turn.prompt) as other,
        ):
            for patience in range(20):
                waiting = asyncio.get_running_loop().create_task(turn.hear())
                if patience == 1:
                    await harness.agent.prompt(prompt_of(turn, message))
                for _ in range(patience % 5):
                    await checkpoint()
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            await other.end()
            await turn.end()

        both = min(len(turn.heard), len(other.heard))  # what comes behind the end may be left unheard
        assert turn.heard[:both] == other.heard[:both]

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

    @pytest.mark.out_of_reach
    async def test_a_runtime_out_of_reach_says_what_to_do_and_raises_nothing(self, harness: AgentHarness) -> None:
        async with harness.down():
            readiness = await harness.agent.probe()

        assert not readiness.ready
        assert readiness.remedy

    @pytest.mark.out_of_reach
    async def test_calls_to_a_runtime_out_of_reach_are_worth_another_try(self, harness: AgentHarness) -> None:
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

    async def _rest(self, harness: AgentHarness, turn: Follower) -> None:
        """Wait until the session rests, without hearing."""
        async with asyncio.timeout(10):
            while turn.session.id in (await harness.agent.recall(turn.session, turn.turn.prompt)).busy:
                await checkpoint()
