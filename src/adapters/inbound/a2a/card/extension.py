"""What an extension is (A2A 1.0, 4.6), and how much of it a card says."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from .skills import Skill

_NOTHING: Final[Mapping[str, Any]] = {}


class Detail(enum.IntEnum):
    """How much a card says of an extension: each step has what those before it have."""

    NAME = 0
    """That it is there."""
    SHARED = 1
    """The parameters of what is no method."""
    METHODS = 2
    """The methods."""
    PARAMETERS = 3
    """All parameters a program needs to begin with."""
    ALL = 4
    """The contracts of methods, too."""


@frozen
class Extension:
    """Something beyond the protocol: its URI, which never changes its meaning, and what the cards say of it."""

    uri: str
    description: str
    params: Mapping[str, Any] = _NOTHING
    """What a program needs to begin with; the public card has 8 KB for all."""
    more: Mapping[str, Any] = _NOTHING
    """What else there is to know: the contracts of methods, errors. The extended card has it beside `params`."""
    methods: Mapping[str, str] = _NOTHING
    """The JSON-RPC methods of it which are served, by their short names; filled in by `served_with`."""
    by_methods: bool = False
    """Whether it is nothing without its methods."""
    skills: tuple[Skill, ...] = ()
    """What it lets a client ask for; the extended card has them."""
    public: bool = True
    """Whether the public card has it, too."""
    same_as: str = ""
    """The URI of the one it is, if this is another name for it."""

    def told(self, detail: Detail = Detail.ALL, *, required: bool = False) -> Mapping[str, Any]:
        """Tell it as a card does."""
        params: dict[str, Any] = {}
        if detail >= (Detail.PARAMETERS if self.by_methods else Detail.SHARED):
            params |= self.params
        if self.methods and detail >= Detail.METHODS:
            params["methods"] = dict(self.methods)
        if detail is Detail.ALL:
            params |= self.more
        return {
            "uri": self.uri,
            "description": self.description,
            **({"required": True} if required else {}),
            **({"params": params} if params else {}),
        }
