from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import frozen

from opencode_a2a_server.domain.events import (
    ContentSeen,
    Event,
    Failure,
    Gap,
    MessageRemoved,
    PartRemoved,
    Recollection,
    SessionGone,
    SessionIdle,
    SessionOpened,
    SessionRetrying,
    TextDelta,
    TextKind,
    ToolState,
    TurnOver,
)
from opencode_a2a_server.domain.ids import ArtifactId, MessageId, PartId, Principal, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import Answerer, Channel, PermissionAnswer, Verdict
from opencode_a2a_server.domain.message import DataPart, RawPart, TextPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.turn import Limits, Turn
from opencode_a2a_server.domain.updates import (
    AnswerGiven,
    ArtifactTold,
    BlockKind,
    InterruptRaised,
    InterruptResolved,
    StatusChanged,
    TextAppended,
    Update,
)
from opencode_a2a_server.domain.usage import Usage

from .folding import PROMPT, SESSION, begun, tell, texts
from .telling import (
    ABORTED,
    BUSY,
    CHILD,
    DENIED,
    IDLE,
    SUB_AGENT,
    TRIES_AGAIN,
    answer,
    answered,
    asked_for,
    asks,
    delta,
    failed,
    opened,
    permission,
    shown,
    step,
    text,
    tool,
    underway,
)

BEGUN = (asked_for(), BUSY, answer())
DONE = (answer(finish="stop"), IDLE)


def hear(turn: Turn, *events: Event) -> list[Update]:
    return [update for event in events for update in turn.receive(event)]


def begin(*events: Event, limits: Limits | None = None, task: Task | None = None) -> Turn:
    turn = Turn.of(task or begun(), SESSION, PROMPT, limits or Limits())
    hear(turn, *events)
    return turn


def read(updates: Sequence[Update]) -> dict[str, str]:
    return texts(tell(begun(), updates))


# How a turn ends


@frozen
class Ending:
    """What OpenCode tells at the end of a turn, and what becomes of the task."""

    name: str
    events: tuple[Event, ...]
    state: TaskState | None
    said: str = ""
    failure: Failure | None = None
    canceling: bool = False


STEP = (step("s1", "tool-calls"), answer(finish="tool-calls"))
COMPLETED, FAILED, CANCELED = TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED
ABORTED_BY_OTHERS = "The turn was aborted in OpenCode."
BLOCKED = Failure("ContentFilterError", "blocked")
OVERFLOW = Failure("ContextOverflowError", "too long")
WORDLESS = Failure("StructuredOutputError", "")
LOST = "OpenCode stopped in mid-turn (was it restarted?): what it had not finished is lost"
UNANSWERED = "OpenCode took the prompt but did not answer it"
LOOKS_FOR_AN_ANSWER = 20
"""A cold OpenCode shows a rest for seconds before it begins."""
NEVER_RAN = "OpenCode accepted the prompt but never ran it: does the session's directory exist?"


def lost(words: str) -> Failure:
    return Failure("UpstreamLost", words)


ENDINGS = [
    Ending("success", (*BEGUN, text("hi"), answer(finish="stop"), BUSY, IDLE, IDLE), COMPLETED),
    Ending("length", (*BEGUN, text("hi"), answer(finish="length"), IDLE), COMPLETED),
    Ending("no text at all", (*BEGUN, *DONE), COMPLETED),
    Ending(
        "steps",
        (*BEGUN, *STEP, BUSY, answer("a2", created=30), answer("a2", created=30, finish="stop"), IDLE),
        COMPLETED,
    ),
    Ending(
        "content filter",
        (*BEGUN, answer(finish="content-filter", failure=BLOCKED), failed(BLOCKED), IDLE),
        FAILED,
        "blocked",
        BLOCKED,
    ),
    Ending(
        "content filter without a word of it",
        (*BEGUN, answer(finish="content-filter"), IDLE),
        FAILED,
        "the model's provider filtered the answer",
        Failure("ContentFilterError", "the model's provider filtered the answer"),
    ),
    Ending(
        "structured output", (*BEGUN, tool(ToolState.COMPLETED), *STEP, answer(finish="tool-calls"), IDLE), COMPLETED
    ),
    Ending(
        "structured output refused",
        (*BEGUN, text("no"), answer(finish="stop", failure=WORDLESS), IDLE),
        FAILED,
        "StructuredOutputError",
        WORDLESS,
    ),
    Ending(
        "401",
        (*BEGUN, failed(DENIED), IDLE, answer(completed=True, failure=DENIED), IDLE),
        FAILED,
        "no such key",
        DENIED,
    ),
    Ending("401, early idle only", (*BEGUN, failed(DENIED), IDLE), None),
    Ending(
        "retries that fail",
        (*BEGUN, TRIES_AGAIN, BUSY, failed(DENIED), IDLE, answer(completed=True, failure=DENIED), IDLE),
        FAILED,
        "no such key",
        DENIED,
    ),
    Ending("retry that helps", (*BEGUN, TRIES_AGAIN, BUSY, text("hi"), *DONE), COMPLETED),
    Ending(
        "abort by us",
        (*BEGUN, failed(ABORTED), IDLE, answer(completed=True, failure=ABORTED), IDLE),
        CANCELED,
        canceling=True,
    ),
    Ending(
        "abort by others",
        (*BEGUN, failed(ABORTED), IDLE, answer(completed=True, failure=ABORTED), IDLE),
        CANCELED,
        ABORTED_BY_OTHERS,
    ),
    Ending("abort in a retry", (*BEGUN, TRIES_AGAIN, answer(completed=True), IDLE), CANCELED, ABORTED_BY_OTHERS),
    Ending("abort by us in a retry", (*BEGUN, TRIES_AGAIN, answer(completed=True), IDLE), CANCELED, canceling=True),
    Ending("abort between steps", (*BEGUN, *STEP, IDLE), CANCELED, canceling=True),
    Ending("abort that came too late", (*BEGUN, text("hi"), *DONE), COMPLETED, canceling=True),
    Ending(
        "permission rejected",
        (*BEGUN, asks(permission()), answered(resolution="reject"), tool(ToolState.ERROR), *STEP, IDLE),
        COMPLETED,
        "Stopped: the request was rejected.",
    ),
    Ending(
        "context overflow",
        (
            *BEGUN,
            failed(OVERFLOW),
            answer(completed=True),
            asked_for("c1", 30),
            answer("a2", created=31, parent="c1", summary=True),
            answer("a2", created=31, parent="c1", summary=True, finish="stop"),
            asked_for("c2", 40),
            answer("a3", created=41, parent="c2"),
            text("at last", message="a3"),
            answer("a3", created=41, parent="c2", finish="stop"),
            IDLE,
        ),
        COMPLETED,
    ),
    Ending(
        "compaction that fails",
        (
            *BEGUN,
            failed(OVERFLOW),
            answer(completed=True),
            asked_for("c1", 30),
            answer("a2", created=31, parent="c1", summary=True),
            answer("a2", created=31, parent="c1", summary=True, finish="error", failure=OVERFLOW),
            IDLE,
        ),
        FAILED,
        "too long",
        OVERFLOW,
    ),
    Ending(
        "overflow without compaction",
        (*BEGUN, failed(OVERFLOW), answer(completed=True), IDLE),
        FAILED,
        "too long",
        OVERFLOW,
    ),
    Ending(
        "an error without a word of it",
        (*BEGUN, answer(finish="error"), IDLE),
        FAILED,
        "the model ended with an error",
        Failure("UnknownError", "the model ended with an error"),
    ),
    Ending("an error that did not matter", (failed(DENIED), *BEGUN, text("hi"), *DONE), COMPLETED),
    Ending(
        "shell command", (asked_for(), answer(), answer(completed=True), tool(ToolState.COMPLETED), IDLE), COMPLETED
    ),
    Ending(
        "unknown model",
        (asked_for(), BUSY, failed(DENIED), IDLE, failed(ABORTED), shown(asked_for())),
        FAILED,
        "no such key",
        DENIED,
    ),
    Ending("unknown agent", (failed(DENIED), failed(lost("stack trace")), shown()), FAILED, "no such key", DENIED),
    Ending("missing directory", (shown(),) * LOOKS_FOR_AN_ANSWER, FAILED, NEVER_RAN, lost(NEVER_RAN)),
    Ending("not begun yet", (shown(),) * (LOOKS_FOR_AN_ANSWER - 1), None),
    Ending("never answered", (shown(asked_for()),) * LOOKS_FOR_AN_ANSWER, FAILED, UNANSWERED, lost(UNANSWERED)),
    Ending("not answered yet", (shown(asked_for()),) * (LOOKS_FOR_AN_ANSWER - 1), None),
    Ending("canceled before it ran", (shown(), shown()), CANCELED, canceling=True),
    Ending("killed", (*BEGUN, delta("half"), Gap(), shown(answer()), shown(answer())), FAILED, LOST, lost(LOST)),
    Ending("killed, one look", (*BEGUN, delta("half"), Gap(), shown(answer())), None),
    Ending(
        "killed while it failed",
        (*BEGUN, failed(DENIED), shown(answer()), shown(answer())),
        FAILED,
        "no such key",
        DENIED,
    ),
    Ending("no finish reason", (*BEGUN, answer(finish="unknown"), BUSY, answer("a2", created=30)), None),
    Ending(
        "session forgotten",
        (*BEGUN, Recollection(frozenset(), (), known=False)),
        FAILED,
        "OpenCode no longer has the session",
        lost("OpenCode no longer has the session"),
    ),
    Ending(
        "session deleted",
        (*BEGUN, SessionGone(CHILD), SessionGone(SESSION)),
        FAILED,
        "the session was deleted in OpenCode",
        lost("the session was deleted in OpenCode"),
    ),
    Ending("session deleted by who canceled", (*BEGUN, SessionGone(SESSION)), CANCELED, canceling=True),
    Ending(
        "the runtime says so",
        (*BEGUN, TurnOver(SESSION, TaskState.REJECTED, "not my job")),
        TaskState.REJECTED,
        "not my job",
    ),
    Ending("another one's end", (*BEGUN, SUB_AGENT, TurnOver(CHILD, TaskState.COMPLETED)), None),
    Ending("feed off", (shown(asked_for(), answer(finish="stop"), text("hi")),), COMPLETED),
    Ending(
        "feed off, failed", (shown(asked_for(), answer(completed=True, failure=DENIED)),), FAILED, "no such key", DENIED
    ),
    Ending("feed off, between steps", (shown(asked_for(), *STEP),), None),
    Ending("feed off, ended by a tool", (shown(asked_for(), *STEP), shown(asked_for(), *STEP)), COMPLETED),
    Ending("feed off, busy", (shown(asked_for(), answer(finish="stop"), busy=(SESSION,)),), None),
]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.name)
def test_a_turn_ends_as_it_ends_in_opencode(ending: Ending) -> None:
    task, turn = begun(), begin()
    turn.canceling = ending.canceling

    tell(task, hear(turn, *ending.events))

    assert turn.outcome is ending.state
    assert task.state is (ending.state or TaskState.WORKING)
    if ending.state is not None:
        assert [part.text for part in task.status.parts if isinstance(part, TextPart)] == (
            [ending.said] if ending.said else []
        )
        assert task.failure == ending.failure
        assert not turn.doubtful


# Signs that are not to be trusted


def test_an_idle_before_the_last_message_is_whole_raises_a_doubt() -> None:
    turn = begin(*BEGUN)

    assert hear(turn, IDLE) == []
    assert turn.outcome is None
    assert turn.doubtful


def test_an_idle_while_text_is_open_raises_a_doubt() -> None:
    turn = begin(*BEGUN, opened(), answer(finish="stop"), IDLE)

    assert turn.outcome is None
    assert turn.doubtful


def test_a_late_idle_of_the_turn_before_ends_nothing() -> None:
    turn = begin(answer("old", parent="msg_before", finish="stop"), IDLE)

    assert turn.outcome is None


def test_a_late_idle_ends_nothing_even_if_a_step_is_already_known() -> None:
    turn = begin(shown(asked_for(), *STEP, busy=(SESSION,)), IDLE)

    assert turn.outcome is None


def test_a_late_error_of_the_turn_before_is_not_this_turns() -> None:
    turn = begin(failed(DENIED), asked_for(), *(shown(asked_for()),) * LOOKS_FOR_AN_ANSWER)

    assert turn.outcome is TaskState.FAILED
    assert turn.close(TaskState.COMPLETED) == []


def test_another_sessions_idle_and_error_say_nothing() -> None:
    turn = begin(*BEGUN, SUB_AGENT, SessionIdle(CHILD), failed(DENIED, CHILD))

    assert turn.outcome is None
    assert not turn.doubtful


def test_a_doubt_is_over_when_the_session_is_seen_at_work() -> None:
    turn = begin(*BEGUN, IDLE, shown(answer(), busy=(SESSION,)))

    assert not turn.doubtful


def test_doubts_are_counted_from_the_last_sign_of_life() -> None:
    turn = begin(*BEGUN, shown(answer()), answer("a2", created=30), shown(answer(), answer("a2", created=30)))

    assert turn.outcome is None
    assert turn.doubtful


def test_an_older_telling_of_a_message_changes_nothing() -> None:
    turn = begin(*BEGUN, answer(finish="stop"), shown(asked_for(), answer(), busy=(SESSION,)), IDLE)

    assert turn.outcome is TaskState.COMPLETED


def test_the_last_answer_is_the_youngest_not_the_one_heard_last() -> None:
    turn = begin(
        asked_for(), answer("a2", created=30), shown(asked_for(), *STEP, answer("a2", created=30), busy=(SESSION,))
    )

    hear(turn, IDLE)

    assert turn.outcome is None


# What is told


def test_text_is_told_as_it_comes() -> None:
    updates = hear(begin(), *BEGUN, opened(), delta("one "), delta("two"), text("one two"))

    begins = ArtifactTold(PartId("p1"), BlockKind.TEXT, (TextPart("one "),), message=MessageId("a1"))  # type: ignore[arg-type]
    assert updates == [begins, TextAppended(begins.artifact, "two"), TextAppended(begins.artifact, "", last=True)]


def test_deltas_that_came_together_become_one_update() -> None:
    turn = begin(*BEGUN, opened(), opened("p2"))

    updates = turn.receive_all([delta("a"), delta("b"), delta("x", "p2"), delta("c"), delta("d"), IDLE, delta("e")])

    assert [update.text for update in updates if isinstance(update, TextAppended)] == ["cd", "e"]
    assert read(updates) == {"p1": "abcde", "p2": "x"}


def test_all_answers_of_the_turn_are_told_not_only_the_last() -> None:
    turn = begin()

    updates = hear(
        turn,
        *BEGUN,
        text("first"),
        text("why", "p2", kind=TextKind.REASONING),
        *STEP,
        answer("a2", created=30),
        text("second", "p3", "a2"),
    )

    assert read(updates) == {"p1": "first", "p2": "why", "p3": "second"}


def test_what_the_user_or_opencode_itself_says_is_not_told() -> None:
    turn = begin()

    updates = hear(
        turn,
        delta("early", "p0", PROMPT),
        asked_for(),
        text("do it", "p0", PROMPT),
        delta("!", "p0", PROMPT),
        answer(),
        text("Called the Read tool", "p2", synthetic=True),
        delta("more", "p2"),
        answer("a2", parent="msg_before"),
        text("other turn", "p3", "a2"),
        answer("a3", created=30, summary=True),
        opened("p4", "a3"),
        delta("summary", "p4", "a3"),
        text("summary", "p4", "a3"),
    )

    assert updates == []


def test_prompts_that_were_merged_with_ours_are_answered_here() -> None:
    turn = begin(*BEGUN, asked_for("msg_other", 25), *STEP)

    updates = hear(turn, answer("a2", created=30, parent="msg_other"), text("both", "p2", "a2"))

    assert read(updates) == {"p2": "both"}


def test_what_is_said_before_it_is_known_who_says_it_is_kept() -> None:
    turn = begin(asked_for())

    assert hear(turn, opened(), delta("a"), delta("b")) == []
    updates = hear(turn, answer(), delta("c"))

    assert read(updates) == {"p1": "abc"}


def test_if_too_much_is_said_the_whole_text_settles_it() -> None:
    turn = begin(asked_for(), opened())

    hear(turn, *[delta("x") for _ in range(5000)])
    updates = hear(turn, answer(), delta("y"))

    assert turn.doubtful
    assert set(read(updates)["p1"]) == {"x"}
    assert read([*updates, *hear(turn, text("x" * 5000 + "y"))]) == {"p1": "x" * 5000 + "y"}


def test_deltas_before_their_block_are_kept() -> None:
    turn = begin(*BEGUN)

    assert hear(turn, delta("a"), delta("b")) == []
    hear(turn, answer(finish="stop"), IDLE)
    assert turn.doubtful

    assert read(hear(turn, opened(), delta("c"))) == {"p1": "abc"}


def test_too_many_deltas_before_their_block_wait_for_the_whole_text() -> None:
    turn = begin(*BEGUN, *[delta("x") for _ in range(5000)])

    assert hear(turn, opened(), delta("y")) == []
    assert read(hear(turn, text("all"))) == {"p1": "all"}


def test_an_empty_block_is_none() -> None:
    assert hear(begin(*BEGUN), opened(), text("")) == []


def test_a_tool_call_is_told_when_it_changes() -> None:
    turn = begin(*BEGUN)

    updates = hear(
        turn,
        tool(ToolState.PENDING, tool="no_such_tool"),
        tool(ToolState.PENDING, tool="no_such_tool"),
        tool(ToolState.RUNNING, tool="invalid", input={"tool": "no_such_tool"}),
        tool(ToolState.RUNNING, tool="invalid", input={"tool": "no_such_tool"}, output="growing"),
        tool(ToolState.PENDING),
        tool(ToolState.COMPLETED, tool="invalid", input={"tool": "no_such_tool"}, output="no", title="Invalid"),
        tool(ToolState.ERROR, error="too late"),
    )

    told = [update for update in updates if isinstance(update, ArtifactTold)]
    assert [(update.name, update.last) for update in told] == [
        ("no_such_tool", False),
        ("invalid", False),
        ("invalid", True),
    ]
    assert told[-1].parts == (
        DataPart(
            {
                "call_id": "call_t1",
                "tool": "invalid",
                "status": "completed",
                "title": "Invalid",
                "input": {"tool": "no_such_tool"},
                "output": "no",
            }
        ),
    )


def test_files_a_tool_made_are_an_artifact_of_their_own() -> None:
    picture = RawPart(b"\x89", "image/png", "a.png")

    updates = hear(begin(*BEGUN), tool(ToolState.COMPLETED, files=(picture,), title="Plot"))

    assert updates[1:] == [
        ArtifactTold(PartId("t1-files"), BlockKind.CONTENT, (picture,), message=MessageId("a1"), name="Plot", last=True)  # type: ignore[arg-type]
    ]


def test_other_content_is_told_once() -> None:
    seen = ContentSeen(SESSION, MessageId("a1"), PartId("f1"), (DataPart([1]),), "numbers")

    updates = hear(begin(*BEGUN), seen, seen)

    assert len(updates) == 1


def test_a_runtime_without_messages_is_the_turns_own() -> None:
    turn = begin()

    updates = hear(turn, TextDelta(SESSION, None, PartId("p1"), "hi"), text("hi there", message=None))  # type: ignore[arg-type]

    assert read(updates) == {"p1": "hi there"}


# Sub-agents


def test_a_sub_agent_speaks_in_its_own_lane() -> None:
    turn = begin(*BEGUN, SUB_AGENT, asked_for("c0", 21, CHILD))

    updates = hear(turn, answer("c1", created=22, session=CHILD, parent="c0"), text("sub", "p2", "c1", session=CHILD))

    assert [update.lane for update in updates if isinstance(update, ArtifactTold)] == [CHILD]
    assert turn.family == {SESSION, CHILD}


def test_a_tool_call_names_a_sub_agent_too() -> None:
    turn = begin(
        *BEGUN, tool(ToolState.RUNNING, tool="task", child=CHILD), SessionOpened(SessionId("ses_grandchild"), CHILD)
    )

    assert turn.family == {SESSION, CHILD, "ses_grandchild"}


def test_sub_agents_of_earlier_turns_are_not_heard() -> None:
    old = answer("c1", created=5, session=CHILD, parent="c0", finish="stop")

    updates = hear(
        begin(*BEGUN, SUB_AGENT), old, text("old", "p2", "c1", session=CHILD), step("s2", message="c1", session=CHILD)
    )

    assert updates == []


def test_sub_agents_wait_until_it_is_known_since_when_the_turn_is() -> None:
    young = answer("c1", created=22, session=CHILD, parent="c0")
    turn = begin(SUB_AGENT, young, text("sub", "p2", "c1", session=CHILD))

    assert read(hear(turn, asked_for(), young)) == {"p2": "sub"}


def test_strangers_are_not_heard() -> None:
    stranger = SessionId("ses_stranger")

    updates = hear(
        begin(*BEGUN),
        SessionOpened(stranger, SessionId("ses_x")),
        answer("x1", session=stranger),
        text("x", "p2", "x1", session=stranger),
        asks(permission(session=stranger)),
        SessionRetrying(stranger, 1, "429"),
    )

    assert updates == []


# What does not count any more


def test_an_attempt_that_is_tried_again_is_withdrawn() -> None:
    turn = begin(*BEGUN, text("kept", "p0"))

    updates = hear(
        turn, opened(), delta("first try"), TRIES_AGAIN, delta("late"), text("first try"), text("second try", "p2")
    )

    assert read(updates) == {"p2": "second try"}
    assert [update.retry for update in updates if isinstance(update, StatusChanged)] == [1]


def test_an_attempt_whose_failure_was_missed_is_withdrawn_when_it_shows() -> None:
    turn = begin(*BEGUN)
    updates = hear(turn, opened(), delta("first try"), Gap())

    updates += hear(turn, shown(answer(finish="stop"), opened(), text("second try", "p2"), busy=(SESSION,)))

    assert read(updates) == {"p2": "second try"}


def test_a_retry_elsewhere_does_not_hide_what_is_asked() -> None:
    turn = begin(*BEGUN, asks(permission()))

    assert hear(turn, TRIES_AGAIN) == []


def test_what_is_removed_is_withdrawn() -> None:
    turn = begin(*BEGUN)
    updates = hear(turn, text("a"), delta("early", "p9"), tool(ToolState.RUNNING), text("b", "p2"))

    updates += hear(
        turn, PartRemoved(SESSION, MessageId("a1"), PartId("p1")), PartRemoved(SESSION, MessageId("a1"), PartId("p9"))
    )
    assert read(updates) == {"p2": "b"}
    updates += hear(turn, MessageRemoved(SESSION, MessageId("a1")), MessageRemoved(SESSION, MessageId("a1")))

    assert read(updates) == {}
    assert all(artifact.closed for artifact in tell(begun(), updates).artifacts.values())
    assert hear(turn, text("c", "p3"), IDLE) == []
    assert turn.doubtful


# Gaps


def test_after_a_gap_open_text_waits_for_the_whole() -> None:
    turn = begin(*BEGUN)
    updates = hear(turn, opened(), delta("one "), Gap())

    assert turn.doubtful
    assert hear(turn, delta("three"), shown(answer(), opened(), busy=(SESSION,)), delta("!")) == []
    updates += hear(turn, text("one two three!"))

    assert read(updates) == {"p1": "one two three!"}


def test_what_began_in_a_gap_waits_for_the_whole() -> None:
    turn = begin(*BEGUN, Gap(), delta("two"), shown(answer(), opened(), busy=(SESSION,)))

    assert hear(turn, delta(" three")) == []
    assert read(hear(turn, text("one two three"))) == {"p1": "one two three"}


def test_what_is_recalled_before_it_is_heard_is_told_as_it_comes() -> None:
    turn = begin(*BEGUN, shown(answer(), opened(), busy=(SESSION,)))

    assert read(hear(turn, opened(), delta("live"))) == {"p1": "live"}


def test_deltas_lost_before_their_block_are_not_skipped_over() -> None:
    turn = begin(*BEGUN, delta("one "), Gap())

    assert hear(turn, opened(), delta("two")) == []
    assert read(hear(turn, text("one two"), shown(answer(), text("one two"), busy=(SESSION,)))) == {"p1": "one two"}


def test_what_begins_after_a_gap_stands_behind_what_was_missed() -> None:
    turn = begin(*BEGUN, Gap())

    updates = hear(turn, opened("p2"), delta("thr", "p2"), tool(ToolState.RUNNING), opened("p3"), delta("five", "p3"))
    assert updates == []
    updates = hear(turn, shown(answer(), text("one "), opened("p2"), tool(ToolState.RUNNING), busy=(SESSION,)))
    updates += hear(turn, delta("ee", "p2"), delta(" six", "p3"))

    assert list(tell(begun(), updates).artifacts) == ["p1", "p2", "t1", "p3"]
    assert read(updates) == {"p1": "one ", "p2": "three", "p3": "five six"}


def test_a_block_goes_on_over_a_gap_while_what_begins_has_to_wait() -> None:
    turn = begin(*BEGUN)
    updates = hear(turn, tool(ToolState.RUNNING), opened("p1"), Gap())

    updates += hear(turn, opened("p2"), delta("no", "p2"), text("yes", "p1"), tool(ToolState.COMPLETED, output="done"))

    assert read(updates) == {"p1": "yes"}
    assert tell(begun(), updates).artifacts[ArtifactId("t1")].closed


def test_nothing_ends_before_what_was_missed_is_known() -> None:
    turn = begin(*BEGUN, Gap())

    assert hear(turn, text("two", "p2"), *DONE, IDLE) == []
    assert turn.doubtful
    updates = hear(turn, shown(answer(), text("one "), text("two", "p2"), *DONE))

    assert list(read(updates).items()) == [("p1", "one "), ("p2", "two")]
    assert turn.outcome is TaskState.COMPLETED


def test_what_waits_for_what_was_missed_is_told_when_that_will_never_be_known() -> None:
    turn = begin(*BEGUN, Gap(), text("two", "p2"))

    updates = turn.tell_behind()

    assert read(updates) == {"p2": "two"}
    assert read(hear(turn, text("three", "p3"))) == {"p3": "three"}


@pytest.mark.parametrize("end", [SessionGone(SESSION), shown(), TurnOver(SESSION, FAILED)])
def test_what_waits_for_what_was_missed_is_told_before_the_end(end: Event) -> None:
    turn = begin(*BEGUN, Gap(), opened("p2"), delta("two", "p2"))
    end = Recollection(frozenset(), (), known=False) if isinstance(end, Recollection) else end

    updates = hear(turn, end)

    assert read(updates) == {"p2": "two"}
    assert turn.outcome is FAILED


def test_what_waits_does_not_go_on_over_another_gap() -> None:
    turn = begin(*BEGUN, Gap(), opened("p2"), delta("one ", "p2"), Gap(), delta("three", "p2"))

    assert hear(turn, shown(answer(), opened("p2"), busy=(SESSION,)), delta("!", "p2")) == []
    assert read(hear(turn, text("one two three!", "p2"))) == {"p2": "one two three!"}


def test_what_waits_of_an_attempt_that_failed_is_not_told() -> None:
    turn = begin(*BEGUN, Gap(), text("whole", "p1"), opened("p2"), delta("first try", "p2"), tool(ToolState.RUNNING))

    updates = hear(turn, TRIES_AGAIN, opened("p3"), delta("second", "p3"), shown(answer(), busy=(SESSION,)))

    assert read(updates) == {"p1": "whole", "p3": "second"}
    assert ArtifactId("t1") in tell(begun(), updates).artifacts


def test_what_waits_of_a_message_that_is_removed_is_not_told() -> None:
    turn = begin(*BEGUN, answer("a2"), Gap(), text("no", "p2", "a2"), text("yes", "p1"))

    updates = hear(turn, MessageRemoved(SESSION, MessageId("a2")), shown(answer(), busy=(SESSION,)))

    assert read(updates) == {"p1": "yes"}


def test_a_part_that_is_removed_while_it_waits_is_not_read() -> None:
    turn = begin(*BEGUN, Gap(), text("no", "p2"), PartRemoved(SESSION, MessageId("a1"), PartId("p2")))

    assert read(hear(turn, shown(answer(), busy=(SESSION,)))) == {}


def test_a_sub_agent_of_a_call_that_has_to_wait_is_heard_at_once() -> None:
    turn = begin(*BEGUN, Gap(), tool(ToolState.RUNNING, child=CHILD))

    updates = hear(turn, asks(permission(1, CHILD, None)))

    assert turn.family == {SESSION, CHILD}
    assert isinstance(updates[0], InterruptRaised)


def test_so_much_is_kept_behind_what_was_missed_and_no_more() -> None:
    turn = begin(*BEGUN, Gap(), opened("p2"), *[delta("x", "p2")] * 60_000)

    updates = hear(turn, shown(answer(), opened("p2"), busy=(SESSION,)), delta("!", "p2"))
    updates += hear(turn, text("x" * 60_000 + "!", "p2"))

    assert read(updates) == {"p2": "x" * 60_000 + "!"}


def test_who_has_heard_it_all_along_says_how_a_torn_text_goes_on() -> None:
    turn = begin(*BEGUN)
    updates = hear(turn, opened(), delta("one "), Gap())

    updates += hear(turn, underway("two ", length=8), delta("three "), shown(answer(), opened(), busy=(SESSION,)))
    assert read(updates) == {"p1": "one two three "}
    updates += hear(turn, delta("four"), text("one two three four"))

    assert read(updates) == {"p1": "one two three four"}


def test_a_text_under_way_that_was_never_told_is_told_from_its_beginning() -> None:
    turn = begin(asked_for(), Gap())

    updates = hear(turn, underway("think ", kind=TextKind.REASONING), delta("twice"))
    assert updates == []  # nobody knows yet whose it is
    updates = hear(turn, shown(asked_for(), answer(), opened(kind=TextKind.REASONING), busy=(SESSION,)))

    assert read(updates) == {"p1": "think twice"}
    assert isinstance(updates[0], ArtifactTold)
    assert updates[0].kind is BlockKind.REASONING


def test_a_text_under_way_whose_beginning_is_lost_waits_for_the_whole() -> None:
    turn = begin(*BEGUN, Gap())

    assert hear(turn, underway("two ", length=8), delta("three"), shown(answer(), opened(), busy=(SESSION,))) == []
    assert read(hear(turn, delta("!"), text("one two three!"))) == {"p1": "one two three!"}


def test_a_summary_under_way_is_not_told() -> None:
    turn = begin(asked_for(), answer(summary=True), Gap())

    assert hear(turn, underway("in short"), delta("..."), text("in short...")) == []


def test_a_text_that_another_began_to_tell_goes_on_before_anything_is_recalled() -> None:
    task = begun()
    tell(task, hear(begin(*BEGUN, task=task), opened(), delta("one ")))
    turn = begin(Gap(), task=task)

    updates = hear(turn, underway("one two "), delta("three "), opened("p2"), delta("not yet", "p2"))
    assert texts(tell(task, updates)) == {"p1": "one two three "}
    updates = hear(turn, shown(asked_for(), answer(), opened(), opened("p2"), busy=(SESSION,)))

    assert texts(tell(task, updates)) == {"p1": "one two three ", "p2": "not yet"}


def test_deltas_of_a_text_under_way_are_not_told_twice() -> None:
    turn = begin(*BEGUN, opened(), Gap(), delta("two "))

    updates = hear(turn, underway("one two "), delta("three"))

    assert read(updates) == {"p1": "one two three"}


def test_a_part_of_a_message_not_shown_is_not_recalled() -> None:
    assert hear(begin(*BEGUN), shown(text("x", "p2", "a9"), busy=(SESSION,))) == []


# Interrupts


def given(verdict: Verdict) -> AnswerGiven:
    by = Answerer(Channel.MESSAGE, Principal("alice"))
    return AnswerGiven(permission(), PermissionAnswer(verdict), by, 1.0)


def test_an_interrupt_is_raised_once_and_resolved_once() -> None:
    turn = begin(*BEGUN)

    updates = hear(turn, asks(permission()), asks(permission()), answered(), answered(), asks(permission()))

    assert updates == [InterruptRaised(permission()), InterruptResolved(RequestId("per_1"), "once")]


def test_who_answered_is_known_when_the_effect_shows() -> None:
    turn = begin(*BEGUN, asks(permission()))

    turn.inbox.answering(given(Verdict.ALWAYS))

    assert hear(turn, answered(resolution="always")) == [
        InterruptResolved(RequestId("per_1"), "always", Principal("alice"), channel=Channel.MESSAGE)
    ]


def test_an_effect_that_only_shows_is_the_answers() -> None:
    turn = begin(*BEGUN, asks(permission()))
    turn.inbox.answering(given(Verdict.ALWAYS))
    turn.inbox.sending(RequestId("per_1"))

    updates = hear(turn, shown(answer(), busy=(SESSION,)))

    assert updates == [InterruptResolved(RequestId("per_1"), "always", Principal("alice"), channel=Channel.MESSAGE)]


def test_an_interrupt_is_withdrawn_when_it_is_missed_twice() -> None:
    turn = begin(*BEGUN, asks(permission()))
    gone = shown(answer(), busy=(SESSION,))

    assert hear(turn, gone) == []
    assert turn.doubtful
    assert hear(turn, gone) == [InterruptResolved(RequestId("per_1"), "withdrawn")]


def test_an_interrupt_that_shows_again_was_not_gone() -> None:
    turn = begin(*BEGUN, asks(permission()))
    there, gone = (shown(answer(), busy=(SESSION,), asked=asked) for asked in ((permission(),), ()))

    assert hear(turn, gone, there, gone, there) == []
    assert hear(turn, gone, gone, there) == [
        InterruptResolved(RequestId("per_1"), "withdrawn"),
        InterruptRaised(permission()),
    ]


def test_interrupts_of_sub_agents_are_this_turns() -> None:
    turn = begin(*BEGUN, SUB_AGENT)

    assert hear(turn, asks(permission(session=CHILD, message="c1"))) == [
        InterruptRaised(permission(session=CHILD, message="c1"))
    ]


def test_an_interrupt_that_was_missed_is_raised_when_it_shows() -> None:
    turn = begin(*BEGUN)

    updates = hear(turn, shown(answer(), busy=(SESSION,), asked=(permission(), permission(2, message=None))))

    assert [update.interrupt.id for update in updates if isinstance(update, InterruptRaised)] == ["per_1", "per_2"]


def test_what_an_abort_left_unanswered_is_not_asked_in_the_next_turn() -> None:
    left = permission(message="answer_of_the_turn_before")

    assert hear(begin(*BEGUN), shown(answer(), busy=(SESSION,), asked=(left,))) == []


def test_a_session_at_rest_waits_for_nobody() -> None:
    turn = begin(*BEGUN)

    assert hear(turn, shown(answer(), asked=(permission(),))) == []


@pytest.mark.parametrize(
    ("events", "waits"),
    [
        ((), False),
        ((asks(permission()),), True),
        ((text("", "p1", closed=False), asks(permission())), True),
        ((text("", "p1", closed=False), delta("half", "p1"), asks(permission())), False),
        ((text("whole", "p1", closed=True), asks(permission())), True),
        ((delta("early", "p1"), asks(permission())), False),
        ((delta("whose?", "p1", "a9"), asks(permission())), False),
        ((asks(permission()), Gap()), False),
        ((asks(permission()), answered()), False),
    ],
)
def test_a_turn_only_waits_if_all_that_was_heard_is_told(events: tuple[Event, ...], waits: bool) -> None:  # noqa: FBT001 - a case
    assert begin(*BEGUN, *events).only_waits is waits


def test_a_turn_that_is_canceled_does_not_only_wait() -> None:
    turn = begin(*BEGUN, asks(permission()))

    turn.cancel()

    assert not turn.only_waits


# Usage and limits


def test_usage_is_summed_over_steps_and_sub_agents_once() -> None:
    turn = begin(*BEGUN, SUB_AGENT, answer("c1", created=22, session=CHILD))
    used: dict[str, Any] = {"input_tokens": 10, "cost": 0.5}

    hear(
        turn,
        step("s1", **used),
        step("s1", **used),
        step("s2", **used),
        step("s3", message="c1", session=CHILD, **used),
        step("s4", message="stranger", **used),
        shown(answer(), step("s2", **used), step("s5", **used), busy=(SESSION,)),
    )

    assert turn.usage == Usage(input_tokens=40, cost=2.0)
    assert hear(turn, *DONE) == [StatusChanged(TaskState.COMPLETED, usage=Usage(input_tokens=40, cost=2.0))]


def test_usage_of_the_turns_before_counts() -> None:
    task = tell(begun(), [StatusChanged(TaskState.WORKING, usage=Usage(5))])

    turn = begin(*BEGUN, step("s1", input_tokens=1), task=task)

    assert turn.usage == Usage(6)


@pytest.mark.parametrize(
    ("limits", "events", "breach"),
    [
        (Limits(steps=1), (step("s1"), step("s2")), "the turn passed its limit of 1 steps"),
        (Limits(steps=2), (step("s1"), step("s2"), step("s2")), ""),
        (
            Limits(aimless_steps=1),
            (step("s1", "unknown"), step("s2", "unknown")),
            "the turn passed its limit of 1 steps in a row without a finish reason",
        ),
        (Limits(aimless_steps=1), (step("s1", "unknown"), step("s2"), step("s3", "unknown")), ""),
        (Limits(output_bytes=3), (text("äö"),), "the turn passed its limit of 3 bytes of output"),
        (Limits(output_bytes=3), (opened(), delta("ab"), delta("c")), ""),
        (
            Limits(output_bytes=3),
            (tool(ToolState.COMPLETED, output="abcd"),),
            "the turn passed its limit of 3 bytes of output",
        ),
        (Limits(output_bytes=3), (text("\ud83d"),), ""),
        (Limits(cost=0.5), (step("s1", cost=0.6),), "the turn passed its limit of 0.5 cost"),
        (Limits(None, None, None, None, None), (step("s1", "unknown", cost=1e9), text("a" * 1000)), ""),
    ],
)
def test_a_turn_has_limits(limits: Limits, events: tuple[Event, ...], breach: str) -> None:
    turn = begin(*BEGUN, *events, limits=limits)

    assert turn.breach == breach


def test_a_turn_needs_no_task() -> None:
    turn = Turn(SESSION, PROMPT)

    assert read(hear(turn, *BEGUN, text("hi"))) == {"p1": "hi"}
    assert turn.limits == Limits()


def test_a_turn_may_be_ended_from_outside_once() -> None:
    turn = begin(*BEGUN, IDLE)
    failure = Failure("LimitExceeded", "too far")

    assert turn.close(TaskState.FAILED, "too far", failure) == [
        StatusChanged(TaskState.FAILED, (TextPart("too far"),), Usage(), failure)
    ]
    assert not turn.doubtful
    assert turn.close(TaskState.COMPLETED) == []
    assert hear(turn, text("more"), *DONE, Gap()) == []


def test_to_cancel_is_to_want_the_end() -> None:
    turn = begin(*BEGUN)
    turn.cancel()

    assert hear(turn, failed(ABORTED), answer(completed=True, failure=ABORTED), IDLE) == [
        StatusChanged(TaskState.CANCELED, usage=Usage())
    ]


# Taken up again


def test_a_turn_taken_up_again_tells_only_what_is_new() -> None:
    events = (
        *BEGUN,
        text("whole", "p0"),
        opened(),
        delta("half"),
        tool(ToolState.COMPLETED, output="x", files=(DataPart(1),)),
        tool(ToolState.RUNNING, "t2"),
        SUB_AGENT,
        answer("c1", created=22, session=CHILD),
        text("sub", "p3", "c1", session=CHILD),
        asks(permission()),
        asks(permission(2)),
        answered(2),
        asks(permission(3)),
    )
    task = tell(begun(), hear(begin(), *events))
    turn = Turn.of(task, SESSION, PROMPT, Limits())

    updates = hear(
        turn,
        Gap(),
        shown(
            *[event for event in events if type(event) is not TextDelta],
            busy=(SESSION,),
            asked=(permission(), permission(3)),
        ),
    )

    assert updates == []
    assert turn.family == {SESSION, CHILD}
    assert list(turn.pending) == ["per_1", "per_3"]
    updates = hear(turn, text("half and half"), tool(ToolState.PENDING, "t2"), tool(ToolState.ERROR, "t2", error="no"))
    assert texts(tell(task, updates)) == {"p0": "whole", "p1": "half and half", "p3": "sub"}
    assert len(updates) == 2


def test_a_call_that_was_withdrawn_stays_withdrawn() -> None:
    events = (*BEGUN, tool(ToolState.RUNNING), PartRemoved(SESSION, MessageId("a1"), PartId("t1")))
    task = tell(begun(), hear(begin(), *events))

    assert hear(begin(*BEGUN, task=task), tool(ToolState.COMPLETED)) == []


def test_a_cancel_outlives_a_restart() -> None:
    task = begun()
    task.canceling = True

    assert begin(shown(), shown(), task=task).outcome is TaskState.CANCELED


def test_what_was_missed_before_a_text_under_way_stands_before_it() -> None:
    turn = begin(Gap())

    updates = hear(turn, underway("three ", "p2"), delta("four", "p2"))
    updates += hear(turn, shown(asked_for(), answer(), text("one two "), opened("p2"), busy=(SESSION,)))
    updates += hear(turn, delta("!", "p2"))

    assert list(read(updates).items()) == [("p1", "one two "), ("p2", "three four!")]


def test_what_is_kept_of_an_unknown_message_does_not_go_on_over_a_gap() -> None:
    turn = begin(opened("p1"), delta("one ", "p1"), Gap(), delta("four", "p1"))

    assert hear(turn, shown(asked_for(), answer(), opened("p1"), busy=(SESSION,)), delta("!", "p1")) == []
    assert read(hear(turn, text("one two three four!", "p1"))) == {"p1": "one two three four!"}


def test_a_text_under_way_waits_for_what_may_have_been_missed_before_it() -> None:
    turn = begin(*BEGUN, Gap())

    updates = hear(turn, underway("three", "p2"), shown(answer(), text("one two "), opened("p2"), busy=(SESSION,)))
    updates += hear(turn, text("three four", "p2"))

    assert list(read(updates).items()) == [("p1", "one two "), ("p2", "three four")]
