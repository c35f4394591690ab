# mypy: ignore-errors
# A user's program, for types which are not those of the SDK installed here:
# ruff: noqa: ANN001, ANN201, T201
"""
A user's program on a2a-sdk 0.3, run with that package installed: `card_v03.py URL TOKEN JSONRPC|HTTP+JSON`.

It prints one JSON object: of the public card and of the extended one, what signatures are verified over, and what there is
to see.
"""

import asyncio
import json
import sys

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import TransportProtocol
from a2a.utils.helpers import canonicalize_agent_card


def seen(card):
    """Say what a client makes of a card."""
    return {
        "canonical": canonicalize_agent_card(card),
        "signatures": [{"protected": one.protected, "signature": one.signature} for one in card.signatures or []],
        "skills": [skill.id for skill in card.skills],
        "scheme": card.security_schemes["bearerAuth"].root.scheme,
    }


async def main(url, token, transport):
    """Get both cards."""
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=30, trust_env=False) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        public = seen(card)
        config = ClientConfig(
            httpx_client=http, supported_transports=[TransportProtocol(transport)], use_client_preference=True
        )
        extended = await ClientFactory(config).create(card).get_card()
        print(json.dumps({"public": public, "extended": seen(extended)}))


asyncio.run(main(*sys.argv[1:]))
