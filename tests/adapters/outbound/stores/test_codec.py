"""What is written down reads as it was, now and by later releases."""

from __future__ import annotations

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.adapters.outbound.stores.codec import Bodies, dump_task, load_task
from opencode_a2a_server.domain.errors import IllegalTransition, JournalUnavailable
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
from opencode_a2a_server.domain.interrupt import (
    Action,
    Answerer,
    Channel,
    Deadline,
    Inquiry,
    Option,
    Permission,
    PermissionAnswer,
    Question,
    QuestionAnswer,
    QuestionDismissed,
    Verdict,
)
from opencode_a2a_server.domain.message import DataPart, Message, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.session import Directory, Session
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import (
    AnswerDropped,
    AnswerGiven,
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
from tests.adapters.outbound.stores import facts

PRT = ArtifactId("prt_0123456789abcdefghijklmno")
TOLD = ArtifactTold(PRT, BlockKind.TEXT, (TextPart("Hi"),))

WRITTEN: list[tuple[Update, bytes]] = [
    (
        TaskSubmitted(
            ContextId("ctx"),
            Principal("alice"),
            Message(
                MessageId("m1"),
                Role.USER,
                (TextPart("hé"), RawPart(b"\x00\xff", "image/png", "a.png"), UrlPart("http://x/y"), DataPart({"a": [1]})),
                ContextId("ctx"),
                TaskId("t1"),
                (TaskId("t0"),),
                ("urn:x",),
                {"k": None},
            ),
        ),
        '[1,{"t":"submitted","context_id":"ctx","principal":"alice","message":{"message_id":"m1","role":"user","parts":['
        '{"t":"text","text":"hé"},{"t":"raw","raw":"AP8=","media_type":"image/png","filename":"a.png"},'
        '{"t":"url","url":"http://x/y"},{"t":"data","data":{"a":[1]}}],"context_id":"ctx","task_id":"t1",'
        '"reference_task_ids":["t0"],"extensions":["urn:x"],"metadata":{"k":null}}}]'.encode(),
    ),
    (
        MessageReceived(Message(MessageId("m2"), Role.AGENT, ())),
        b'[1,{"t":"message","message":{"message_id":"m2","role":"agent","parts":[]}}]',
    ),
    (
        TurnStarted(Session(SessionId("ses_1"), Directory("/work")), MessageId("msg_1")),
        b'[1,{"t":"turn","session":{"id":"ses_1","directory":"/work"},"prompt":"msg_1"}]',
    ),
    (
        TurnStarted(Session(SessionId("ses_1"), Directory("/work")), MessageId("msg_2"), again=True),
        b'[1,{"t":"turn","session":{"id":"ses_1","directory":"/work"},"prompt":"msg_2","again":true}]',
    ),
    (
        StatusChanged(TaskState.FAILED, (TextPart("no"),), Usage(1, 2, 3, 4, 5, 0.5), Failure("APIError", "no", 500), 2),
        b'[1,{"t":"status","state":"failed","parts":[{"t":"text","text":"no"}],"usage":{"input_tokens":1,'
        b'"output_tokens":2,"reasoning_tokens":3,"cache_read_tokens":4,"cache_write_tokens":5,"cost":0.5},'
        b'"failure":{"name":"APIError","text":"no","status":500},"retry":2}]',
    ),
    (
        InterruptRaised(
            Permission(RequestId("per_1"), SessionId("ses_1"), "bash", ("ls",), ("ls *",), {"command": "ls"})
        ),
        b'[1,{"t":"raised","interrupt":{"t":"permission","id":"per_1","session":"ses_1","permission":"bash",'
        b'"patterns":["ls"],"always":["ls *"],"details":{"command":"ls"}}}]',
    ),
    (
        InterruptRaised(
            Question(
                RequestId("que_1"),
                SessionId("ses_1"),
                (Inquiry("Which?", "Pick", (Option("A", "first"), Option("B")), multiple=True, custom=False),),
            )
        ),
        b'[1,{"t":"raised","interrupt":{"t":"question","id":"que_1","session":"ses_1","inquiries":[{"question":"Which?",'
        b'"header":"Pick","options":[{"label":"A","description":"first"},{"label":"B"}],"multiple":true,'
        b'"custom":false}]}}]',
    ),
    (
        InterruptResolved(RequestId("per_1"), "once", Principal("alice")),
        b'[1,{"t":"resolved","request":"per_1","resolution":"once","by":"alice"}]',
    ),
    (
        InterruptRaised(
            Permission(RequestId("per_1"), SessionId("ses_1"), "bash", deadline=Deadline(9.5, Action.ALLOW_ONCE))
        ),
        b'[1,{"t":"raised","interrupt":{"t":"permission","id":"per_1","session":"ses_1","permission":"bash",'
        b'"deadline":{"at":9.5,"action":"allow-once"}}}]',
    ),
    (
        AnswerGiven(
            Permission(RequestId("per_1"), SessionId("ses_1"), "bash"),
            PermissionAnswer(Verdict.REJECT, "no"),
            Answerer(Channel.MESSAGE, Principal("alice")),
            3.5,
        ),
        b'[1,{"t":"given","interrupt":{"t":"permission","id":"per_1","session":"ses_1","permission":"bash"},'
        b'"answer":{"t":"verdict","verdict":"reject","reason":"no"},"by":{"channel":"message","principal":"alice"},'
        b'"at":3.5}]',
    ),
    (
        AnswerGiven(
            Question(RequestId("que_1"), SessionId("ses_1"), ()),
            QuestionAnswer((("A", "B"), ())),
            Answerer(Channel.DATA, Principal("alice")),
            3.5,
        ),
        b'[1,{"t":"given","interrupt":{"t":"question","id":"que_1","session":"ses_1","inquiries":[]},'
        b'"answer":{"t":"answers","answers":[["A","B"],[]]},"by":{"channel":"data","principal":"alice"},"at":3.5}]',
    ),
    (
        AnswerGiven(
            Question(RequestId("que_1"), SessionId("ses_1"), ()),
            QuestionDismissed(),
            Answerer(Channel.DEADLINE, None, "late"),
            3.5,
        ),
        b'[1,{"t":"given","interrupt":{"t":"question","id":"que_1","session":"ses_1","inquiries":[]},'
        b'"answer":{"t":"dismissed"},"by":{"channel":"deadline","reason":"late"},"at":3.5}]',
    ),
    (AnswerDropped(RequestId("per_1"), "gone"), b'[1,{"t":"dropped","request":"per_1","reason":"gone"}]'),
    (
        InterruptResolved(RequestId("per_1"), "reject", channel=Channel.POLICY, reason="no", asked=False),
        b'[1,{"t":"resolved","request":"per_1","resolution":"reject","channel":"policy","reason":"no","asked":false}]',
    ),
    (
        ArtifactTold(PRT, BlockKind.TOOL, (DataPart(1),), MessageId("msg_2"), SessionId("ses_2"), "bash", last=True),
        b'[1,{"t":"artifact","artifact":"prt_0123456789abcdefghijklmno","kind":"tool_call",'
        b'"parts":[{"t":"data","data":1}],"message":"msg_2","lane":"ses_2","name":"bash","last":true}]',
    ),
    (TOLD, b'[1,{"t":"artifact","artifact":"prt_0123456789abcdefghijklmno","kind":"text",'
        b'"parts":[{"t":"text","text":"Hi"}]}]'),
    (TextAppended(PRT, " there"), b'[1,0," there"]'),
    (TextAppended(PRT, ".", last=True), b'[1,0,".",1]'),
    (CancelRequested(Principal("alice")), b'[1,{"t":"cancel","principal":"alice"}]'.replace(b"principal", b"by")),
]  # fmt: skip
"""Rows as the first release writes them. A change here is a change of the format: old databases hold these."""


def knowing(*artifacts: Update) -> Bodies:
    """Give bodies of a task which told these."""
    bodies = Bodies()
    for update in artifacts:
        bodies.see(update)
    return bodies


def fold(updates: list[Update], submitted: TaskSubmitted) -> Task:
    """Fold what is legal of these updates."""
    bodies = Bodies()
    task = Task.submitted(TaskId("t1"), Entry(Seq(1), 1.5, submitted))
    for update in updates:
        try:
            bodies.dump(update)
            task.apply(Entry(Seq(task.seq + 1), 2.5 + task.seq, update))
        except IllegalTransition:
            bodies = Bodies.of(task)
    return task


@pytest.mark.parametrize(("update", "body"), WRITTEN)
def test_rows_are_written_as_they_always_were(update: Update, body: bytes) -> None:
    assert knowing(TOLD).dump(update) == body


@pytest.mark.parametrize(("update", "body"), WRITTEN)
def test_rows_of_the_first_release_are_read(update: Update, body: bytes) -> None:
    assert knowing(TOLD).load(body) == update


def test_every_kind_of_update_has_its_row() -> None:
    assert {type(update) for update, _ in WRITTEN} == set(typing.get_args(Update))


@given(facts.ANY.filter(lambda update: not isinstance(update, TextAppended)))
def test_every_update_reads_as_it_was_written(update: Update) -> None:
    assert Bodies().load(Bodies().dump(update)) == update


@given(st.lists(st.integers(0, 30), max_size=20), st.text(), st.booleans())
def test_appended_text_finds_its_artifact(order: list[int], text: str, last: bool) -> None:  # noqa: FBT001
    artifacts = [ArtifactId(f"prt_{number}") for number in order] or [PRT]
    told = [ArtifactTold(artifact, BlockKind.TEXT, ()) for artifact in artifacts]
    writing, reading = knowing(*told), knowing(*told)

    for artifact in artifacts:
        update = TextAppended(artifact, text, last)
        assert reading.load(writing.dump(update)) == update


@given(st.lists(facts.UPDATES, max_size=15), facts.SUBMITTED)
def test_every_task_reads_as_it_was_written(updates: list[Update], submitted: TaskSubmitted) -> None:
    task = fold(updates, submitted)

    assert load_task(dump_task(task)) == task


@given(st.lists(facts.UPDATES, max_size=15), st.lists(facts.UPDATES, max_size=15), facts.SUBMITTED)
def test_a_task_read_again_goes_on_alike(before: list[Update], after: list[Update], submitted: TaskSubmitted) -> None:
    task = fold(before, submitted)
    again = load_task(dump_task(task))
    known, bodies = Bodies.of(task), Bodies.of(again)

    for update in after:
        try:
            body = known.dump(update)
            task.apply(entry := Entry(Seq(task.seq + 1), 9.5, update))
        except IllegalTransition:
            break
        assert bodies.load(body) == update
        bodies.see(update)
        again.apply(entry)

    assert dump_task(again) == dump_task(task)


def test_appended_text_adds_little_to_itself() -> None:
    bodies = knowing(*(ArtifactTold(ArtifactId(f"prt_{n}"), BlockKind.TEXT, ()) for n in range(1000)))

    body = bodies.dump(TextAppended(ArtifactId("prt_999"), "x" * 100, last=True))

    assert len(body) - 100 <= 25


def test_fields_of_a_later_release_are_left_alone() -> None:
    body = b'[1,{"t":"cancel","by":"alice","reason":"bored"}]'

    assert Bodies().load(body) == CancelRequested(Principal("alice"))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"[2,0]", b'[1,"text"]', b"[1,7,0]", b'[1,{"t":"new"}]', b'[1,{"t":"cancel"}]', b"\xff"]
)
def test_a_row_which_cannot_be_read_says_so(body: bytes) -> None:
    with pytest.raises(JournalUnavailable):
        Bodies().load(body)
    with pytest.raises(JournalUnavailable):
        load_task(body)
