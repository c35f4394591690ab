"""Answers of the real OpenCode 1.18.33, recorded one by one; its directories are called /workspace and /opencode."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from attrs import define, field

from opencode_a2a_server.adapters.outbound.opencode.client import Address, Client

ANSWERS: Mapping[str, Mapping[str, Any]] = json.loads(
    (Path(__file__).parents[3] / "data" / "opencode_answers.json").read_text(encoding="utf-8")
)


@define(eq=False)
class Recorded:
    """An OpenCode which gives recorded answers, by what is asked; `asked` is what was."""

    answers: dict[str, str | Callable[[httpx.Request], str]] = field(factory=dict)
    asked: list[httpx.Request] = field(factory=list)

    def client(self, directory: str | None = None) -> Client:
        """Give a client of it."""
        return Client.to(Address("http://opencode", directory=directory), httpx.MockTransport(self._answer))

    @property
    def bodies(self) -> list[Any]:
        """What was sent."""
        return [json.loads(request.content) for request in self.asked if request.content]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        chosen = self.answers[f"{request.method} {request.url.path}"]
        name = chosen if isinstance(chosen, str) else chosen(request)
        if name == "nothing":
            return httpx.Response(204)
        answer = ANSWERS[name]
        headers = {"content-type": answer["type"]} | ({"x-next-cursor": answer["cursor"]} if "cursor" in answer else {})
        return httpx.Response(answer["status"], headers=headers, content=json.dumps(answer["body"]))
