"""Streams that are cut at any byte and taken up again, on the same or another replica: no gap, and nothing twice."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from opencode_a2a_server.app.container import assemble
from opencode_a2a_server.app.settings import load_settings
from tests.fakes import postgres

pytestmark = pytest.mark.anyio

CUTS = 200
TASKS = 10
WORDS = [f"{number:03}" for number in range(60)]
PLAY = "".join(f"[[say {word}]][[delay 0.002]]" for word in WORDS)

_HEADERS = {"authorization": "Bearer secret", "a2a-version": "1.0", "content-type": "application/json"}


@define(eq=False)
class Reader:
    """One connection, which breaks when it has read so many bytes."""

    budget: int
    read: bytearray = field(factory=bytearray)
    _over: asyncio.Event = field(factory=asyncio.Event)
    _asked: bool = False

    async def __call__(self, app: Any, path: str, body: bytes = b"", last: str = "") -> None:
        """Read until the connection breaks or the stream ends."""
        headers = _HEADERS | ({"last-event-id": last} if last else {})
        scope = {
            "type": "http",
            "method": "POST" if body else "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "state": {},
        }

        async def receive() -> Mapping[str, Any]:
            if not self._asked:
                self._asked = True
                return {"type": "http.request", "body": body, "more_body": False}
            await self._over.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            self.read += message.get("body", b"")[: self.budget - len(self.read)]
            if len(self.read) >= self.budget:
                self._over.set()

        await app(scope, receive, send)

    @property
    def frames(self) -> list[tuple[str, dict[str, Any]]]:
        """The frames that came whole."""
        whole = self.read.decode(errors="ignore").split("\n\n")[:-1]
        told = [dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")) for block in whole]
        return [(one["id"], json.loads(one["data"])) for one in told if "data" in one]


@pytest.fixture(params=["sqlite", "postgres"])
async def replicas(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Sequence[Any]]:
    """One service on SQLite, or two that share a PostgreSQL."""
    url = f"sqlite+aiosqlite:///{tmp_path}/tasks.db"
    if request.param == "postgres":
        url = (await postgres.emptied()).render_as_string(hide_password=False)
    chosen = {"A2A_BEARER_TOKEN": "secret", "A2A_RUNTIME": "scripted", "A2A_TASK_STORE_DATABASE_URL": url}
    async with AsyncExitStack() as stack:
        count = 2 if request.param == "postgres" else 1
        yield [(await stack.enter_async_context(assemble(load_settings(chosen)))).app() for _ in range(count)]


async def test_two_hundred_cuts_lose_and_repeat_nothing(replicas: Sequence[Any]) -> None:
    chance = random.Random(20)  # noqa: S311 - it need not be hard to guess
    cuts = await asyncio.gather(*(_read_with_cuts(replicas, number, chance) for number in range(TASKS)))

    assert sum(cuts) >= CUTS


async def _read_with_cuts(replicas: Sequence[Any], number: int, chance: random.Random) -> int:
    """Follow a task with at least its share of cuts, then check all that was read; gives how many cuts there were."""
    message = {"messageId": f"m-{number}", "role": "ROLE_USER", "parts": [{"text": PLAY}]}
    reader = Reader(chance.randint(6_000, 9_000))  # the first frame has the whole message
    await reader(chance.choice(replicas), "/message:stream", json.dumps({"message": message}).encode())
    frames, cuts = reader.frames, 1
    path = f"/tasks/{frames[0][1]['task']['id']}:subscribe"
    while not _ended(frames):
        share = cuts < CUTS / TASKS
        reader = Reader(chance.randint(300, 1_800) if share else 1_000_000)
        await reader(chance.choice(replicas), path, last=frames[-1][0])
        frames += reader.frames
        cuts += share

    whole = Reader(1_000_000)
    await whole(chance.choice(replicas), path, last=frames[0][0])
    assert frames[1:] == whole.frames, "what was read in pieces is what is read at once"
    assert _text(frames) == "".join(WORDS)
    return cuts


def _ended(frames: Sequence[tuple[str, dict[str, Any]]]) -> bool:
    return "COMPLETED" in str(frames[-1][1].get("statusUpdate"))


def _text(frames: Sequence[tuple[str, dict[str, Any]]]) -> str:
    texts: dict[str, str] = {}
    for _, frame in frames:
        if told := frame.get("artifactUpdate"):
            said = "".join(part.get("text", "") for part in told["artifact"]["parts"])
            name = told["artifact"]["artifactId"]
            texts[name] = texts.get(name, "") + said if told.get("append") else said
    return "".join(texts.values())
