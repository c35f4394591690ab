"""Clients of a measurement: each reads one task to its end, on whichever replica, and keeps when it heard what."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import httpx
from attrs import define, field

from tests.e2e.follower import TERMINAL, Frame, folded, state_of, text_of
from tests.e2e.service import RunningService

_AGAIN_SECONDS = 0.05


@define(eq=False)
class Reader:
    """
    One of them. It begins at the first of the services, and goes on at the next when its stream ends or breaks.

    Without a task it begins one, with a prompt.
    """

    services: Sequence[RunningService]
    http: httpx.AsyncClient
    prompt: str = ""
    task: str = ""
    frames: list[Frame] = field(factory=list)
    heard: dict[str, float] = field(factory=dict)
    """When each word was read, by the monotonic clock; not those that were there when it began to read."""
    moments: list[float] = field(factory=list)
    """When it read something of the text."""
    _place: int = 0

    async def __call__(self) -> None:
        """Read to the end."""
        while state_of(self.frames) not in TERMINAL:
            service = self.services[self._place % len(self.services)]
            with suppress(httpx.HTTPError):
                await self._read(service)
            if state_of(self.frames) not in TERMINAL:
                self._place += 1
                if self._place % len(self.services) == 0:
                    await asyncio.sleep(_AGAIN_SECONDS)

    @property
    def text(self) -> str:
        """All that the agent said."""
        return text_of(folded(self.frames))

    @property
    def whole(self) -> bool:
        """Whether no update came twice or out of order."""
        places = [int(place.rpartition(":")[2]) for place, _ in self.frames]
        return places == sorted(set(places))

    def longest_silence(self) -> float:
        """Give the longest time between two pieces of the text, in seconds."""
        return max((after - before for before, after in zip(self.moments, self.moments[1:], strict=False)), default=0.0)

    def first_after(self, moment: float) -> float:
        """Give how long after a moment the text went on by a word that was said later."""
        return next((one - moment for one in self.moments if one > moment), float("inf"))

    async def _read(self, service: RunningService) -> None:
        begins = not self.task
        path = "/message:stream" if begins else f"/tasks/{self.task}:subscribe"
        message = {"messageId": self.prompt, "role": "ROLE_USER", "parts": [{"text": self.prompt}]}
        headers = service.headers | ({"last-event-id": self.frames[-1][0]} if self.frames else {})
        body = {"message": message} if begins else None
        async with self.http.stream(
            "POST" if begins else "GET", service.url + path, json=body, headers=headers
        ) as response:
            if response.status_code != httpx.codes.OK:
                return
            frame_id = ""
            async for line in response.aiter_lines():
                if line.startswith("id: "):
                    frame_id = line[4:]
                elif line.startswith("data: ") and not self._take(frame_id, json.loads(line[6:])):
                    return

    def _take(self, frame_id: str, frame: dict[str, Any]) -> bool:
        """Take a frame; says whether there is more to read here."""
        now = time.monotonic()
        if "error" in frame:
            return False
        if "task" in frame:
            self.task = frame["task"]["id"]
        self.frames.append((frame_id, frame))
        if told := frame.get("artifactUpdate"):
            words = "".join(part.get("text", "") for part in told["artifact"]["parts"]).split()
            self.heard |= dict.fromkeys(words, now)
            if words:
                self.moments.append(now)
        return True
