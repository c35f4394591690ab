"""What the service signs with, so that others know its cards and notifications."""

from __future__ import annotations

from collections.abc import Iterator

from opencode_a2a_server.adapters.inbound.a2a.card.signing import CardKey, CardSigner
from opencode_a2a_server.adapters.outbound.signing.keys import KeyUnusable, SigningKeys
from opencode_a2a_server.app.settings import Settings


def signing_keys(settings: Settings) -> SigningKeys | None:
    """
    Read the keys, if there are any.

    Raises:
        KeyUnusable: One is no good.

    """
    return SigningKeys.read(settings.signing.key) if settings.signing.key else None


def card_signer(settings: Settings) -> CardSigner | None:
    """Give what signs the cards, if there are keys."""
    keys = signing_keys(settings)
    if keys is None:
        return None
    return CardSigner(tuple(CardKey(key.id, key.algorithm, key.private) for key in keys.signers))


def problems_of_signing(settings: Settings) -> Iterator[str]:
    """Say why nothing could be signed."""
    try:
        signing_keys(settings)
    except KeyUnusable as unusable:
        yield f"A2A_SIGNING_KEY: {unusable}"
