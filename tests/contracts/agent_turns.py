"""The contract of the port `Agent`: prompts, what comes of them, and what is asked."""

from __future__ import annotations

from opencode_a2a_server.domain.changes import FileStatus
from opencode_a2a_server.domain.ids import Principal, RequestId
from opencode_a2a_server.domain.interrupt import (
    Permission,
    PermissionAnswer,
    Question,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
)
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.turn import Turn
from opencode_a2a_server.domain.updates import BlockKind
from tests.contracts.follower import following, prompt_of, recalled
from tests.contracts.harness import AgentHarness
from tests.fakes.acts import AskPermission, AskQuestion, Fail, Hang, Reason, RunTool, Say, WriteFile

_YES = PermissionAnswer(Verdict.ONCE)


class TurnContract:
    """A part of the suite."""

    # Files

    async def test_what_a_turn_changed_can_be_asked_for_once_it_told_so(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(WriteFile("a.txt", "hello"), Say("done"))) as turn:
            await turn.end()

            changes = await harness.agent.changes(turn.session, turn.turn.prompt)

        assert [path.rpartition("/")[2] for path in turn.turn.changed] == ["a.txt"]
        assert [(change.path, change.status, change.added) for change in changes] == [("a.txt", FileStatus.ADDED, 1)]
        assert changes[0].hunks.splitlines()[1:] == ["+hello"]

    async def test_changes_that_were_not_heard_are_recalled(self, harness: AgentHarness) -> None:
        async with following(harness.agent, harness.message(WriteFile("a.txt", "hello"), Hang())) as turn:
            await turn.until(lambda _: turn.turn.changed)
            again = Turn(turn.session.id, turn.turn.prompt)

            again.receive(await harness.agent.recall(turn.session, turn.turn.prompt))

            assert again.changed == turn.turn.changed
            await harness.agent.abort(turn.session)

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
        assert await recalled(harness.agent, turn, message) == turn.fold

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
