"""A client of extension methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from attrs import field, frozen

from tests.e2e.opencode import RealOpenCode
from tests.e2e.service import RunningService


@frozen
class Caller:
    """Calls methods of a running service; without a version, as clients of 0.2 do, unless one is named."""

    service: RunningService
    version: str = ""
    headers: Mapping[str, str] = field(factory=dict)

    def answer(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Call a method; gives the JSON-RPC response."""
        named = {"authorization": f"Bearer {self.service.token}", **self.headers}
        if self.version:
            named["a2a-version"] = self.version
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), **more}}
        answered = httpx.post(self.service.url, json=body, headers=named, timeout=60, trust_env=False)
        told: dict[str, Any] = answered.json()
        return told

    def __call__(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Call a method that works; gives its result."""
        told = self.answer(method, params, **more)
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    def error(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Call a method that is refused; gives the error."""
        told = self.answer(method, params, **more)
        assert "error" in told, told
        error: dict[str, Any] = told["error"]
        return error


def in_front_of(opencode: RealOpenCode, **settings: str) -> dict[str, str]:
    """Give the settings of a service in front of an OpenCode."""
    secured = {"OPENCODE_AUTH_PASSWORD": opencode.password} if opencode.password else {}
    return {"OPENCODE_BASE_URL": opencode.url, "OPENCODE_DIRECTORY": str(opencode.workspace), **secured, **settings}
