"""The host that instances stand on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from opencode_a2a_server.domain.instance import Configuration, Instance, Wanted


class Host(Protocol):
    """
    A machine with a service supervisor, as its administrator sees it.

    Every method may raise HostFault, which says what the machine did not do.
    """

    def instances(self) -> Sequence[Instance]:
        """Give the instances that are recorded here."""
        ...

    def name_of(self, wanted: Wanted) -> str:
        """
        Name the release, without making it.

        Raises:
            Refused: There can be no such release.

        """
        ...

    def make_release(self, wanted: Wanted) -> str:
        """Make the release unless it is there, beside the others; gives its name."""
        ...

    def furnish(self, instance: Instance, told: Configuration) -> bool:
        """
        Make what the instance needs: users, directories, files, the units of its release; says whether that changed.

        Nothing of it takes effect before `switch`. What was configured before stays, unless it is told anew.
        """
        ...

    def switch(self, instance: Instance) -> str:
        """Record the instance, and start it anew with its release; gives why it did not start, else nothing."""
        ...

    def complaint(self, instance: Instance, *, patience: float = 0.0) -> str:
        """
        Ask both halves, as their clients do, whether they are ready; gives what is wrong, else nothing.

        Waits until they are, for `patience` seconds at most.
        """
        ...

    def keep_store(self, instance: Instance) -> None:
        """Stop the instance and keep a copy of its store, for `put_back_store`."""
        ...

    def put_back_store(self, instance: Instance) -> None:
        """Stop the instance and put the copy in the place of its store."""
        ...

    def store_fits(self, instance: Instance) -> bool:
        """Whether the instance's release can work with the store as it is now."""
        ...

    def traces(self, instance: Instance, *, state: bool) -> Sequence[str]:
        """Say what `remove` would take away, step by step."""
        ...

    def remove(self, instance: Instance, *, state: bool) -> Sequence[str]:
        """Stop the instance and take it away, its state only if that is said; gives what could not be removed."""
        ...
