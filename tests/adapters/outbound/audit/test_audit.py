"""Where it is kept who did what."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.audit import AuditUnusable, open_audit
from opencode_a2a_server.domain.audit import Record
from opencode_a2a_server.domain.ids import Principal

pytestmark = pytest.mark.anyio

RECORD = Record(
    1_700_000_000.25,
    "interrupt.answer",
    Principal("alice"),
    "message",
    {"task": "t", "request": "per_1"},
    "given",
    {"patterns": ["rm *"]},
)
TOLD = {
    "at": "2023-11-14T22:13:20.250Z",
    "action": "interrupt.answer",
    "principal": "alice",
    "channel": "message",
    "subject": {"task": "t", "request": "per_1"},
    "outcome": "given",
    "details": {"patterns": ["rm *"]},
}


def lines(path: Path) -> list[object]:
    """Give what the lines tell, without the links of their chain."""
    told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in one.items() if name not in ("seq", "prev")} for one in told]


async def test_each_record_is_a_line_of_json_that_only_the_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    async with open_audit(str(path)) as audit:
        await audit.record(RECORD)

    assert lines(path) == [TOLD]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text('{"old": true}\n')

    async with open_audit(str(path)) as audit:
        await audit.record(RECORD)

    assert lines(path) == [{"old": True}, TOLD]


async def test_records_stand_in_the_order_they_were_given(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    async with open_audit(str(path)) as audit:
        await asyncio.gather(*(audit.record(Record(0.0, "act", outcome=str(number))) for number in range(50)))

    assert [one["outcome"] for one in lines(path) if isinstance(one, dict)] == [str(number) for number in range(50)]


async def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path, rotated = tmp_path / "audit.jsonl", tmp_path / "audit.1"

    async with open_audit(str(path)) as audit:
        await audit.record(RECORD)
        path.rename(rotated)
        await audit.record(RECORD)

    assert lines(path) == lines(rotated) == [TOLD]


async def test_text_that_is_no_unicode_is_kept_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    async with open_audit(str(path)) as audit:
        await audit.record(Record(0.0, "act", details={"said": "half \ud83d"}))

    (line,) = lines(path)
    assert isinstance(line, dict)
    assert line["details"] == {"said": "half \ud83d"}


async def test_a_record_that_cannot_be_written_is_said_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    async with open_audit(str(folder / "audit.jsonl")) as audit:
        (folder / "audit.jsonl").unlink()
        folder.rmdir()

        await audit.record(RECORD)

    assert "the audit cannot be written" in caplog.text
    assert "per_1" in caplog.text


async def test_a_place_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(AuditUnusable, match="A2A_AUDIT_FILE"):
        async with open_audit(str(tmp_path / "missing" / "audit.jsonl")):
            pass


async def test_without_a_file_records_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with open_audit(None) as audit:
        await audit.record(RECORD)

    (line,) = [record for record in caplog.records if record.name == "audit"]
    assert line.levelno == logging.INFO
    assert line.__dict__["audit"] == TOLD
