"""The service as clients of other times meet it: the SDKs that users have, unchanged."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.installed import PYTHON_V03, python_with
from tests.e2e.service import RunningService

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
"""What a program of 0.3 comes to, whatever the binding."""


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with RunningService({"A2A_RUNTIME": "scripted"}) as service:
        yield service


def run(command: list[str | Path], service: RunningService, binding: str) -> Mapping[str, Any]:
    arguments = [*command, service.url, service.token, binding]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 0, f"{done.stderr}\n{service.log}"
    result: Mapping[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(
    ("binding", "refused"),
    [
        ("JSONRPC", {"cancel": [True, "canceled", -32002], "errors": [-32001, -32001]}),
        ("HTTP+JSON", {"cancel": [True, "canceled", 400], "errors": [404, 404]}),
    ],
)
def test_the_python_sdk_of_0_3_finds_what_it_knows(
    service: RunningService, binding: str, refused: Mapping[str, object]
) -> None:
    results = run([python_with(PYTHON_V03), CLIENTS / "python_v03.py"], service, binding)

    assert results == {**V03, **refused}
