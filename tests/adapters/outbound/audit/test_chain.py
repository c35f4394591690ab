"""The chain of the audit's lines: what is changed in it shows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.adapters.outbound.audit import AuditFile, Broken, Whole, open_audit, verify
from opencode_a2a_server.adapters.outbound.audit.chain import BEGIN, Link
from opencode_a2a_server.domain.audit import Record

pytestmark = pytest.mark.anyio


async def kept(path: Path, *acts: str) -> None:
    async with open_audit(str(path)) as audit:
        for act in acts:
            await audit.record(Record(0.0, act))


async def test_lines_are_a_chain_from_the_first_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    await kept(path, "a", "b", "c")

    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["seq"] for line in told] == [1, 2, 3]
    assert told[0]["prev"] == BEGIN
    checked = verify([path])
    assert isinstance(checked, Whole)
    assert (checked.lines, checked.begins) == (3, 1)


async def test_it_goes_on_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    await kept(path, "a")
    await kept(path, "b")

    assert verify([path]).lines == 2  # type: ignore[union-attr]


async def test_it_goes_on_over_a_rotation_with_the_service_running_or_not(tmp_path: Path) -> None:
    path, first, second = (tmp_path / name for name in ("audit.jsonl", "audit.1", "audit.2"))

    async with open_audit(str(path)) as audit:
        await audit.record(Record(0.0, "a"))
        path.rename(first)
        await audit.record(Record(0.0, "b"))
    path.rename(second)
    await kept(path, "c")

    checked = verify([first, second, path])
    assert isinstance(checked, Whole)
    assert checked.lines == 3
    assert isinstance(verify([second, path]), Whole)
    assert isinstance(verify([first, path]), Broken)


async def test_two_processes_append_to_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    async with open_audit(str(path)) as one, open_audit(str(path)) as other:
        for _ in range(3):
            await one.record(Record(0.0, "one"))
            await other.record(Record(0.0, "other"))

    assert verify([path]).lines == 6  # type: ignore[union-attr]


async def test_what_a_power_cut_left_of_a_line_is_cut_off_and_recorded(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    await kept(path, "a", "b")
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])

    await kept(path, "c")

    assert isinstance(verify([path]), Whole)
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["action"] for line in told] == ["a", "audit.torn", "c"]
    assert bytes.fromhex(told[1]["details"]["lost"]) == whole.splitlines(keepends=True)[1][:-7]


async def test_half_a_line_is_never_left_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AuditFile(path)
    await audit.record(Record(0.0, "a"))
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:10]))
        await audit.record(Record(0.0, "b"))
    await audit.record(Record(0.0, "c"))
    audit.close()

    assert [json.loads(line)["action"] for line in path.read_text().splitlines()] == ["a", "c"]
    assert isinstance(verify([path]), Whole)


@given(data=st.data())
def test_any_change_of_a_line_breaks_the_chain(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    link, lines = Link(), []
    for number in range(5):
        line, link = link.next({"at": "now", "action": f"act {number}"})
        lines.append(line)
    which = data.draw(st.integers(0, 3))
    act = data.draw(st.sampled_from(["change", "drop", "swap", "insert"]))
    if act == "change":
        lines[which] = lines[which].replace(b"act", b"bad")
    elif act == "drop":
        del lines[which]
    elif act == "swap":
        lines[which], lines[which + 1] = lines[which + 1], lines[which]
    else:
        lines.insert(which, lines[which])
    path.write_bytes(b"".join(lines))

    checked = verify([path])

    dropped_first = act == "drop" and which == 0  # a file may begin later: the one before it is missing
    assert isinstance(checked, Whole if dropped_first else Broken)
    if isinstance(checked, Broken):
        assert checked.line in (which + 1, which + 2)
    elif isinstance(checked, Whole):
        assert checked.begins == 2


@pytest.mark.parametrize("text", ["no json\n", "{}\n", "[]\n", '{"seq":1,"prev":"x"}\n', '{"seq":1,"prev":"x"}'])
def test_what_is_no_line_of_a_chain_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text(text)

    broken = verify([path])

    assert str(broken).startswith(f"{path}, line 1: ")


def test_the_last_line_without_its_end_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    line, _ = Link().next({"action": "a"})
    path.write_bytes(line[:-1])

    assert str(verify([path])).endswith("it is not whole")
