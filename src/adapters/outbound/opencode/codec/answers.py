"""What OpenCode answers when it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from opencode_a2a_server.adapters.outbound.opencode import wire
from opencode_a2a_server.domain.changes import FileChange, FileStatus
from opencode_a2a_server.domain.events import Telling
from opencode_a2a_server.domain.ids import SessionId
from opencode_a2a_server.domain.interrupt import Interrupt
from opencode_a2a_server.domain.message import Json
from opencode_a2a_server.domain.session import Directory, FoundSession, Session

from .interrupts import read_permission, read_question
from .messages import read_message, read_part


def decode_json(data: bytes) -> Json:
    """
    Read any JSON.

    Raises:
        Malformed: It is none.

    """
    parsed: Json = wire.parse(data)
    return parsed


def split_array(data: bytes) -> list[bytes]:
    """
    Give the elements of a JSON array, each as the JSON it is.

    Raises:
        Malformed: It is no array.

    """
    try:
        return [bytes(element) for element in msgspec.json.decode(data, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [msgspec.json.encode(element) for element in wire.read(data, tuple[wire.Object, ...])]


def decode_session(data: bytes) -> Session:
    """
    Read `POST /session`, `GET /session/{id}`.

    Raises:
        Malformed: It is no session.

    """
    session = wire.read(data, wire.Session)
    return Session(SessionId(session.id), Directory(session.directory))


def decode_found(data: bytes) -> FoundSession:
    """
    Read `GET /session/{id}`.

    Raises:
        Malformed: It is no session.

    """
    session = wire.read(data, wire.Session)
    parent = None if session.parent_id is None else SessionId(session.parent_id)
    return FoundSession(Session(SessionId(session.id), Directory(session.directory)), parent)


def decode_path(data: bytes) -> Directory:
    """
    Read `GET /path`.

    Raises:
        Malformed: It names no directory.

    """
    return Directory(wire.read(data, wire.Path).directory)


def decode_children(data: bytes) -> Sequence[SessionId]:
    """
    Read `GET /session/{id}/children`.

    Raises:
        Malformed: It is no list of sessions.

    """
    return [SessionId(session.id) for session in wire.read(data, tuple[wire.Session, ...])]


def decode_messages(data: bytes) -> list[Telling]:
    """
    Read `GET /session/{id}/message`: each message, then its parts. What the user said is not retold.

    Raises:
        Malformed: It is no list of messages.

    """
    told: list[Telling] = []
    for message in wire.read(data, tuple[wire.FullMessage, ...]):
        told.append(read_message(message.info))
        if isinstance(message.info, wire.AssistantInfo):
            for part in message.parts:
                told += read_part(part)
    return told


def decode_permissions(data: bytes) -> list[Interrupt]:
    """
    Read `GET /permission`.

    Raises:
        Malformed: It is no list of permissions.

    """
    return [read_permission(permission) for permission in wire.read(data, tuple[wire.Permission, ...])]


def decode_questions(data: bytes) -> list[Interrupt]:
    """
    Read `GET /question`.

    Raises:
        Malformed: It is no list of questions.

    """
    return [read_question(question) for question in wire.read(data, tuple[wire.Question, ...])]


def decode_statuses(data: bytes) -> frozenset[SessionId]:
    """
    Read `GET /session/status`: the sessions that work, or wait to try again.

    Raises:
        Malformed: It is no map of statuses.

    """
    statuses = {session: wire.structure(value, wire.Status) for session, value in wire.read(data, wire.Object).items()}
    return frozenset(SessionId(session) for session, status in statuses.items() if status.type in ("busy", "retry"))


def decode_changes(data: bytes) -> list[FileChange]:
    """
    Read `GET /session/{id}/diff`.

    Raises:
        Malformed: It is no list of files.

    """
    return [_change(diff) for diff in wire.read(data, tuple[wire.FileDiff, ...])]


_STATUSES: Mapping[str, FileStatus] = {status.value: status for status in FileStatus}


def _change(diff: wire.FileDiff) -> FileChange:
    """Take the hunks out of a diff; a file that is no text has no diff at all, an empty one has no hunks."""
    start = diff.patch.find("\n@@ ") + 1
    return FileChange(
        diff.file,
        _STATUSES.get(diff.status, FileStatus.CHANGED),
        int(diff.additions),
        int(diff.deletions),
        hunks=diff.patch[start:] if start else "",
        text=bool(diff.patch),
    )
