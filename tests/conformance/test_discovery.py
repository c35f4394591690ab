"""The agent card (A2A 1.0, 8)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from a2a import types as a2a
from google.protobuf.json_format import ParseDict

from tests.conformance.agents import BINDINGS, JSONRPC, Client, Service, sending, serving
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio


@clause("8.1", "14.3a", "5.2")
async def test_anybody_gets_a_card_that_declares_all_bindings(service: Service) -> None:
    card = ParseDict(dict(await service.card()), a2a.AgentCard(), ignore_unknown_fields=True)

    declared = {(one.protocol_binding, one.protocol_version) for one in card.supported_interfaces}
    assert declared >= {(binding, "1.0") for binding in BINDINGS}


@clause("3.2.6", "5.4b", "5.8", "12")
async def test_no_binding_is_declared_but_those_of_the_specification() -> None:
    async with serving(A2A_GRPC_PORT="50051") as service:
        card = await service.card()

    assert {one["protocolBinding"] for one in card["supportedInterfaces"]} == {"JSONRPC", "HTTP+JSON", "GRPC"}
    assert {one["transport"] for one in card["additionalInterfaces"]} <= {"JSONRPC", "HTTP+JSON", "GRPC"}


@clause("3.3.4b")
@pytest.mark.parametrize("binding", BINDINGS)
async def test_streaming_is_declared_and_served_whatever_is_set(binding: str) -> None:
    async with serving(A2A_STREAMING="false") as service:
        card = await service.card()
        agent = Client(service, binding)
        streamed = await agent.stream("SendStreamingMessage", sending("[[ask input What else?]]"))
        task_id = streamed[0]["task"]["id"]
        followed = await agent.begin("SubscribeToTask", {"id": task_id})
        await agent.call("CancelTask", {"id": task_id})
        events = await agent.end(followed)

    assert card["capabilities"]["streaming"] is True
    assert events[0]["task"]["id"] == task_id
    assert events[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_CANCELED"


@clause("4.6.3a")
async def test_the_uri_of_every_extension_has_a_version_to_be_changed(service: Service) -> None:
    extended = (await Client(service, JSONRPC).call("GetExtendedAgentCard")).result
    uris = [one["uri"] for one in extended["capabilities"]["extensions"]]

    assert uris
    assert [uri for uri in uris if not re.search(r"[/:]v[0-9]+$", uri)] == []


@clause("0.3 5.4")
async def test_the_public_card_tells_nothing_that_is_not_for_everybody(tmp_path: Path) -> None:
    secrets = {
        "A2A_BEARER_TOKEN": "t0ken-of-the-service-itself",
        "A2A_PUSH_SECRET": "secret-of-notifications",
        "OPENCODE_DIRECTORY": str(tmp_path),
        "OPENCODE_PROVIDER_ID": "some-provider",
        "OPENCODE_MODEL_ID": "some-model",
        "OPENCODE_SERVER_PASSWORD": "password-of-opencode",
        "OPENCODE_BASE_URL": "http://opencode.internal:4096",
    }
    async with serving(**secrets) as service, service.http(authorization="") as http:
        public = [(await http.get(f"/.well-known/{name}.json")).text for name in ("agent-card", "agent")]

    assert [secret for secret in secrets.values() for card in public if secret in card] == []


@clause("8.3")
async def test_each_interface_of_the_card_speaks_what_it_declares(service: Service) -> None:
    said = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "[[say hello]]"}]}
    calls = {
        ("JSONRPC", "1.0"): ("/", {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}),
        ("JSONRPC", "0.3"): ("/", {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": said}}),
        ("HTTP+JSON", "1.0"): ("/tasks", None),
        ("HTTP+JSON", "0.3"): ("/v1/message:send", {"message": said}),
    }
    interfaces = (await service.card())["supportedInterfaces"]

    for interface in interfaces:
        path, body = calls[interface["protocolBinding"], interface["protocolVersion"]]
        async with service.http(a2a_version=interface["protocolVersion"]) as http:
            url = interface["url"].rstrip("/") + path
            answer = await (http.get(url) if body is None else http.post(url, json=body))
        assert answer.status_code == 200, interface
        assert "error" not in answer.json(), interface


@clause("5.1d", "3.1.11", "13.3a", "14.3b")
async def test_what_the_card_declares_is_what_lets_in(service: Service) -> None:
    card = await service.card()

    ((name, scheme),) = card["securitySchemes"].items()
    assert scheme["httpAuthSecurityScheme"]["scheme"].lower() == "bearer"
    assert (
        card["securityRequirements"] == [{"schemes": {name: {}}}] or name in card["securityRequirements"][0]["schemes"]
    )
    for binding in BINDINGS:
        for operation in ("ListTasks", "GetExtendedAgentCard"):
            agent = Client(service, binding)
            assert (await agent.call(operation)).http.status_code != 401
            assert (await agent.call(operation, authorization="")).http.status_code == 401
