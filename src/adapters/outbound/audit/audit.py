"""The port `Audit`: JSON lines appended to a file, or lines of the log."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anyio import to_thread
from attrs import define, field, frozen

from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.domain.audit import Record

from .chain import Link

_log = logging.getLogger(__name__)
_audit = logging.getLogger("audit")

_OWNER_ONLY = 0o600
_TAIL = 1 << 20
"""Bytes at the end of the file among which the last line is looked for."""


class AuditUnusable(Exception):
    """The audit cannot be kept where it should be."""


@frozen
class AuditLog:
    """Lines of the log, by a logger of their own."""

    async def record(self, record: Record) -> None:
        """Log it."""
        _audit.info("%s %s", record.action, record.outcome, extra={"audit": told(record)})


@define(eq=False)
class AuditFile:
    """
    A file that grows by one line a record, each in a single write and on the disk before the record is done.

    The lines are a chain (see `chain`), which goes on over restarts and rotations: the file is opened anew when somebody
    took it away, and where it ended is kept beside it, in a file of the same name with `.head`. Several processes may
    append to one file. What a line holds may be secret: only the owner can read it.
    """

    path: Path
    _descriptor: int = -1
    _link: Link = field(factory=Link, init=False)
    _size: int = field(default=-1, init=False)
    """The file's size when we last looked; another one means that somebody else wrote."""
    _writing: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def record(self, record: Record) -> None:
        """Append it; on the disk on return."""
        async with self._writing:
            try:
                await to_thread.run_sync(self._append, told(record))
            except OSError:
                _log.critical("the audit cannot be written: %s", json.dumps(told(record), default=list), exc_info=True)

    def open(self) -> None:
        """
        Open the file; it is made if need be.

        Raises:
            OSError: It cannot be written.

        """
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
        self._size = -1

    def close(self) -> None:
        """Close it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def _head(self) -> Path:
        return self.path.with_name(self.path.name + ".head")

    def _append(self, record: Mapping[str, Any]) -> None:
        if self._descriptor < 0 or not self._is_there():
            self.close()
            self.open()
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            if os.fstat(self._descriptor).st_size != self._size:
                self._take_up()
            self._write(record)
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _write(self, record: Mapping[str, Any]) -> None:
        line, link = self._link.next(record)
        before = os.fstat(self._descriptor).st_size
        if os.write(self._descriptor, line) != len(line):
            os.ftruncate(self._descriptor, before)  # half a line would break the chain for good
            raise OSError(errno.ENOSPC, "there is no room for the line")
        os.fsync(self._descriptor)
        self._link, self._size = link, before + len(line)
        self._head.write_text(f"{link.seq} {link.hash}\n", encoding="ascii")

    def _take_up(self) -> None:
        """Find where the chain has come to: the last line says it, or what is kept beside an empty file."""
        size = os.fstat(self._descriptor).st_size
        tail = os.pread(self._descriptor, _TAIL, max(0, size - _TAIL))
        whole, _, torn = tail.rpartition(b"\n")
        try:
            self._link = Link.after(whole.rpartition(b"\n")[2]) if whole else self._kept()
        except ValueError:
            _log.critical("the audit's last line cannot be read; a new chain begins after it: %s", self.path)
            self._link = Link()
        self._size = size
        if torn:  # the machine went down in the middle of it
            os.ftruncate(self._descriptor, size - len(torn))
            self._write({"at": moment(time.time()), "action": "audit.torn", "details": {"lost": torn[:1024].hex()}})

    def _kept(self) -> Link:
        try:
            seq, _, known = self._head.read_text(encoding="ascii").strip().partition(" ")
            return Link(int(seq), known)
        except (OSError, ValueError):
            return Link()

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False


@asynccontextmanager
async def open_audit(path: str | None) -> AsyncIterator[Audit]:
    """
    Open the audit; without a path it goes to the log.

    Raises:
        AuditUnusable: The file cannot be written.

    """
    if path is None:
        _audit.setLevel(logging.INFO)  # whatever else is shown
        yield AuditLog()
        return
    audit = AuditFile(Path(path))
    try:
        audit.open()
    except OSError as error:
        raise AuditUnusable(f"A2A_AUDIT_FILE: {path} cannot be written ({error.strerror})") from error
    try:
        yield audit
    finally:
        audit.close()


def told(record: Record) -> Mapping[str, Any]:
    """Give a record as an object; what is empty is left out."""
    fields: Mapping[str, Any] = {
        "at": moment(record.at),
        "action": record.action,
        "principal": record.principal,
        "channel": record.channel,
        "subject": dict(record.subject),
        "outcome": record.outcome,
        "details": dict(record.details),
    }
    return {name: value for name, value in fields.items() if value}


def moment(at: float) -> str:
    """Give a time as it is written (RFC 3339)."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
