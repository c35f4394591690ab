"""What settings are made of: how one is declared, what values it may have, and what is said if it has another."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import field

from opencode_a2a_server.domain.interrupt import Action

_T = TypeVar("_T")
_HOST = re.compile(r"(\*\.)?([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s/:\[\]]+):[0-9]{1,5}")


class SettingsError(Exception):
    """The settings cannot be used; each problem names the variable and what to do about it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Secret(str):
    """A string that does not show itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(****)"


def setting(name: str, doc: str, default: _T, *also: str, check: Callable[[Any], str] | None = None) -> _T:
    """Declare one setting: its variable (and other names for it), what it means, and its default."""
    made: _T = field(default=default, metadata={"names": (name, *also), "doc": doc, "check": check})
    return made


def positive(value: float | None) -> str:
    """Refuse zero and less."""
    return "" if value is None or value > 0 else "must be greater than 0"


def not_negative(value: float) -> str:
    """Refuse less than zero."""
    return "" if value >= 0 else "must not be negative"


def no_allowance(value: Action) -> str:
    """Refuse to allow what only a person can answer."""
    return "a question cannot be allowed: reject or ask" if value is Action.ALLOW_ONCE else ""


def at_least_one(value: int) -> str:
    """Refuse less than one."""
    return "" if value >= 1 else "must be at least 1"


def port(value: int) -> str:
    """Refuse what is no port."""
    return "" if 0 <= value <= 65535 else "must be a port, 0 to 65535"  # noqa: PLR2004


def networks(text: str) -> str:
    """Refuse a list that has anything but addresses and networks."""
    for one in listed(text):
        try:
            ip_network(one)
        except ValueError as error:
            return f"{one} is no address and no network such as 10.0.0.0/8 ({error})"
    return ""


def http_url(value: str | None) -> str:
    """Refuse what is no URL of HTTP."""
    return "" if not value or value.startswith(("http://", "https://")) else "must begin with http:// or https://"


def address(value: str | None) -> str:
    """Refuse what is no host with a port."""
    return "" if not value or _ADDRESS.fullmatch(value) else "must be host:port, without http://"


def joined(host: str, port: int) -> str:
    """Give `host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_safe(url: str) -> bool:
    """Whether nobody on the way can change what an URL gives: TLS, or it stays on this machine."""
    split = urlsplit(url)
    host = split.hostname or ""
    with suppress(ValueError):
        return split.scheme == "https" or ip_address(host).is_loopback
    return split.scheme == "https" or host == "localhost"


def listed(text: str) -> tuple[str, ...]:
    """Give what a text lists, separated by commas."""
    return tuple(one.strip() for one in text.split(",") if one.strip())


def pairs_of(text: str) -> str:
    """Refuse a list that has anything but pairs."""
    for one in listed(text):
        if not all(part.strip() for part in one.partition("=")):
            return f"{one} must be name=meaning"
    return ""


def origins(text: str) -> str:
    """Refuse a list that has anything but origins."""
    for one in listed(text):
        if one != "*" and not _ORIGIN.fullmatch(one):
            return f"{one} is no origin: write scheme, host and port only, as in https://app.example, or *"
    return ""


def hosts(text: str) -> str:
    """Refuse a list that has anything but hosts."""
    for one in listed(text):
        if not _HOST.fullmatch(one):
            return f"{one} is no host: write a name with or without a port, as in agent.example or *.example"
    return ""
