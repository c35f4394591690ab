"""The port `Audit`: JSON lines appended to a file, or lines of the log."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anyio import to_thread
from attrs import define, field, frozen

from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.domain.audit import Record

_log = logging.getLogger(__name__)
_audit = logging.getLogger("audit")

_OWNER_ONLY = 0o600


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
    A file that grows by one line a record, each in a single write.

    The file is opened anew when somebody took it away, so that it can be rotated. What a line holds may be secret: only
    the owner can read it.
    """

    path: Path
    _descriptor: int = -1
    _writing: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def record(self, record: Record) -> None:
        """Append it; on the disk on return."""
        line = to_line(record)
        async with self._writing:
            try:
                await to_thread.run_sync(self._append, line)
            except OSError:
                _log.critical("the audit cannot be written: %s", line.decode(), exc_info=True)

    def open(self) -> None:
        """
        Open the file; it is made if need be.

        Raises:
            OSError: It cannot be written.

        """
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)

    def close(self) -> None:
        """Close it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, line: bytes) -> None:
        if self._descriptor < 0 or not self._is_there():
            self.close()
            self.open()
        os.write(self._descriptor, line)
        os.fsync(self._descriptor)

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
        "at": datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "action": record.action,
        "principal": record.principal,
        "channel": record.channel,
        "subject": dict(record.subject),
        "outcome": record.outcome,
        "details": dict(record.details),
    }
    return {name: value for name, value in fields.items() if value}


def to_line(record: Record) -> bytes:
    """Give a record as a line: ASCII, so that nothing in it ends the line for any reader, or cannot be said."""
    return json.dumps(told(record), separators=(",", ":"), default=list).encode("ascii") + b"\n"
