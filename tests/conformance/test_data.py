"""How data is told and taken, the same over all bindings (A2A 1.0, 4 and 5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from a2a import types as a2a
from google.protobuf.json_format import ParseDict

from opencode_a2a_server.adapters.inbound.a2a.errors import TABLE
from opencode_a2a_server.adapters.inbound.a2a.rpc import METHODS
from tests.conformance.agents import BINDINGS, JSONRPC, REST, ROUTES, Client, Service, sending
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio

EVERYTHING = (
    '[[think so]] [[say words]] [[data {"snake_case": 1}]] [[file a.txt text/plain more]] '
    '[[tool bash {"command": "ls"} = out]] [[complete done]]'
)
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

SPECIFIED: Mapping[str, tuple[int, int, str]] = {
    "TASK_NOT_FOUND": (-32001, 404, "NOT_FOUND"),
    "TASK_NOT_CANCELABLE": (-32002, 400, "FAILED_PRECONDITION"),
    "PUSH_NOTIFICATION_NOT_SUPPORTED": (-32003, 400, "FAILED_PRECONDITION"),
    "UNSUPPORTED_OPERATION": (-32004, 400, "FAILED_PRECONDITION"),
    "CONTENT_TYPE_NOT_SUPPORTED": (-32005, 400, "INVALID_ARGUMENT"),
    "INVALID_AGENT_RESPONSE": (-32006, 500, "INTERNAL"),
    "EXTENDED_AGENT_CARD_NOT_CONFIGURED": (-32007, 400, "FAILED_PRECONDITION"),
    "EXTENSION_SUPPORT_REQUIRED": (-32008, 400, "FAILED_PRECONDITION"),
    "VERSION_NOT_SUPPORTED": (-32009, 400, "FAILED_PRECONDITION"),
}
"""What the specification has for each of its errors: JSON-RPC, HTTP, gRPC."""


def fields(value: Any) -> Iterator[str]:
    """Name the fields of the data model; what is in metadata, data parts and parameters of extensions is not its."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield name
            if name not in {"metadata", "data", "params"}:
                yield from fields(item)
    elif isinstance(value, list):
        for item in value:
            yield from fields(item)


def without_what_differs(task: Mapping[str, Any]) -> str:
    """Write a task without what is new in each: ids, times, and what counts them."""
    told = str(task)
    for name in (task["id"], task["contextId"], task["metadata"]["shared"]["session"]["id"]):
        told = told.replace(name, "…")
    return re.sub(TIMESTAMP, "…", re.sub(r"'(messageId|message_id|call_id|artifactId)': '[^']*'", "…", told))


@clause("4a", "5.1b")
async def test_a_task_is_the_same_over_all_bindings(service: Service) -> None:
    tasks = [await Client(service, binding).send(EVERYTHING, messageId="m") for binding in BINDINGS]
    crossed = [
        (await Client(service, other).call("GetTask", {"id": task["id"]})).result
        for task, other in zip(tasks, reversed(BINDINGS), strict=True)
    ]

    assert crossed == tasks
    assert without_what_differs(tasks[0]) == without_what_differs(tasks[1])


@clause("4a")
async def test_what_is_told_is_what_the_proto_has(agent: Client) -> None:
    events = await agent.stream("SendStreamingMessage", sending(EVERYTHING))
    task = (await agent.call("GetTask", {"id": events[0]["task"]["id"]})).result

    for event in events:
        ParseDict(dict(event), a2a.StreamResponse())
    ParseDict(task, a2a.Task())


@clause("5.1a", "3.3.2f")
def test_all_bindings_have_every_operation() -> None:
    operations = {method.name for method in a2a.a2a_pb2.DESCRIPTOR.services_by_name["A2AService"].methods}

    assert set(METHODS) >= operations
    assert set(ROUTES) == operations


@clause("5.1a")
@pytest.mark.parametrize("operation", ROUTES)
async def test_every_operation_is_known_over_both_bindings(service: Service, operation: str) -> None:
    named = {"id": "nothing", "taskId": "nothing", "url": "http://127.0.0.1:9"}

    answers = [await Client(service, binding).call(operation, named) for binding in BINDINGS]

    reasons = {answer.reason if "error" in answer.body else "" for answer in answers}
    assert len(reasons) == 1
    assert not reasons & {"METHOD_NOT_FOUND", "METHOD_NOT_ALLOWED"}


@clause("5.1c", "5.4")
@pytest.mark.parametrize("reason", SPECIFIED)
def test_each_error_of_the_protocol_has_its_codes(reason: str) -> None:
    rows = [row for row in TABLE.values() if row.reason == reason]

    assert [(row.code, row.http, row.status) for row in rows] == [SPECIFIED[reason]]


@clause("5.1c", "5.4")
@pytest.mark.parametrize(
    ("operation", "params", "reason"),
    [
        ("GetTask", {"id": "nothing"}, "TASK_NOT_FOUND"),
        (
            "SendMessage",
            sending("", parts=[{"raw": "AA==", "mediaType": "application/x-unsupported"}]),
            "CONTENT_TYPE_NOT_SUPPORTED",
        ),
        ("SendMessage", {}, "INVALID_PARAMS"),
    ],
)
async def test_an_error_is_the_same_over_all_bindings(
    service: Service, operation: str, params: dict[str, Any], reason: str
) -> None:
    over_rpc, over_http = [await Client(service, binding).call(operation, params) for binding in (JSONRPC, REST)]

    codes = {"INVALID_PARAMS": (-32602, 400, "INVALID_ARGUMENT"), **SPECIFIED}[reason]
    assert (over_rpc.error["code"], over_http.error["code"], over_http.error["status"]) == codes
    assert (over_rpc.http.status_code, over_http.http.status_code) == (200, codes[1])
    assert over_rpc.details == over_http.details
    assert over_rpc.error["message"] == over_http.error["message"]


@clause("5.5a", "5.5b")
async def test_fields_are_camel_case_and_enums_have_their_names(agent: Client) -> None:
    task = await agent.send(EVERYTHING)
    listed = (await agent.call("ListTasks", {"pageSize": 1})).result
    card = await agent.service.card()

    names = {name for told in (task, listed, card) for name in fields(told)}
    assert sorted(name for name in names if "_" in name) == []
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert {message["role"] for message in task["history"]} <= {"ROLE_USER", "ROLE_AGENT"}


@clause("5.6.1a")
async def test_moments_are_told_in_utc_to_the_millisecond(agent: Client) -> None:
    task = await agent.send("[[say hello]]")
    events = await agent.stream("SendStreamingMessage", sending("[[say hello]]"))

    statuses = [task["status"], events[0]["task"]["status"], events[-1]["statusUpdate"]["status"]]
    assert all(TIMESTAMP.fullmatch(status["timestamp"]) for status in statuses)


@clause("5.6.1b")
async def test_moments_are_read_as_they_are_told(agent: Client) -> None:
    first = await agent.send("[[say hello]]", contextId="moments")
    await agent.send("[[delay 0.002]] [[say hello]]", contextId="moments")
    then = first["status"]["timestamp"]
    later = then.replace(then[:4], str(int(then[:4]) + 1))

    counts = [
        (await agent.call("ListTasks", {"contextId": "moments", "statusTimestampAfter": moment})).result["totalSize"]
        for moment in (then, later)
    ]

    assert counts[0] >= 2
    assert counts[1] == 0


@clause("5.7a", "5.7b")
async def test_required_fields_are_told_and_required_arrays_are_not_empty(agent: Client) -> None:
    task = await agent.send(EVERYTHING)
    card = await agent.service.card()

    assert all(task[name] for name in ("id", "status"))
    assert all(artifact["artifactId"] and artifact["parts"] for artifact in task["artifacts"])
    assert all(message["messageId"] and message["parts"] for message in task["history"])
    required = ["name", "description", "version", "supportedInterfaces", "capabilities"]
    assert all(card[name] for name in [*required, "defaultInputModes", "defaultOutputModes", "skills"])
    assert all(skill[name] for skill in card["skills"] for name in ("id", "name", "description", "tags"))
    assert all(
        one[name] for one in card["supportedInterfaces"] for name in ("url", "protocolBinding", "protocolVersion")
    )
