"""The cards as they are served: written once for each URL by which the service is reached, signed if there are keys."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate, parsedate_to_datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

import msgspec
from a2a import types as a2a
from attrs import define, field, frozen
from google.protobuf.json_format import MessageToDict

from opencode_a2a_server.adapters.inbound.a2a.errors import ExtendedCardNotConfigured
from opencode_a2a_server.adapters.inbound.a2a.jwks import PATH
from opencode_a2a_server.adapters.inbound.a2a.reply import JSON, Content, Headers
from opencode_a2a_server.domain.errors import UnsupportedOperation

from . import v03
from .document import CardInfo, agent_card
from .extension import Detail
from .public_url import PublicUrl
from .signing import CardSigner

MOST_BYTES: Final = 8 * 1024
"""What the public card may have: it is fetched by everybody, and for each first contact. What it leaves out for that, the
extended one says."""

_MOST: Final = 64
"""Cards that are kept; whoever can choose the URL he reaches us by must not fill our memory."""


class Form(enum.Enum):
    """The words in which the extended card is told."""

    V1 = "1.0"
    V03 = "0.3"
    V03_HTTP = "0.3, HTTP+JSON"
    V03_GRPC = "0.3, gRPC"


@frozen
class Card:
    """A card, ready to be sent."""

    body: bytes
    headers: Headers
    etag: str
    modified: float

    def reply(
        self, if_none_match: str | None, if_modified_since: str | None, media_type: bytes = JSON, also: Headers = ()
    ) -> Content:
        """Give the card, or say that the caller has it already (RFC 9110, 13.1: the tag counts before the date)."""
        headers = (*self.headers, *also)
        if self._has(if_none_match, if_modified_since):
            return Content(b"", status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Content(self.body, media_type, headers=headers)

    def _has(self, if_none_match: str | None, if_modified_since: str | None) -> bool:
        if if_none_match is not None:
            tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
            return not tags.isdisjoint({self.etag.removeprefix("W/"), "*"})
        if not if_modified_since or not self.modified:
            return False
        try:
            return parsedate_to_datetime(if_modified_since).timestamp() >= int(self.modified)
        except ValueError:
            return False


@define(eq=False)
class Cards:
    """Both cards, for everybody who may ask."""

    info: CardInfo
    versions: Sequence[str]
    at: PublicUrl
    signer: CardSigner | None = None
    _kept: dict[tuple[Form | None, str], Card] = field(factory=dict, init=False)

    def public(self, url: str = "") -> Card:
        """Give the public card; with 0.3 the same document has in its top level what clients of that version look for."""
        return self._written(None, url)

    def extended(self, form: Form, url: str = "") -> Card:
        """
        Give the extended card (A2A 1.0, 3.1.11).

        Raises:
            UnsupportedOperation: There is none, as the public card says.
            ExtendedCardNotConfigured: The same, in the words of 0.3.

        """
        if not self.info.extended:
            kind = UnsupportedOperation if form is Form.V1 else ExtendedCardNotConfigured
            raise kind("there is no extended agent card; the public one says everything")
        return self._written(form, url)

    def _written(self, form: Form | None, url: str) -> Card:
        url = url or self.at.default
        card = self._kept.get((form, url))
        if card is None:
            while len(self._kept) >= _MOST:
                del self._kept[next(iter(self._kept))]
            card = self._kept[form, url] = self._write(form, url)
        return card

    def _write(self, form: Form | None, url: str) -> Card:
        if form is not None:
            return self._made(form, url, agent_card(self.info, self.versions, url, extended=True))
        for detail in (Detail.PARAMETERS, Detail.METHODS, Detail.SHARED, Detail.NAME):
            card = self._made(None, url, agent_card(self.info, self.versions, url, detail=detail))
            if len(card.body) <= MOST_BYTES:
                break
        return card

    def _made(self, form: Form | None, url: str, card: a2a.AgentCard) -> Card:
        told = self._document(form, card)
        unsigned = _encoded(told)
        signer = self.signer
        if signer is None:
            body, weak = unsigned, ""
        else:
            body, weak = _encoded({**told, "signatures": self._signatures(signer, form, card, told, url + PATH)}), "W/"
            unsigned += _encoded({"keys": [key.kid for key in signer.keys]})
        # One signature is not like the other, though made of the same card: the tag is that of what was signed.
        etag = weak + _tag(unsigned)
        return Card(body, self._headers(etag, private=form is not None), etag, self.info.modified)

    def _document(self, form: Form | None, card: a2a.AgentCard) -> Mapping[str, Any]:
        combined = form is None and v03.VERSION in self.versions
        told: Mapping[str, Any] = _exact(v03.combined(card) if combined else _DOCUMENTS[form or Form.V1](card))
        return told

    def _signatures(
        self, signer: CardSigner, form: Form | None, card: a2a.AgentCard, told: Mapping[str, Any], key_set: str
    ) -> list[Mapping[str, Any]]:
        """Sign what clients of the versions in question verify: one of the signatures has to be right."""
        new = signer.sign(card, key_set) if form in (None, Form.V1) else []
        if form is Form.V1 or v03.VERSION not in self.versions:
            return new
        return [*new, *signer.sign_bytes(v03.canonical(told, of_proto=form is Form.V03_GRPC), key_set)]

    def _headers(self, etag: str, *, private: bool) -> Headers:
        info = self.info
        scope = b"private" if private else b"public"
        return (
            (b"etag", etag.encode()),
            (b"cache-control", b"%s, max-age=%d" % (scope, info.max_age)),
            *([(b"last-modified", formatdate(info.modified, usegmt=True).encode())] if info.modified else []),
            *([(b"vary", b"Authorization")] if private else []),
            *self.at.vary,
        )


_DOCUMENTS: Final[Mapping[Form, Callable[[a2a.AgentCard], Mapping[str, Any]]]] = {
    Form.V1: MessageToDict,
    Form.V03: v03.as_json,
    Form.V03_HTTP: v03.as_http,
    Form.V03_GRPC: v03.as_proto,
}


def _tag(body: bytes) -> str:
    return f'"{sha256(body).hexdigest()[:32]}"'


def _encoded(told: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(told, order="deterministic")


def _exact(value: Any) -> Any:
    """Give back the integers among the doubles that protobuf makes of all numbers."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_exact(item) for item in value]
        case dict():
            return {name: _exact(item) for name, item in value.items()}
    return value
