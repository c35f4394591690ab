"""
Which addresses may be called: none that only this machine or its network has.

What counts is the address, not the name: a name is looked up, all it leads to is checked, and the very address that
was checked is the one that is called. A name that leads elsewhere a moment later gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

import httpx
from attrs import frozen

from opencode_a2a_server.app.ports.notifier import Undelivered
from opencode_a2a_server.domain.errors import InvalidRequest

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Give the addresses of a host; raises OSError if there are none."""

_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_PORTS: Final = {"http": 80, "https": 443}


class Forbidden(Undelivered):
    """The host leads to an address that is not called."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host} leads to an address that is not public, and is not among the hosts allowed", final=True
        )


@frozen
class Target:
    """Where a url leads, as far as the url says."""

    url: httpx.URL
    host: str
    port: int
    allowed: bool
    """Whether the operator allowed the host, whatever its address."""


@frozen
class Guard:
    """Checks urls and what they lead to; `allowed` are hosts, in lower case, that may be anywhere and without TLS."""

    resolve: Resolve
    allowed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, resolve: Resolve, hosts: Iterable[str]) -> Guard:
        """Allow these hosts."""
        return cls(resolve, frozenset(host.strip().strip("[]").rstrip(".").lower() for host in hosts if host.strip()))

    def target(self, text: str) -> Target:
        """
        Read a url.

        Raises:
            InvalidRequest: It is none that could be called.

        """
        try:
            url = httpx.URL(text)
            host = url.raw_host.decode("ascii").rstrip(".").lower()
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise InvalidRequest(f"the url cannot be read: {error}", "url") from error
        if url.scheme not in _PORTS or not host:
            raise InvalidRequest("the url must begin with https:// and name a host", "url")
        if url.userinfo:
            raise InvalidRequest("the url must not hold credentials; use authentication", "url")
        allowed = host.strip("[]") in self.allowed
        if url.scheme == "http" and not allowed:
            raise InvalidRequest(f"http is called only for hosts that the operator allowed; {host} is none", "url")
        port = _PORTS[url.scheme] if url.port is None else url.port
        if not 0 < port < 65536:  # noqa: PLR2004 - ports
            raise InvalidRequest(f"the url names no port: {port}", "url")
        return Target(url, host, port, allowed)

    async def addresses(self, target: Target) -> Sequence[str]:
        """
        Look up where a target is.

        Raises:
            Forbidden: It may not be called. One address that is not public is enough.
            Undelivered: It has no address now.

        """
        try:
            found = await self.resolve(target.host.strip("[]"), target.port)
        except (OSError, UnicodeError) as error:
            raise Undelivered(f"{target.host} cannot be found: {error}") from error
        if not found:
            raise Undelivered(f"{target.host} has no address")
        if not target.allowed and not all(map(is_public, found)):
            raise Forbidden(target.host)
        return found


def is_public(text: str) -> bool:
    """Say whether an address is one of the open internet, and so is any that it wraps."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return all(map(_is_public, _unwrapped(address)))


def _unwrapped(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """Give an address, or the one that is meant by it; 6to4 and Teredo lead to the one they hold as well."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    yield address
    if address in _NAT64 or address in _COMPATIBLE:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or (isinstance(address, IPv6Address) and address.is_site_local)
    )


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
