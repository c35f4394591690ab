"""Which extensions a caller knows, and which it must know (A2A 1.0, 3.2.6 and 4.6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from attrs import field, frozen

from opencode_a2a_server.adapters.inbound.a2a.errors import ExtensionSupportRequired

from .extension import Extension
from .extensions import STREAM_HINTS

_NO_NAMES: Final[Mapping[str, str]] = {}


@frozen
class Negotiation:
    """Which extensions can be activated, and which must be (A2A 1.0, 3.2.6 and 4.6)."""

    served: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    unasked: bool = True
    """Whether metadata of extensions is told to callers who did not activate them, too."""
    names: Mapping[str, str] = _NO_NAMES
    """Which extension is meant by each other name."""
    _places: Mapping[str, int] = field(init=False, repr=False)

    @_places.default
    def _by_place(self) -> Mapping[str, int]:
        return {uri: place for place, uri in enumerate(self.served)}

    @classmethod
    def of(cls, table: Iterable[Extension], required: Iterable[str] = (), *, unasked: bool = True) -> Negotiation:
        """
        Negotiate about the extensions of a table.

        Raises:
            ValueError: One is required that is not in it.

        """
        known = tuple(table)
        names = {extension.uri: extension.same_as for extension in known if extension.same_as}
        made = cls(tuple(extension.uri for extension in known), tuple(required), unasked, names)
        for uri in made.required:
            if uri not in made.served:
                raise ValueError(f"extension {uri} is required and not served; served: {', '.join(made.served)}")
        return made

    def activated(self, asked: Iterable[str]) -> tuple[str, ...]:
        """Give those which are activated by being asked for; unknown ones are ignored."""
        return tuple(sorted({uri for uri in asked if uri in self._places}, key=self._places.__getitem__))

    def hints(self, activated: Collection[str]) -> bool:
        """Whether a caller who activated these is told our metadata."""
        return self.unasked or STREAM_HINTS in self._meant(activated)

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
