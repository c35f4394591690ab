"""Workers of one service on a PostgreSQL that goes away."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e.service import RunningService
from tests.e2e.until import until
from tests.fakes.database import Database

FIRST_SECONDS = 10.0
"""Workers that do not come up in this time end the service, as they should."""


@pytest.fixture
def database() -> Iterator[Database]:
    with Database() as database:
        yield database


@pytest.fixture
def service(database: Database) -> Iterator[RunningService]:
    settings = {
        "A2A_RUNTIME": "tests.e2e.flood:factory",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "A2A_WORKERS": "2",
        "A2A_TASK_STORE_DATABASE_URL": database.url,
    }
    with RunningService(settings) as service:
        yield service


def workers(service: RunningService) -> set[int]:
    """Name those that run the same program as the main process."""
    command = Path(f"/proc/{service.pid}/cmdline").read_bytes()
    found = set()
    for child in Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split():
        with suppress(FileNotFoundError):
            if Path(f"/proc/{child}/cmdline").read_bytes() == command:
                found.add(int(child))
    return found


def test_a_worker_that_dies_while_the_database_is_away_is_replaced_and_the_others_serve_on(
    service: RunningService, database: Database
) -> None:
    began = time.monotonic()
    until(lambda: len(workers(service)) == 2, what="two workers")
    until(lambda: time.monotonic() - began > FIRST_SECONDS, within=FIRST_SECONDS + 1, what="the first seconds to pass")
    victim, other = sorted(workers(service))
    database.kill()
    try:
        os.kill(victim, signal.SIGKILL)
        until(lambda: "the service waits for its store" in service.log, within=10, what="one that waits in its place")
        assert other in workers(service)
    finally:
        database.start()

    with httpx.Client(base_url=service.url, headers=service.headers, timeout=10) as client:
        said = {"message": {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "go"}]}}
        immediately = {**said, "configuration": {"returnImmediately": True}}
        until(lambda: client.post("/message:send", json=immediately).is_success, within=20, what="a task that begins")
    log = service.root / "service.log"
    until(lambda: log.read_text().count("is ready") == 3, within=20, what=f"the new worker to serve:\n{service.log}")
    assert other in workers(service)
    assert service.terminate() == 0
