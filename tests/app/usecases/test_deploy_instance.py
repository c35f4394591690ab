"""Instances are made, changed and taken away."""

from __future__ import annotations

import pytest
from attrs import evolve

from opencode_a2a_server.app.usecases.deploy_instance import (
    InstallInstance,
    RollBackInstance,
    ShowInstance,
    UninstallInstance,
    UpgradeInstance,
)
from opencode_a2a_server.domain.instance import Category, Configuration, Instance, Outcome, Refused, Wanted
from tests.fakes.host import FakeHost

OLD, NEW = Wanted("1.0", "7"), Wanted("1.1", "7")
ONE = Instance("one", "", "127.0.0.1", 8000, "127.77.0.1", "/work")


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


def install(host: FakeHost, instance: Instance = ONE, wanted: Wanted = OLD, *, apply: bool = True) -> Outcome:
    return InstallInstance(host, 5)(instance, wanted, Configuration(), apply=apply)


def upgrade(host: FakeHost, *, apply: bool = True) -> Outcome:
    return UpgradeInstance(host, 5)("one", NEW, apply=apply)


def roll_back(host: FakeHost, *, restore_store: bool = False, apply: bool = True) -> Outcome:
    return RollBackInstance(host, 5)("one", restore_store=restore_store, apply=apply)


def test_an_instance_is_installed_and_ready(host: FakeHost) -> None:
    done = install(host)

    assert (done.category, done.instance.release) == (Category.INSTALLED, "1.0-opencode-7")
    assert host.done == ["make 1.0-opencode-7", "furnish one", "start 1.0-opencode-7"]


def test_a_preview_changes_nothing(host: FakeHost) -> None:
    done = install(host, apply=False)

    assert (done.category, host.done) == (Category.PREVIEW, [])
    assert done.steps[-1] == "wait until both answer"


def test_installing_again_changes_nothing(host: FakeHost) -> None:
    install(host)
    host.changes = False
    host.done.clear()

    done = install(host)

    assert done.category is Category.UNCHANGED
    assert not any(step.startswith("start") for step in host.done)


def test_installing_again_starts_what_is_not_ready(host: FakeHost) -> None:
    install(host)
    host.changes = False
    host.running.clear()

    assert install(host).category is Category.INSTALLED
    assert host.running == {"one": "1.0-opencode-7"}


def test_installing_again_applies_what_is_told_differently(host: FakeHost) -> None:
    install(host)
    host.changes = False

    done = install(host, evolve(ONE, port=8001))

    assert (done.category, host.recorded["one"].port) == (Category.INSTALLED, 8001)


@pytest.mark.parametrize("how", ["broken", "stuck"])
def test_an_install_that_fails_is_taken_back(host: FakeHost, how: str) -> None:
    getattr(host, how).add("1.0-opencode-7")

    done = install(host)

    assert done.category is Category.BROKEN
    assert done.detail
    assert host.done[-1] == "remove one"


def test_a_changed_instance_that_fails_is_not_taken_away(host: FakeHost) -> None:
    install(host)
    host.broken.add("1.0-opencode-7")

    assert install(host).category is Category.BROKEN
    assert "one" in host.recorded


def test_a_port_of_another_instance_is_refused(host: FakeHost) -> None:
    install(host)

    with pytest.raises(Refused, match="port 8000 is that of instance one"):
        install(host, evolve(ONE, name="two"))


def test_another_release_is_not_installed_over_it(host: FakeHost) -> None:
    install(host)

    with pytest.raises(Refused, match="upgrade"):
        install(host, wanted=NEW)


def test_an_upgrade_keeps_the_store_before_anything_starts(host: FakeHost) -> None:
    install(host)
    host.done.clear()

    done = upgrade(host)

    assert (done.category, done.instance.previous) == (Category.UPGRADED, "1.0-opencode-7")
    assert host.done == ["make 1.1-opencode-7", "furnish one", "keep store", "start 1.1-opencode-7"]


@pytest.mark.parametrize("how", ["broken", "stuck"])
def test_an_upgrade_that_fails_is_rolled_back_with_the_store(host: FakeHost, how: str) -> None:
    install(host)
    getattr(host, how).add("1.1-opencode-7")

    done = upgrade(host)

    assert (done.category, done.instance.release) == (Category.RESTORED, "1.0-opencode-7")
    assert host.done[-2:] == ["put back store", "start 1.0-opencode-7"]
    assert host.patience["1.0-opencode-7"] >= 60  # however soon the new one was given up
    assert host.running == {"one": "1.0-opencode-7"}


def test_an_upgrade_whose_way_back_fails_too_says_both(host: FakeHost) -> None:
    install(host)
    host.broken |= {"1.0-opencode-7", "1.1-opencode-7"}

    done = upgrade(host)

    assert done.category is Category.BROKEN
    assert "1.0-opencode-7: " in done.detail
    assert "1.1-opencode-7: " in done.detail


def test_an_upgrade_to_what_runs_changes_nothing(host: FakeHost) -> None:
    install(host, wanted=NEW)
    host.done.clear()

    assert (upgrade(host).category, host.done) == (Category.UNCHANGED, [])


def test_an_upgrade_can_be_looked_at_first(host: FakeHost) -> None:
    install(host)
    host.done.clear()

    done = upgrade(host, apply=False)

    assert (done.category, host.done) == (Category.PREVIEW, [])
    assert "keep a copy of its store" in done.steps[1]


def test_a_rollback_goes_back_and_forth(host: FakeHost) -> None:
    install(host)
    upgrade(host)

    back, forth = roll_back(host), roll_back(host)

    assert (back.category, back.instance.release) == (Category.ROLLED_BACK, "1.0-opencode-7")
    assert forth.instance.release == "1.1-opencode-7"


def test_a_rollback_that_the_store_does_not_fit_is_refused_unless_it_is_put_back(host: FakeHost) -> None:
    install(host)
    upgrade(host)
    host.fits = False

    with pytest.raises(Refused, match="--restore-store"):
        roll_back(host)
    assert roll_back(host, restore_store=True).category is Category.ROLLED_BACK
    assert "put back store" in host.done


def test_there_is_no_way_back_from_the_first_release(host: FakeHost) -> None:
    install(host)

    with pytest.raises(Refused, match="no other release"):
        roll_back(host)


def test_a_status_is_asked_for_now(host: FakeHost) -> None:
    install(host)
    ready = ShowInstance(host)("one")
    host.running.clear()

    assert (ready.category, ShowInstance(host)("one").category) == (Category.READY, Category.NOT_READY)


def test_an_unknown_instance_is_refused_with_those_there_are(host: FakeHost) -> None:
    install(host)

    with pytest.raises(Refused, match="there are: one"):
        ShowInstance(host)("two")


@pytest.mark.parametrize("state", [True, False])
def test_an_uninstall_says_first_what_it_would_do(host: FakeHost, *, state: bool) -> None:
    install(host)

    preview = UninstallInstance(host)("one", state=state, apply=False)

    assert (preview.category, "one" in host.recorded) == (Category.PREVIEW, True)
    assert ("remove state" in preview.steps) is state


def test_an_uninstall_takes_the_instance_away(host: FakeHost) -> None:
    install(host)

    done = UninstallInstance(host)("one", state=True, apply=True)

    assert (done.category, host.recorded) == (Category.UNINSTALLED, {})
    assert host.done[-1] == "remove one and its state"


def test_what_an_uninstall_leaves_is_told(host: FakeHost) -> None:
    install(host)
    host.leftovers = ["userdel: busy"]

    done = UninstallInstance(host)("one", state=True, apply=True)

    assert (done.category, done.detail) == (Category.LEFTOVERS, "userdel: busy")
