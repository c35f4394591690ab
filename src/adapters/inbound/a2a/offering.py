"""What is offered, the same over every binding: the operations, and the cards that tell of them."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from .card.contracts import offered
from .card.document import VERSIONS, CardInfo
from .card.negotiation import Negotiation
from .card.public_url import PublicUrl
from .card.served import Cards
from .card.signing import CardSigner
from .operations import Operations, Services


def offer(
    services: Services,
    info: CardInfo,
    *,
    versions: Sequence[str] = VERSIONS,
    at: PublicUrl | None = None,
    signer: CardSigner | None = None,
) -> Operations:
    """
    Offer what these use cases do.

    Args:
        services: The use cases.
        info: What the operator decides of the cards.
        versions: The protocol versions to serve.
        at: Where clients reach the service. Default: at the URL that `info` has.
        signer: What signs the cards, if anything does.

    Raises:
        ValueError: An extension is required that is not served.

    """
    info = evolve(info, extensions=offered(info.extensions, services.methods, versions))
    cards = Cards(info, versions, at or PublicUrl(info.public_url), signer)
    return Operations(services, cards, Negotiation.of(info.extensions, info.required, unasked=info.unasked))
