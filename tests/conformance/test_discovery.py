"""The agent card (A2A 1.0, 8)."""

from __future__ import annotations

import pytest
from a2a import types as a2a
from google.protobuf.json_format import ParseDict

from tests.conformance.agents import BINDINGS, Client, Service
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio


@clause("8.1", "14.3a", "5.2")
async def test_anybody_gets_a_card_that_declares_all_bindings(service: Service) -> None:
    card = ParseDict(dict(await service.card()), a2a.AgentCard(), ignore_unknown_fields=True)

    declared = {(one.protocol_binding, one.protocol_version) for one in card.supported_interfaces}
    assert declared >= {(binding, "1.0") for binding in BINDINGS}


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
