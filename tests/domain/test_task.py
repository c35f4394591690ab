from __future__ import annotations

import pytest

from opencode_a2a_server.domain.errors import IllegalTransition
from opencode_a2a_server.domain.events import Failure
from opencode_a2a_server.domain.ids import (
    ArtifactId,
    ContextId,
    MessageId,
    Principal,
    RequestId,
    Seq,
    SessionId,
    TaskId,
)
from opencode_a2a_server.domain.interrupt import Permission
from opencode_a2a_server.domain.message import DataPart, Message, Role, TextPart
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import (
    ArtifactTold,
    BlockKind,
    CancelRequested,
    Entry,
    InterruptRaised,
    InterruptResolved,
    MessageReceived,
    StatusChanged,
    TaskSubmitted,
    TextAppended,
    TurnStarted,
    Update,
)
from opencode_a2a_server.domain.usage import Usage

from .folding import MESSAGE, PROMPT, SESSION, begun, entries, submitted, tell, view

A = ArtifactId("prt_1")
ALICE = Principal("alice")


def text(*parts: str, last: bool = False) -> ArtifactTold:
    return ArtifactTold(A, BlockKind.TEXT, tuple(TextPart(part) for part in parts), last=last)


def permission(number: int) -> Permission:
    return Permission(RequestId(f"per_{number}"), SESSION, "bash", (f"echo {number}",))


def test_a_task_begins_with_what_was_submitted() -> None:
    task = submitted()

    assert (task.state, task.seq, task.created_at) == (TaskState.SUBMITTED, 1, 1.0)
    assert (task.principal, task.context_id, task.history) == ("alice", "c1", [MESSAGE])


def test_no_task_begins_otherwise() -> None:
    with pytest.raises(IllegalTransition, match="begins with StatusChanged"):
        Task.submitted(TaskId("t1"), Entry(Seq(1), 1.0, StatusChanged(TaskState.WORKING)))


def test_a_task_works_once_its_turn_has_begun() -> None:
    task = submitted()

    tell(task, [TurnStarted(Session(SESSION, Directory("/w")), PROMPT)])

    assert task.state is TaskState.WORKING
    assert (task.session, task.prompt) == (Session(SESSION, Directory("/w")), PROMPT)


def test_text_grows() -> None:
    task = tell(begun(), [text("one "), TextAppended(A, "two "), TextAppended(A, "three", last=True)])

    artifact = task.artifacts[A]
    assert artifact.parts == (TextPart("one two three"),)
    assert artifact.text == "one two three"
    assert artifact.closed
    assert artifact.seq == task.seq


def test_an_artifact_told_anew_starts_over_in_its_place() -> None:
    other = ArtifactTold(ArtifactId("prt_2"), BlockKind.TOOL, (DataPart({"tool": "bash"}),), name="bash")

    task = tell(begun(), [text("draft"), other, TextAppended(A, "!"), text("final", last=True)])

    assert list(task.artifacts) == ["prt_1", "prt_2"]
    assert task.artifacts[A].text == "final"
    assert task.artifacts[ArtifactId("prt_2")].text == ""


def test_only_text_grows_by_text() -> None:
    task = tell(begun(), [ArtifactTold(A, BlockKind.TOOL, (DataPart({}),)), TextAppended(A, "x")])

    with pytest.raises(IllegalTransition, match="is not text"):
        _ = task.artifacts[A].parts


def test_an_empty_artifact_may_grow() -> None:
    task = tell(begun(), [text(), TextAppended(A, ""), TextAppended(A, "x")])

    assert task.artifacts[A].parts == (TextPart("x"),)


def test_what_was_said_with_a_status_becomes_history_with_the_next_one() -> None:
    task = tell(begun(), [StatusChanged(TaskState.WORKING, (TextPart("again"),)), StatusChanged(TaskState.COMPLETED)])

    said = task.history[-1]
    assert said == Message(
        MessageId("t1-3"), Role.AGENT, (TextPart("again"),), context_id=ContextId("c1"), task_id=TaskId("t1")
    )


def test_an_interrupt_requires_input_until_all_are_resolved() -> None:
    task = tell(begun(), [InterruptRaised(permission(1)), InterruptRaised(permission(2), permission(1))])

    states = [(task.state, task.status.parts)]
    for resolved in (
        InterruptResolved(RequestId("per_1"), "reject", None, permission(2)),
        InterruptResolved(RequestId("per_2"), "once", ALICE),
    ):
        tell(task, [resolved])
        states.append((task.state, task.status.parts))

    assert states == [
        (TaskState.INPUT_REQUIRED, (TextPart(permission(1).prompt),)),
        (TaskState.INPUT_REQUIRED, (TextPart(permission(2).prompt),)),
        (TaskState.WORKING, ()),
    ]
    assert not task.pending
    assert {request: resolved.by for request, resolved in task.resolved.items()} == {"per_1": None, "per_2": "alice"}


def test_nothing_waits_in_a_task_that_has_ended() -> None:
    task = tell(begun(), [InterruptRaised(permission(1)), StatusChanged(TaskState.CANCELED)])

    assert not task.pending


def test_the_end_brings_usage_and_failure() -> None:
    failure, usage = Failure("APIError", "no", 401), Usage(1, 2, cost=0.5)

    task = tell(begun(), [StatusChanged(TaskState.FAILED, (TextPart("no"),), usage, failure)])

    assert (task.failure, task.usage) == (failure, usage)


def test_usage_that_is_not_told_stays() -> None:
    task = tell(begun(), [StatusChanged(TaskState.WORKING, usage=Usage(5)), StatusChanged(TaskState.COMPLETED)])

    assert task.usage == Usage(5)


def test_the_client_may_say_more_and_want_it_canceled() -> None:
    more = Message(MessageId("m2"), Role.USER, (TextPart("and this"),))

    task = tell(begun(), [MessageReceived(more), CancelRequested(ALICE)])

    assert task.history == [MESSAGE, more]
    assert task.canceling
    assert task.state is TaskState.WORKING


@pytest.mark.parametrize("state", [state for state in TaskState if state.terminal])
@pytest.mark.parametrize(
    "update",
    [
        StatusChanged(TaskState.WORKING),
        StatusChanged(TaskState.COMPLETED),
        TextAppended(A, "x"),
        text("x"),
        MessageReceived(MESSAGE),
        CancelRequested(ALICE),
        InterruptRaised(permission(1)),
    ],
)
def test_no_update_follows_a_terminal_one(state: TaskState, update: Update) -> None:
    task = tell(begun(), [text("x"), StatusChanged(state)])

    with pytest.raises(IllegalTransition, match="nothing can follow"):
        tell(task, [update])


def test_a_journal_has_no_holes() -> None:
    task = submitted()
    (entry,) = entries([StatusChanged(TaskState.WORKING)], first=3)

    with pytest.raises(IllegalTransition, match="is at 1, update 3 cannot follow"):
        task.apply(entry)


def test_a_task_is_submitted_once() -> None:
    with pytest.raises(IllegalTransition, match="submitted twice"):
        tell(begun(), [TaskSubmitted(ContextId("c1"), ALICE, MESSAGE)])


def test_the_same_journal_gives_the_same_task() -> None:
    updates: list[Update] = [
        TurnStarted(Session(SessionId("s"), Directory("/w")), PROMPT),
        text("a"),
        TextAppended(A, "b"),
        InterruptRaised(permission(1)),
        InterruptResolved(RequestId("per_1"), "once", ALICE),
        TextAppended(A, "c", last=True),
        StatusChanged(TaskState.COMPLETED, usage=Usage(1)),
    ]

    first, second = tell(submitted(), updates), submitted()
    for update in updates:
        _ = second.artifacts.get(A) and second.artifacts[A].text  # read in between
        tell(second, [update])

    assert view(first) == view(second)
    assert first.history == second.history
    assert first.resolved == second.resolved
