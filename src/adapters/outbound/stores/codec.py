"""
Updates and tasks to bytes and back.

A body is a JSON array that begins with the version of its format, so that a later release reads what this one wrote:

    [1, 3, "more text"]            the artifact first told as the fourth grows
    [1, 3, "the end", 1]           and is whole
    [1, {"t": "status", ...}]      any other update
    [1, {"id": ...}]               a task, whole

Appended text is most of what is ever written. It names its artifact by number, which saves more than the text often
is long, and is spared the tables below.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from attrs import define, field

from opencode_a2a_server.app.ports.errands import Cancel, Errand, Give, Notify, NotifyNoMore, Say
from opencode_a2a_server.domain.errors import IllegalTransition, InvalidRequest, JournalDamaged
from opencode_a2a_server.domain.events import Failure
from opencode_a2a_server.domain.ids import ArtifactId
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
from opencode_a2a_server.domain.message import DataPart, Message, Part, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.push import PushConfig, Words
from opencode_a2a_server.domain.session import ModelChoice, Session, Wishes
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Artifact, Settled, Status, Task
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

from .shapes import ById, Bytes, Choice, Each, Perhaps, Plain, Shape, record, tagged

VERSION = 1

_PLAIN = Plain()
_PARTS = Each(
    tagged(
        text=record(TextPart),
        raw=record(RawPart, raw=Bytes()),
        url=record(UrlPart),
        data=record(DataPart),
    )
)
_MESSAGE = record(
    Message,
    role=Choice(Role),
    parts=_PARTS,
    reference_task_ids=Each(_PLAIN),
    extensions=Each(_PLAIN),
    accepts=Each(_PLAIN),
    wishes=record(Wishes, model=Perhaps(record(ModelChoice))),
)
_INQUIRY = record(Inquiry, options=Each(record(Option)))
_DEADLINE = Perhaps(record(Deadline, action=Choice(Action)))
_INTERRUPT = tagged(
    permission=record(Permission, patterns=Each(_PLAIN), always=Each(_PLAIN), deadline=_DEADLINE),
    question=record(Question, inquiries=Each(_INQUIRY), deadline=_DEADLINE),
)
_ANSWER = tagged(
    verdict=record(PermissionAnswer, verdict=Choice(Verdict)),
    answers=record(QuestionAnswer, answers=Each(Each(_PLAIN))),
    dismissed=record(QuestionDismissed),
)
_CHANNEL = Choice(Channel)
_GIVEN = record(AnswerGiven, interrupt=_INTERRUPT, answer=_ANSWER, by=record(Answerer, channel=_CHANNEL))
_SESSION = record(Session)
_USAGE = Perhaps(record(Usage))
_FAILURE = Perhaps(record(Failure))
_STATE = Choice(TaskState)
_KIND = Choice(BlockKind)
_RESOLVED = record(InterruptResolved, shown=Perhaps(_INTERRUPT), channel=Perhaps(_CHANNEL))
_SETTLED = record(Settled, channel=Perhaps(_CHANNEL), answer=Perhaps(_ANSWER))

_UPDATE = tagged(
    submitted=record(TaskSubmitted, message=_MESSAGE),
    message=record(MessageReceived, message=_MESSAGE),
    turn=record(TurnStarted, session=_SESSION),
    status=record(StatusChanged, state=_STATE, parts=_PARTS, usage=_USAGE, failure=_FAILURE),
    raised=record(InterruptRaised, interrupt=_INTERRUPT, shown=Perhaps(_INTERRUPT)),
    given=_GIVEN,
    dropped=record(AnswerDropped),
    resolved=_RESOLVED,
    artifact=record(ArtifactTold, kind=_KIND, parts=_PARTS),
    cancel=record(CancelRequested),
)
_TASK = record(
    Task,
    status=record(Status, state=_STATE, parts=_PARTS),
    history=Each(_MESSAGE, into=list),
    artifacts=ById(record(Artifact, kind=_KIND, parts=_PARTS), key="id"),
    session=Perhaps(_SESSION),
    usage=_USAGE,
    failure=_FAILURE,
    pending=ById(_INTERRUPT, key="id"),
    given=ById(_GIVEN, key="request"),
    resolved=ById(_SETTLED, key="request"),
    accepts=Each(_PLAIN),
)

_ERRAND = tagged(
    say=record(Say, message=_MESSAGE),
    give=record(Give, answer=_ANSWER, channel=_CHANNEL),
    cancel=record(Cancel),
    notify=record(Notify, config=record(PushConfig, words=Choice(Words))),
    notify_no_more=record(NotifyNoMore),
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_UNREADABLE = (LookupError, TypeError, ValueError)


@define(repr=False)
class Bodies:
    """
    The updates of one task as the bodies of its rows.

    It numbers the task's artifacts in the order they were first told: what is dumped is seen, what is loaded to go on
    from there must be shown to `see`.
    """

    _ids: list[ArtifactId] = field(factory=list)
    _numbers: dict[ArtifactId, int] = field(factory=dict)
    _growing: set[ArtifactId] = field(factory=set)
    """Those which are one text: appended text has a place to go."""

    @classmethod
    def of(cls, task: Task) -> Bodies:
        """Go on where a task stands."""
        bodies = cls()
        for artifact in task.artifacts.values():
            bodies._number(artifact.id, artifact.parts)
        return bodies

    def dump(self, update: Update) -> bytes:
        """
        Give the body of an update.

        Raises:
            IllegalTransition: Text is appended to what is no text.
            InvalidRequest: It holds what no encoding can carry.

        """
        if type(update) is not TextAppended:
            self.see(update)
            return _dump([VERSION, _UPDATE.dump(update)])
        artifact = update.artifact
        if artifact not in self._growing:
            raise IllegalTransition(f"artifact {artifact} is not text and cannot grow by text")
        number = self._numbers[artifact]
        return _dump([VERSION, number, update.text, 1] if update.last else [VERSION, number, update.text])

    def load(self, body: bytes) -> Update:
        """
        Give the update of a body.

        Raises:
            JournalDamaged: The body was not written by this release or one before it.

        """
        try:
            _, content, *text = _versioned(body)
            if type(content) is int:
                return TextAppended(self._ids[content], text[0], len(text) > 1)
            update: Update = _UPDATE.load(content)
        except _UNREADABLE as error:
            raise JournalDamaged(f"a row of the journal cannot be read: {error!r}") from error
        return update

    def see(self, update: Update) -> None:
        """Take note of an update as the next one of the task."""
        if type(update) is ArtifactTold:
            self._number(update.artifact, update.parts)

    def _number(self, artifact: ArtifactId, parts: Iterable[Part]) -> None:
        if artifact not in self._numbers:
            self._numbers[artifact] = len(self._ids)
            self._ids.append(artifact)
        match tuple(parts):
            case () | (TextPart(),):
                self._growing.add(artifact)
            case _:
                self._growing.discard(artifact)


def says_text(body: bytes) -> bool:
    """Whether a body is text that is appended, by the first byte behind its version."""
    return body[3:4] != b"{"


def dump_task(task: Task) -> bytes:
    """Give a task whole."""
    return _dump([VERSION, _TASK.dump(task)])


def load_task(body: bytes) -> Task:
    """
    Read a task.

    Raises:
        JournalDamaged: The body was not written by this release or one before it.

    """
    task: Task = _load_whole(body, _TASK, "a task in the journal")
    return task


def dump_errand(errand: Errand) -> bytes:
    """Give an errand, for another replica."""
    return _dump([VERSION, _ERRAND.dump(errand)])


def load_errand(body: bytes) -> Errand:
    """
    Read an errand.

    Raises:
        JournalDamaged: The body was not written by this release or one before it.

    """
    errand: Errand = _load_whole(body, _ERRAND, "what another replica wants")
    return errand


def _load_whole(body: bytes, shape: Shape, what: str) -> Any:
    try:
        _, content = _versioned(body)
        return shape.load(content)
    except _UNREADABLE as error:
        raise JournalDamaged(f"{what} cannot be read: {error!r}") from error


def check_text(*texts: str) -> None:
    """
    Refuse text that some storage cannot keep as a column: no Unicode, or with a null character.

    Raises:
        InvalidRequest: One of them is such a text.

    """
    for text in texts:
        if "\0" in text:
            raise InvalidRequest("an identifier holds a null character")
        _dump(text)


def can_be_kept(*texts: str) -> bool:
    """Say whether there may be something of these names: what cannot be kept cannot be found, and databases mind it."""
    try:
        check_text(*texts)
    except InvalidRequest:
        return False
    return True


def _dump(value: Any) -> bytes:
    try:
        return _encode(value)
    except UnicodeEncodeError as error:
        raise InvalidRequest("the text is no Unicode: it holds half of a surrogate pair") from error
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"what was said cannot be written down: {error}") from error


def _versioned(body: bytes) -> list[Any]:
    row = _decode(body)
    if not isinstance(row, list) or row[0] != VERSION:
        raise ValueError(f"written in a format which this release does not know: {body[:16]!r}")
    return row
