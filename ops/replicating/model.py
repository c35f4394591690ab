"""The model of a measurement: it says a word at a steady pace, and when."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from attrs import define, field

from tests.fakes.acts import Say
from tests.fakes.opencode import FakeOpenCode


@define(eq=False)
class Model:
    """What the fake OpenCode says; words of all texts are different."""

    fake: FakeOpenCode
    pause: float
    """Seconds between two words."""
    said: dict[str, float] = field(factory=dict)
    """When each word was put on the feed, by the monotonic clock."""
    texts: list[str] = field(factory=list)
    _hurried: bool = False

    def __attrs_post_init__(self) -> None:
        self.fake.pause = self._pass
        self.fake.listen(self._hear)

    def prepare(self, words: int) -> str:
        """Have one more text; gives the prompt that it is said for."""
        number = len(self.texts)
        self.texts.append("".join(f"{number}.{place} " for place in range(words)))
        prompt = f"measure {number}."
        self.fake.scripts[prompt] = (Say(self.texts[-1]),)
        return prompt

    def hurry(self) -> None:
        """Say what is left at once."""
        self._hurried = True

    async def _pass(self) -> None:
        await asyncio.sleep(0 if self._hurried else self.pause)

    def _hear(self, event: dict[str, Any]) -> None:
        payload = event["payload"]
        if payload["type"] == "message.part.delta":
            self.said[payload["properties"]["delta"].strip()] = time.monotonic()
