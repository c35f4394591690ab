"""A running service, as commands call it: JSON-RPC and streams with the settings' URL and token."""

from __future__ import annotations

import itertools
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
from attrs import define, field, frozen

from .exits import FAILED, UNAUTHENTICATED, UNREACHABLE, Leave

STREAM_HINTS: Final = "urn:a2a:stream-hints/v1"
"""The extension that says which kind of output a block is."""
_SECONDS = 30.0


class Unreachable(Leave):
    """Nothing that speaks for the service answers."""

    def __init__(self, message: str) -> None:
        super().__init__(message, UNREACHABLE)


class Refused(Leave):
    """The service says no."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message, status)


class Unauthenticated(Refused):
    """The service does not take the token."""

    def __init__(self, message: str) -> None:
        super().__init__(message, UNAUTHENTICATED)


@frozen
class Frame:
    """One event of a stream."""

    id: str
    event: str
    body: Mapping[str, Any]


@define(eq=False)
class Service:
    """The service; a context manager while which its connection is open."""

    url: str
    token: str = field(repr=False)
    patience: float = _SECONDS
    trust: ssl.SSLContext = field(factory=httpx.create_ssl_context, repr=False)
    _http: httpx.Client = field(init=False)
    _ids: itertools.count[int] = field(factory=lambda: itertools.count(1), init=False)

    def __enter__(self) -> Self:
        headers = {"authorization": f"Bearer {self.token}", "a2a-version": "1.0", "a2a-extensions": STREAM_HINTS}
        self._http = httpx.Client(headers=headers, timeout=self.patience, trust_env=False, verify=self.trust)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """
        Call a method; gives its result.

        Raises:
            Unreachable: There is no answer, or none of a service of ours.
            Refused: The answer is a refusal.

        """
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params or {}}
        try:
            response = self._http.post(self.url, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from error
        told = self._told(response)
        if not isinstance(result := told.get("result"), dict):
            raise self._strange(response)
        return result

    @contextmanager
    def follow(self, task_id: str, last_event_id: str = "") -> Iterator[Iterator[Frame]]:
        """
        Follow a task from behind a frame.

        Raises:
            Unreachable: There is no answer, none of a service of ours, or the connection is lost.
            Refused: The answer is a refusal.

        """
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": "SubscribeToTask", "params": {"id": task_id}}
        headers = {"accept": "text/event-stream"} | ({"last-event-id": last_event_id} if last_event_id else {})
        try:
            with self._http.stream("POST", self.url, json=body, headers=headers) as response:
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    response.read()
                    self._told(response)
                    raise self._strange(response)
                yield _frames(response.iter_lines())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from error

    def _told(self, response: httpx.Response) -> Mapping[str, Any]:
        try:
            told = response.json()
        except ValueError:
            raise self._strange(response) from None
        if not isinstance(told, dict):
            raise self._strange(response)
        if isinstance(refusal := told.get("error"), dict):
            if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
                raise Unauthenticated(str(refusal.get("message")))
            raise Refused(str(refusal.get("message")))
        return told

    def _strange(self, response: httpx.Response) -> Unreachable:
        return Unreachable(f"{self.url} answers {response.status_code}, but not as a service of ours")


def _frames(lines: Iterator[str]) -> Iterator[Frame]:
    """
    Read server-sent events, each a JSON-RPC answer.

    Raises:
        Refused: One of them says that the stream cannot go on.

    """
    at, event, text = "", "", ""
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            at = value
        elif name == "event":
            event = value
        elif name == "data":
            text += value
        elif not line and text:
            yield Frame(at, event, _result(text))
            event, text = "", ""


def _result(text: str) -> Mapping[str, Any]:
    told = json.loads(text)
    if isinstance(refusal := told.get("error"), dict):
        raise Refused(str(refusal.get("message")))
    result: Mapping[str, Any] = told.get("result", {})
    return result


def token_in(path: str) -> str:
    """
    Read a token from a file.

    Raises:
        OSError: The file cannot be read.

    """
    return Path(path).read_text(encoding="utf-8").strip()
