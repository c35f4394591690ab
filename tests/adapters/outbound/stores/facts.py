"""Any facts at all, for properties: parts, messages, interrupts, updates."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st

from opencode_a2a_server.domain.events import Failure
from opencode_a2a_server.domain.ids import (
    ArtifactId,
    ContextId,
    MessageId,
    Principal,
    RequestId,
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
from opencode_a2a_server.domain.session import Directory, ModelChoice, Session, Wishes
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import (
    AnswerDropped,
    AnswerGiven,
    ArtifactTold,
    BlockKind,
    CancelRequested,
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

T = TypeVar("T")

TEXT = st.text(max_size=12)
COUNTS = st.integers(0, 2**40)
FEW = st.sampled_from(["a", "b", "c"])
"""Identifiers of which there are few, so that updates meet."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
METADATA = st.dictionaries(TEXT, JSON, max_size=2)


def perhaps(some: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | some


def several(some: st.SearchStrategy[T]) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(some, max_size=3).map(tuple)


ARTIFACTS = FEW.map(ArtifactId)
REQUESTS = FEW.map(RequestId)
MESSAGES_IDS = TEXT.map(MessageId)
SESSION_IDS = TEXT.map(SessionId)
PRINCIPALS = TEXT.map(Principal)

TEXT_PARTS = st.builds(TextPart, TEXT, METADATA)
PARTS = several(
    st.one_of(
        TEXT_PARTS,
        st.builds(RawPart, st.binary(max_size=20), TEXT, TEXT, METADATA),
        st.builds(UrlPart, TEXT, TEXT, TEXT, METADATA),
        st.builds(DataPart, JSON, TEXT, TEXT, METADATA),
    )
)
MESSAGES = st.builds(
    Message,
    MESSAGES_IDS,
    st.sampled_from(Role),
    PARTS,
    perhaps(TEXT.map(ContextId)),
    perhaps(TEXT.map(TaskId)),
    several(TEXT.map(TaskId)),
    several(TEXT),
    METADATA,
    several(TEXT),
    st.builds(
        Wishes,
        perhaps(SESSION_IDS),
        perhaps(TEXT.map(Directory)),
        perhaps(st.builds(ModelChoice, TEXT, TEXT)),
        perhaps(TEXT),
        perhaps(TEXT),
    ),
)
USAGE = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.floats(0, 1e6))
FAILURES = st.builds(Failure, TEXT, TEXT, st.integers(0, 599))
SESSIONS = st.builds(Session, SESSION_IDS, TEXT.map(Directory))
INQUIRIES = st.builds(Inquiry, TEXT, TEXT, several(st.builds(Option, TEXT, TEXT)), st.booleans(), st.booleans())
MOMENTS = st.floats(0, 2**40)
DEADLINES = perhaps(st.builds(Deadline, MOMENTS, st.sampled_from(Action)))
INTERRUPTS = st.one_of(
    st.builds(
        Permission,
        REQUESTS,
        SESSION_IDS,
        TEXT,
        several(TEXT),
        several(TEXT),
        METADATA,
        perhaps(MESSAGES_IDS),
        DEADLINES,
    ),
    st.builds(Question, REQUESTS, SESSION_IDS, several(INQUIRIES), perhaps(MESSAGES_IDS), DEADLINES),
)
ANSWERS = st.one_of(
    st.builds(PermissionAnswer, st.sampled_from(Verdict), TEXT),
    st.builds(QuestionAnswer, several(several(TEXT))),
    st.builds(QuestionDismissed),
)
CHANNELS = st.sampled_from(Channel)

SUBMITTED = st.builds(TaskSubmitted, TEXT.map(ContextId), PRINCIPALS, MESSAGES)
TOLD = st.builds(
    ArtifactTold,
    ARTIFACTS,
    st.sampled_from(BlockKind),
    PARTS | TEXT_PARTS.map(lambda part: (part,)),
    perhaps(MESSAGES_IDS),
    perhaps(SESSION_IDS),
    TEXT,
    st.booleans(),
)
APPENDED = st.builds(TextAppended, ARTIFACTS, TEXT, st.booleans())
GOING_ON: st.SearchStrategy[Update] = st.one_of(
    TOLD,
    APPENDED,
    st.builds(MessageReceived, MESSAGES, st.booleans()),
    st.builds(TurnStarted, SESSIONS, MESSAGES_IDS, st.booleans(), perhaps(SESSION_IDS)),
    st.builds(InterruptRaised, INTERRUPTS, perhaps(INTERRUPTS)),
    st.builds(AnswerGiven, INTERRUPTS, ANSWERS, st.builds(Answerer, CHANNELS, perhaps(PRINCIPALS), TEXT), MOMENTS),
    st.builds(AnswerDropped, REQUESTS, TEXT),
    st.builds(
        InterruptResolved,
        REQUESTS,
        TEXT,
        perhaps(PRINCIPALS),
        perhaps(INTERRUPTS),
        perhaps(CHANNELS),
        TEXT,
        st.booleans(),
    ),
    st.builds(CancelRequested, PRINCIPALS),
)
STATUS = st.builds(
    StatusChanged, st.sampled_from(TaskState), PARTS, perhaps(USAGE), perhaps(FAILURES), st.integers(0, 9)
)
UPDATES: st.SearchStrategy[Update] = GOING_ON | STATUS
ANY: st.SearchStrategy[Update] = UPDATES | SUBMITTED
