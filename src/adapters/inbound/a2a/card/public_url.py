"""Where clients reach the service: what the operator says, else what a trusted proxy does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import field, frozen
from litestar.types import Scope

from opencode_a2a_server.adapters.inbound.a2a.proxies import (
    Heard,
    Proxies,
    forwarded,
    heard_of,
    is_ipv4,
    is_ipv6,
    listed,
)
from opencode_a2a_server.adapters.inbound.a2a.reply import Headers

_LOOKED_AT: Final = (
    b"Forwarded, Host, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Port, X-Forwarded-Prefix, X-Forwarded-Proto"
)
_HOST: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_NUMBERS: Final = re.compile("[0-9.]+")
_PORT: Final = re.compile("[0-9]{1,5}")
_LAST_PORT: Final = 65_535
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?")
_PORTS: Final[Mapping[str, str]] = {"http": "80", "https": "443"}


@frozen
class PublicUrl:
    """The service's URL, as it is reached by whoever asks."""

    default: str
    """What holds unless a trusted proxy says something else."""
    proxies: Proxies = field(factory=Proxies)
    """Those whose word counts; none if the default is always right."""
    vary: Headers = field(init=False)
    """What the answer says of its dependence on these headers."""

    @vary.default
    def _varies(self) -> Headers:
        return ((b"vary", _LOOKED_AT),) if self.proxies.networks else ()

    @classmethod
    def behind(cls, default: str, proxies: Sequence[str] = ()) -> PublicUrl:
        """Trust these addresses and networks."""
        return cls(default, Proxies.at(proxies))

    def of(self, scope: Scope) -> str:
        """Give the URL by which this request's sender reaches the service; never with a slash at its end."""
        peer = scope.get("client")
        if peer is None or not self.proxies.trust(str(peer[0])):
            return self.default
        heard = heard_of(scope["headers"])
        told = self._by_forwarded(heard) or self._by_x_forwarded(heard)
        return self._joined(told, heard) if told else self.default

    def _by_forwarded(self, heard: Heard) -> Mapping[str, str]:
        elements = forwarded(heard)
        if not elements:
            return {}
        chosen = elements[-self.proxies.hops([element.get("for", "") for element in elements], len(elements))]
        return {name: chosen[name] for name in ("proto", "host") if chosen.get(name)}

    def _by_x_forwarded(self, heard: Heard) -> Mapping[str, str]:
        callers = listed(heard.get("x-forwarded-for", ()))
        told = {}
        for name in ("proto", "host", "port", "prefix"):
            if values := listed(heard.get(f"x-forwarded-{name}", ())):
                told[name] = values[-self.proxies.hops(callers, len(values))]
        return told

    def _joined(self, told: Mapping[str, str], heard: Heard) -> str:
        """Put the URL together; what could not be part of one does not count."""
        scheme = told.get("proto", "").lower()
        scheme = scheme if scheme in _PORTS else self.default.partition(":")[0]
        host = next(filter(None, map(_host, (told.get("host", ""), *heard.get("host", ())))), None)
        if host is None:
            return self.default
        port = host["port"] or (told["port"] if _is_port(told.get("port", "")) else "")
        shown = f":{port}" if port and port != _PORTS[scheme] else ""
        prefix = told.get("prefix", "")
        prefix = prefix.rstrip("/") if _PREFIX.fullmatch(prefix) else ""
        return f"{scheme}://{host['name'].lower()}{shown}{prefix}"


def _host(text: str) -> re.Match[str] | None:
    """Read a host as URLs have it: a name or an address, perhaps with a port."""
    found = _HOST.fullmatch(text)
    if found is None or (found["port"] and not _is_port(found["port"])):
        return None
    name = found["name"]
    if name.startswith("["):
        return found if is_ipv6(name[1:-1]) else None
    return None if _NUMBERS.fullmatch(name) and not is_ipv4(name) else found


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and int(text) <= _LAST_PORT
