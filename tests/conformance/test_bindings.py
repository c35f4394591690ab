"""JSON-RPC and HTTP+JSON (A2A 1.0, 9, 11 and 14)."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tests.adapters.inbound.a2a.stage import TOKEN
from tests.conformance.agents import BINDINGS, JSONRPC, Client, Service, sending
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio


@clause("9.2", "11.2")
@pytest.mark.parametrize("name", ["A2A-Version", "a2a-version", "A2A-VERSION"])
async def test_service_parameters_are_headers_whose_names_have_no_case(agent: Client, name: str) -> None:
    refused = await agent.call("ListTasks", None, **{"a2a_version": "", name.replace("-", "_"): "9.9"})

    assert refused.reason == "VERSION_NOT_SUPPORTED"


@clause("9.2", "11.2", "4.6.3c")
async def test_extensions_are_named_in_a_header_and_unknown_ones_ignored(agent: Client) -> None:
    answer = await agent.call(
        "ListTasks", a2a_extensions="urn:a2a:stream-hints/v1, urn:a2a:stream-hints/v2, https://example.com/x"
    )

    assert answer.http.headers["a2a-extensions"] == "urn:a2a:stream-hints/v1"


@clause("9.3")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", -32700),
        ("[]", -32600),
        ("7", -32600),
        ('{"jsonrpc": "1.0", "id": 1, "method": "ListTasks"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1}', -32600),
        ('{"jsonrpc": "2.0", "id": {}, "method": "ListTasks"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": "NoSuchThing"}', -32601),
        ('{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": [1]}', -32602),
    ],
)
async def test_what_is_no_call_of_json_rpc_is_refused_as_such(service: Service, body: str, code: int) -> None:
    async with service.http(a2a_version="1.0", content_type="application/json") as http:
        answer = await http.post("/", content=body)

    told = answer.json()
    assert (told["jsonrpc"], told["error"]["code"], "result" in told) == ("2.0", code, False)


@clause("9.3")
@pytest.mark.parametrize("request_id", ["one", 7, "7", None])
async def test_an_answer_has_the_id_of_its_call(service: Service, request_id: object) -> None:
    call = {"jsonrpc": "2.0", "id": request_id, "method": "ListTasks", "params": {}}
    async with service.http(a2a_version="1.0") as http:
        told = (await http.post("/", json=call)).json()

    assert (told["id"], told["jsonrpc"], set(told)) == (request_id, "2.0", {"jsonrpc", "id", "result"})


@clause("11.5a", "11.5b", "11.5d")
async def test_a_query_has_the_parameters_of_get_url_encoded(service: Service) -> None:
    context = "a b&c=d/é?"
    await Client(service, JSONRPC).send("[[say hello]]", contextId=context)

    async with service.http(a2a_version="1.0") as http:
        listed = (await http.get("/tasks", params={"contextId": context, "includeArtifacts": "true"})).json()

    assert listed["totalSize"] == 1
    assert listed["tasks"][0]["artifacts"]


@clause("14.1.1a")
async def test_what_is_told_is_utf_8(agent: Client) -> None:
    task = await agent.call("SendMessage", sending("[[say héllo 世界 🚀]]"))

    assert json.loads(task.http.content.decode("utf-8")) == task.body
    assert "🚀" in task.http.content.decode("utf-8")
    events = await agent.stream("SendStreamingMessage", sending("[[say héllo 世界 🚀]]"))
    spoken = [event["artifactUpdate"]["artifact"]["parts"][0]["text"] for event in events if "artifactUpdate" in event]
    assert "".join(spoken) == "héllo 世界 🚀"


@clause("14.1.1c")
@pytest.mark.parametrize(
    "text", ["a\n\ndata: {}\n\nevent: error", "a\r\nid: 9\r\n\r\n", "'; DROP TABLE tasks; --", "\0\x1b[2J"]
)
async def test_whatever_is_said_is_told_again_and_nothing_else(agent: Client, text: str) -> None:
    events = await agent.stream("SendStreamingMessage", sending(text))

    assert {name for event in events for name in event} == {"task", "statusUpdate", "artifactUpdate"}
    spoken = [event["artifactUpdate"]["artifact"]["parts"][0]["text"] for event in events if "artifactUpdate" in event]
    assert "".join(spoken).split() == text.split()
    assert events[0]["task"]["history"][0]["parts"] == [{"text": text}]


@clause("13.1b", "3.1.4c", "14.1.1f")
@pytest.mark.parametrize("params", [{}, {"contextId": "context-of-bob"}, {"status": "TASK_STATE_SUBMITTED"}])
async def test_a_list_has_nobody_elses_tasks_whatever_is_asked(agent: Client, params: dict[str, Any]) -> None:
    foreign = await agent.service.somebody_elses_task()
    own = await agent.send("[[say hello]]")

    tasks = (await agent.call("ListTasks", {**params, "pageSize": 100})).result["tasks"]

    assert foreign not in {task["id"] for task in tasks}
    assert (own["id"] in {task["id"] for task in tasks}) == (not params)


@clause("13.4c", "13.4d")
async def test_logs_have_no_credentials_and_nothing_that_was_said(
    agent: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        task = await agent.send("[[say my-secret-words]]")
        waiting = await agent.send("[[ask input my-secret-words?]]")
        hook = {"taskId": waiting["id"], "url": "http://127.0.0.1:9/hook", "token": "my-secret-token"}
        proof = {"scheme": "Bearer", "credentials": "my-secret-credentials"}
        await agent.call("CreateTaskPushNotificationConfig", {**hook, "authentication": proof})
        await agent.call("GetTask", {"id": task["id"]}, authorization="Bearer my-secret-guess")
        await agent.call("CancelTask", {"id": waiting["id"]})

    ours = "\n".join(
        f"{record.getMessage()} {record.exc_text or ''}"
        for record in caplog.records
        if record.name.startswith("opencode_a2a_server")
    )
    assert "my-secret" not in ours
    assert TOKEN not in ours


@clause("11.5c")
async def test_what_is_asked_by_get_and_delete_is_flat_and_has_no_body(service: Service) -> None:
    async with service.http() as http:
        document = (await http.get("/openapi.json")).json()
    asked = {
        f"{verb} {path}": operation
        for path, item in document["paths"].items()
        for verb, operation in item.items()
        if verb in ("get", "delete")
    }

    assert any(name.startswith("delete") for name in asked)
    assert [name for name, operation in asked.items() if "requestBody" in operation] == []
    assert [
        (name, parameter["name"])
        for name, operation in asked.items()
        for parameter in operation.get("parameters", ())
        if {"object", "array"} & {parameter["schema"].get("type")}
    ] == []


@clause("7.6.1a", "7.6.1b", "7.6.1c", "7.6.1d")
async def test_authorization_is_asked_for_by_a_task_that_explains_it(agent: Client) -> None:
    task = await agent.send("[[need auth Sign in at example.com]]")

    assert task["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"
    assert task["status"]["message"]["parts"] == [{"text": "Sign in at example.com"}]
    assert (await agent.send("[[complete]]", taskId=task["id"]))["status"]["state"] == "TASK_STATE_COMPLETED"


@clause("9.3", "3.3.2i")
@pytest.mark.parametrize("binding", BINDINGS)
async def test_the_media_type_is_the_bindings(service: Service, binding: str) -> None:
    agent = Client(service, binding)
    types = {JSONRPC: "application/json"}.get(binding, "application/a2a+json")

    for answer in (await agent.call("ListTasks"), await agent.call("GetTask", {"id": "nothing"})):
        assert answer.http.headers["content-type"].partition(";")[0] == types
    listener = await agent.begin("SendStreamingMessage", sending("[[say hello]]"))
    await agent.end(listener)
    assert listener.answer_headers["content-type"].partition(";")[0] == "text/event-stream"
