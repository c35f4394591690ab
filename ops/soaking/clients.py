"""The clients of a soak: they stream, cut, resume, answer and cancel, and compare what they read with what was said."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import httpx
from attrs import define, field

from ops.soaking.upstream import Upstream
from tests.e2e.follower import TERMINAL, Frame, folded, state_of, text_of
from tests.e2e.service import RunningService
from tests.fakes.acts import Act, AskPermission, AskQuestion, Delegate, Hang, Reason, RunTool, Say

_NEVER_SECONDS = 240.0
"""Without an end for so long, a task has none."""
_AGAIN_SECONDS = 0.3
_CUT = 0.7
"""How many of the connections are cut."""


@define(eq=False)
class Clients:
    """All of them, and what they count."""

    services: Sequence[RunningService]
    upstream: Upstream
    chance: random.Random
    counts: Counter[str] = field(factory=Counter)
    complaints: list[str] = field(factory=list)
    _numbers: itertools.count[int] = field(factory=itertools.count)

    async def play(self, until: float) -> None:
        """One client: task after task until that moment, by the monotonic clock."""
        async with httpx.AsyncClient(timeout=httpx.Timeout(60, connect=5), trust_env=False) as http:
            while time.monotonic() < until:
                with suppress(httpx.HTTPError):  # it never heard of its task: nothing to judge
                    await Played(self, http, next(self._numbers))()

    def complain(self, kind: str, text: str) -> None:
        """Note a fault of the service."""
        self.counts[kind] += 1
        self.complaints.append(f"{kind}: {text}")


@define(eq=False)
class Played:
    """One task, from its message to its end."""

    clients: Clients
    http: httpx.AsyncClient
    number: int
    began: float = field(factory=time.monotonic)
    frames: list[Frame] = field(factory=list)
    kind: str = field(init=False)
    said: str = field(init=False)
    """What the agent says if nothing comes in between."""
    _asked_for: set[str] = field(factory=set)

    async def __call__(self) -> None:
        """Play it."""
        acts = self._choose()
        text = f"soak {self.number}"
        self.clients.upstream.fake.scripts[text] = acts
        message = {"messageId": f"soak-{self.number}", "role": "ROLE_USER", "parts": [{"text": text}]}
        await self._read("POST", "/message:stream", {"message": message})
        if not self.frames:
            return
        self.clients.counts["tasks"] += 1
        while self._state not in TERMINAL:
            if time.monotonic() - self.began > _NEVER_SECONDS:
                self.clients.complain("never_ended", f"{self._task} is {self._state} ({self.kind})")
                return
            with suppress(httpx.HTTPError):
                await self._intervene()
                await self._read("GET", f"/tasks/{self._task}:subscribe")
            await asyncio.sleep(_AGAIN_SECONDS * self.clients.chance.random())
        await self._judge()
        del self.clients.upstream.fake.scripts[text]

    @property
    def _task(self) -> str:
        task: str = self.frames[0][1]["task"]["id"]
        return task

    @property
    def _state(self) -> str:
        return state_of(self.frames)

    def _choose(self) -> tuple[Act, ...]:
        chance, count = self.clients.chance, itertools.count()

        def words() -> Say:
            return Say("".join(f"{self.number}.{next(count)} " for _ in range(chance.randint(1, 60))))

        one, two, three = words(), words(), words()
        self.kind = chance.choices(["plain", "asking", "canceled"], [5, 3, 2])[0]
        self.said = one.text + two.text + three.text
        match self.kind:
            case "asking":
                permission, question = (
                    AskPermission("bash", f"ls {self.number}"),
                    AskQuestion("Which?", ("Red", "Blue")),
                )
                self.said = one.text + two.text + "You chose Blue. " + three.text
                return (one, permission, two, question, three)
            case "canceled":
                self.said = one.text
                return (one, Hang())
        return (Reason("hm "), one, RunTool("read"), two, Delegate((Say("below "),)), three)

    async def _read(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        """Read a stream, on whichever replica, until it ends or is cut."""
        chance = self.clients.chance
        service = chance.choice(self.clients.services)
        cut_after = chance.randint(1, 40) if chance.random() < _CUT else 10_000_000
        headers = service.headers | ({"last-event-id": self.frames[-1][0]} if self.frames else {})
        request = self.http.stream(method, service.url + path, json=body, headers=headers)
        async with request as response:
            if response.status_code != httpx.codes.OK:
                await response.aread()
                self.clients.counts[f"answered_{response.status_code}"] += 1
                return
            frame_id, read = "", 0
            async for line in response.aiter_lines():
                if line.startswith("id: "):
                    frame_id = line[4:]
                if not line.startswith("data: "):
                    continue
                frame = json.loads(line[6:])
                if "error" in frame:
                    self.clients.counts["errors_told"] += 1
                    return
                self.frames.append((frame_id, frame))
                read += 1
                if read >= cut_after:
                    self.clients.counts["cuts"] += 1
                    return
        if self._state not in TERMINAL and "REQUIRED" not in self._state:
            self.clients.complain("ended_without_a_word", f"a stream of {self._task}, which is {self._state}")

    async def _intervene(self) -> None:
        """Answer, or cancel, if that is what the task is for."""
        service, text = self.clients.chance.choice(self.clients.services), text_of(folded(self.frames))
        if self.kind == "asking" and "INPUT_REQUIRED" in self._state:
            # By its id: a client that was cut off does not know whether this is still what waits.
            status = self.frames[-1][1].get("statusUpdate", {}).get("status", {})
            asked = next((part["data"] for part in status.get("message", {}).get("parts", ()) if "data" in part), None)
            if asked is None:
                return
            answer = {"answers": [["Blue"]]} if asked["type"] == "question" else {"reply": "once"}
            message = {
                "messageId": f"answer-{self.number}-{len(self.frames)}",
                "role": "ROLE_USER",
                "taskId": self._task,
                "parts": [{"data": {"request_id": asked["request_id"], **answer}}],
            }
            body = {"message": message, "configuration": {"returnImmediately": True}}
            await self.http.post(f"{service.url}/message:send", json=body, headers=service.headers)
        elif self.kind == "canceled" and text and "cancel" not in self._asked_for:
            canceled = await self.http.post(
                f"{service.url}/tasks/{self._task}:cancel", json={}, headers=service.headers
            )
            if canceled.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                self._asked_for.add("cancel")

    async def _judge(self) -> None:
        counts, state = self.clients.counts, self._state.removeprefix("TASK_STATE_").lower()
        counts[state] += 1
        task = await self._polled()
        polled, read = folded([("", {"task": task})]), folded(self.frames)
        places = [int(place.rpartition(":")[2]) for place, _ in self.frames]
        if places != sorted(set(places)):
            self.clients.complain("duplicated", f"updates of {self._task}: {places}")
        if polled != read:
            self.clients.complain("lost", f"what was read of {self._task} is not what is kept: {read} / {polled}")
        text, wanted = _own(polled), self.said
        if text == wanted and state == ("canceled" if self.kind == "canceled" else "completed"):
            return
        excused = self.clients.upstream.restarted > self.began and state in ("failed", "canceled")
        if state == "canceled" and self.kind == "canceled":
            excused = True  # it may come before the last word
        if not wanted.startswith(text):
            self.clients.complain("duplicated", f"{self._task} says {text!r} instead of {wanted!r}")
        elif not excused:
            message = json.dumps(task["status"])
            self.clients.complain("lost", f"{self._task} ({self.kind}) is {message} with {text!r} of {wanted!r}")

    async def _polled(self) -> dict[str, Any]:
        while True:
            service = self.clients.chance.choice(self.clients.services)
            with suppress(httpx.HTTPError):
                answer = await self.http.get(f"{service.url}/tasks/{self._task}", headers=service.headers)
                if answer.status_code == httpx.codes.OK:
                    task: dict[str, Any] = answer.json()
                    return task
            await asyncio.sleep(_AGAIN_SECONDS)


def _own(artifacts: dict[str, dict[str, Any]]) -> str:
    """Give what the agent itself said; its sub-agent says one word of its own."""
    return text_of({name: one for name, one in artifacts.items() if one["text"] != "below "})
