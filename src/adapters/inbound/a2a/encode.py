"""
Updates as StreamResponses of A2A 1.0: the hot path.

An update is encoded once, however many readers it has; the bytes stay with its entry. They are one line without any
character that ends a line somewhere: clients which split a stream at U+2028 or U+0085, as httpx's `aiter_lines` does
and with it the Python SDK, would find no frame they can read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec
from attrs import define, field, frozen

from opencode_a2a_server.domain.ids import ArtifactId, RequestId, Seq, TaskId
from opencode_a2a_server.domain.interrupt import Interrupt
from opencode_a2a_server.domain.message import Message, Part
from opencode_a2a_server.domain.push import Words
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Status, Task
from opencode_a2a_server.domain.updates import (
    AnswerDropped,
    AnswerGiven,
    ArtifactTold,
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

from . import shared
from .codec import ARTIFACT_EXTENSIONS, artifact_out, message_out, status_out, task_out
from .shared import Telling, Told

VERSION: Final = "1.0"

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HERE: Final = "\ue000"
"""Marks, in a text frame's mould, where the text goes."""


def _plain(value: Any) -> object:
    """Take any mapping for an object, and any other collection for a list."""
    return dict(value) if isinstance(value, Mapping) else list(value)


_encode: Final = msgspec.json.Encoder(enc_hook=_plain).encode


def to_json(value: object) -> bytes:
    """Encode to one line of JSON; half a surrogate pair, which UTF-8 cannot say, becomes U+FFFD."""
    try:
        return _one_line(_encode(value))
    except UnicodeEncodeError:
        return _one_line(_encode(scrubbed(value)))


def _one_line(line: bytes) -> bytes:
    if b"\xe2\x80" in line:
        line = line.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return line.replace(b"\xc2\x85", b"\\u0085") if b"\xc2\x85" in line else line


def scrubbed(value: Any) -> Any:
    """Replace half a surrogate pair, wherever it is."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {scrubbed(name): scrubbed(item) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [scrubbed(item) for item in value]
    return value


def _same(told: Told) -> Told:
    return told


@frozen
class Shape:
    """A protocol version's words for what is told: how it renames a response of 1.0, a Task, and a Message."""

    version: str
    response: Callable[[Told], Told] = _same
    task: Callable[[Told], Told] = _same
    message: Callable[[Told], Told] = _same
    words: Words = Words.V1_0
    """Those in which the same client is notified."""
    telling: Telling = Telling.ALL
    """How much of our metadata is in it."""


V1_0: Final = Shape(VERSION)


def task_result(task: Task, history_length: int | None = None, *, shape: Shape = V1_0) -> bytes:
    """Encode a Task."""
    return to_json(shape.task(task_out(task, history_length)))


def listed_task(task: Task, history_length: int | None, *, with_artifacts: bool, shape: Shape = V1_0) -> bytes:
    """Encode a Task as one of a list."""
    return to_json(shape.task(task_out(task, history_length, with_artifacts=with_artifacts)))


def list_response(tasks: Sequence[bytes], next_token: str, size: int, total: int) -> bytes:
    """Encode a ListTasksResponse; all of its fields are required."""
    rest = to_json({"nextPageToken": next_token, "pageSize": size, "totalSize": total})
    return b'{"tasks":[' + b",".join(tasks) + b"]," + rest[1:]


def task_response(task: Task, history_length: int | None = None, *, gap: bool = False, shape: Shape = V1_0) -> bytes:
    """Encode a Task as the StreamResponse or SendMessageResponse it is in."""
    return to_json(shape.response({"task": task_out(task, history_length, gap=gap)}))


def message_response(message: Message, *, shape: Shape = V1_0) -> bytes:
    """Encode a bare Message the same way."""
    return to_json(shape.response({"message": message_out(message)}))


@define(eq=False)
class Line:
    """What opens a stream; all streams that open with the same share it, and it is gone with the last of them."""

    body: bytes


@frozen
class _Said:
    """A status, what `metadata.shared` tells with it, and what metadata tells beside that."""

    state: TaskState
    parts: tuple[Part, ...] = ()
    told: Told = field(factory=dict)
    beside: Told = field(factory=dict)
    asks: bool = False
    """Whether its parts have an interrupt as data."""


@define(eq=False)
class Encoder:
    """
    One task's updates as StreamResponses.

    `task` is the live fold, at or past the updates that are encoded. What it tells that an update does not say itself
    (a block's kind and message, the session) never changes once it is known.
    """

    task: Task
    shape: Shape = V1_0
    _moulds: dict[ArtifactId, tuple[bytes, bytes, bytes]] = field(factory=dict, init=False)
    _openings: WeakValueDictionary[tuple[Seq, int | None, bool], Line] = field(factory=WeakValueDictionary, init=False)
    _asked: dict[RequestId, Interrupt] = field(init=False)
    """Interrupts that were raised, as far as they were seen: what resolves one names it only by its id."""

    @_asked.default
    def _pending(self) -> dict[RequestId, Interrupt]:
        return dict(self.task.pending)

    def __call__(self, entry: Entry) -> bytes:
        """Encode an entry; empty for one which clients are not told of."""
        made: bytes | None = entry.encodings.get(self.shape.version)
        if made is None:
            update = entry.update
            made = self._text(update, entry.seq) if type(update) is TextAppended else self._other(update, entry)
            entry.encodings[self.shape.version] = made
        return made

    def opening(self, history_length: int | None = None, *, gap: bool = False) -> Line:
        """Encode the task as it now is, for a stream to open with."""
        key = self.task.seq, history_length, gap
        line = self._openings.get(key)
        if line is None:
            line = self._openings[key] = Line(task_response(self.task, history_length, gap=gap, shape=self.shape))
        return line

    def _text(self, update: TextAppended, seq: Seq) -> bytes:
        if self.shape.telling is Telling.NOTHING:  # nothing around the text is worth a mould
            return self._bare_text(update)
        before, between, after = self._moulds.get(update.artifact) or self._mould(update.artifact)
        number = b"%d" % seq
        end = b'}}}},"append":true,"lastChunk":true' if update.last else b'}}}},"append":true'
        return b"".join((before, to_json(update.text), between, number, b'","sequence":', number, end, after))

    def _bare_text(self, update: TextAppended) -> bytes:
        artifact = {"artifactId": update.artifact, "parts": [{"text": update.text}]}
        told = {**self._ids(), "artifact": artifact, "append": True}
        return self._json({"artifactUpdate": {**told, "lastChunk": True} if update.last else told})

    def _mould(self, artifact_id: ArtifactId) -> tuple[bytes, bytes, bytes]:
        """Cast what surrounds each text of an artifact: up to the text, to the event's number, and to the end."""
        stream = shared.hints(self.task, self.task.artifacts[artifact_id])
        told = {
            **self._ids(),
            "artifact": {
                "artifactId": artifact_id,
                "extensions": ARTIFACT_EXTENSIONS,
                "parts": [{"text": _HERE}],
                "metadata": {"shared": {"stream": {**stream, "event_id": f"{self.task.id}:"}}},
            },
        }
        before, _, rest = self._json({"artifactUpdate": told}).partition(_encode(_HERE))
        between, _, after = rest.rpartition(b'"}}}}')  # stream, shared, metadata, artifact
        mould = before, between, after
        self._moulds[artifact_id] = mould
        return mould

    def _other(self, update: Update, entry: Entry) -> bytes:
        match update:
            case ArtifactTold():
                return self._artifact(update, entry.seq)
            case MessageReceived() | CancelRequested() | AnswerGiven() | AnswerDropped():
                return b""
            case InterruptResolved(asked=False):
                return b""  # a rule decided it: the task worked all the while
            case StatusChanged():
                told = shared.usage(update.usage) | shared.progress(update.retry)
                said = _Said(update.state, update.parts, told, shared.error(update.failure))
            case InterruptRaised(interrupt=interrupt):
                self._asked[interrupt.id] = interrupt
                told = {"interrupt": shared.asked(interrupt)}
                said = _Said(TaskState.INPUT_REQUIRED, shared.asking(update.shown or interrupt), told, asks=True)
            case InterruptResolved():
                said = self._said_after(update)
            case TurnStarted():
                said = _Said(TaskState.WORKING, update.parts, shared.session(update.session, update.replaced))
            case TaskSubmitted():
                said = _Said(TaskState.SUBMITTED)
            case TextAppended():  # pragma: no cover - taken before
                return self._text(update, entry.seq)
        return self._status(said, entry)

    def _artifact(self, update: ArtifactTold, seq: Seq) -> bytes:
        self._moulds.pop(update.artifact, None)
        told = {**self._ids(), "artifact": artifact_out(self.task, update, seq)}
        return self._json({"artifactUpdate": {**told, "lastChunk": True} if update.last else told})

    def _said_after(self, update: InterruptResolved) -> _Said:
        """Tell what the task does after an interrupt: it works, or it waits for the next one."""
        told: Told = {"interrupt": shared.resolved(update, self._asked.get(update.request))}
        if update.shown is None:
            return _Said(TaskState.WORKING, told=told)
        told["interrupts"] = [shared.asked(update.shown)]
        return _Said(TaskState.INPUT_REQUIRED, shared.asking(update.shown), told, asks=True)

    def _status(self, said: _Said, entry: Entry) -> bytes:
        status = Status(said.state, entry.at, entry.seq, said.parts)
        event_id = shared.cursor(self.task.id, entry.seq)
        place: Told = {"source": shared.STATUS_SOURCE, "event_id": event_id, "sequence": entry.seq}
        if said.state.terminal:  # what is told is kept already; some clients wait to read it
            place["completionPhase"] = "persisted"
        told = {
            **self._ids(),
            "status": status_out(self.task, status, asks=said.asks),
            "metadata": {"shared": {"stream": place, **shared.session(self.task.session), **said.told}, **said.beside},
        }
        return self._json({"statusUpdate": told})

    def _json(self, told: Told) -> bytes:
        return to_json(self.shape.response(told))

    def _ids(self) -> Told:
        return {"taskId": self.task.id, "contextId": self.task.context_id}


@define(eq=False)
class Encoders:
    """The encoders in use: one for a task and shape, shared by its streams and gone with the last of them."""

    _of: WeakValueDictionary[tuple[TaskId, str], Encoder] = field(factory=WeakValueDictionary, init=False)

    def of(self, task: Task, shape: Shape = V1_0) -> Encoder:
        """Give the task's encoder."""
        key = task.id, shape.version
        encoder = self._of.get(key)
        if encoder is None or encoder.task is not task:
            encoder = self._of[key] = Encoder(task, shape)
        return encoder
