"""Which extensions a caller knows, and which it must know (A2A 1.0, 3.2.6 and 4.6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from attrs import field, frozen

from opencode_a2a_server.adapters.inbound.a2a.errors import ExtensionSupportRequired
from opencode_a2a_server.adapters.inbound.a2a.shared import Telling
from opencode_a2a_server.domain.push import Words

from .extension import Extension
from .extensions import STREAM_HINTS

_NO_NAMES: Final[Mapping[str, str]] = {}

UNASKED: Final[Mapping[str, Mapping[Words, Telling]]] = {
    "always": {Words.V1_0: Telling.ALL, Words.V0_3: Telling.ALL},
    "auto": {Words.V1_0: Telling.UNHINTED, Words.V0_3: Telling.ALL},
    "negotiated": {Words.V1_0: Telling.NOTHING, Words.V0_3: Telling.NOTHING},
}
"""How much of our metadata is told to clients of each version who did not activate the extension it is of."""


@frozen
class Negotiation:
    """Which extensions can be activated, and which must be (A2A 1.0, 3.2.6 and 4.6)."""

    served: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    unasked: Mapping[Words, Telling] = field(factory=lambda: UNASKED["auto"])
    """How much of the metadata of extensions a caller of each version is told who did not activate them."""
    names: Mapping[str, str] = _NO_NAMES
    """Which extension is meant by each other name."""
    _places: Mapping[str, int] = field(init=False, repr=False)

    @_places.default
    def _by_place(self) -> Mapping[str, int]:
        return {uri: place for place, uri in enumerate(self.served)}

    @classmethod
    def of(cls, table: Iterable[Extension], required: Iterable[str] = (), *, unasked: str = "auto") -> Negotiation:
        """
        Negotiate about the extensions of a table.

        Args:
            table: The extensions that are served.
            required: Those that must be activated.
            unasked: Which row of `UNASKED` counts.

        Raises:
            ValueError: One is required that is not in it.

        """
        known = tuple(table)
        names = {extension.uri: extension.same_as for extension in known if extension.same_as}
        made = cls(tuple(extension.uri for extension in known), tuple(required), UNASKED[unasked], names)
        for uri in made.required:
            if uri not in made.served:
                raise ValueError(f"extension {uri} is required and not served; served: {', '.join(made.served)}")
        return made

    def activated(self, asked: Iterable[str]) -> tuple[str, ...]:
        """Give those which are activated by being asked for; unknown ones are ignored."""
        return tuple(sorted({uri for uri in asked if uri in self._places}, key=self._places.__getitem__))

    def telling(self, activated: Collection[str], words: Words) -> Telling:
        """Say how much of our metadata a caller who activated these is told."""
        return Telling.ALL if STREAM_HINTS in self._meant(activated) else self.unasked[words]

    def check(self, activated: Collection[str]) -> None:
        """
        Refuse a caller who does not say that it knows what must be known.

        Raises:
            ExtensionSupportRequired: It does not.

        """
        if not self.required:
            return
        meant = self._meant(activated)
        missing = [uri for uri in self.required if uri not in meant]
        if missing:
            raise ExtensionSupportRequired(
                f"this agent requires extensions; name them in the header A2A-Extensions: {', '.join(missing)}"
            )

    def _meant(self, activated: Collection[str]) -> Collection[str]:
        return {self.names.get(uri, uri) for uri in activated}
