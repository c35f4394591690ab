"""The scripted agent, beyond what the contract of its port says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.scripted import (
    CONFORMANCE,
    AskInput,
    AskPermission,
    AskQuestion,
    Complete,
    Delay,
    Delegate,
    Echo,
    Fail,
    GiveFile,
    Hang,
    NeedAuth,
    Recall,
    Reject,
    Reply,
    Rule,
    Say,
    Script,
    Scripted,
    ScriptError,
    Scripts,
    Spend,
    Step,
    UseTool,
    factory,
)
from opencode_a2a_server.adapters.outbound.scripted.session import ScriptedHearing
from opencode_a2a_server.app.ports.agent import Prompt, Surroundings
from opencode_a2a_server.domain.events import Gap, SessionBusy, SessionIdle, TextDelta
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, SessionId, TaskId
from opencode_a2a_server.domain.interrupt import Inquiry, Option, PermissionAnswer, QuestionAnswer, Verdict
from opencode_a2a_server.domain.message import DataPart, Message, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import BlockKind
from opencode_a2a_server.domain.usage import Usage
from tests.contracts.follower import Follower, following, prompt_of, recalled
from tests.fakes.clock import TurnedClock
from tests.fakes.ids import CountedIds

pytestmark = pytest.mark.anyio

ALICE = Principal("alice")


@pytest.fixture
def clock() -> TurnedClock:
    """Give time."""
    return TurnedClock()


@pytest.fixture
async def agent(anyio_backend: str, clock: TurnedClock) -> AsyncIterator[Scripted]:
    """Give an agent that plays the built-in scripts."""
    async with Scripted(clock, CountedIds()) as agent:
        yield agent


def message(text: str = "", message_id: str = "m", *more: DataPart | RawPart | UrlPart) -> Message:
    """Give a message."""
    return Message(MessageId(message_id), Role.USER, (TextPart(text), *more))


def play(agent: Scripted, *steps: Step) -> Message:
    """Have every message play these steps; gives one."""
    agent.scripts = Scripts.always(*steps)
    return message("the message")


async def played(agent: Scripted, *steps: Step) -> Follower:
    """Give what comes of steps."""
    async with following(agent, play(agent, *steps)) as turn:
        await turn.end()
        return turn


# Steps


async def test_a_text_is_told_a_chunk_a_word(agent: Scripted) -> None:
    turn = await played(agent, Say(" one  two\nthree "))

    assert [event.text for event in turn.heard if isinstance(event, TextDelta)] == [" one  ", "two\n", "three "]


@pytest.mark.parametrize(
    ("chunks", "told"), [(1, ["abcde"]), (2, ["abc", "de"]), (5, list("abcde")), (9, list("abcde"))]
)
async def test_a_text_is_told_in_as_many_chunks_as_wanted(agent: Scripted, chunks: int, told: list[str]) -> None:
    turn = await played(agent, Say("abcde", chunks))

    assert [event.text for event in turn.heard if isinstance(event, TextDelta)] == told


async def test_an_empty_text_is_no_block(agent: Scripted) -> None:
    turn = await played(agent, Say(""), Say("", 3))

    assert turn.fold.blocks == ()
    assert turn.task.state is TaskState.COMPLETED


async def test_an_echo_puts_what_is_not_text_into_words(agent: Scripted) -> None:
    agent.scripts = Scripts.always(Echo("> "))
    parts = (RawPart(b"a", "text/plain", "a.txt"), UrlPart("https://x/b", "image/png"), DataPart({"a": 1}))

    async with following(agent, message("see", "m", *parts)) as turn:
        await turn.end()

    assert turn.text == "> see\n(file a.txt)\n(file image/png)\n(data)"


async def test_what_was_said_before_can_be_recalled(agent: Scripted) -> None:
    async with following(agent, message("first")) as first:
        await first.end()
    async with following(agent, message("second"), first.session) as second:
        await second.end()

    async with following(agent, message("[[recall]]"), first.session) as third:
        await third.end()

    assert third.text == "first\nsecond"


async def test_nothing_was_said_before_the_first_message(agent: Scripted) -> None:
    assert "nothing" in (await played(agent, Recall())).text


async def test_a_tool_shows_its_input_and_what_came_of_it(agent: Scripted) -> None:
    turn = await played(agent, UseTool("ls", {"path": "/"}, output="a"), UseTool("rm", error="no"))

    calls = [artifact.parts[0] for artifact in turn.task.artifacts.values() if artifact.kind is BlockKind.TOOL]
    shown = [part.data for part in calls if isinstance(part, DataPart)]
    assert [data.get("status") for data in shown if isinstance(data, dict)] == ["completed", "error"]
    assert [data.get("input") for data in shown if isinstance(data, dict)] == [{"path": "/"}, {}]


async def test_a_file_may_be_given_by_where_it_is(agent: Scripted) -> None:
    turn = await played(agent, GiveFile("a", "text/plain", url="https://x/a"))

    (artifact,) = turn.task.artifacts.values()
    assert artifact.parts == (UrlPart("https://x/a", "text/plain", "a"),)


@pytest.mark.parametrize("more", [{}, {"raw": b"a", "url": "https://x/a"}])
def test_a_file_is_either_here_or_somewhere(more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="one of them"):
        GiveFile("a", **more)  # type: ignore[arg-type]


async def test_time_passes_by_the_services_clock(agent: Scripted, clock: TurnedClock) -> None:
    async with following(agent, play(agent, Delay(60), Say("later"))) as turn:
        await clock.turn(59)
        seen = await agent.recall(turn.session, turn.turn.prompt)
        assert seen.busy

        await clock.turn(1)
        await turn.end()

    assert turn.text == "later"


async def test_what_a_script_spends_is_the_turns(agent: Scripted) -> None:
    turn = await played(agent, Spend(Usage(output_tokens=5, cost=0.5)), Spend(Usage(cost=0.25)))

    assert turn.task.usage is not None
    assert turn.task.usage.cost == pytest.approx(0.75)


async def test_a_script_that_ends_early_leaves_out_the_rest(agent: Scripted) -> None:
    turn = await played(agent, Say("a"), Complete("enough"), Say("never"))

    assert (turn.text, turn.said_last) == ("a", "enough")


async def test_a_sub_agents_failure_fails_its_tool_only(agent: Scripted) -> None:
    turn = await played(agent, Delegate((Fail("below"),)), Say("above"))

    assert (turn.text, turn.task.state) == ("above", TaskState.COMPLETED)


async def test_a_sub_agent_may_end_early(agent: Scripted) -> None:
    turn = await played(agent, Delegate((Say("below "), Complete("done"), Say("never"))), Say("above"))

    assert (turn.text, turn.task.state) == ("below above", TaskState.COMPLETED)


@pytest.mark.parametrize("step", [AskInput(), NeedAuth(), Reject(), Reply("hi")])
def test_a_sub_agent_cannot_halt_the_task(step: AskInput | NeedAuth | Reject | Reply) -> None:
    with pytest.raises(ValueError, match=type(step).__name__):
        Delegate((step,))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (PermissionAnswer(Verdict.ONCE), "once then"),
        (PermissionAnswer(Verdict.ALWAYS), "always then"),
        (PermissionAnswer(Verdict.REJECT), "reject then"),
        (PermissionAnswer(Verdict.REJECT, "because"), "reject then"),
    ],
)
async def test_a_permission_goes_on_by_its_verdict(agent: Scripted, answer: PermissionAnswer, text: str) -> None:
    branches: dict[Verdict | str, Script] = {verdict.value: (Say(f"{verdict.value} "),) for verdict in Verdict}
    async with following(agent, play(agent, AskPermission("bash", ("ls",), branches), Say("then"))) as turn:
        await agent.answer(turn.session, await turn.asked(), answer)
        await turn.end()

    assert turn.text == text


async def test_several_inquiries_are_answered_together(agent: Scripted) -> None:
    asked = AskQuestion((Inquiry("A?", options=(Option("x"),)), Inquiry("B?")))
    async with following(agent, play(agent, asked)) as turn:
        await agent.answer(turn.session, await turn.asked(), QuestionAnswer((("x",), ("y", "z"))))
        await turn.end()

    assert turn.text == "x; y, z"


async def test_answers_may_go_untold(agent: Scripted) -> None:
    async with following(agent, play(agent, AskQuestion((Inquiry("A?"),), echo=False), Say("thanks"))) as turn:
        await agent.answer(turn.session, await turn.asked(), QuestionAnswer((("x",),)))
        await turn.end()

    assert turn.text == "thanks"


async def test_what_a_script_ended_in_can_be_recalled(agent: Scripted) -> None:
    turn = await played(agent, Say("a"), Reject("no"))

    later = await recalled(agent, turn, message())

    assert (later.state, later.said) == ("rejected", "no")


async def test_an_abort_leaves_alone_what_a_sub_agent_has_finished(agent: Scripted) -> None:
    steps = play(agent, Delegate((Say("done"),)), Delegate((Say("so far"), Hang())), Hang())
    async with following(agent, steps, canceling=True) as turn:
        await turn.until(lambda _: turn.text == "doneso far")

        await agent.abort(turn.session)
        await turn.end()

    calls = [artifact.parts[0] for artifact in turn.task.artifacts.values() if artifact.kind is BlockKind.TOOL]
    states = [part.data["status"] for part in calls if isinstance(part, DataPart) and isinstance(part.data, dict)]
    assert states == ["completed", "error"]


# Which script plays


def test_scripts_can_be_given_by_their_texts() -> None:
    scripts = Scripts.by_text({"hi *": (Say("hello"),)})

    assert [scripts(message("Hi there")), scripts(message("bye"))] == [(Say("hello"),), (Echo(),)]


def test_the_longest_message_id_wins_then_the_first_text_then_the_rest() -> None:
    scripts = Scripts(
        (
            Rule((Say("a"),), message_id="tck-"),
            Rule((Say("b"),), message_id="tck-long"),
            Rule((Say("c"),), text="say *"),
            Rule((Say("d"),), text="say hello"),
        )
    )

    chosen = [
        scripts(message("say hello", "tck-longer")),
        scripts(message("say hello", "tck-other")),
        scripts(message(" SAY   hello ")),
        scripts(message("hello")),
    ]

    assert chosen == [(Say("b"),), (Say("a"),), (Say("c"),), (Echo(),)]


@pytest.mark.parametrize("more", [{}, {"message_id": "a", "text": "b"}])
def test_a_rule_is_by_message_id_or_by_text(more: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="one of them"):
        Rule((Say("a"),), **more)


def test_a_reply_stands_alone() -> None:
    with pytest.raises(ValueError, match="only step"):
        Scripts.always(Say("a"), Reply("b"))


async def test_a_choice_that_breaks_fails_the_turn(agent: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Message) -> Script:
        raise ZeroDivisionError

    agent.scripts = broken
    async with following(agent, message("x")) as turn:
        await turn.end()

    assert turn.task.state is TaskState.FAILED
    assert "no script could be chosen" in turn.said_last
    assert "ZeroDivisionError" in caplog.text


async def test_a_step_that_breaks_fails_the_turn(agent: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    turn = await played(agent, Say("a"), Delay("soon"))  # type: ignore[arg-type]

    assert (turn.text, turn.task.state) == ("a", TaskState.FAILED)
    assert "a script broke" in caplog.text


async def test_a_reply_needs_no_task(agent: Scripted) -> None:
    reply = await agent.reply(ALICE, message("[[reply hi]]"))

    assert reply is not None
    assert (reply.role, reply.text) == (Role.AGENT, "hi")


async def test_a_reply_to_a_task_goes_into_the_task(agent: Scripted) -> None:
    assert (await played(agent, Reply("hi"))).text == "hi"


@pytest.mark.parametrize(
    ("prefix", "state", "said"),
    [
        ("tck-complete-task", TaskState.COMPLETED, "Hello from TCK"),
        ("tck-input-required", TaskState.INPUT_REQUIRED, "What else should I know?"),
        ("tck-auth-required", TaskState.AUTH_REQUIRED, "Sign in elsewhere, then send another message."),
        ("tck-reject-task", TaskState.REJECTED, "rejected"),
        ("tck-delayed-complete", TaskState.COMPLETED, "Hello from TCK"),
        ("test-resubscribe-message-id", TaskState.COMPLETED, ""),
        ("tck-stream-002", TaskState.COMPLETED, ""),
    ],
)
async def test_the_conformance_suites_message_ids_end_as_it_wants(
    agent: Scripted, clock: TurnedClock, prefix: str, state: TaskState, said: str
) -> None:
    async with following(agent, message("x", f"{prefix}-1a2b")) as turn:
        await clock.turn(5)
        await turn.end()

    assert (turn.task.state, turn.said_last, turn.text) == (state, said, "")


@pytest.mark.parametrize(
    ("prefix", "kinds"),
    [
        ("tck-artifact-text", [TextPart]),
        ("tck-artifact-file", [RawPart]),
        ("tck-artifact-file-url", [UrlPart]),
        ("tck-artifact-data", [DataPart]),
        ("tck-stream-001", [TextPart]),
        ("tck-stream-003", [TextPart]),
        ("tck-stream-ordering-001", [TextPart]),
        ("tck-stream-artifact-text", [TextPart]),
        ("tck-stream-artifact-file", [RawPart]),
        ("tck-stream-artifact-chunked", [TextPart]),
    ],
)
async def test_the_conformance_suites_message_ids_give_what_it_wants(
    agent: Scripted, prefix: str, kinds: list[type]
) -> None:
    async with following(agent, message("x", f"{prefix}-1a2b")) as turn:
        await turn.end()

    assert [type(part) for artifact in turn.task.artifacts.values() for part in artifact.parts] == kinds
    assert turn.task.state is TaskState.COMPLETED


def test_the_conformance_suite_gets_its_bare_message() -> None:
    assert CONFORMANCE(message("x", "tck-message-response-1")) == (Reply("Direct message response"),)


# Sessions


async def test_a_prompt_that_comes_while_another_plays_waits_for_its_end(agent: Scripted) -> None:
    first_message, second_message = message("[[ask permission bash]][[say one]]"), message("[[say two]]", "n")
    async with following(agent, first_message) as first:
        asked = await first.asked()
        async with following(agent, second_message, first.session) as second:
            assert second.text == ""

            await agent.answer(first.session, asked, PermissionAnswer(Verdict.ONCE))
            await first.end()
            await second.end()

    assert (first.text, second.text) == ("one", "two")


async def test_an_abort_stops_what_waits_as_well(agent: Scripted) -> None:
    async with following(agent, message("[[say one]][[hang]]"), canceling=True) as first:
        await first.until(lambda _: first.text)
        async with following(agent, message("[[say two]]", "n"), first.session, canceling=True) as second:
            await agent.abort(first.session)
            await second.look()

    assert (second.text, second.task.state) == ("", TaskState.CANCELED)


async def test_a_task_that_halted_goes_on_behind_where_it_did(agent: Scripted) -> None:
    async with following(agent, play(agent, Say("a"), AskInput("and?"), Say("b"))) as first:
        await first.end()

    async with following(agent, message("more"), first.session) as second:
        await second.end()

    assert (first.task.state, second.text) == (TaskState.INPUT_REQUIRED, "b")


async def test_a_session_it_does_not_know_begins_empty(agent: Scripted) -> None:
    unknown = Session(SessionId("ses-of-another-life"), Directory("/"))

    async with following(agent, message("[[recall]]"), unknown) as turn:
        await turn.end()

    assert "nothing" in turn.text


async def test_an_abort_at_rest_says_that_the_session_rests(agent: Scripted) -> None:
    session = await agent.open_session("")
    async with agent.hear(session) as hearing:
        await agent.abort(session)

        assert await hearing.next() == [SessionIdle(session.id)]


async def test_an_answer_after_leaving_changes_nothing(clock: TurnedClock) -> None:
    made = Scripted(clock, CountedIds(), Scripts.always(AskPermission("bash")))
    async with made as agent, following(agent, message()) as turn:
        asked = await turn.asked()

    assert await agent.answer(turn.session, asked, PermissionAnswer(Verdict.ONCE))


async def test_leaving_drops_what_still_plays(clock: TurnedClock) -> None:
    async with Scripted(clock, CountedIds(), Scripts.always(Hang())) as agent:
        session = await agent.open_session("")
        await agent.prompt(Prompt(MessageId("p"), session, TaskId("t"), ContextId("c"), message()))
        await clock.turn()

    assert not [job for job in asyncio.all_tasks() if job.get_name().startswith("script of")]


# Listeners


async def test_a_listener_that_does_not_listen_gets_a_gap_instead(agent: Scripted) -> None:
    hearing = ScriptedHearing()
    for _ in range(50_001):
        hearing.tell(SessionBusy(SessionId("s")))

    heard = await hearing.next()

    assert heard == [Gap(), SessionBusy(SessionId("s"))]


async def test_who_comes_during_a_lapse_hears_nothing_but_gaps(agent: Scripted, clock: TurnedClock) -> None:
    with agent.lapse():
        async with following(agent, play(agent, Say("missed"))) as turn:
            await turn.hear()
            assert turn.heard == [Gap()]

            await clock.turn()
            await turn.look()

    assert (turn.text, turn.task.state) == ("missed", TaskState.COMPLETED)


# Making one


async def test_the_factory_plays_the_file_that_the_environment_names(tmp_path: Path, clock: TurnedClock) -> None:
    path = tmp_path / "scripts.toml"
    path.write_text('default = [{ say = "from a file" }]', encoding="utf-8")

    made = factory(Surroundings(clock, CountedIds(), {"A2A_SCRIPT": str(path)}))
    async with made as agent, following(agent, message("x")) as turn:
        await turn.end()

    assert turn.text == "from a file"


def test_a_file_given_takes_the_place_of_the_environments(tmp_path: Path, clock: TurnedClock) -> None:
    with pytest.raises(ScriptError, match=r"given\.toml"):
        factory(Surroundings(clock, CountedIds(), {"A2A_SCRIPT": "other.toml"}), tmp_path / "given.toml")


async def test_without_a_file_the_built_in_scripts_play(clock: TurnedClock) -> None:
    async with factory(Surroundings(clock, CountedIds())) as agent, following(agent, message("hello")) as turn:
        await turn.end()
        await agent.prompt(prompt_of(turn, message("hello")))

    assert turn.text == "hello"
