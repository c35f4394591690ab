"""The commands of the installed package against a running service."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.opencode import RealOpenCode
from tests.e2e.service import BINARY, RunningService

SCRIPT = "[[say Looking.]] [[ask permission bash rm *]] [[say Done.]]"


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with RunningService({"A2A_RUNTIME": "scripted"}) as service:
        yield service


def run(service: RunningService, *arguments: str, expect: int = 0) -> str:
    done = subprocess.run(
        [BINARY, *arguments], env=service.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert service.token not in done.stdout + done.stderr
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def test_a_task_is_begun_watched_answered_and_explained(service: RunningService) -> None:
    asked = run(service, "call", service.url, SCRIPT)
    task = next(line for line in asked.splitlines() if line.startswith("Task: "))[6:]
    listed = run(service, "tasks", "list", "--state", "input-required")
    answered = run(service, "call", service.url, "--task", task, "yes", "-o", "json")
    watched = run(service, "tasks", "watch", task, "--from", f"{task}:1", "-o", "jsonl")
    explained = run(service, "explain", task)
    shown = run(service, "explain", task, "--url", service.url)

    assert "State: INPUT_REQUIRED" in asked
    assert task in listed
    assert json.loads(answered)["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    frames = [json.loads(line) for line in watched.splitlines()]
    assert [frame["id"] for frame in frames] == sorted({frame["id"] for frame in frames}, key=lambda id_: int(id_[37:]))
    assert frames[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert "answer    once by " in explained
    assert "status   completed" in shown


def test_a_task_is_canceled(service: RunningService) -> None:
    begun = json.loads(run(service, "call", service.url, "[[hang]]", "--no-wait", "-o", "json"))["task"]["id"]

    assert run(service, "tasks", "cancel", begun) == f"{begun} CANCELED\n"
    run(service, "tasks", "cancel", begun, expect=1)


def test_a_service_that_is_gone_exits_3() -> None:
    with RunningService({"A2A_RUNTIME": "scripted"}) as service:
        service.terminate()
        run(service, "tasks", "list", expect=3)
        run(service, "call", service.url, "hello", expect=3)


def test_sessions_of_the_real_opencode_are_listed(start_opencode: Callable[..., RealOpenCode]) -> None:
    opencode = start_opencode()
    with RunningService({"OPENCODE_BASE_URL": opencode.url}) as service:
        run(service, "call", service.url, "hello there")
        listed = run(service, "sessions")

    assert "hello there" in listed
    assert os.linesep in listed


def test_the_service_does_what_its_own_selftest_demands(service: RunningService) -> None:
    outcomes = json.loads(run(service, "selftest", service.url, "-o", "json"))["outcomes"]

    assert {one["interface"] for one in outcomes} == {"JSONRPC 1.0", "HTTP+JSON 1.0", "JSONRPC 0.3", "HTTP+JSON 0.3"}
    assert sum(one["result"] == "passed" for one in outcomes) >= 48
