"""A host with systemd."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.systemd.environment import read_environment
from opencode_a2a_server.domain.instance import Configuration, HostFault, Refused

from .machine import Machine

TOLD = Configuration(
    settings={"A2A_TITLE": 'A "title" of $5'},
    secrets={"A2A_BEARER_TOKEN": "token"},
    opencode={"LANG": "C.UTF-8"},
    opencode_secrets={"ANTHROPIC_API_KEY": "key", "GH_TOKEN": "gh"},
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_secret_is_for_root_alone_and_in_no_unit(machine: Machine) -> None:
    instance = machine.instance()

    machine.host.furnish(instance, TOLD)

    config = machine.layout.config(instance)
    files = [path for path in config.rglob("*") if path.is_file()]
    assert {mode(path) for path in files if path.suffix != ".service"} == {0o600}
    assert {mode(path) for path in (config, config / "credentials")} == {0o700}
    password = (config / "credentials" / "OPENCODE_AUTH_PASSWORD").read_text()
    assert len(password) > 40
    for unit in machine.layout.rendered(instance).iterdir():
        assert not [secret for secret in ("token\n", "key\n", password) if secret in unit.read_text() + "\n"]
    assert not [line for line in machine.commands.run if password in line]


def test_the_two_halves_have_users_and_directories_of_their_own(machine: Machine) -> None:
    instance = machine.instance()

    machine.host.furnish(instance, TOLD)

    assert machine.users.there == {
        "oc-one": machine.layout.home(instance),
        "a2a-one": machine.layout.store(instance),
    }
    assert machine.users.owned == {Path(instance.workspace): "oc-one"}
    assert mode(Path(instance.workspace)) == 0o750


def test_each_half_is_told_what_it_needs(machine: Machine) -> None:
    instance = machine.instance()

    machine.host.furnish(instance, TOLD)

    config = machine.layout.config(instance)
    service, auth = read_environment(config / "a2a.env"), read_environment(config / "opencode.auth.env")
    assert service["A2A_TITLE"] == 'A "title" of $5'
    assert service["OPENCODE_BASE_URL"] == "http://127.77.0.1:4096"
    assert auth["OPENCODE_SERVER_PASSWORD"] == (config / "credentials" / "OPENCODE_AUTH_PASSWORD").read_text()
    assert auth["OPENCODE_A2A_HIDDEN"] == "ANTHROPIC_API_KEY"  # GH_TOKEN is meant for the agent


def test_furnishing_again_changes_nothing_and_keeps_what_was_told(machine: Machine) -> None:
    instance = machine.instance()
    first = machine.host.furnish(instance, TOLD)
    before = {path: path.read_text() for path in machine.layout.config(instance).rglob("*") if path.is_file()}

    again = machine.host.furnish(instance, Configuration())

    assert (first, again) == (True, False)
    assert {path: path.read_text() for path in before} == before


def test_a_name_is_taken_away_by_an_empty_value(machine: Machine) -> None:
    instance = machine.instance()
    machine.host.furnish(instance, Configuration({"A2A_TITLE": "x"}, {"A2A_PUSH_SECRET": "s"}))

    changed = machine.host.furnish(instance, Configuration({"A2A_TITLE": ""}, {"A2A_PUSH_SECRET": ""}))

    config = machine.layout.config(instance)
    assert changed
    assert "A2A_TITLE" not in read_environment(config / "a2a.env")
    assert not (config / "credentials" / "A2A_PUSH_SECRET").exists()
    assert "A2A_PUSH_SECRET" not in (machine.layout.rendered(instance) / instance.service_unit).read_text()


def test_a_workspace_of_others_must_be_there_and_stays_theirs(machine: Machine, tmp_path: Path) -> None:
    place = tmp_path / "project"
    with pytest.raises(Refused, match="no directory"):
        machine.host.furnish(machine.instance(workspace=str(place)), TOLD)
    place.mkdir()

    machine.host.furnish(machine.instance(workspace=str(place)), TOLD)

    assert machine.users.owned == {}
    assert f"BindPaths={place}" in (machine.layout.rendered(machine.instance()) / "opencode@one.service").read_text()


def test_the_unit_keeps_agents_from_every_opencode(machine: Machine) -> None:
    instance = machine.instance()

    machine.host.furnish(instance, TOLD)

    units = machine.layout.rendered(instance)
    assert "IPAddressDeny=127.77.0.0/16" in (units / instance.opencode_unit).read_text()
    assert "IPAddressDeny" not in (units / instance.service_unit).read_text()


def test_whom_the_service_may_speak_with_can_be_limited(machine: Machine) -> None:
    instance = machine.instance(reach=("localhost", "10.0.0.0/8"))

    machine.host.furnish(instance, TOLD)

    unit = (machine.layout.rendered(instance) / instance.service_unit).read_text()
    assert "IPAddressDeny=any\nIPAddressAllow=127.0.0.0/8 localhost 10.0.0.0/8\n" in unit


def test_a_workspace_in_a_home_is_the_only_thing_seen_of_it(machine: Machine) -> None:
    from opencode_a2a_server.adapters.outbound.systemd.units import render

    unit = render(machine.instance(workspace="/home/me/work"), machine.layout, [])["opencode@one.service"]

    assert "ProtectHome=tmpfs\nBindPaths=/home/me/work\n" in unit


def test_a_stop_takes_longer_than_draining(machine: Machine) -> None:
    instance = machine.instance(drain=300.0)

    machine.host.furnish(instance, TOLD)

    unit = (machine.layout.rendered(instance) / instance.service_unit).read_text()
    assert "TimeoutStopSec=320\n" in unit
    assert "A2A_DRAIN_SECONDS" in (machine.layout.config(instance) / "a2a.env").read_text()


def test_switching_puts_release_and_units_in_place_and_starts_opencode_first(machine: Machine) -> None:
    instance = machine.instance()
    machine.host.furnish(instance, TOLD)

    assert machine.host.switch(instance) == ""

    assert machine.layout.launch(instance).resolve() == machine.layout.release("r1")
    assert (machine.layout.units / instance.service_unit).is_file()
    assert list(machine.host.instances()) == [instance]
    assert machine.commands.of("systemctl")[-2:] == [
        "start opencode@one.service",
        "start opencode-a2a-server@one.service",
    ]


def test_the_service_is_stopped_before_its_opencode(machine: Machine) -> None:
    instance = machine.instance()
    machine.host.furnish(instance, TOLD)
    machine.host.switch(instance)

    machine.host.keep_store(instance)

    stops = [line for line in machine.commands.of("systemctl") if line.startswith("stop")]
    assert stops[-2:] == ["stop opencode-a2a-server@one.service", "stop opencode@one.service"]


def test_a_unit_that_does_not_start_is_told_with_its_last_words(machine: Machine) -> None:
    instance = machine.instance()
    machine.host.furnish(instance, TOLD)
    machine.commands.failing.add("start opencode-a2a-server@one")

    problem = machine.host.switch(instance)

    assert "exit status 1" in problem
    assert problem.endswith("1.2.3\n")  # the journal's


def test_a_release_that_is_no_more_is_not_switched_to(machine: Machine) -> None:
    instance = machine.instance(release="gone")
    machine.host.furnish(instance, TOLD)

    with pytest.raises(HostFault, match="is no more"):
        machine.host.switch(instance)
    assert not machine.commands.of("systemctl")


def test_readiness_is_asked_with_the_credentials_until_it_is_there(machine: Machine) -> None:
    instance = machine.instance()
    machine.host.furnish(instance, TOLD)
    machine.answers = ["starting", "starting"]

    assert machine.host.complaint(instance, patience=5) == ""

    password = (machine.layout.credentials(instance) / "OPENCODE_AUTH_PASSWORD").read_text()
    assert machine.asked == [("http://127.77.0.1:9090", "token", password)] * 3


def test_readiness_that_does_not_come_is_given_up(machine: Machine) -> None:
    instance = machine.instance()
    machine.answers = ["starting"] * 100

    assert machine.host.complaint(instance, patience=5) == "starting"
    assert machine.slept == pytest.approx(5, abs=0.3)


def test_what_others_had_under_the_same_names_is_set_aside_and_given_back(machine: Machine) -> None:
    instance = machine.instance()
    drop_in = machine.layout.units / "opencode@one.service.d" / "override.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nTasksMax=1\n")
    machine.host.furnish(instance, TOLD)
    machine.host.switch(instance)
    assert not drop_in.exists()

    left = machine.host.remove(instance, state=False)

    assert left == []
    assert drop_in.read_text() == "[Service]\nTasksMax=1\n"
    assert machine.commands.of("systemctl")[-1] == "start opencode-a2a-server@one.service"  # it was active before


def test_drop_ins_of_the_operator_survive_an_upgrade(machine: Machine) -> None:
    instance = machine.instance()
    machine.host.furnish(instance, TOLD)
    machine.host.switch(instance)
    drop_in = machine.layout.units / "opencode@one.service.d" / "mine.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\n")

    machine.host.switch(instance)

    assert drop_in.exists()


def test_removing_keeps_settings_and_state(machine: Machine) -> None:
    instance = machine.instance()
    machine.host.furnish(instance, TOLD)
    machine.host.switch(instance)

    assert machine.host.remove(instance, state=False) == []

    assert machine.host.instances() == []
    assert not (machine.layout.units / instance.service_unit).exists()
    assert (machine.layout.credentials(instance) / "A2A_BEARER_TOKEN").exists()
    assert machine.users.there


def test_purging_leaves_nothing_but_what_was_there_before(machine: Machine, tmp_path: Path) -> None:
    place = tmp_path / "project"
    place.mkdir()
    instance = machine.instance(workspace=str(place))
    machine.host.furnish(instance, TOLD)
    machine.host.switch(instance)
    traces = machine.host.traces(instance, state=True)

    assert machine.host.remove(instance, state=True) == []

    assert f"keep {place}, which was there before" in traces
    assert place.is_dir()
    assert not machine.layout.config(instance).exists()
    assert not machine.layout.state(instance).exists()
    assert machine.users.there == {}


def test_what_cannot_be_removed_does_not_keep_the_rest(machine: Machine) -> None:
    instance = machine.instance()
    machine.host.furnish(instance, TOLD)
    machine.host.switch(instance)
    machine.commands.failing.add("disable")

    left = machine.host.remove(instance, state=True)

    assert len(left) == 1
    assert not machine.layout.state(instance).exists()


def test_an_agent_cannot_lead_the_administrators_hand(machine: Machine) -> None:
    instance = machine.instance()
    machine.host.furnish(instance, TOLD)

    machine.host.keep_store(instance)
    machine.host.put_back_store(instance)

    copying = [line for line in machine.commands.run if "cp --preserve" in line]
    assert [line.split()[1] for line in copying] == [f"--reuid={user}" for user in ("a2a-one", "oc-one") * 2]


def test_a_store_that_was_never_kept_cannot_be_put_back(machine: Machine) -> None:
    with pytest.raises(HostFault, match="no copy"):
        machine.host.put_back_store(machine.instance())


def test_whether_a_store_fits_is_asked_of_the_release(machine: Machine) -> None:
    instance = machine.instance()
    url = "postgresql+asyncpg://me:secret@db/x"
    machine.host.furnish(instance, Configuration(secrets={"A2A_TASK_STORE_DATABASE_URL": url}))

    assert machine.host.store_fits(instance)
    assert machine.commands.environments[-1]["A2A_TASK_STORE_DATABASE_URL"] == url
    assert "secret" not in machine.commands.run[-1]
    machine.commands.failing.add("db check")
    assert not machine.host.store_fits(instance)


def test_a_record_that_cannot_be_read_is_named(machine: Machine) -> None:
    instance = machine.instance()
    machine.host.furnish(instance, TOLD)
    (machine.layout.config(instance) / "instance.json").write_text(json.dumps({"name": "one"}))

    with pytest.raises(HostFault, match=r"instance\.json is not the record"):
        machine.host.instances()


def test_an_operator_may_have_probes_and_metrics_elsewhere(machine: Machine) -> None:
    instance = machine.instance()
    machine.host.furnish(instance, Configuration({"A2A_ADMIN_HOST": "0.0.0.0", "A2A_ADMIN_PORT": "9191"}))  # noqa: S104

    machine.host.complaint(instance)

    assert machine.asked[0][0] == "http://127.0.0.1:9191"
