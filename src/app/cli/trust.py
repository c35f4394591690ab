"""Whom commands trust that call over TLS: the authorities that every client knows, and those of a file."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import certifi
import httpx

from opencode_a2a_server.app.settings import Settings

from .exits import USAGE, Leave

UNTRUSTED_HINT: Final = (
    "if the certificate is of an authority of your own, give its certificate by --ca-file or A2A_CLIENT_CA_FILE"
)


class NoAuthority(Leave):
    """The file with the authorities is of no use."""

    def __init__(self, path: str, error: Exception) -> None:
        super().__init__(f"--ca-file, A2A_CLIENT_CA_FILE: {path} has no certificates that can be read: {error}", USAGE)


def authorities(settings: Settings) -> ssl.SSLContext:
    """
    Give what HTTPS is verified by.

    Raises:
        NoAuthority: The file cannot be used.

    """
    context = httpx.create_ssl_context()
    if path := settings.client.authorities:
        try:
            context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError) as error:
            raise NoAuthority(path, error) from error
    return context


def roots(settings: Settings) -> bytes:
    """
    Give the same in PEM, as gRPC takes it.

    Raises:
        NoAuthority: The file cannot be used.

    """
    authorities(settings)
    own = Path(settings.client.authorities).read_bytes() if settings.client.authorities else b""
    return Path(certifi.where()).read_bytes() + b"\n" + own


def untrusted(error: BaseException | str) -> bool:
    """Whether a call came to nothing since the other's certificate is not trusted."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)
