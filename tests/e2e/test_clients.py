"""The service as clients of other times meet it: the SDKs that users have, unchanged."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.installed import (
    JAVASCRIPT_GRPC,
    JAVASCRIPT_V03,
    JAVASCRIPT_V1,
    PYTHON_V03,
    PYTHON_V03_GRPC,
    javascript_with,
    python_with,
)
from tests.e2e.service import RunningService, free_port

CLIENTS = Path(__file__).parent / "clients"

V03: Mapping[str, object] = {
    "send": ["completed", "hello there"],
    "stream": ["completed", "one two three", True, True, False],
    "get": [True, "completed", 1],
    "resubscribe": [True, "completed", "late words"],
    "asked": ["input-required", "What else?", "completed", True] * 2,
    "permitted": ["input-required", ["text", "data"], "completed", "done"],
    "files": ["notes.txt", "some words", True],
    "bare": ["just a message"],
}
"""What a Python program of 0.3 comes to, whatever the binding."""

JS_V03: Mapping[str, object] = {
    "send": ["task", "completed", "hello there"],
    "stream": ["task", "one two three", "status-update", "completed", True, False],
    "get": [True, "completed", 1],
    "cancel": ["canceled", "TaskNotCancelableError"],
    "resubscribe": ["task", "late words", "completed"],
    "asked": ["input-required", True, "What else?", "completed", True],
    "permitted": ["input-required", ["text", "data"], "completed", "done"],
    "bare": ["message", "agent", "just a message"],
}
"""What a JavaScript program of 0.3 comes to."""

JS_V1: Mapping[str, object] = {
    "send": ["TASK_STATE_COMPLETED", "hello there"],
    "stream": [["task"], "one two three", "TASK_STATE_COMPLETED"],
    "get": [True, 1],
    "cancel": ["TASK_STATE_CANCELED", "TaskNotCancelableError"],
    "resubscribe": [["task"], "late words", "TASK_STATE_COMPLETED"],
    "asked": ["TASK_STATE_INPUT_REQUIRED", "What else?", "TASK_STATE_COMPLETED", True],
    "bare": ["ROLE_AGENT", "just a message"],
    "errors": ["TaskNotFoundError", "TaskNotFoundError"],
}
"""What a JavaScript program of 1.0 comes to, by the same card."""


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with RunningService({"A2A_RUNTIME": "scripted", "A2A_GRPC_PORT": str(free_port())}) as service:
        yield service


def run(command: list[str | Path], service: RunningService, binding: str) -> Mapping[str, Any]:
    arguments = [*command, service.url, service.token, binding]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{service.log}"
    result: Mapping[str, Any] = json.loads(done.stdout)
    return result


def beside(binding: str) -> tuple[str, ...]:
    return JAVASCRIPT_GRPC if binding == "GRPC" else ()


@pytest.mark.parametrize(
    ("binding", "package", "refused"),
    [
        ("JSONRPC", PYTHON_V03, {"cancel": [True, "canceled", -32002], "errors": [-32001, -32001]}),
        ("HTTP+JSON", PYTHON_V03, {"cancel": [True, "canceled", 400], "errors": [404, 404]}),
        (
            "GRPC",
            PYTHON_V03_GRPC,
            {"cancel": [True, "canceled", "FAILED_PRECONDITION"], "errors": ["NOT_FOUND", "NOT_FOUND"]},
        ),
    ],
)
def test_the_python_sdk_of_0_3_finds_what_it_knows(
    service: RunningService, binding: str, package: str, refused: Mapping[str, object]
) -> None:
    results = run([python_with(package), CLIENTS / "python_v03.py"], service, binding)

    assert results == {**V03, **refused}


@pytest.mark.parametrize(
    ("binding", "refused"), [("JSONRPC", "-32001"), ("HTTP+JSON", "TaskNotFoundError"), ("GRPC", "TaskNotFoundError")]
)
def test_the_javascript_sdk_of_0_3_finds_what_it_knows(service: RunningService, binding: str, refused: str) -> None:
    program = javascript_with(JAVASCRIPT_V03, CLIENTS / "javascript_v03.mjs", *beside(binding))

    results = run(program, service, binding)

    assert results == {**JS_V03, "errors": ["TaskNotFoundError", refused]}


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON", "GRPC"])
def test_the_javascript_sdk_of_1_0_is_not_led_astray_by_the_card(service: RunningService, binding: str) -> None:
    program = javascript_with(JAVASCRIPT_V1, CLIENTS / "javascript_v1.mjs", *beside(binding))

    results = run(program, service, binding)

    assert results == JS_V1
