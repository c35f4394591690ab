"""Protocol 0.3, where it differs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import httpx
import pytest
from a2a.compat.v0_3 import types as v03

from opencode_a2a_server.adapters.inbound.a2a.rpc import METHODS
from opencode_a2a_server.adapters.inbound.a2a.v03 import methods
from opencode_a2a_server.domain.state import TaskState
from tests.conformance.agents import BINDINGS, JSONRPC, REST, V03_ROUTES, Client, Service
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio

CORE: Final = {
    "message/send",
    "message/stream",
    "tasks/get",
    "tasks/cancel",
    "tasks/resubscribe",
    "tasks/pushNotificationConfig/set",
    "tasks/pushNotificationConfig/get",
    "tasks/pushNotificationConfig/list",
    "tasks/pushNotificationConfig/delete",
    "agent/getAuthenticatedExtendedCard",
}


def saying(text: str, **message: Any) -> dict[str, Any]:
    """Give the parameters that send a text."""
    parts = [{"kind": "text", "text": text}]
    return {"message": {"kind": "message", "messageId": "m", "role": "user", "parts": parts, **message}}


def lower(told: Any) -> Any:
    """Give a result over HTTP the names it has over JSON-RPC."""
    return told.get("task", told) if isinstance(told, dict) else told


def state_of(task: Mapping[str, Any]) -> str:
    """Give the state by its name of JSON-RPC."""
    state: str = task["status"]["state"]
    return state.removeprefix("TASK_STATE_").lower().replace("_", "-").replace("cancelled", "canceled")


@pytest.fixture
def old(agent: Client) -> Client:
    """A client of 0.3 over each of its transports."""
    return Client(agent.service, agent.binding, V03_ROUTES, "0.3")


@pytest.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of HTTP."""
    async with service.http() as client:
        yield client


@clause("0.3 3.1", "0.3 11.1a", "0.3 3.4.1")
async def test_the_core_is_there_over_each_transport(old: Client) -> None:
    waiting = lower((await old.call("message/send", saying("[[ask input What else?]]"))).result)
    got = (await old.call("tasks/get", {"id": waiting["id"]})).result
    canceled = (await old.call("tasks/cancel", {"id": waiting["id"]})).result

    assert [state_of(task) for task in (waiting, got, canceled)] == ["input-required", "input-required", "canceled"]


@clause("0.3 3.3", "0.3 7", "0.3 3.2.3d")
async def test_streams_are_server_sent_events_that_end_with_the_final_one(old: Client) -> None:
    listener = await old.begin("message/stream", saying("[[say one two]]"))

    events = await old.end(listener)

    assert listener.answer_headers["content-type"].startswith("text/event-stream")
    updates = [event.get("statusUpdate", event) for event in events]
    assert [update.get("final", False) for update in updates] == [False] * (len(updates) - 1) + [True]
    if old.binding == JSONRPC:
        assert {(frame.data["jsonrpc"], frame.data["id"]) for frame in listener.frames} == {("2.0", 1)}


@clause("0.3 3.4.1", "0.3 11.1b")
async def test_results_and_errors_are_the_same_over_each_transport(service: Service) -> None:
    clients = [Client(service, binding, V03_ROUTES, "0.3") for binding in BINDINGS]
    tasks = [lower((await one.call("message/send", saying("[[say hello]]"))).result) for one in clients]
    gone = [(await one.call("tasks/get", {"id": "nothing"})).body for one in clients]

    assert [state_of(task) for task in tasks] == ["completed"] * 2
    assert [task["artifacts"][0]["parts"][0]["text"] for task in tasks] == ["hello"] * 2
    codes = [body.get("error", body)["code"] for body in gone]
    assert codes == [-32001] * 2


@clause("0.3 3.2.1a", "0.3 6.11.2a", "0.3 6.11.2b")
@pytest.mark.parametrize(
    ("call", "request_id"),
    [
        ({"jsonrpc": "2.0", "id": "a", "method": "tasks/get", "params": {"id": "nothing"}}, "a"),
        ({"jsonrpc": "2.0", "id": 7, "method": "message/send", "params": saying("[[say hello]]")}, 7),
        ({"jsonrpc": "2.0", "id": None, "method": "tasks/get", "params": {}}, None),
        ({"jsonrpc": "2.0", "id": {"no": "id"}, "method": "tasks/get", "params": {}}, None),
    ],
)
async def test_an_answer_has_its_calls_id_and_a_result_or_an_error(
    http: httpx.AsyncClient, call: dict[str, Any], request_id: object
) -> None:
    told = (await http.post("/", json=call)).json()

    assert (told["jsonrpc"], told["id"]) == ("2.0", request_id)
    assert ("result" in told) != ("error" in told)


@clause("0.3 6.11.1")
@pytest.mark.parametrize("wrong", [{"jsonrpc": "1.0"}, {"jsonrpc": 2.0}, {"id": []}, {"id": True}, {"method": None}])
async def test_what_is_no_request_is_refused_as_such(http: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"id": "x"}, **wrong}

    assert (await http.post("/", json=call)).json()["error"]["code"] == -32600


@clause("0.3 3.2.1b", "0.3 3.2.3b")
async def test_both_transports_speak_application_json(old: Client) -> None:
    for answer in (
        await old.call("message/send", saying("[[say hello]]")),
        await old.call("tasks/get", {"id": "nothing"}),
    ):
        assert answer.http.headers["content-type"].partition(";")[0] == "application/json"


@clause("0.3 3.2.3a", "0.3 3.2.3d")
@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/v1/message:send"),
        ("POST", "/v1/message:stream"),
        ("GET", "/v1/tasks/nothing"),
        ("POST", "/v1/tasks/nothing:cancel"),
        ("POST", "/v1/tasks/nothing:subscribe"),
        ("POST", "/v1/tasks/nothing/pushNotificationConfigs"),
        ("GET", "/v1/tasks/nothing/pushNotificationConfigs"),
        ("GET", "/v1/tasks/nothing/pushNotificationConfigs/any"),
        ("DELETE", "/v1/tasks/nothing/pushNotificationConfigs/any"),
        ("GET", "/v1/card"),
    ],
)
async def test_each_method_has_its_verb_and_path(http: httpx.AsyncClient, verb: str, path: str) -> None:
    answer = await http.request(verb, path, content=b"{}" if verb == "POST" else None)

    assert answer.status_code != 405
    assert answer.json().get("code") != -32601


@clause("0.3 3.2.3c")
@pytest.mark.parametrize(
    ("verb", "path", "status", "code"),
    [
        ("GET", "/v1/tasks/nothing", 404, -32001),
        ("POST", "/v1/message:send", 400, -32602),
        ("GET", "/v1/no-such-thing", 404, -32601),
        ("PUT", "/v1/message:send", 405, -32601),
    ],
)
async def test_errors_over_http_have_a_fitting_status_and_one_shape(
    http: httpx.AsyncClient, verb: str, path: str, status: int, code: int
) -> None:
    answer = await http.request(verb, path, content=b"{}" if verb == "POST" else None)

    error = answer.json()
    assert (answer.status_code, error["code"], bool(error["message"])) == (status, code, True)


@clause("0.3 3.5.1")
def test_methods_have_the_names_of_the_specification() -> None:
    assert set(methods.METHODS) >= CORE


@clause("0.3 3.5.6")
def test_no_method_beyond_the_core_has_a_name_like_one_of_it() -> None:
    more = (set(methods.METHODS) | set(METHODS)) - CORE

    assert {name for name in more if name.startswith(("message/", "tasks/", "agent/"))} == set()


@clause("0.3 4.4", "0.3 7.10")
@pytest.mark.parametrize(("verb", "path"), [("POST", "/v1/message:send"), ("GET", "/v1/tasks/x"), ("GET", "/v1/card")])
async def test_nobody_gets_in_without_the_token(service: Service, verb: str, path: str) -> None:
    async with service.http(authorization="") as anonymous:
        over_http = await anonymous.request(verb, path)
        over_rpc = await anonymous.post(
            "/", json={"jsonrpc": "2.0", "id": 1, "method": "agent/getAuthenticatedExtendedCard"}
        )

    assert (over_http.status_code, over_rpc.status_code) == (401, 401)
    assert over_http.headers["www-authenticate"].startswith("Bearer")


@clause("0.3 5.1", "0.3 3.4.2", "0.3 5.6.2", "0.3 5.6.3")
async def test_the_card_declares_what_each_url_speaks(service: Service) -> None:
    card = v03.AgentCard.model_validate(await service.card())
    interfaces = {(one.url, one.transport) for one in card.additional_interfaces or ()}

    assert card.preferred_transport == JSONRPC
    assert (card.protocol_version or "").startswith("0.3")
    assert interfaces >= {(card.url, JSONRPC), (card.url, REST)}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"id": "nothing"}}
    async with service.http() as client:
        assert (await client.post(card.url, json=call)).json()["error"]["code"] == -32001
        assert (await client.get(f"{card.url.rstrip('/')}/v1/tasks/nothing")).status_code == 404


@clause("0.3 6.3", "0.3 11.1b")
async def test_tasks_and_events_are_those_of_the_specification(service: Service) -> None:
    client = Client(service, JSONRPC, V03_ROUTES, "0.3")
    text = '[[think so]] [[say words]] [[data {"a": 1}]] [[file a.txt text/plain more]]'
    events = await client.stream("message/stream", saying(text))
    readers: Mapping[str, Any] = {
        "task": v03.Task,
        "status-update": v03.TaskStatusUpdateEvent,
        "artifact-update": v03.TaskArtifactUpdateEvent,
    }

    for event in events:
        readers[event["kind"]].model_validate(event)
    assert {state.value for state in v03.TaskState} >= {state.value for state in TaskState}


@clause("0.3 10")
@pytest.mark.parametrize(
    "message",
    [
        {"role": "king"},
        {"messageId": ""},
        {"parts": []},
        {"parts": [{"kind": "song", "text": "x"}]},
        {"parts": [{"kind": "file", "file": {}}]},
        {"parts": [{"kind": "data", "data": "no object"}]},
        {"parts": "words"},
    ],
)
async def test_what_is_no_message_is_refused(old: Client, message: dict[str, Any]) -> None:
    refused = await old.call("message/send", saying("hello", **message))

    error = json.loads(refused.http.content)
    assert error.get("error", error)["code"] == -32602
