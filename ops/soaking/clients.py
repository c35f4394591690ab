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
from datetime import datetime
from typing import Any

import httpx
from attrs import define, field

from ops.soaking.upstream import Upstream
from tests.e2e.follower import TERMINAL, Frame, folded, state_of, text_of
from tests.e2e.service import RunningService
from tests.fakes.acts import Act, AskPermission, AskQuestion, Delegate, Hang, Reason, RunTool, Say

_NEVER_SECONDS = 150.0
"""Without an end for so long, a task has none."""
_SLOW_SECONDS = 60.0
"""What takes so long is looked at, and no fault: a call without an answer is given 40 seconds."""
_AGAIN_SECONDS = 0.3
_CUT = 0.7
"""How many of the connections are cut."""
_LATER = frozenset({httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE})
"""What is answered by who cannot do it now; the same request later, or elsewhere, is done."""
_BY_FORCE = "did not confirm the abort"
"""How a task says that it was canceled although OpenCode works on."""
_LAST_LOOK_SECONDS = 6.0
"""For so long OpenCode is asked for its last words then, if it does not answer at once."""
_LATE_SECONDS = 1.0
"""What it shows in the last moment need not be told."""
_LOST = ("OpenCode stopped in mid-turn", "OpenCode took the prompt", "OpenCode accepted the prompt")
"""How a task says that it failed since OpenCode was restarted."""


@define(eq=False)
class Clients:
    """All of them, and what they count."""

    services: Sequence[RunningService]
    upstream: Upstream
    chance: random.Random
    counts: Counter[str] = field(factory=Counter)
    complaints: list[str] = field(factory=list)
    evidence: list[dict[str, Any]] = field(factory=list)
    """All that is known of each task that was complained of."""
    answers: Counter[str] = field(factory=Counter)
    """What was answered in place of what was asked for, and how streams were ended with an error."""
    seconds: list[float] = field(factory=list)
    """How long tasks took, for their clients."""
    judged: set[str] = field(factory=set)
    """Tasks that somebody has followed to the end."""
    _numbers: itertools.count[int] = field(factory=lambda: itertools.count(100_000))  # none begins another

    async def play(self, until: float) -> None:
        """One client: task after task until that moment, by the monotonic clock."""
        async with httpx.AsyncClient(timeout=httpx.Timeout(60, connect=5), trust_env=False) as http:
            while time.monotonic() < until:
                with suppress(httpx.HTTPError):  # it never heard of its task: nothing to judge
                    await Played(self, http, next(self._numbers))()

    async def count_up(self) -> None:
        """See that every task ends, also those whose client was cut off before it heard of them: they are canceled."""
        canceled: set[str] = set()
        give_up = time.monotonic() + _NEVER_SECONDS
        async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
            while left := {name: state for name, state in (await self._tasks(http)).items() if state not in TERMINAL}:
                if time.monotonic() > give_up:
                    for name, state in left.items():
                        self.complain("never_ended", f"{name} is {state}")
                    return
                unwanted = list(left.keys() - canceled)
                taken = await asyncio.gather(*(self._cancel(http, name) for name in unwanted))
                canceled |= {name for name, is_ in zip(unwanted, taken, strict=True) if is_}
                await asyncio.sleep(_AGAIN_SECONDS)
            for name in self.judged - set(await self._tasks(http)):
                self.complain("lost", f"{name} is not listed")

    async def _cancel(self, http: httpx.AsyncClient, name: str) -> bool:
        service = self.chance.choice(self.services)
        with suppress(httpx.HTTPError):
            answer = await http.post(f"{service.url}/tasks/{name}:cancel", json={}, headers=service.headers)
            return answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR
        return False

    async def _tasks(self, http: httpx.AsyncClient) -> dict[str, str]:
        """List all of them, with their states."""
        tasks: dict[str, str] = {}
        token = ""
        while True:
            service = self.chance.choice(self.services)
            try:
                params = {"pageSize": "100", **({"pageToken": token} if token else {})}
                answer = await http.get(f"{service.url}/tasks", params=params, headers=service.headers)
                page = answer.raise_for_status().json()
            except httpx.HTTPError:
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            tasks |= {task["id"]: task["status"]["state"] for task in page["tasks"]}
            if not (token := page.get("nextPageToken", "")):
                return tasks

    def ended(self, played: Played, seconds: float) -> None:
        """Note that somebody has followed a task to its end, and how long that took."""
        self.judged.add(played.task)
        self.seconds.append(seconds)
        if seconds > _SLOW_SECONDS:
            self.counts["slow"] += 1
            self._testify("slow", f"{played.task} ({played.kind}) took {seconds:.0f} seconds", played)

    def complain(self, kind: str, text: str, of: Played | None = None) -> None:
        """Note a fault of the service."""
        self.counts[kind] += 1
        self.complaints.append(f"{kind}: {text}")
        if of is not None:
            self._testify(kind, text, of)

    def _testify(self, kind: str, text: str, played: Played) -> None:
        shown = self.upstream.history_of(played.prompt)
        read = list(zip(played.moments, played.frames, strict=True))
        self.evidence.append({"fault": kind, "says": text, "read": read, "shown": shown})


@define(eq=False)
class Played:
    """One task, from its message to its end."""

    clients: Clients
    http: httpx.AsyncClient
    number: int
    began: float = field(factory=time.monotonic)
    frames: list[Frame] = field(factory=list)
    moments: list[float] = field(factory=list)
    """When each frame was read, in seconds since the epoch."""
    kind: str = field(init=False)
    said: str = field(init=False)
    """What the agent says if nothing comes in between."""
    _asked_for: set[str] = field(factory=set)

    async def __call__(self) -> None:
        """Play it."""
        acts = self._choose()
        text = self.prompt
        self.clients.upstream.fake.scripts[text] = acts
        message = {"messageId": f"soak-{self.number}", "role": "ROLE_USER", "parts": [{"text": text}]}
        await self._read("POST", "/message:stream", {"message": message})
        if not self.frames:
            return
        self.clients.counts["tasks"] += 1
        while self._state not in TERMINAL:
            if time.monotonic() - self.began > _NEVER_SECONDS:
                self._complain("never_ended", f"{self.task} is {self._state} ({self.kind})")
                return
            with suppress(httpx.HTTPError):
                await self._intervene()
                await self._read("GET", f"/tasks/{self.task}:subscribe")
            await asyncio.sleep(_AGAIN_SECONDS * self.clients.chance.random())
        await self._judge()
        self.clients.ended(self, time.monotonic() - self.began)
        del self.clients.upstream.fake.scripts[text]

    @property
    def prompt(self) -> str:
        """What it says to the agent."""
        return f"soak {self.number}"

    @property
    def task(self) -> str:
        """Its id."""
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
        """Read a stream, on whichever replica, until it ends or is cut, or the task should have ended."""
        left = max(self.began + _NEVER_SECONDS - time.monotonic(), 1.0)
        if self.kind == "canceled" and "cancel" not in self._asked_for:
            left = min(left, self.clients.chance.uniform(1, 4))  # its task says nothing more, and is to be canceled
        with suppress(TimeoutError):  # a stream is kept alive although its task is forgotten
            async with asyncio.timeout(left):
                await self._stream(method, path, body)

    async def _stream(self, method: str, path: str, body: dict[str, Any] | None) -> None:
        chance = self.clients.chance
        service = chance.choice(self.clients.services)
        cut_after = chance.randint(1, 40) if chance.random() < _CUT else 10_000_000
        headers = service.headers | ({"last-event-id": self.frames[-1][0]} if self.frames else {})
        request = self.http.stream(method, service.url + path, json=body, headers=headers)
        async with request as response:
            if response.status_code != httpx.codes.OK:
                self._refused(method, path, response.status_code, (await response.aread()).decode())
                return
            frame_id, read = "", 0
            async for line in response.aiter_lines():
                if line.startswith("id: "):
                    frame_id = line[4:]
                if not line.startswith("data: "):
                    continue
                frame = json.loads(line[6:])
                if "error" in frame:
                    self._told_error(frame["error"])
                    return
                self.frames.append((frame_id, frame))
                self.moments.append(time.time())
                read += 1
                if read >= cut_after:
                    self.clients.counts["cuts"] += 1
                    return
        if self._state not in TERMINAL and "REQUIRED" not in self._state:
            self._complain("ended_without_a_word", f"a stream of {self.task}, which is {self._state}")

    def _refused(self, method: str, path: str, status: int, body: str) -> None:
        self.clients.answers[str(status)] += 1
        if status not in _LATER:
            self._complain("refused", f"{method} {path} of a {self.kind} task: {status} {body}")

    def _told_error(self, error: dict[str, Any]) -> None:
        """A stream may be ended by who cannot go on with it, not by a fault."""
        code = int(error.get("code", 0))
        self.clients.answers[f"stream {code}"] += 1
        if code not in _LATER:
            self._complain("refused", f"a stream of a {self.kind} task ends with {error}")

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
                "taskId": self.task,
                "parts": [{"data": {"request_id": asked["request_id"], **answer}}],
            }
            body = {"message": message, "configuration": {"returnImmediately": True}}
            answered = await self.http.post(f"{service.url}/message:send", json=body, headers=service.headers)
            self.clients.answers[f"answer {answered.status_code}{_reason(answered)}"] += 1
        elif self.kind == "canceled" and text and "cancel" not in self._asked_for:
            self._asked_for.add("perhaps")
            canceled = await self.http.post(f"{service.url}/tasks/{self.task}:cancel", json={}, headers=service.headers)
            if canceled.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                self._asked_for.add("cancel")

    async def _judge(self) -> None:
        counts, state = self.clients.counts, self._state.removeprefix("TASK_STATE_").lower()
        counts[state] += 1
        task = await self._polled()
        polled, read = folded([("", {"task": task})]), folded(self.frames)
        places = [int(place.rpartition(":")[2]) for place, _ in self.frames]
        if places != sorted(set(places)):
            self._complain("duplicated", f"updates of {self.task}: {places}")
        if polled != read:
            self._complain("lost", f"what was read of {self.task} is not what is kept: {read} / {polled}")
        self._judge_text(_own(polled), state, task["status"])

    def _judge_text(self, text: str, state: str, status: dict[str, Any]) -> None:
        """See that it says what OpenCode said, each word once, and ended as it should."""
        complain, upstream, wanted = self._complain, self.clients.upstream, self.said
        told = f"{self.task} ({self.kind}) is {json.dumps(status)} with {text!r}"
        if (prompted := upstream.prompted(self.prompt)) > 1:
            complain("duplicated", f"{told}: OpenCode was prompted {prompted} times")
        if not wanted.startswith(text):
            place = next((at for at, (is_, be) in enumerate(zip(text, wanted, strict=False)) if is_ != be), len(wanted))
            shown = upstream.shows(self.prompt)
            complain(
                "duplicated",
                f"{self.task} ({self.kind}) goes on after {place} characters with {text[place:][:60]!r} instead of "
                f"{wanted[place:][:60]!r}; OpenCode shows {shown[place:][:60]!r}",
            )
        elif not text.startswith(shown := upstream.shows(self.prompt, self._known_by(status))):
            complain("lost", f"{told}, while OpenCode shows {shown!r}")
        elif state == "completed":
            if text != wanted or self.kind == "canceled":
                complain("lost", f"{told} of {wanted!r}")
        elif not self._may_end_so(state, json.dumps(status)):
            complain("lost", f"{told} of {wanted!r}, without a reason")

    def _known_by(self, status: dict[str, Any]) -> float:
        """Say until when it must have all that OpenCode shows: for ever, unless it was ended while OpenCode worked on."""
        if _BY_FORCE not in json.dumps(status):
            return float("inf")
        self.clients.counts["forced"] += 1
        ended = datetime.fromisoformat(status["timestamp"]).timestamp()
        asked = self.clients.upstream.could_be_asked(ended - _LAST_LOOK_SECONDS, ended)
        return ended - (_LATE_SECONDS if asked else _LAST_LOOK_SECONDS)

    def _may_end_so(self, state: str, status: str) -> bool:
        """Only who was asked to is canceled; only what OpenCode lost by its restart fails, and says so."""
        if state == "canceled":
            return self.kind == "canceled" and bool(self._asked_for)
        return state == "failed" and self.prompt in self.clients.upstream.lost and any(one in status for one in _LOST)

    def _complain(self, kind: str, text: str) -> None:
        self.clients.complain(kind, text, self)

    async def _polled(self) -> dict[str, Any]:
        give_up = time.monotonic() + _NEVER_SECONDS
        while time.monotonic() < give_up:
            service = self.clients.chance.choice(self.clients.services)
            with suppress(httpx.HTTPError):
                answer = await self.http.get(f"{service.url}/tasks/{self.task}", headers=service.headers)
                if answer.status_code == httpx.codes.OK:
                    task: dict[str, Any] = answer.json()
                    return task
            await asyncio.sleep(_AGAIN_SECONDS)
        self._complain("lost", f"{self.task} cannot be read")
        forgotten: dict[str, Any] = self.frames[0][1]["task"]
        return forgotten


def _own(artifacts: dict[str, dict[str, Any]]) -> str:
    """Give what the agent itself said; its sub-agent says one word of its own."""
    return text_of({name: one for name, one in artifacts.items() if one["text"] != "below "})


def _reason(answered: httpx.Response) -> str:
    """Say why something was refused, in a word."""
    if answered.status_code == httpx.codes.OK:
        return ""
    with suppress(ValueError, KeyError, AttributeError):
        told = answered.json()["error"]
        return " " + next((one["reason"] for one in told.get("details", ()) if "reason" in one), told["message"][:80])
    return ""
