"""Tokens by which a receiver of a push notification can tell that it is from here, and whole."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from attrs import frozen

from opencode_a2a_server.app.ports.clock import Clock

from .keys import SigningKeys

_LIFE: Final = 300
"""Seconds. The receiver's clock may go wrong by some of them."""


@frozen
class NotificationTokens:
    """Signs notifications; `issuer` is the url of the service, under which its keys are published."""

    keys: SigningKeys
    issuer: str
    clock: Clock

    def __call__(self, name: str, body: bytes) -> str:
        """Give the token of a notification: one sent again bears the same `jti`."""
        now = int(self.clock.now())
        return self.keys.token(
            {
                "iss": self.issuer,
                "iat": now,
                "exp": now + _LIFE,
                "jti": name,
                "request_body_sha256": sha256(body).hexdigest(),
            }
        )
