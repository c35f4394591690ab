"""
Signatures of the cards (A2A 1.0, 8.4): JWS (RFC 7515) over the card in its canonical form (RFC 8785).

The SDK has the canonical form: the card as its types hold it, without what is empty. So a signature says nothing of members
beside A2A's own, such as those that 0.3 has on top of the same document; clients of 0.3 verify one over its own form. Each
key signs: whoever knows one of them can verify. What signs is imported when something is signed: most cards are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from a2a import types as a2a
from attrs import field, frozen
from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from a2a.utils.signing import ProtectedHeader

Signature = Mapping[str, Any]


@frozen
class CardKey:
    """A key that signs cards: its name and algorithm, as they are published, and its private half."""

    kid: str
    algorithm: str
    private: Any = field(repr=False)


@frozen
class CardSigner:
    """The keys that sign cards, the preferred one first."""

    keys: tuple[CardKey, ...]

    def sign(self, card: a2a.AgentCard, key_set: str) -> list[Signature]:
        """Sign a card; the public halves of the keys are at the URL `key_set`."""
        from a2a.utils.signing import create_agent_card_signer

        made = a2a.AgentCard()
        made.CopyFrom(card)
        for key in self.keys:
            made = create_agent_card_signer(key.private, _header(key, key_set))(made)
        return [MessageToDict(signature) for signature in made.signatures]

    def sign_bytes(self, payload: bytes, key_set: str) -> list[Signature]:
        """Sign another form of the same card."""
        from jwt.api_jws import PyJWS

        jws = PyJWS()
        made: list[Signature] = []
        for key in self.keys:
            header = dict(_header(key, key_set))
            protected, _, signature = jws.encode(payload, key.private, key.algorithm, header).split(".")
            made.append({"protected": protected, "signature": signature})
        return made


def _header(key: CardKey, key_set: str) -> ProtectedHeader:
    return {"alg": key.algorithm, "typ": "JOSE", "kid": key.kid, "jku": key_set}
