"""What the cards and the documents say of extensions is what is served, and what their clients look for."""

from __future__ import annotations

from typing import Any

import pytest

from opencode_a2a_server.adapters.inbound.a2a.card.contracts import ALIASES, Documents, offered
from opencode_a2a_server.adapters.inbound.a2a.card.extensions import INTERACTIVE_INTERRUPT, extensions
from opencode_a2a_server.adapters.inbound.a2a.methods.contracts import business_codes, method_contract
from opencode_a2a_server.adapters.inbound.a2a.methods.read import fields_of
from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE, served
from opencode_a2a_server.adapters.inbound.a2a.methods.uris import PROVIDER_DISCOVERY, SESSION_QUERY
from tests.adapters.inbound.a2a.methods.served import every_service
from tests.adapters.inbound.a2a.stage import HEADERS, Stage
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio

OLD = {
    "urn:opencode-a2a:session-query/v1": (
        "opencode.sessions.list",
        "opencode.sessions.messages.list",
        "opencode.sessions.prompt_async",
        "opencode.sessions.command",
    ),
    "urn:opencode-a2a:provider-discovery/v1": ("opencode.providers.list", "opencode.models.list"),
}
"""What 0.2 served, by its extensions; its shell was off, as it is here."""

OFFERED = {extension.uri: extension.told() for extension in offered(extensions(), every_service())}

OTHER_NAMES = [uri for own, uris in ALIASES.items() for uri in uris if own in OFFERED]


@clause("4.6.3a")
@pytest.mark.parametrize(("uri", "names"), OLD.items())
def test_what_0_2_published_is_published_still(uri: str, names: tuple[str, ...]) -> None:
    params = OFFERED[uri]["params"]

    assert set(names) <= set(params["methods"].values())
    assert set(params["method_contracts"]) == set(params["methods"].values())
    assert set(params["result_envelope"]["by_method"]) == set(params["methods"].values())
    codes = params["errors"]["business_codes"]
    assert {"UPSTREAM_UNREACHABLE", "UPSTREAM_HTTP_ERROR", "UPSTREAM_PAYLOAD_ERROR"} <= set(codes)
    assert all(-32079 <= code <= -32050 for code in codes.values())


def test_the_short_names_of_0_2_are_kept() -> None:
    sessions = OFFERED[SESSION_QUERY]["params"]["methods"]
    providers = OFFERED[PROVIDER_DISCOVERY]["params"]["methods"]

    assert sessions["list_sessions"] == "opencode.sessions.list"
    assert sessions["get_session_messages"] == "opencode.sessions.messages.list"
    assert (providers["list_providers"], providers["list_models"]) == OLD[PROVIDER_DISCOVERY]


def test_what_clients_need_of_sessions_is_said() -> None:
    params = OFFERED[SESSION_QUERY]["params"]

    assert params["provider"] == "opencode"
    assert params["pagination"]["mode"] == "limit_and_optional_cursor"
    assert params["context_semantics"]["upstream_session_id_field"] == "metadata.shared.session.id"
    assert {"SESSION_NOT_FOUND", "METHOD_DISABLED", "SESSION_BUSY"} <= set(params["errors"]["business_codes"])


@pytest.mark.parametrize("uri", OTHER_NAMES)
def test_an_extension_is_the_same_by_any_name(uri: str) -> None:
    own = next(own for own, uris in ALIASES.items() if uri in uris)
    same, alias = dict(OFFERED[own]["params"]), OFFERED[uri]["params"]

    same.pop("result_envelope", None)
    assert alias == same


@pytest.mark.parametrize("uri", OTHER_NAMES)
async def test_an_alias_is_activated_by_the_name_it_was_asked_for(uri: str) -> None:
    stage = Stage(methods=every_service())

    async with stage.client(HEADERS | {"a2a-extensions": uri}) as client:
        answer = await client.post(
            "/", json={"jsonrpc": "2.0", "id": 1, "method": "opencode.sessions.list", "params": {}}
        )

    assert answer.headers["a2a-extensions"] == uri


async def test_the_public_card_stays_short_and_has_no_aliases() -> None:
    async with Stage(methods=every_service()).client({}) as client:
        answer = await client.get("/.well-known/agent-card.json")

    uris = {extension["uri"] for extension in answer.json()["capabilities"]["extensions"]}
    assert len(answer.content) <= 8 * 1024
    assert uris.isdisjoint(uri for uris in ALIASES.values() for uri in uris)
    assert set(OLD) <= uris


def test_every_other_name_is_of_an_extension_of_the_table() -> None:
    assert set(ALIASES) <= {extension.uri for extension in extensions()} | set(OFFERED)


def test_what_clients_need_of_interrupts_is_said() -> None:
    told = {method.name: method_contract(method) for method in TABLE if method.extension == INTERACTIVE_INTERRUPT}

    codes = business_codes([method for method in TABLE if method.extension == INTERACTIVE_INTERRUPT])
    assert told["a2a.interrupt.permission.reply"]["params"]["required"] == ["request_id", "reply"]
    assert {"INTERRUPT_REQUEST_NOT_FOUND", "INTERRUPT_REQUEST_EXPIRED", "ALREADY_ANSWERED"} <= set(codes)


def test_what_is_switched_off_is_not_promised_but_named() -> None:
    params = OFFERED[SESSION_QUERY]["params"]

    assert "shell" not in params["methods"]
    assert params["control_method_flags"]["opencode.sessions.shell"] == {
        "enabled_by_default": False,
        "enabled": False,
        "config_key": "A2A_ENABLE_SESSION_SHELL",
    }


@pytest.mark.parametrize("method", TABLE, ids=lambda method: method.name)
def test_a_contract_names_each_parameter(method: Any) -> None:
    told = method_contract(method)["params"]

    named = {*told.get("required", ()), *told.get("optional", ())} - {"metadata.opencode.directory"}
    assert named == {name for name, _ in fields_of(method.params)}


def test_names_are_used_once() -> None:
    assert len({method.name for method in TABLE}) == len(TABLE)
    for uri in {method.extension for method in TABLE}:
        shorts = [method.short for method in TABLE if method.extension == uri]
        assert len(set(shorts)) == len(shorts)


async def test_each_contract_has_a_document_of_its_own_that_may_be_kept() -> None:
    stage = Stage(methods=every_service())
    names = Documents(offered(extensions(), every_service())).names
    async with stage.client() as client:
        for name, extension in names.items():
            answer = await client.get(f"/extensions/{name}/v1")
            again = await client.get(f"/extensions/{name}/v1", headers={"if-none-match": answer.headers["etag"]})

            assert answer.json()["uri"] == extension.uri
            assert (again.status_code, again.content) == (304, b"")

    assert {"session-query", "provider-discovery", "wire-contract", "compatibility-profile"} <= set(names)


async def test_a_document_that_is_none_names_those_there_are() -> None:
    async with Stage(methods=every_service()).client() as client:
        answer = await client.get("/extensions/nope/v1")

    assert answer.status_code == 404
    assert "session-query" in answer.json()["error"]["message"]


async def test_documents_are_for_who_may_ask() -> None:
    async with Stage(methods=every_service()).client({}) as client:
        answer = await client.get("/extensions/session-query/v1")

    assert answer.status_code == 401


def test_the_wire_contract_names_just_what_is_served() -> None:
    told = OFFERED["urn:opencode-a2a:wire-contract/v1"]["params"]

    assert told["extensions"]["jsonrpc_methods"] == [method.name for method in served(every_service())]
    assert "opencode.sessions.shell" in told["extensions"]["conditionally_available_methods"]
    assert {"SendMessage", "message/send"} <= set(told["all_jsonrpc_methods"])


async def test_every_method_that_is_served_is_in_the_openapi_document() -> None:
    async with Stage(methods=every_service()).client() as client:
        told = (await client.get("/openapi.json")).json()

    calls = told["components"]["schemas"]["Call"]["discriminator"]["mapping"]
    assert {method.name for method in served(every_service())} <= set(calls)
    assert "opencode.sessions.shell" not in calls
    assert r"\\Z" not in str(told)
    prompt = told["components"]["schemas"]["OfPromptSession"]
    assert prompt["required"] == ["session_id", "request"]
