"""The keys that the service signs with, for whoever verifies (RFC 7517)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

import msgspec
from attrs import frozen

from .parameters import AnyRequest
from .reply import Content, Headers, Reply

PATH: Final = "/.well-known/jwks.json"
NO_KEYS: Final[Mapping[str, Any]] = {"keys": []}

_MEDIA_TYPE: Final = b"application/jwk-set+json"
_MAX_AGE: Final = 300
"""Seconds for which a receiver may keep them; a new key goes before the one it follows for as long."""


@frozen
class Jwks:
    """A key set, ready to be served."""

    body: bytes
    headers: Headers
    etag: str

    @classmethod
    def of(cls, keys: Mapping[str, Any]) -> Jwks:
        """Write it."""
        body = msgspec.json.encode(keys, order="deterministic")
        etag = f'"{sha256(body).hexdigest()[:32]}"'
        return cls(body, ((b"etag", etag.encode()), (b"cache-control", b"public, max-age=%d" % _MAX_AGE)), etag)

    async def reply(self, request: AnyRequest) -> Reply:
        """`GET /.well-known/jwks.json`: without keys it is empty."""
        seen = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if not seen.isdisjoint({self.etag, "*"}):
            return Content(b"", status=HTTPStatus.NOT_MODIFIED, headers=self.headers)
        return Content(self.body, _MEDIA_TYPE, headers=self.headers)
