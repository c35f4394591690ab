"""The commands about the audit and the configuration, as an operator runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from opencode_a2a_server.adapters.outbound.access.hashes import PasswordHash, TokenHash
from opencode_a2a_server.adapters.outbound.audit import AuditFile
from opencode_a2a_server.app.cli import main
from opencode_a2a_server.domain.audit import Record

pytestmark = pytest.mark.anyio


async def kept(path: Path) -> Path:
    audit = AuditFile(path)
    for act in ("a", "b", "c"):
        await audit.record(Record(0.0, act))
    audit.close()
    return path


async def test_a_whole_audit_is_told_with_its_last_hash(tmp_path: Path) -> None:
    path = await kept(tmp_path / "audit.jsonl")

    told = CliRunner().invoke(main, ["audit", "verify", str(path)])

    assert told.exit_code == 0
    assert told.output.startswith("3 lines, whole; the last one has number 3, hash ")


async def test_the_first_line_that_was_changed_is_named(tmp_path: Path) -> None:
    path = await kept(tmp_path / "audit.jsonl")
    path.write_text(path.read_text().replace('"b"', '"x"'))

    told = CliRunner().invoke(main, ["audit", "verify", str(path)])

    assert told.exit_code == 1
    assert told.output == f"{path}, line 3: the line before it was changed: its hash is another\n"


async def test_a_file_that_begins_later_says_so(tmp_path: Path) -> None:
    path = await kept(tmp_path / "audit.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))

    told = CliRunner().invoke(main, ["audit", "verify", str(path)])

    assert told.exit_code == 0
    assert told.output.endswith("it begins with number 2, lines before it are elsewhere\n")


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["audit", "verify", str(tmp_path / "none")])

    assert told.exit_code == 2
    assert "cannot be read" in told.output


def test_a_token_is_made_and_hashed() -> None:
    told = CliRunner().invoke(main, ["config", "hash-token"])

    token, line = told.stderr.strip(), told.stdout.strip()
    assert line == f'token = "{TokenHash.of(token.encode())}"'
    assert len(token) >= 43


def test_a_token_there_is_already_is_hashed_and_not_shown() -> None:
    told = CliRunner().invoke(main, ["config", "hash-token", "--stdin"], input="mine\n")

    assert told.output == f'token = "{TokenHash.of(b"mine")}"\n'


def test_a_password_is_asked_for() -> None:
    told = CliRunner().invoke(main, ["config", "hash-token", "--password"], input="geheim\ngeheim\n")

    line = told.output.splitlines()[-1]
    assert PasswordHash.read(line.removeprefix('password = "').removesuffix('"')).fits(b"geheim")
