"""A running service, as commands call it: JSON-RPC with the settings' URL and token."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from attrs import define, field

_SECONDS = 30.0


class Unreachable(Exception):
    """Nothing that speaks for the service answers."""


class Refused(Exception):
    """The service says no."""


@define(eq=False)
class Service:
    """The service; a context manager while which its connection is open."""

    url: str
    token: str = field(repr=False)
    _http: httpx.Client = field(init=False)
    _ids: itertools.count[int] = field(factory=lambda: itertools.count(1), init=False)

    def __enter__(self) -> Self:
        headers = {"authorization": f"Bearer {self.token}", "a2a-version": "1.0"}
        self._http = httpx.Client(headers=headers, timeout=_SECONDS, trust_env=False)
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
            told = response.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from error
        except ValueError:
            raise Unreachable(f"{self.url} answers {response.status_code}, but not as a service of ours") from None
        if isinstance(told, dict) and isinstance(refusal := told.get("error"), dict):
            raise Refused(str(refusal.get("message")))
        if not isinstance(told, dict) or not isinstance(result := told.get("result"), dict):
            raise Unreachable(f"{self.url} answers {response.status_code}, but not as a service of ours")
        return result


def token_in(path: str) -> str:
    """
    Read a token from a file.

    Raises:
        OSError: The file cannot be read.

    """
    return Path(path).read_text(encoding="utf-8").strip()
