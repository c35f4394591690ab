"""Deploy: make an instance, give it another release or the former one; what fails is taken back."""

from __future__ import annotations

from attrs import evolve, frozen

from opencode_a2a_server.app.ports.host import Host
from opencode_a2a_server.domain.instance import Category, Configuration, Instance, Outcome, Refused, Wanted

_BACK_SECONDS = 120.0
"""For the way back at least, however soon the new release is given up."""


@frozen
class InstallInstance:
    """Make an instance and wait until it is ready; told again, apply what is told differently."""

    host: Host
    patience: float

    def __call__(self, instance: Instance, wanted: Wanted, told: Configuration, *, apply: bool) -> Outcome:
        """
        Install it; `instance` names everything but its release.

        Raises:
            Refused: It is there with another release, or its port is another's.
            HostFault: The host does not do it. Nothing serves that did not serve before.

        """
        instance = evolve(instance, release=self.host.name_of(wanted))
        there = {one.name: one for one in self.host.instances()}
        before = there.pop(instance.name, None)
        if before is not None and before.release != instance.release:
            raise Refused(f"{instance.name} has release {before.release}: upgrade gives it another one")
        for other in there.values():
            if other.port == instance.port:
                raise Refused(f"port {instance.port} is that of instance {other.name}; give another with --port")
        if before is not None:
            instance = evolve(instance, previous=before.previous)
        if not apply:
            return Outcome(Category.PREVIEW, instance, steps=_steps(instance, before))
        self.host.make_release(wanted)
        changed = self.host.furnish(instance, told)
        if instance == before and not changed and not self.host.complaint(instance):
            return Outcome(Category.UNCHANGED, instance)
        problem = self.host.switch(instance) or self.host.complaint(instance, patience=self.patience)
        if not problem:
            return Outcome(Category.INSTALLED, instance)
        if before is None:
            self.host.remove(instance, state=False)
        return Outcome(Category.BROKEN, instance, problem)


@frozen
class UpgradeInstance:
    """Give an instance another release; if it does not become ready, the former one and its store are back."""

    host: Host
    patience: float

    def __call__(self, name: str, wanted: Wanted, *, apply: bool) -> Outcome:
        """
        Upgrade it.

        Raises:
            Refused: There is no such instance.
            HostFault: The host does not do it.

        """
        before = find(self.host, name)
        instance = evolve(before, release=self.host.name_of(wanted), previous=before.release)
        if instance.release == before.release:
            problem = self.host.complaint(before)
            return Outcome(Category.NOT_READY if problem else Category.UNCHANGED, before, problem)
        if not apply:
            return Outcome(Category.PREVIEW, instance, steps=_steps(instance, before))
        self.host.make_release(wanted)
        self.host.furnish(instance, Configuration())
        self.host.keep_store(before)
        problem = self.host.switch(instance) or self.host.complaint(instance, patience=self.patience)
        if not problem:
            return Outcome(Category.UPGRADED, instance)
        self.host.put_back_store(before)
        worse = self.host.switch(before) or self.host.complaint(before, patience=max(self.patience, _BACK_SECONDS))
        if worse:
            return Outcome(Category.BROKEN, before, f"{instance.release}: {problem}; {before.release}: {worse}")
        return Outcome(Category.RESTORED, before, f"{instance.release}: {problem}")


@frozen
class RollBackInstance:
    """Give an instance the release it had before."""

    host: Host
    patience: float

    def __call__(self, name: str, *, restore_store: bool, apply: bool) -> Outcome:
        """
        Roll it back, with the store of now, or with the copy that the upgrade kept.

        Raises:
            Refused: There is no such instance, it had no other release, or that cannot work with the store of now.
            HostFault: The host does not do it.

        """
        before = find(self.host, name)
        if before.previous is None:
            raise Refused(f"{name} has had no other release than {before.release}")
        instance = evolve(before, release=before.previous, previous=before.release)
        if not restore_store and not self.host.store_fits(instance):
            raise Refused(
                f"{instance.release} cannot work with the store as it is now; --restore-store puts back the one from "
                f"before the upgrade, without the tasks since"
            )
        if not apply:
            return Outcome(Category.PREVIEW, instance, steps=_steps(instance, before))
        if restore_store:
            self.host.put_back_store(before)
        problem = self.host.switch(instance) or self.host.complaint(instance, patience=self.patience)
        return Outcome(Category.BROKEN if problem else Category.ROLLED_BACK, instance, problem)


@frozen
class ShowInstance:
    """Say whether an instance is ready."""

    host: Host

    def __call__(self, name: str) -> Outcome:
        """
        Ask it.

        Raises:
            Refused: There is no such instance.

        """
        instance = find(self.host, name)
        problem = self.host.complaint(instance)
        return Outcome(Category.NOT_READY if problem else Category.READY, instance, problem)


@frozen
class UninstallInstance:
    """Take an instance away."""

    host: Host

    def __call__(self, name: str, *, state: bool, apply: bool) -> Outcome:
        """
        Take it away, with its tasks, sessions and workspace if `state`.

        Raises:
            Refused: There is no such instance.

        """
        instance = find(self.host, name)
        if not apply:
            return Outcome(Category.PREVIEW, instance, steps=tuple(self.host.traces(instance, state=state)))
        left = self.host.remove(instance, state=state)
        return Outcome(Category.LEFTOVERS if left else Category.UNINSTALLED, instance, "; ".join(left))


def find(host: Host, name: str) -> Instance:
    """
    Find an instance.

    Raises:
        Refused: There is none of that name.

    """
    there = {one.name: one for one in host.instances()}
    if name in there:
        return there[name]
    raise Refused(f"there is no instance {name}; there are: {', '.join(sorted(there)) or 'none'}")


def _steps(instance: Instance, before: Instance | None) -> tuple[str, ...]:
    release = f"make release {instance.release} unless it is there"
    if before is None:
        users = f"make the users {instance.agent_user} and {instance.service_user}, directories, files and two units"
        return (release, users, f"start {instance.opencode_unit} and {instance.service_unit}", "wait until both answer")
    if before.release == instance.release:
        return (release, "write files and units anew", f"start {instance.service_unit} anew if anything changed")
    return (
        release,
        f"stop {instance.service_unit}, keep a copy of its store",
        f"start it with {instance.release} instead of {before.release}",
        "wait until both answer; if they do not, go back",
    )
