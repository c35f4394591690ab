"""
The service as its users' programs meet it: four SDKs, unchanged, each over every binding it has.

One matrix: a program runs once for a binding, all operations in one process, and prints what each came to; every
operation is a test of its own. What an SDK does not have is in `ABSENT`, with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from attrs import field, frozen

from tests.e2e.installed import (
    JAVASCRIPT_GRPC,
    JAVASCRIPT_V03,
    JAVASCRIPT_V1,
    PYTHON_V03,
    PYTHON_V03_GRPC,
    javascript_with,
    python_with,
)
from tests.e2e.opencode import RealOpenCode
from tests.e2e.receiver import Receiver, receiving
from tests.e2e.service import RunningService, free_port
from tests.e2e.until import until

PROGRAMS = Path(__file__).parent / "clients"
BINDINGS = ("JSONRPC", "HTTP+JSON", "GRPC")

OPERATIONS = ("send", "stream", "get", "list", "cancel", "resubscribe", "asked", "push", "card", "errors")
"""What every SDK is asked to do; a program may do more."""

WITH_OPENCODE = ("send", "stream", "get", "list", "cancel", "errors")
"""What is done with the real OpenCode, too."""

_Command = Callable[[str], list[str | Path]]
"""The command that runs a program over a binding."""


@frozen
class Sdk:
    """An SDK: how its program runs, and what each operation comes to."""

    name: str
    command: _Command
    comes_to: Mapping[str, object]
    over: Mapping[str, Mapping[str, object]] = field(factory=dict)
    """What differs over a binding."""

    def expected(self, binding: str) -> Mapping[str, object]:
        """Give what each operation comes to over a binding."""
        return {**self.comes_to, **self.over.get(binding, {})}

    def operations(self, binding: str) -> Sequence[str]:
        """Give what the program does."""
        return [name for name in (*OPERATIONS, *MORE) if name in self.expected(binding) or name in _SEEN_ELSEWHERE]


MORE = ("permitted", "files", "bare")
_SEEN_ELSEWHERE: Final = frozenset({"push", "card"})
"""What is compared with what the service says, not with a list."""

ABSENT: Final[Mapping[tuple[str, str], str]] = {
    ("a2a-sdk 0.3", "list"): "protocol 0.3 lists tasks over none of the SDK's transports",
    ("@a2a-js/sdk 0.3", "list"): "protocol 0.3 lists tasks over none of the SDK's transports",
}
"""What an SDK does not have."""


def _javascript(package: str, program: str) -> _Command:
    def command(binding: str) -> list[str | Path]:
        return javascript_with(package, PROGRAMS / program, *(JAVASCRIPT_GRPC if binding == "GRPC" else ()))

    return command


SDKS = (
    Sdk(
        "a2a-sdk 1",
        lambda _: [sys.executable, PROGRAMS / "python_v1.py"],
        {
            "send": ["TASK_STATE_COMPLETED", "hello there"],
            "stream": [True, "one two three", "TASK_STATE_COMPLETED"],
            "get": [True, "TASK_STATE_COMPLETED", 1],
            "list": [[1, 0], 2],
            "cancel": ["TASK_STATE_CANCELED", "TaskNotCancelableError"],
            "resubscribe": [True, "late words", "TASK_STATE_COMPLETED"],
            "asked": ["TASK_STATE_INPUT_REQUIRED", "What else?", "TASK_STATE_COMPLETED", True],
            "permitted": ["TASK_STATE_INPUT_REQUIRED", "TASK_STATE_COMPLETED", "done"],
            "bare": ["just a message"],
            "errors": ["TaskNotFoundError", "TaskNotFoundError"],
        },
    ),
    Sdk(
        "a2a-sdk 0.3",
        lambda binding: [
            python_with(PYTHON_V03_GRPC if binding == "GRPC" else PYTHON_V03),
            PROGRAMS / "python_v03.py",
        ],
        {
            "send": ["completed", "hello there"],
            "stream": ["completed", "one two three", True, True, False],
            "get": [True, "completed", 1],
            "resubscribe": [True, "completed", "late words"],
            "asked": ["input-required", "What else?", "completed", True] * 2,
            "permitted": ["input-required", ["text", "data"], "completed", "done"],
            "files": ["notes.txt", "some words", True],
            "bare": ["just a message"],
        },
        {
            "JSONRPC": {"cancel": [True, "canceled", -32002], "errors": [-32001, -32001]},
            "HTTP+JSON": {"cancel": [True, "canceled", 400], "errors": [404, 404]},
            "GRPC": {"cancel": [True, "canceled", "FAILED_PRECONDITION"], "errors": ["NOT_FOUND", "NOT_FOUND"]},
        },
    ),
    Sdk(
        "@a2a-js/sdk 1",
        _javascript(JAVASCRIPT_V1, "javascript_v1.mjs"),
        {
            "send": ["TASK_STATE_COMPLETED", "hello there"],
            "stream": [["task"], "one two three", "TASK_STATE_COMPLETED"],
            "get": [True, 1],
            "list": [[1, 0], 2],
            "cancel": ["TASK_STATE_CANCELED", "TaskNotCancelableError"],
            "resubscribe": [["task"], "late words", "TASK_STATE_COMPLETED"],
            "asked": ["TASK_STATE_INPUT_REQUIRED", "What else?", "TASK_STATE_COMPLETED", True],
            "bare": ["ROLE_AGENT", "just a message"],
            "errors": ["TaskNotFoundError", "TaskNotFoundError"],
        },
    ),
    Sdk(
        "@a2a-js/sdk 0.3",
        _javascript(JAVASCRIPT_V03, "javascript_v03.mjs"),
        {
            "send": ["task", "completed", "hello there"],
            "stream": ["task", "one two three", "status-update", "completed", True, False],
            "get": [True, "completed", 1],
            "cancel": ["canceled", "TaskNotCancelableError"],
            "resubscribe": ["task", "late words", "completed"],
            "asked": ["input-required", True, "What else?", "completed", True],
            "permitted": ["input-required", ["text", "data"], "completed", "done"],
            "bare": ["message", "agent", "just a message"],
            "errors": ["TaskNotFoundError", "TaskNotFoundError"],
        },
        # In a stream that is refused this SDK sees the code, not which error it is of.
        {"JSONRPC": {"errors": ["TaskNotFoundError", "-32001"]}},
    ),
)


@frozen
class Stand:
    """The service, and who is told of its tasks."""

    service: RunningService
    receiver: Receiver

    @cache  # noqa: B019 - a stand lasts as long as its tests
    def run(self, sdk: str, binding: str, operations: tuple[str, ...]) -> Mapping[str, Any]:
        """Run a program, once."""
        (found,) = [one for one in SDKS if one.name == sdk]
        where = [self.service.url, self.service.token, binding, self.receiver.url]
        command = [*found.command(binding), *where, *operations]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{self.service.log}"
        results: Mapping[str, Any] = json.loads(done.stdout)
        return results


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """The service with the scripted agent."""
    grpc = {"A2A_GRPC_PORT": str(free_port())}
    settings = {"A2A_RUNTIME": "scripted", "A2A_PUSH_ALLOWED_HOSTS": "127.0.0.1", **grpc}
    with receiving() as receiver, RunningService(settings) as service:
        yield Stand(service, receiver)


@pytest.fixture(scope="module")
def stand_with_opencode(opencode: RealOpenCode) -> Iterator[Stand]:
    """The service with the real OpenCode."""
    secured = {"OPENCODE_AUTH_PASSWORD": opencode.password} if opencode.password else {}
    where = {"OPENCODE_BASE_URL": opencode.url, "OPENCODE_DIRECTORY": str(opencode.workspace), **secured}
    with receiving() as receiver, RunningService({"A2A_GRPC_PORT": str(free_port()), **where}) as service:
        yield Stand(service, receiver)


def cells(operations: Sequence[str]) -> list[Any]:
    """Give the matrix: each SDK, binding and operation that there is."""
    return [
        pytest.param(sdk, binding, operation, id=f"{sdk.name}-{binding}-{operation}")
        for sdk in SDKS
        for binding in BINDINGS
        for operation in sdk.operations(binding)
        if operation in operations
    ]


def test_the_matrix_has_no_hole() -> None:
    holes = [
        (sdk.name, binding, operation)
        for sdk in SDKS
        for binding in BINDINGS
        for operation in OPERATIONS
        if (operation in sdk.operations(binding)) == ((sdk.name, operation) in ABSENT)
    ]

    assert holes == []


@pytest.mark.parametrize(("sdk", "binding", "operation"), cells((*OPERATIONS, *MORE)))
def test_an_sdk_gets_what_it_knows(stand: Stand, sdk: Sdk, binding: str, operation: str) -> None:
    result = stand.run(sdk.name, binding, tuple(sdk.operations(binding)))[operation]

    if operation == "push":
        *config, task_id = result
        assert config == [True, True, "my-token"]
        until(lambda: task_id in ended(stand.receiver), what=f"the end of {task_id} to be told; {stand.service.log}")
    elif operation == "card":
        assert result == skills(stand.service)
    else:
        assert result == sdk.expected(binding)[operation]


@pytest.mark.parametrize(("sdk", "binding", "operation"), cells(WITH_OPENCODE))
def test_an_sdk_gets_the_same_of_the_real_opencode(
    stand_with_opencode: Stand, sdk: Sdk, binding: str, operation: str
) -> None:
    operations = tuple(name for name in sdk.operations(binding) if name in WITH_OPENCODE)

    result = stand_with_opencode.run(sdk.name, binding, operations)[operation]

    assert result == sdk.expected(binding)[operation]


def ended(receiver: Receiver) -> set[str]:
    """Name the tasks whose end was told, in the words of either version."""
    updates = [one["statusUpdate"] for one in receiver.told if "statusUpdate" in one]
    told = [(update["taskId"], update["status"]["state"]) for update in updates]
    told += [(task["id"], task["status"]["state"]) for task in receiver.tasks]
    return {task_id for task_id, state in told if state in {"TASK_STATE_COMPLETED", "completed"}}


def skills(service: RunningService) -> list[str]:
    """Name the skills of the extended card, or of the public one if that is all there is."""
    with httpx.Client(base_url=service.url, headers=service.headers, trust_env=False) as http:
        card = http.get("/.well-known/agent-card.json").json()
        if card["capabilities"].get("extendedAgentCard"):
            card = http.get("/extendedAgentCard").json()
    return sorted(skill["id"] for skill in card["skills"])
