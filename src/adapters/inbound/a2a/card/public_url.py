"""
Where clients reach the service: what the operator says, else what a trusted proxy does.

A proxy tells by which name it was called in `Forwarded` (RFC 7239) or in the X-Forwarded-* headers. Anybody can send these,
so they count only if they come from an address which the operator trusts. Of a chain of proxies, each of which adds its
word behind those of others, that one counts which the outermost trusted proxy has added: what stands before it, its
caller may have made up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from attrs import field, frozen
from litestar.types import Scope

from opencode_a2a_server.adapters.inbound.a2a.reply import Headers

Network: TypeAlias = IPv4Network | IPv6Network

_LOOKED_AT: Final = (
    b"Forwarded, Host, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Port, X-Forwarded-Prefix, X-Forwarded-Proto"
)
_HOST: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?")
_PORTS: Final[Mapping[str, str]] = {"http": "80", "https": "443"}
_ELEMENT: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PAIR: Final = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))\s*(?:;|$)')


@frozen
class PublicUrl:
    """The service's URL, as it is reached by whoever asks."""

    default: str
    """What holds unless a trusted proxy says something else."""
    proxies: tuple[Network, ...] = ()
    """Where those who are trusted are; none if the default is always right."""
    vary: Headers = field(init=False)
    """What the answer says of its dependence on these headers."""

    @vary.default
    def _varies(self) -> Headers:
        return ((b"vary", _LOOKED_AT),) if self.proxies else ()

    @classmethod
    def behind(cls, default: str, proxies: Sequence[str] = ()) -> PublicUrl:
        """Trust these addresses and networks."""
        return cls(default, tuple(map(ip_network, proxies)))

    def of(self, scope: Scope) -> str:
        """Give the URL by which this request's sender reaches the service; never with a slash at its end."""
        peer = scope.get("client")
        if not self.proxies or peer is None or not self._trusts(str(peer[0])):
            return self.default
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        told = self._by_forwarded(headers) or self._by_x_forwarded(headers)
        return self._joined(told, headers) if told else self.default

    def _by_forwarded(self, headers: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
        elements = [_pairs(element) for element in _ELEMENT.findall(",".join(headers.get("forwarded", ())))]
        if not elements:
            return {}
        chosen = elements[-self._hops([element.get("for", "") for element in elements], len(elements))]
        return {name: chosen[name] for name in ("proto", "host") if chosen.get(name)}

    def _by_x_forwarded(self, headers: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
        callers = _listed(headers.get("x-forwarded-for", ()))
        told = {}
        for name in ("proto", "host", "port", "prefix"):
            if values := _listed(headers.get(f"x-forwarded-{name}", ())):
                told[name] = values[-self._hops(callers, len(values))]
        return told

    def _hops(self, callers: Sequence[str], most: int) -> int:
        """Count the proxies that are trusted: the one that calls, and before it each which was called by a trusted one."""
        hops = 1
        for caller in reversed(callers):
            if hops == most or not self._trusts(_bare(caller)):
                break
            hops += 1
        return hops

    def _trusts(self, caller: str) -> bool:
        try:
            address = ip_address(caller)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any((mapped or address) in network for network in self.proxies)

    def _joined(self, told: Mapping[str, str], headers: Mapping[str, Sequence[str]]) -> str:
        """Put the URL together; what could not be part of one does not count."""
        scheme = told.get("proto", "").lower()
        scheme = scheme if scheme in _PORTS else self.default.partition(":")[0]
        host = next(filter(None, map(_HOST.fullmatch, (told.get("host", ""), *headers.get("host", ())))), None)
        if host is None:
            return self.default
        port = host["port"] or (told.get("port", "") if told.get("port", "").isdigit() else "")
        shown = f":{port}" if port and port != _PORTS[scheme] else ""
        prefix = told.get("prefix", "")
        prefix = prefix.rstrip("/") if _PREFIX.fullmatch(prefix) else ""
        return f"{scheme}://{host['name'].lower()}{shown}{prefix}"


def _pairs(element: str) -> Mapping[str, str]:
    return {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
        for name, quoted, plain in _PAIR.findall(element)
    }


def _listed(values: Sequence[str]) -> list[str]:
    return [item.strip() for value in values for item in value.split(",") if item.strip()]


def _bare(caller: str) -> str:
    """Give the address of `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    if caller.startswith("["):
        return caller[1:].partition("]")[0]
    return caller.partition(":")[0] if caller.count(":") == 1 else caller
