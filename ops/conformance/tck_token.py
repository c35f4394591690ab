"""
A plugin of pytest that gives the suite's requests the token of the service under test.

The suite knows no tokens. Requests that bring an `Authorization` of their own keep it, and the tests that want to be
refused (`ANONYMOUS`) send none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

import pytest

TOKEN = os.environ["TCK_TOKEN"]
SERVICE = urlsplit(os.environ["TCK_SERVICE"]).netloc
ANONYMOUS = (
    "/authentication/",
    "test_authentication.py",
    "test_a2a_v030_authentication.py",
    "test_authenticated_extended_card_without_auth",
)
"""Which tests ask what becomes of a caller nobody knows: parts of their names."""

_anonymous = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Know whether the test at hand is one of those."""
    global _anonymous  # noqa: PLW0603 - one test runs at a time
    _anonymous = any(part in item.nodeid for part in ANONYMOUS)
    return (yield)


def _authorize(request: Any) -> None:
    if not _anonymous and urlsplit(str(request.url)).netloc == SERVICE:
        request.headers.setdefault("Authorization", f"Bearer {TOKEN}")


def _authorized(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    def authorized(client: Any, request: Any, **more: Any) -> Any:
        _authorize(request)
        return send(client, request, **more)

    return authorized


def _cover(package: str, *clients: str) -> None:
    try:
        module = __import__(package)
    except ImportError:  # this edition of the suite does without
        return
    for client in clients:
        owner = getattr(module, client)
        owner.send = _authorized(owner.send)


def _cover_grpc() -> None:
    try:
        import grpc
    except ImportError:
        return
    open_channel = grpc.insecure_channel

    class Authorized(
        grpc.UnaryUnaryClientInterceptor,
        grpc.UnaryStreamClientInterceptor,
    ):
        def _call(self, go_on: Any, details: Any, request: Any) -> Any:
            token = () if _anonymous else (("authorization", f"Bearer {TOKEN}"),)
            metadata = [*(details.metadata or ()), *token]
            return go_on(details._replace(metadata=metadata), request)

        intercept_unary_unary = _call
        intercept_unary_stream = _call

    def insecure_channel(*arguments: Any, **more: Any) -> Any:
        return grpc.intercept_channel(open_channel(*arguments, **more), Authorized())

    grpc.insecure_channel = insecure_channel


def _read_addresses() -> None:
    """Let the suite of 0.3 read a gRPC interface's address, host:port, which it takes for a URL."""
    try:
        from tck.transport import grpc_client
    except ImportError:
        return
    client = getattr(grpc_client, "GRPCClient", None)
    if client is None:  # the suite of 1.0 reads it
        return
    begin = client.__init__

    def located(self: Any, base_url: str, *arguments: Any, **more: Any) -> None:
        begin(self, base_url if "://" in base_url else f"grpc://{base_url}", *arguments, **more)

    client.__init__ = located


_cover("httpx", "Client", "AsyncClient")
_cover("requests", "Session")
_cover_grpc()
_read_addresses()
