"""A host that does as it is told, unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from opencode_a2a_server.domain.instance import Configuration, Instance, Wanted


@define(eq=False)
class FakeHost:
    """Remembers what was done, in order; releases in `broken` never become ready, those in `stuck` do not start."""

    recorded: dict[str, Instance] = field(factory=dict)
    done: list[str] = field(factory=list)
    broken: set[str] = field(factory=set)
    stuck: set[str] = field(factory=set)
    furnished: dict[str, Configuration] = field(factory=dict)
    changes: bool = True
    fits: bool = True
    leftovers: Sequence[str] = ()
    running: dict[str, str] = field(factory=dict)
    patience: dict[str, float] = field(factory=dict)

    def instances(self) -> Sequence[Instance]:
        return list(self.recorded.values())

    def name_of(self, wanted: Wanted) -> str:
        return f"{wanted.service}-opencode-{wanted.opencode}"

    def make_release(self, wanted: Wanted) -> str:
        name = self.name_of(wanted)
        self.done.append(f"make {name}")
        return name

    def furnish(self, instance: Instance, told: Configuration) -> bool:
        self.done.append(f"furnish {instance.name}")
        self.furnished[instance.name] = told
        return self.changes

    def switch(self, instance: Instance) -> str:
        self.done.append(f"start {instance.release}")
        self.recorded[instance.name] = instance
        if instance.release in self.stuck:
            return "it did not start"
        self.running[instance.name] = instance.release
        return ""

    def complaint(self, instance: Instance, *, patience: float = 0.0) -> str:
        self.patience[instance.release] = patience
        runs = self.running.get(instance.name)
        return "" if runs is not None and runs not in self.broken else "nobody answers"

    def keep_store(self, instance: Instance) -> None:
        self.done.append("keep store")

    def put_back_store(self, instance: Instance) -> None:
        self.done.append("put back store")

    def store_fits(self, instance: Instance) -> bool:
        return self.fits

    def traces(self, instance: Instance, *, state: bool) -> Sequence[str]:
        return ["remove units", *(["remove state"] if state else [])]

    def remove(self, instance: Instance, *, state: bool) -> Sequence[str]:
        self.done.append(f"remove {instance.name}{' and its state' if state else ''}")
        self.recorded.pop(instance.name, None)
        self.running.pop(instance.name, None)
        return self.leftovers
