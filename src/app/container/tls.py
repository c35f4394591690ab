"""TLS: the certificate and key that listeners speak it with."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from opencode_a2a_server.app.settings import Settings


def certificate_and_key(settings: Settings) -> tuple[Path | None, Path | None]:
    """Give where they are; none if TLS is not spoken."""
    return _path(settings.server.certificate), _path(settings.server.key)


def key_and_certificate(settings: Settings) -> tuple[bytes, bytes] | None:
    """Read them, in the order in which gRPC wants them."""
    certificate, key = certificate_and_key(settings)
    return None if certificate is None or key is None else (key.read_bytes(), certificate.read_bytes())


def problems_of_tls(settings: Settings) -> Iterator[str]:
    """Say why TLS could not be spoken."""
    certificate, key = settings.server.certificate, settings.server.key
    if certificate is None or key is None:
        if certificate != key:
            yield "A2A_TLS_CERT_FILE and A2A_TLS_KEY_FILE go together: give both or none"
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        yield f"A2A_TLS_CERT_FILE, A2A_TLS_KEY_FILE: they cannot be used together ({error})"


def _path(named: str | None) -> Path | None:
    return None if named is None else Path(named).absolute()
