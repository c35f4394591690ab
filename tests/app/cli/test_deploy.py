"""`opencode-a2a-server deploy`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from opencode_a2a_server.adapters.outbound.systemd.environment import read_environment
from opencode_a2a_server.adapters.outbound.systemd.host import SystemdHost
from opencode_a2a_server.adapters.outbound.systemd.releases import Sources
from opencode_a2a_server.app.cli import main
from opencode_a2a_server.app.settings.deployment import secret_names, told_by_files
from tests.adapters.outbound.systemd.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "root")
    machine.layout.units.mkdir(parents=True)
    return machine


def deploy(machine: Machine, *arguments: str) -> tuple[int, dict[str, Any]]:
    def find(sources: Sources) -> SystemdHost:
        machine.sources = sources
        return machine.host

    done = CliRunner().invoke(main, ["deploy", *arguments], obj=find)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    lines = done.output.splitlines()
    return done.exit_code, json.loads(lines[0]) if len(lines) == 1 else {"usage": done.output}


def installed(machine: Machine, *arguments: str) -> dict[str, Any]:
    status, told = deploy(machine, "install", "one", "--release", "1.0", "--opencode", "7", *arguments)
    assert status == 0, told
    return told


def upgrade(machine: Machine, *arguments: str) -> tuple[int, dict[str, Any]]:
    return deploy(machine, "upgrade", "one", "--release", "1.1", "--opencode", "7", "--patience", "1", *arguments)


def test_an_install_is_told_in_one_line(machine: Machine) -> None:
    assert installed(machine) == {
        "status": "ok",
        "category": "installed",
        "instance": "one",
        "service": "opencode-a2a-server@one.service",
        "opencode": "opencode@one.service",
        "url": "http://127.0.0.1:8000",
        "release": "1.0-opencode-7",
        "previous": None,
        "detail": "",
        "steps": [],
        "notes": [],
    }


def test_settings_come_from_a_file_and_secrets_become_credentials(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    env = tmp_path / "env"
    env.write_text(f"A2A_PORT=8100\nA2A_TITLE=Mine\nA2A_PUSH_SECRET=s\nA2A_BEARER_TOKEN_FILE={tmp_path}/token\n")

    told = installed(machine, "--env", str(env))

    (instance,) = machine.host.instances()
    assert told["url"] == "http://127.0.0.1:8100"
    assert read_environment(machine.layout.config(instance) / "a2a.env")["A2A_TITLE"] == "Mine"
    kept = {path.name: path.read_text() for path in machine.layout.credentials(instance).iterdir()}
    assert (kept["A2A_PUSH_SECRET"], kept["A2A_BEARER_TOKEN"]) == ("s", "from-a-file")


def test_settings_that_would_not_start_are_refused_before_anything_is_done(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("A2A_PROT=1\n")

    status, told = deploy(machine, "install", "one", "--env", str(tmp_path / "env"))

    assert (status, told["category"]) == (1, "refused")
    assert "did you mean A2A_PORT?" in told["detail"]
    assert machine.commands.run == []


def test_two_instances_stand_side_by_side(machine: Machine) -> None:
    installed(machine)

    status, _ = deploy(machine, "install", "two", "--release", "1.0", "--opencode", "7", "--port", "8001")

    assert status == 0
    assert [(one.name, one.upstream) for one in machine.host.instances()] == [
        ("one", "127.77.0.1"),
        ("two", "127.77.0.2"),
    ]


def test_installing_again_is_unchanged_and_without_a_restart(machine: Machine) -> None:
    installed(machine, "--port", "8100")
    machine.commands.run.clear()

    told = installed(machine)

    assert (told["category"], told["url"]) == ("unchanged", "http://127.0.0.1:8100")
    assert machine.commands.of("systemctl") == []


def test_an_upgrade_that_is_not_ready_exits_3_with_the_former_release(machine: Machine) -> None:
    installed(machine)
    machine.answers = ["not yet"] * 6

    status, told = upgrade(machine)

    assert (status, told["status"], told["category"]) == (3, "failed", "restored")
    assert (told["release"], told["detail"]) == ("1.0-opencode-7", "1.1-opencode-7: not yet")


def test_an_upgrade_and_the_way_back(machine: Machine) -> None:
    installed(machine)

    preview, done = upgrade(machine, "--dry-run"), upgrade(machine)
    back = deploy(machine, "rollback", "one")

    assert (preview[1]["status"], done[1]["category"], back[1]["category"]) == ("preview", "upgraded", "rolled_back")
    assert (done[1]["previous"], back[1]["release"]) == ("1.0-opencode-7", "1.0-opencode-7")


def test_the_status_of_what_does_not_answer_is_4(machine: Machine) -> None:
    installed(machine)
    machine.answers = ["nobody there"]

    status, told = deploy(machine, "status", "one")

    assert (status, told["category"], told["detail"]) == (4, "not_ready", "nobody there")


def test_an_uninstall_needs_a_yes(machine: Machine) -> None:
    installed(machine)

    preview = deploy(machine, "uninstall", "one", "--purge")
    there = len(machine.host.instances())
    done = deploy(machine, "uninstall", "one", "--purge", "--yes")

    assert (preview[0], preview[1]["category"], there) == (0, "preview", 1)
    assert (done[0], done[1]["category"], machine.host.instances()) == (0, "uninstalled", [])


def test_what_an_uninstall_leaves_is_5(machine: Machine) -> None:
    installed(machine)
    machine.commands.failing.add("disable")

    assert deploy(machine, "uninstall", "one", "--yes")[0] == 5


def test_a_host_that_does_not_do_its_part_is_6(machine: Machine) -> None:
    machine.commands.failing.add("pip install")

    status, told = deploy(machine, "install", "one", "--release", "1.0", "--opencode", "7")

    assert (status, told["category"]) == (6, "host")
    assert "pip install" in told["detail"]


@pytest.mark.parametrize("command", ["upgrade", "rollback", "status", "uninstall"])
def test_an_unknown_instance_is_1_and_a_wrong_name_too(machine: Machine, command: str) -> None:
    assert deploy(machine, command, "two")[0] == 1
    assert deploy(machine, command, "../two")[0] == 1


def test_wrong_usage_is_2(machine: Machine) -> None:
    assert deploy(machine, "install")[0] == 2
    assert deploy(machine, "install", "one", "--env", "/nowhere")[0] == 2


def test_an_instance_of_0_2_is_taken_over(machine: Machine, tmp_path: Path) -> None:
    config, workspace = tmp_path / "alpha" / "config", tmp_path / "alpha" / "workspace"
    config.mkdir(parents=True)
    workspace.mkdir()
    (config / "a2a.env").write_text("A2A_PORT=8123\nA2A_STREAMING=true\nOTEL_INSTRUMENTATION_A2A_SDK_ENABLED=false\n")
    (config / "a2a.secret.env").write_text("A2A_BEARER_TOKEN=old-token\n")
    (config / "opencode.secret.env").write_text("ANTHROPIC_API_KEY=key\n")

    told = installed(machine, "--from-0.2", str(tmp_path / "alpha"))

    (instance,) = machine.host.instances()
    assert (told["url"], instance.workspace) == ("http://127.0.0.1:8123", str(workspace))
    assert (machine.layout.credentials(instance) / "A2A_BEARER_TOKEN").read_text() == "old-token"
    assert "key" in (machine.layout.config(instance) / "opencode.secret.env").read_text()
    assert told["notes"] == [
        "OTEL_INSTRUMENTATION_A2A_SDK_ENABLED of release 0.2 has no place any more and is left out"
    ]


def test_who_deploys_is_alone(machine: Machine) -> None:
    import fcntl

    machine.layout.configured.mkdir(parents=True)
    with machine.layout.lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        status, told = deploy(machine, "status", "one")

    assert (status, "somebody else deploys" in told["detail"]) == (1, True)


def test_what_is_secret_is_known_by_its_setting() -> None:
    given = {"A2A_BEARER_TOKEN": "x", "A2A_TITLE": "y", "A2A_TASK_STORE_DATABASE_URL": "sqlite+aiosqlite:////x"}

    assert secret_names(given) == {"A2A_BEARER_TOKEN"}
    assert secret_names({"A2A_TASK_STORE_DATABASE_URL": "postgresql://me:pw@db/x"}) == {"A2A_TASK_STORE_DATABASE_URL"}


def test_a_setting_that_is_called_file_is_not_read(tmp_path: Path) -> None:
    assert told_by_files({"A2A_AUDIT_FILE": "/var/log/x"}) == {"A2A_AUDIT_FILE": "/var/log/x"}
