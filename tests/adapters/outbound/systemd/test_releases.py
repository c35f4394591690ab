"""Releases, side by side."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.systemd.releases import Sources
from opencode_a2a_server.domain.instance import HostFault, Refused, Wanted

from .machine import Machine

WANTED = Wanted("1.2.3", "9.9")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_release_is_pinned_and_whole(machine: Machine) -> None:
    name = machine.releases.make(WANTED)

    place = machine.layout.release(name)
    assert name == "1.2.3-opencode-9.9"
    assert json.loads((place / "release.json").read_text()) == {
        "service": "1.2.3", "opencode": "9.9", "packages": ["1.2.3"],
    }  # fmt: skip
    assert any(line.endswith("opencode-a2a-server==1.2.3") for line in machine.commands.run)
    assert any(line.endswith("opencode-ai@9.9") for line in machine.commands.run)
    assert (place / "opencode").read_text() == "opencode 9.9"


def test_opencode_can_be_run_and_not_read(machine: Machine) -> None:
    place = machine.layout.release(machine.releases.make(WANTED))

    assert stat.S_IMODE((place / "opencode").stat().st_mode) == 0o711


def test_a_release_that_is_there_is_not_made_again(machine: Machine) -> None:
    machine.releases.make(WANTED)
    machine.commands.run.clear()

    assert machine.releases.make(WANTED) == "1.2.3-opencode-9.9"
    assert machine.commands.run == []


def test_what_was_cut_off_is_made_anew(machine: Machine) -> None:
    half = machine.layout.release("1.2.3-opencode-9.9")
    half.mkdir(parents=True)
    (half / "rubbish").touch()

    machine.releases.make(WANTED)

    assert not (half / "rubbish").exists()


@pytest.mark.parametrize("step", ["venv", "pip install", "npm", "--version"])
def test_nothing_is_left_of_a_release_that_fails(machine: Machine, step: str) -> None:
    machine.commands.failing.add(step)

    with pytest.raises(HostFault):
        machine.releases.make(WANTED)
    assert not machine.layout.release("1.2.3-opencode-9.9").exists()


def test_files_of_one_version_are_told_apart(machine: Machine, tmp_path: Path) -> None:
    wheel, binary = tmp_path / "opencode_a2a_server-1.2.3-py3-none-any.whl", tmp_path / "opencode"
    wheel.write_text("a")
    binary.write_text("oc")
    first = machine.releases.make(Wanted(str(wheel), str(binary)))
    wheel.write_text("b")

    second = machine.releases.make(Wanted(str(wheel), str(binary)))

    assert first != second
    assert {path.name for path in machine.layout.releases.iterdir()} == {first, second}
    assert (machine.layout.release(second) / "opencode").read_text() == "oc"


def test_a_host_without_an_index_installs_from_wheels(machine: Machine) -> None:
    machine.sources = Sources("/usr/bin/python3", "/mnt/wheels", "/mnt/pins.txt", ("grpc", "postgres"))

    name = machine.releases.make(WANTED)

    assert name == "1.2.3-grpc-postgres-opencode-9.9"
    assert any(
        "--no-index --find-links /mnt/wheels --constraint /mnt/pins.txt opencode-a2a-server[grpc,postgres]==1.2.3"
        in line
        for line in machine.commands.run
    )


def test_a_python_in_a_home_is_refused(machine: Machine) -> None:
    machine.sources = Sources("/root/bin/python3")

    with pytest.raises(Refused, match="--python"):
        machine.releases.make(WANTED)


@pytest.mark.parametrize(
    "wanted",
    [Wanted("latest", "1"), Wanted("../x", "1"), Wanted("1", "latest"), Wanted("1", "./none"), Wanted("1/2", "1")],
)
def test_what_is_no_release_is_refused(machine: Machine, wanted: Wanted) -> None:
    with pytest.raises(Refused):
        machine.releases.name_of(wanted)
