"""
An instance: one OpenCode and one service in front of it, as they stand side by side on a host.

The two run as different users, since the agent is to be kept from what the service knows: its tokens and its store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from ipaddress import IPv4Address

from attrs import field, frozen

OPENCODE_PORT = 4096
ADMIN_PORT = 9090
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,26}")
_FIRST = IPv4Address("127.77.0.1")
UPSTREAM_NETWORK = "127.77.0.0/16"
"""Where OpenCode listens, each at an address of its own, so that no agent needs to be let in there."""


class DeploymentError(Exception):
    """What was asked for is not done; the message says why, and what the operator can do."""


class Refused(DeploymentError):
    """It does not fit; nothing was changed."""


class HostFault(DeploymentError):
    """The host did not do what it was told to."""


@frozen
class Wanted:
    """Which release to make: of the service and of OpenCode."""

    service: str
    """A version, or the path of a wheel."""

    opencode: str
    """A version, or the path of a binary."""


@frozen
class Configuration:
    """What an instance is told. An empty value takes a name away."""

    settings: Mapping[str, str] = field(factory=dict)
    secrets: Mapping[str, str] = field(factory=dict)
    opencode: Mapping[str, str] = field(factory=dict)
    opencode_secrets: Mapping[str, str] = field(factory=dict)


@frozen
class Instance:
    """What the host must know of an instance to start, change and remove it."""

    name: str
    release: str
    host: str
    port: int
    upstream: str
    workspace: str
    previous: str | None = None
    reach: tuple[str, ...] = ()
    """Whom the service may speak with, as `IPAddressAllow=` says it; empty is everybody."""

    drain: float = 10.0

    @property
    def url(self) -> str:
        """Where the service is reached from its own host."""
        return url_of(self.host, self.port)

    @property
    def upstream_url(self) -> str:
        """Where its OpenCode is reached."""
        return f"http://{self.upstream}:{OPENCODE_PORT}"

    @property
    def service_unit(self) -> str:
        """The unit of the service."""
        return f"opencode-a2a-server@{self.name}.service"

    @property
    def opencode_unit(self) -> str:
        """The unit of OpenCode."""
        return f"opencode@{self.name}.service"

    @property
    def service_user(self) -> str:
        """Who the service runs as."""
        return f"a2a-{self.name}"

    @property
    def agent_user(self) -> str:
        """Who OpenCode, and so the agent, runs as."""
        return f"oc-{self.name}"


class Category(Enum):
    """How it went; see `EXIT_STATUS` of the command line."""

    INSTALLED = "installed"
    UPGRADED = "upgraded"
    ROLLED_BACK = "rolled_back"
    UNCHANGED = "unchanged"
    UNINSTALLED = "uninstalled"
    PREVIEW = "preview"
    READY = "ready"
    NOT_READY = "not_ready"
    RESTORED = "restored"
    """It failed; what was there before is back, and ready."""

    BROKEN = "broken"
    """It failed, and what was there before is not ready either."""

    LEFTOVERS = "leftovers"


@frozen
class Outcome:
    """What was done with an instance, or would be."""

    category: Category
    instance: Instance
    detail: str = ""
    steps: tuple[str, ...] = ()


def check_name(name: str) -> str:
    """
    Give the name back if an instance may have it: users and units are called after it.

    Raises:
        Refused: It may not.

    """
    if _NAME.fullmatch(name):
        return name
    raise Refused(f"{name!r} cannot be the name of an instance: a letter, then up to 26 of a-z 0-9 _ -")


def url_of(host: str, port: int) -> str:
    """Give the URL at which what listens there is reached from its own host."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - to be reached, not bound
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"


def free_upstream(taken: frozenset[str]) -> str:
    """Give the first address where no OpenCode of ours listens yet."""
    address = _FIRST
    while str(address) in taken:
        address += 1
    return str(address)
