"""gRPC to agents, as far as the extra `grpc` is installed: where it goes, and under which protection."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opencode_a2a_server.app.settings import Settings

from .exits import USAGE, Leave

if TYPE_CHECKING:
    import grpc

GRPC: Final = "GRPC"
MISSING: Final = "gRPC is not installed; pip install 'opencode-a2a-server[grpc]'"


class NoGrpc(Leave):
    """gRPC is wanted, and not installed."""

    def __init__(self, url: str) -> None:
        super().__init__(f"{url} is to be called by gRPC, but {MISSING}", USAGE)


def have_grpc(find: Callable[[str], object] = find_spec) -> bool:
    """Whether gRPC can be spoken."""
    return find("grpc") is not None


def target_of(address: str) -> str:
    """Give what a gRPC library calls: cards say `host:port`, some of them as a URL."""
    return urlsplit(address).netloc if "://" in address else address


def host_of(address: str) -> str:
    """Give the host of it."""
    return (urlsplit(f"//{target_of(address)}").hostname or "").lower()


def open_channel(url: str, address: str, settings: Settings) -> grpc.aio.Channel:
    """
    Open a channel to an interface of the agent at a URL: with TLS if the URL has it.

    Raises:
        NoAuthority: It has, and the file of those to trust cannot be used.

    """
    import grpc

    from .trust import roots

    options = [("grpc.enable_http_proxy", 0)] if is_here(url) else []
    if urlsplit(url).scheme != "https":
        return grpc.aio.insecure_channel(target_of(address), options)
    return grpc.aio.secure_channel(target_of(address), grpc.ssl_channel_credentials(roots(settings)), options)


def is_here(url: str) -> bool:
    """Whether a URL is of this machine, so that no proxy is in between."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
