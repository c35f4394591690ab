"""
What a request says besides its body: service parameters (A2A 1.0, 3.2.6) and what an SSE reader has seen.

An absent `A2A-Version` means 0.3 (3.6.2). Methods and paths of 1.0 do not exist in 0.3 and the other way round, so that
without the parameter they say themselves which version is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

from attrs import frozen
from litestar import Request
from litestar.exceptions import InternalServerException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from opencode_a2a_server.app.usecases.subscribe import Cursor
from opencode_a2a_server.domain.access import ALL, Caller, Grant
from opencode_a2a_server.domain.errors import ContentTypeNotSupported, Forbidden
from opencode_a2a_server.domain.ids import Principal, Seq, TaskId

from .card.negotiation import Negotiation
from .encode import V1_0, Shape
from .errors import BodyTooLarge, MalformedJson, VersionNotSupported
from .proxies import RawHeaders
from .reply import Headers

AnyRequest = Request[Any, Any, Any]

SERVED: Final = ("1.0",)
"""What is served unless more is said: protocol versions, the preferred one first."""

_MEDIA_TYPES: Final = frozenset({"", "application/json", "application/a2a+json"})
_EXTENSIONS: Final = (b"a2a-extensions", b"x-a2a-extensions")
"""The header of extensions in 1.0 and in 0.3."""
_VERSION: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.[0-9]+)?")
_CURSOR: Final = re.compile(r"(?P<task>.+):(?P<seq>[0-9]{1,15})")


@frozen
class Call:
    """Who asks, which extensions were activated, and the last event the caller has seen, if it says so."""

    principal: Principal
    extensions: tuple[str, ...] = ()
    cursor: Cursor | None = None
    awaited: bool = True
    """Whether anybody waits for the answer."""
    version: str = ""
    """The protocol version that was asked for, if one was."""
    shape: Shape = V1_0
    """How results are told."""
    grant: Grant = ALL
    """What the caller's credential is good for."""
    credential: str = ""
    """Which credential that is."""

    @property
    def caller(self) -> Caller:
        """Who asks, by which right."""
        return Caller(self.principal, self.credential, self.grant)

    url: str = ""
    """Where the caller reaches the service, if a card is asked for and that is known."""

    def check(self, operation: str, *, reads: bool = False) -> None:
        """
        Refuse an operation for which the caller's credential is no good.

        Raises:
            Forbidden: It is not.

        """
        if not self.grant.allows(operation, reads=reads):
            kind = "read" if reads else "write"
            raise Forbidden(f"your credentials do not include {operation} (scope {kind}); ask who runs the service")

    @property
    def headers(self) -> Headers:
        """What the answer says of the parameters: the activated extensions (A2A 1.0, 4.6), by both names they have."""
        activated = ", ".join(self.extensions).encode("latin-1")
        return tuple((name, activated) for name in _EXTENSIONS if activated)


def read_call(
    request: AnyRequest, negotiation: Negotiation, served: Sequence[str] = SERVED, *, of_card: bool = False
) -> Call:
    """
    Read the parameters of a request for something which is `served` in these versions.

    Args:
        request: The request.
        negotiation: The extensions there are.
        served: The versions.
        of_card: Whether a card is asked for, which is where a client learns of the extensions that are required.

    Raises:
        VersionNotSupported: It wants a protocol version which is not served.
        ExtensionSupportRequired: It names not all the extensions it must.

    """
    headers = request.scope["headers"]
    asked_for = first(headers, b"a2a-version") or _asked_in(request.scope["query_string"])
    version = check_version(asked_for, served)
    return call_of(headers, request.scope["auth"], version, negotiation, of_card=of_card)


def call_of(
    headers: RawHeaders, caller: Caller, version: str, negotiation: Negotiation, *, of_card: bool = False
) -> Call:
    """
    Read the other parameters of a call, whatever the binding.

    Raises:
        ExtensionSupportRequired: It names not all the extensions it must, and is not `of_card`.

    """
    asked = {uri for name in _EXTENSIONS for uri in _listed(headers, name)}
    activated = negotiation.activated(asked)
    if not of_card:
        negotiation.check(activated)
    seen = first(headers, b"last-event-id")
    return Call(
        principal=caller.principal,
        grant=caller.grant,
        credential=caller.credential,
        extensions=activated,
        cursor=read_cursor(seen) if seen else None,
        version=version,
    )


async def read_body(request: AnyRequest) -> bytes:
    """
    Read the body, as far as it may go.

    Raises:
        BodyTooLarge: It goes further.
        MalformedJson: The client left in the middle of it.

    """
    try:
        return await request.body()
    except RequestEntityTooLarge as error:
        most = request.route_handler.resolve_request_max_body_size()
        raise BodyTooLarge(
            f"the body may have {most} bytes here; send less, or have the operator raise A2A_MAX_REQUEST_BODY_BYTES"
        ) from error
    except InternalServerException as error:
        raise MalformedJson("the body broke off") from error


def check_media_type(request: AnyRequest) -> None:
    """
    Refuse a body that says it is no JSON (A2A 1.0, 9.1 and 11.1), or not as it is.

    Raises:
        ContentTypeNotSupported: It says so.

    """
    headers = request.scope["headers"]
    if (coding := first(headers, b"content-encoding").lower()) not in ("", "identity"):
        raise ContentTypeNotSupported(f"the body must be sent as it is, not in {coding[:64]}")
    said = first(headers, b"content-type").partition(";")[0].strip().lower()
    if said not in _MEDIA_TYPES:
        raise ContentTypeNotSupported(f"the body must be application/json or application/a2a+json, not {said[:64]}")


def check_version(asked: str, served: Sequence[str] = SERVED) -> str:
    """
    Refuse a version that is not served; its patch number does not count (A2A 1.0, 3.6) and is not given back.

    Raises:
        VersionNotSupported: Not served.

    """
    found = _VERSION.fullmatch(asked)
    version = "" if found is None else f"{int(found[1])}.{int(found[2])}"
    if asked and version not in served:
        raise VersionNotSupported(f"A2A {asked[:32]!r} is not served here; served: {', '.join(served)}")
    return version


def read_cursor(text: str) -> Cursor:
    """Read a cursor; one that we never gave is no task's, and so a gap to whoever looks for it."""
    found = _CURSOR.fullmatch(text)
    return Cursor(TaskId(""), Seq(0)) if found is None else Cursor(TaskId(found["task"]), Seq(int(found["seq"])))


def _asked_in(query: bytes) -> str:
    """Look for the version among the query's parameters (A2A 1.0, 3.6.1); their names have no case."""
    if b"ersion" not in query.lower():
        return ""
    given = parse_qs(query.decode("latin-1"))
    return next((values[0].strip() for name, values in given.items() if name.lower() == "a2a-version"), "")


def first(headers: RawHeaders, wanted: bytes) -> str:
    """Give the first value that a header has, empty for none."""
    return next((value.decode("latin-1").strip() for name, value in headers if name == wanted), "")


def _listed(headers: RawHeaders, wanted: bytes) -> Iterator[str]:
    for name, value in headers:
        if name == wanted:
            yield from (uri.strip() for uri in value.decode("latin-1").split(","))
