"""What an answer must be, whatever was asked."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from attrs import evolve, field, frozen

from ops.fuzzing.calls import ALICE, Request

SECRETS: Final = (b"fuzz-secret-", b"fuzz-own-token")
"""What the log may not have; the first ones nobody may be told."""
OWN_WORDS: Final = b"alices-own-words"
OWN_TOKEN: Final = b"fuzz-own-token"
ALICES: Final = (OWN_WORDS, OWN_TOKEN)
"""What nobody but Alice may be told."""

_INTERNAL: Final = -32603
_NOT_NOW: Final = 503
_WRONG: Final = 400


@frozen
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = field(repr=False)
    whole: bool = True
    """Whether it ended; a stream that its reader leaves does not."""

    def header(self, wanted: bytes) -> bytes:
        """Give the first value of a header."""
        return next((value for name, value in self.headers if name == wanted), b"")

    @property
    def streams(self) -> bool:
        """Whether it is a stream of events."""
        return self.header(b"content-type").startswith(b"text/event-stream")


def judge(request: Request, answer: Answer) -> Iterator[str]:
    """Say what is wrong with an answer."""
    if answer.status >= 500 and answer.status != _NOT_NOW:  # noqa: PLR2004 - the server's own faults
        yield f"status {answer.status}"
    for name, value in answer.headers:
        if name != name.lower() or set(value) & {10, 13, 0} or set(name) & {10, 13, 0, 32}:
            yield f"a header that ends another: {name!r}: {value!r}"
    if answer.header(b"content-encoding") == b"gzip":
        answer = evolve(answer, body=gzip.decompress(answer.body))
    head = b"\n".join(value for _, value in answer.headers)
    yield from _told_to_nobody(request, head + answer.body)
    if request.method == "HEAD":
        if answer.body:
            yield "a body for HEAD"
    elif answer.streams:
        yield from _judge_stream(request, answer)
    elif answer.body:
        yield from _judge_body(request, answer.status, answer.body)
    elif answer.status >= _WRONG:
        yield f"status {answer.status} without a word"


def _told_to_nobody(request: Request, told: bytes) -> Iterator[str]:
    if SECRETS[0] in told:
        yield "a secret was told"
    if (b"authorization", ALICE) not in request.headers and any(own in told for own in ALICES):
        yield "somebody else was told what is Alice's"


def _judge_stream(request: Request, answer: Answer) -> Iterator[str]:
    for frame in answer.body.replace(b"\r\n", b"\n").split(b"\n\n")[:-1]:
        data = b"\n".join(line[5:].strip() for line in frame.split(b"\n") if line.startswith(b"data:"))
        if data:
            yield from _judge_body(request, 200, data)


def _judge_body(request: Request, status: int, body: bytes) -> Iterator[str]:
    try:
        told = json.loads(body.decode(), parse_constant=_refuse)
    except ValueError as error:
        yield f"status {status} with a body that is no JSON ({error}): {body[:200]!r}"
        return
    if request.path == b"/" and request.method == "POST" and isinstance(told, dict) and "jsonrpc" in told:
        yield from _judge_call(told)
    elif status >= _WRONG:
        yield from _judge_refusal(told)


def _judge_call(told: Mapping[str, Any]) -> Iterator[str]:
    if told["jsonrpc"] != "2.0" or "id" not in told or ("result" in told) == ("error" in told):
        yield f"no response of JSON-RPC: {list(told)}"
    elif "error" in told:
        yield from _judge_error(told["error"])


def _judge_refusal(told: Any) -> Iterator[str]:
    """Judge a google.rpc.Status, or what 0.3 has in its place."""
    if not isinstance(told, dict):
        yield f"a refusal that is no object: {told!r}"
        return
    error = told.get("error", told)
    if not isinstance(error, dict) or not isinstance(error.get("message"), str) or not error["message"]:
        yield f"a refusal that says nothing: {told!r}"
    elif "status" in error and not (isinstance(error.get("code"), int) and isinstance(error.get("details"), list)):
        yield f"a refusal of another shape: {told!r}"
    elif "status" not in error:
        yield from _judge_error(error)


def _judge_error(error: Any) -> Iterator[str]:
    if not isinstance(error, dict) or type(error.get("code")) is not int or not isinstance(error.get("message"), str):
        yield f"an error of another shape: {error!r}"
    elif error["code"] == _INTERNAL:
        yield f"an internal error: {error['message']}"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
