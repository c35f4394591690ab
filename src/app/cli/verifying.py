"""Whether the signatures of an agent's card are right (A2A 1.0, 8.4)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from a2a.types import AgentCard
from a2a.utils.signing import SignatureVerificationError, create_signature_verifier
from attrs import frozen
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from opencode_a2a_server.app.settings import Settings

from .calling import CallFailed, fetch_card, origin
from .exits import UNREACHABLE, USAGE

_ALGORITHMS: Final = ["EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]


@frozen
class Verdict:
    """What is thought of one signature."""

    kid: str
    algorithm: str
    right: bool
    says: str


async def judge(http: httpx.AsyncClient, url: str, settings: Settings, jwks: str | None) -> Sequence[Verdict]:
    """
    Judge each signature of a card.

    Args:
        http: The way to the agent.
        url: Of the agent or its card.
        settings: How agents are called.
        jwks: Where the keys are that are trusted; None to take those of the agent's own server.

    Raises:
        CallFailed: There is no card, or the keys named cannot be had.

    """
    card = await fetch_card(http, url, settings)
    trusted = None if jwks is None else await _keys(http, url, jwks)
    verdicts = []
    for place, signature in enumerate(card.signatures):
        header = _header(signature.protected)
        kid, algorithm, named = (str(header.get(name, "")) for name in ("kid", "alg", "jku"))
        if trusted is not None:
            keys = trusted
        elif not named or origin(named) != origin(url):
            verdicts.append(
                Verdict(kid, algorithm, right=False, says="its keys are elsewhere: give --jwks to trust some")
            )
            continue
        else:
            try:
                keys = await _keys(http, url, named)
            except CallFailed as failed:
                verdicts.append(Verdict(kid, algorithm, right=False, says=str(failed)))
                continue
        verdicts.append(_verdict(card, place, kid, algorithm, keys))
    return verdicts


def _verdict(card: AgentCard, place: int, kid: str, algorithm: str, keys: Mapping[str, PyJWK]) -> Verdict:
    if kid not in keys:
        return Verdict(kid, algorithm, right=False, says="there is no such key")
    alone = AgentCard()
    alone.CopyFrom(card)
    del alone.signatures[:]
    alone.signatures.append(card.signatures[place])
    try:
        create_signature_verifier(lambda *_: keys[kid], _ALGORITHMS)(alone)
    except (SignatureVerificationError, PyJWTError) as error:
        return Verdict(kid, algorithm, right=False, says=str(error))
    return Verdict(kid, algorithm, right=True, says="signed this card")


def _header(protected: str) -> Mapping[str, Any]:
    try:
        told = json.loads(urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


async def _keys(http: httpx.AsyncClient, url: str, where: str) -> Mapping[str, PyJWK]:
    try:
        if where.startswith(("http://", "https://")):
            own = origin(where) == origin(url)
            async with httpx.AsyncClient(timeout=http.timeout) as other:
                answer = await (http if own else other).get(where)  # credentials are for the agent alone
            answer.raise_for_status()
            text = answer.text
        else:
            text = Path(where).read_text(encoding="utf-8")  # noqa: ASYNC240 - a small file, and nothing else goes on
        return {str(key["kid"]): PyJWK(key) for key in json.loads(text)["keys"]}
    except httpx.HTTPError as error:
        raise CallFailed(
            f"the keys at {where} cannot be had: {error}", UNREACHABLE, "A2ACLI_ERR_UNREACHABLE"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError, PyJWTError) as error:
        raise CallFailed(f"{where} holds no keys: {error}", USAGE, "A2ACLI_ERR_USAGE") from error
