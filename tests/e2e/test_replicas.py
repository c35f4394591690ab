"""Replicas as users run them: processes that share a PostgreSQL, in front of a real OpenCode."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, field

from tests.e2e.opencode import RealOpenCode
from tests.e2e.service import RunningService, _children
from tests.e2e.test_service import in_front_of, text_of
from tests.e2e.until import until
from tests.fakes import postgres

Frame = tuple[str, dict[str, Any]]

_databases = iter(range(1000))


@pytest.fixture
def settings(opencode: RealOpenCode) -> dict[str, str]:
    """Settings of services that share a new database."""
    name = f"e2e_{os.getpid()}_{next(_databases)}"
    postgres.server().psql(f"CREATE DATABASE {name};")
    url = postgres.url(name).render_as_string(hide_password=False)
    return in_front_of(opencode) | {"A2A_TASK_STORE_DATABASE_URL": url, "A2A_DRAIN_SECONDS": "1"}


@pytest.fixture
def start(settings: dict[str, str]) -> Iterator[Callable[..., RunningService]]:
    """Start replicas, all with the same credentials."""
    with ExitStack() as stack:
        token = ""

        def start(**more: str) -> RunningService:
            nonlocal token
            service = RunningService(settings | more)
            token = service.token = token or service.token
            return stack.enter_context(service)

        yield start


@pytest.fixture
def one(start: Callable[..., RunningService]) -> RunningService:
    return start()


@pytest.fixture
def other(one: RunningService, start: Callable[..., RunningService]) -> RunningService:
    return start()


def call(service: RunningService, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Call over HTTP+JSON; without a body, get."""
    with httpx.Client(base_url=service.url, headers=service.headers, timeout=60, trust_env=False) as client:
        response = client.get(path) if body is None else client.post(path, json=body)
    told: dict[str, Any] = response.json()
    assert response.status_code == httpx.codes.OK, told
    return told


_count = iter(range(1_000_000))


def message(text: str, task: str = "", *, at_once: bool = True) -> dict[str, Any]:
    named = {"taskId": task} if task else {}
    said = {"messageId": f"r-{os.getpid()}-{next(_count)}", "role": "ROLE_USER", "parts": [{"text": text}], **named}
    return {"message": said, "configuration": {"returnImmediately": at_once}}


def begin(service: RunningService, text: str) -> str:
    """Begin a task; gives its id."""
    task_id: str = call(service, "/message:send", message(text))["task"]["id"]
    return task_id


def state(service: RunningService, task_id: str) -> str:
    told: str = call(service, f"/tasks/{task_id}")["status"]["state"]
    return told


def words(count: int) -> str:
    return "".join(f"word{number:05} " for number in range(count))


def ended_well(frames: list[Frame]) -> bool:
    return "COMPLETED" in str(frames[-1][1].get("statusUpdate", {}).get("status", {}))


def numbers(frames: list[Frame]) -> list[int]:
    return [int(frame_id.rpartition(":")[2]) for frame_id, _ in frames]


@define
class Telling:
    """A reader of a stream, in a thread; it keeps when each frame came."""

    service: RunningService
    path: str
    body: Mapping[str, Any] | None = None
    frames: list[Frame] = field(factory=list)
    moments: list[float] = field(factory=list)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(httpx.TransportError), self.service.stream(self.path, self.body) as stream:
            for frame in stream:
                self.frames.append(frame)
                self.moments.append(time.time())

    def whole(self) -> list[Frame]:
        self._thread.join(60)
        assert not self._thread.is_alive(), "the stream did not end"
        return self.frames


def test_a_stream_on_one_replica_tells_all_of_a_turn_on_another(one: RunningService, other: RunningService) -> None:
    here = Telling(one, "/message:stream", {"message": message("[[text n=100 delay=0.02]]")["message"]})
    until(lambda: here.frames, what="a task")
    task_id = here.frames[0][1]["task"]["id"]
    there = Telling(other, f"/tasks/{task_id}:subscribe")
    replayed: list[Frame] = []

    whole, joined = here.whole(), there.whole()
    with other.stream(f"/tasks/{task_id}:subscribe", last_event_id=f"{task_id}:1") as stream:
        replayed.extend(stream)

    assert [ended_well(frames) for frames in (whole, joined, replayed)] == [True] * 3
    assert (text_of(whole), text_of(replayed)) == (words(100), words(100))
    seen = dict(zip(numbers(whole), here.moments, strict=True))
    late = [
        (moment - seen[seq]) * 1000
        for seq, moment in zip(numbers(joined), there.moments, strict=True)
        if seen.get(seq, 0) > there.moments[0] + 0.2  # what was told before it listened is no latency
    ]
    median, worst = statistics.median(late), sorted(late)[int(len(late) * 0.99) - 1]
    print(f"between replicas: median {median:.1f} ms, p99 {worst:.1f} ms, {len(late)} frames")  # noqa: T201


def test_a_question_is_answered_and_a_task_is_canceled_on_another_replica(
    start_opencode: Callable[..., RealOpenCode], start: Callable[..., RunningService]
) -> None:
    asks = in_front_of(start_opencode(permission={"bash": "ask"}))
    one, other = start(**asks), start(**asks)
    asking, hanging = begin(one, "[[bash echo allowed]]"), begin(one, "[[text n=2000 delay=0.05]]")
    until(lambda: "INPUT_REQUIRED" in state(other, asking), within=30, what="a question")

    answered = call(other, "/message:send", message("yes", asking, at_once=False))
    canceled = call(other, f"/tasks/{hanging}:cancel", {})

    assert "COMPLETED" in answered["task"]["status"]["state"]
    assert "CANCELED" in canceled["status"]["state"]
    assert "CANCELED" in state(one, hanging)


def test_a_turn_of_a_replica_that_is_killed_goes_on_and_its_stream_resumes_on_another(
    one: RunningService, other: RunningService
) -> None:
    here = Telling(one, "/message:stream", {"message": message("[[text n=300 delay=0.03]]")["message"]})
    until(lambda: len(here.frames) > 10, what="some text")
    task_id = here.frames[0][1]["task"]["id"]
    one.kill()
    killed = time.monotonic()
    frames = here.whole()
    before = len(frames)
    first_after, told = float("inf"), 0

    with other.stream(f"/tasks/{task_id}:subscribe", last_event_id=frames[-1][0]) as stream:
        for frame in stream:
            if time.monotonic() - killed > 2:  # what it had written before was there at once
                first_after = min(first_after, time.monotonic() - killed)
                told += "artifactUpdate" in frame[1]
            frames.append(frame)

    assert len(frames) > before
    assert told > 20, "the text went on word by word, before OpenCode had it whole"
    assert text_of(frames) == words(300)
    assert numbers(frames) == sorted(set(numbers(frames)))
    assert ended_well(frames)
    print(f"the stream went on {first_after:.1f} s after the kill")  # noqa: T201


def test_a_replica_that_stood_still_leaves_its_turns_to_who_took_them_over(
    one: RunningService, other: RunningService
) -> None:
    task_id = begin(one, "[[text n=400 delay=0.03]]")
    watching = Telling(other, f"/tasks/{task_id}:subscribe")
    until(lambda: len(watching.frames) > 10, what="some text")
    one.pause()
    try:
        until(lambda: "taken for dead" in other.log, within=20, what="one that is found dead")
    finally:
        one.go_on()
    until(lambda: "was taken for dead" in one.log, within=20, what="one that finds out what became of it")

    whole = watching.whole()
    replayed: list[Frame] = []
    with one.stream(f"/tasks/{task_id}:subscribe", last_event_id=f"{task_id}:1") as stream:
        replayed.extend(stream)
    again = call(one, "/message:send", message("[[text n=3]]", at_once=False))

    assert ended_well(whole)
    assert (text_of(replayed), numbers(replayed)) == (words(400), sorted(set(numbers(replayed))))
    assert "COMPLETED" in again["task"]["status"]["state"]


def test_a_rolling_restart_loses_nothing(one: RunningService, other: RunningService) -> None:
    tasks = [begin(service, "[[text n=200 delay=0.03]]") for service in (one, other, one, other)]
    watching = Telling(other, f"/tasks/{tasks[0]}:subscribe")
    until(lambda: watching.frames, what="a stream")

    one.terminate()
    one.start()
    whole = watching.whole()
    other.terminate()
    other.start()

    assert ended_well(whole)
    said = [at for at, (_, frame) in zip(watching.moments, whole, strict=True) if "artifactUpdate" in frame]
    longest = max(after - before for before, after in pairwise(said))
    print(f"the longest silence of a stream was {longest * 1000:.0f} ms")  # noqa: T201
    for task_id in tasks:
        until(lambda task_id=task_id: "COMPLETED" in state(one, task_id), within=60, what=f"the end of {task_id}")  # type: ignore[misc]
        replayed: list[Frame] = []
        with other.stream(f"/tasks/{task_id}:subscribe", last_event_id=f"{task_id}:1") as stream:
            replayed.extend(stream)
        assert text_of(replayed) == words(200)


def test_workers_of_one_service_are_replicas_and_one_that_dies_is_replaced(
    start: Callable[..., RunningService],
) -> None:
    service = start(A2A_WORKERS="2")
    assert service._process is not None
    main = service._process.pid
    until(lambda: len(_serving(main)) == 2, what="two workers")
    tasks = [begin(service, "[[text n=200 delay=0.03]]") for _ in range(8)]
    victim = _serving(main)[0]

    os.kill(victim, signal.SIGKILL)

    def completed() -> bool:
        with suppress(httpx.TransportError):
            return all("COMPLETED" in state(service, task_id) for task_id in tasks)
        return False

    until(completed, within=60, what="the end of all tasks")
    until(lambda: len(_serving(main)) == 2 and victim not in _serving(main), within=20, what="another worker")


def test_several_workers_on_a_sqlite_file_are_refused(opencode: RealOpenCode) -> None:
    refused = RunningService(in_front_of(opencode) | {"A2A_WORKERS": "2"})

    with pytest.raises(AssertionError, match="cannot share a SQLite file"):
        refused.__enter__()


def _serving(main: int) -> list[int]:
    """Name the worker processes: those that run the same program."""
    command = Path(f"/proc/{main}/cmdline").read_bytes()
    return [pid for pid in _children(main) if Path(f"/proc/{pid}/cmdline").read_bytes() == command]
