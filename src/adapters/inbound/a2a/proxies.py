"""
Proxies that the operator trusts, and what counts of what they say.

A proxy tells who called it, and by which name, in `Forwarded` (RFC 7239) or in the X-Forwarded-* headers. Anybody can send
these, so they count only if they come from an address which the operator trusts. Of a chain of proxies, each of which adds
its word behind those of others, that one counts which the outermost trusted proxy has added: what stands before it, its
caller may have made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from attrs import frozen

Network: TypeAlias = IPv4Network | IPv6Network
RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]
Heard: TypeAlias = Mapping[str, Sequence[str]]
"""Headers by their names in lower case, each with all its values."""

_ELEMENT: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PAIR: Final = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))\s*(?:;|$)')


@frozen
class Proxies:
    """Where those who are trusted are; nobody is unless the operator names some."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def at(cls, named: Sequence[str]) -> Proxies:
        """Trust these addresses and networks."""
        return cls(tuple(map(ip_network, named)))

    def trust(self, caller: str) -> bool:
        """Say whether an address is one of them."""
        address = _address(caller)
        return address is not None and any(address in network for network in self.networks)

    def client(self, peer: str, headers: RawHeaders) -> str:
        """
        Give the address that a request came from, before the trusted proxies that it came through.

        A proxy that writes one of the headers may hand on the other one as its caller made it up: if both are there and
        do not say the same, neither counts. Who is not named by an address is at that of the last proxy that has one.
        """
        if not self.networks or not self.trust(peer):
            return peer
        heard = heard_of(headers)
        told = {self._outermost(peer, callers) for callers in _callers(heard)}
        return told.pop() if len(told) == 1 else peer

    def hops(self, callers: Sequence[str], most: int) -> int:
        """Count those that are trusted: the one that calls, and before it each which was called by a trusted one."""
        hops = 1
        for caller in reversed(callers):
            if hops == most or not self.trust(bare(caller)):
                break
            hops += 1
        return hops

    def _outermost(self, peer: str, callers: Sequence[str]) -> str:
        found = peer
        for caller in reversed(callers):
            address = _address(bare(caller))
            if address is None:
                break
            found = str(address)
            if not self.trust(found):
                break
        return found


def heard_of(headers: RawHeaders) -> Heard:
    """Sort headers by their names."""
    heard: dict[str, list[str]] = {}
    for name, value in headers:
        heard.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return heard


def forwarded(heard: Heard) -> list[Mapping[str, str]]:
    """Read the elements of `Forwarded`: the last one is by the proxy that calls."""
    return [_pairs(element) for element in _ELEMENT.findall(",".join(heard.get("forwarded", ())))]


def listed(values: Sequence[str]) -> list[str]:
    """Read a header's list, whether it was sent as one or as several."""
    return [item.strip() for value in values for item in value.split(",") if item.strip()]


def is_ipv4(text: str) -> bool:
    """Say whether this is an address of IPv4."""
    try:
        return bool(IPv4Address(text))
    except ValueError:
        return False


def is_ipv6(text: str) -> bool:
    """Say whether this is an address of IPv6, as URLs have it in brackets: without a zone."""
    try:
        return "%" not in text and bool(IPv6Address(text))
    except ValueError:
        return False


def bare(caller: str) -> str:
    """Give the address of `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    if caller.startswith("["):
        return caller[1:].partition("]")[0]
    return caller.partition(":")[0] if caller.count(":") == 1 else caller


def _callers(heard: Heard) -> Iterable[Sequence[str]]:
    """Give the chain of callers, by each of the two headers that is there."""
    if elements := forwarded(heard):
        yield [element.get("for", "") for element in elements]
    if callers := listed(heard.get("x-forwarded-for", ())):
        yield callers


def _address(told: str) -> IPv4Address | IPv6Address | None:
    """Read an address; one of IPv4 that is written as one of IPv6 is the same."""
    try:
        address = ip_address(told)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _pairs(element: str) -> Mapping[str, str]:
    return {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
        for name, quoted, plain in _PAIR.findall(element)
    }
