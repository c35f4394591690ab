"""What a runtime offers beyond `Agent`; none of it is needed to serve A2A."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from attrs import frozen

from .catalog import Catalog
from .choices import Choosing
from .earshot import Earshot
from .files import Files
from .sessions import Sessions
from .workspaces import Workspaces


@frozen
class Offers:
    """The ports a runtime has; the methods of one that it has not are not served, and the card does not name them."""

    sessions: Sessions | None = None
    catalog: Catalog | None = None
    workspaces: Workspaces | None = None
    files: Files | None = None
    choices: Choosing | None = None
    earshot: Earshot | None = None
    """What it hears of texts under way, if other processes may go on with what this one runs."""


@runtime_checkable
class Offering(Protocol):
    """An agent which offers more."""

    @property
    def offers(self) -> Offers:
        """What it offers."""
        ...


def offers_of(agent: object) -> Offers:
    """Give what an agent offers, if anything."""
    return agent.offers if isinstance(agent, Offering) else Offers()
