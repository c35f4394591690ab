"""
What the service signs with, so that others know its cards and notifications.

Cryptography is imported where there is a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opencode_a2a_server.adapters.inbound.a2a.card.signing import CardKey, CardSigner
from opencode_a2a_server.adapters.outbound.push.webhook import Sign
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.settings import Settings

if TYPE_CHECKING:
    from opencode_a2a_server.adapters.outbound.signing.keys import SigningKeys


def signing_keys(settings: Settings) -> SigningKeys | None:
    """
    Read the keys, if there are any.

    Raises:
        KeyUnusable: One is no good.

    """
    if not settings.signing.key:
        return None

    from opencode_a2a_server.adapters.outbound.signing.keys import SigningKeys

    return SigningKeys.read(settings.signing.key)


def card_signer(settings: Settings) -> CardSigner | None:
    """Give what signs the cards, if there are keys."""
    keys = signing_keys(settings)
    if keys is None:
        return None
    return CardSigner(tuple(CardKey(key.id, key.algorithm, key.private) for key in keys.signers))


def notification_tokens(keys: SigningKeys, settings: Settings, clock: Clock) -> Sign:
    """Give what signs push notifications."""
    from opencode_a2a_server.adapters.outbound.signing.notifications import NotificationTokens

    return NotificationTokens(keys, settings.server.url, clock)


def problems_of_signing(settings: Settings) -> Iterator[str]:
    """Say why nothing could be signed."""
    if not settings.signing.key:
        return

    from opencode_a2a_server.adapters.outbound.signing.keys import KeyUnusable

    try:
        signing_keys(settings)
    except KeyUnusable as unusable:
        yield f"A2A_SIGNING_KEY: {unusable}"
