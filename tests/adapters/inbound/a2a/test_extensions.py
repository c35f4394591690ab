"""Extensions: what the cards say of them, how they are activated, and that required ones are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve

from opencode_a2a_server.adapters.inbound.a2a.card.document import agent_card
from opencode_a2a_server.adapters.inbound.a2a.card.extension import Detail, Extension
from opencode_a2a_server.adapters.inbound.a2a.card.extensions import (
    INTERACTIVE_INTERRUPT,
    STREAM_HINTS,
    extensions,
    served_with,
)
from opencode_a2a_server.adapters.inbound.a2a.card.negotiation import Negotiation
from opencode_a2a_server.adapters.inbound.a2a.card.skills import Skill
from opencode_a2a_server.adapters.inbound.a2a.encode import V1_0, Encoder, Shape, task_result
from opencode_a2a_server.adapters.inbound.a2a.errors import ExtensionSupportRequired
from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE
from opencode_a2a_server.adapters.inbound.a2a.shared import Telling
from opencode_a2a_server.adapters.inbound.a2a.v03.shape import JSON, PROTO
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.push import Words
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import InterruptRaised, StatusChanged, Update
from tests.adapters.inbound.a2a.stage import CARD, HEADERS, Stage, message_json
from tests.adapters.inbound.a2a.test_encode import journaled
from tests.adapters.inbound.a2a.updates import PERMISSION, QUESTION, STARTED, answered, more, told
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio

SHELL = Extension(
    uri="urn:test:shell/v1",
    description="Runs commands.",
    params={"a": 1},
    more={"errors": [-32050]},
    by_methods=True,
    skills=(Skill("shell", "Shell", "Runs commands.", ("shell",)),),
)


# The table


def test_an_extension_has_the_methods_that_are_served() -> None:
    (served,) = served_with([SHELL], {SHELL.uri: {"run": "test.run"}, "urn:other": {"stop": "test.stop"}})

    assert served == evolve(SHELL, methods={"run": "test.run"})


def test_an_extension_that_is_nothing_without_methods_goes_with_them() -> None:
    assert served_with([SHELL], {}) == ()
    assert served_with([evolve(SHELL, by_methods=False)], {}) == (evolve(SHELL, by_methods=False),)


def test_every_method_belongs_to_an_extension_of_the_table() -> None:
    assert {method.extension for method in TABLE} <= {extension.uri for extension in extensions()}


def test_the_extended_card_has_what_the_public_one_has_and_more() -> None:
    served = evolve(SHELL, methods={"run": "test.run"})
    public, extended = served.told(Detail.PARAMETERS), served.told()

    assert public["params"] == {"a": 1, "methods": {"run": "test.run"}}
    assert extended["params"] == {**public["params"], "errors": [-32050]}


def test_what_is_told_in_brief_grows_by_steps() -> None:
    served, shared = evolve(SHELL, methods={"run": "test.run"}), evolve(SHELL, by_methods=False)

    assert ["params" in served.told(detail) for detail in Detail] == [False, False, True, True, True]
    assert served.told(Detail.METHODS)["params"] == {"methods": {"run": "test.run"}}
    assert served.told(Detail.PARAMETERS)["params"] == {"a": 1, "methods": {"run": "test.run"}}
    assert ["params" in shared.told(detail) for detail in Detail] == [False, True, True, True, True]


def test_every_uri_is_there_once() -> None:
    uris = [extension.uri for extension in extensions()]

    assert len(uris) == len(set(uris))


# Negotiation


@pytest.fixture
def demanding() -> Stage:
    return Stage(required=[STREAM_HINTS])


def test_activated_are_those_that_exist_in_the_order_of_the_table() -> None:
    negotiation = Negotiation.of(extensions())

    assert negotiation.activated(["urn:x", INTERACTIVE_INTERRUPT, STREAM_HINTS]) == (
        STREAM_HINTS,
        INTERACTIVE_INTERRUPT,
    )


def test_what_is_not_served_cannot_be_required() -> None:
    with pytest.raises(ValueError, match=r"urn:x is required and not served; served: urn:a2a:stream-hints/v1"):
        Negotiation.of(extensions(), ["urn:x"])


def test_the_refusal_names_what_is_missing() -> None:
    negotiation = Negotiation.of(extensions(), [STREAM_HINTS, INTERACTIVE_INTERRUPT])

    with pytest.raises(ExtensionSupportRequired, match=rf"A2A-Extensions: {INTERACTIVE_INTERRUPT}$"):
        negotiation.check((STREAM_HINTS,))


async def test_the_card_says_which_extensions_are_required(demanding: Stage) -> None:
    async with demanding.client({}) as client:
        card = (await client.get("/.well-known/agent-card.json")).json()

    required = {one["uri"]: one.get("required", False) for one in card["capabilities"]["extensions"]}
    assert [uri for uri, needed in required.items() if needed] == [STREAM_HINTS]
    assert not any(one.required for one in agent_card(CARD).capabilities.extensions)


AT_ONCE = {"message": message_json(), "configuration": {"returnImmediately": True}}
OPERATIONS: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "/", {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "task-1"}}, "1.0"),
    ("POST", "/", {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}, "1.0"),
    ("POST", "/", {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": AT_ONCE}, "1.0"),
    ("POST", "/", {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"id": "task-1"}}, "0.3"),
    ("GET", "/tasks/task-1", {}, "1.0"),
    ("GET", "/tasks", {}, "1.0"),
    ("POST", "/message:send", AT_ONCE, "1.0"),
    ("GET", "/v1/tasks/task-1", {}, "0.3"),
]


@clause("3.3.4d")
@pytest.mark.parametrize(("verb", "path", "body", "version"), OPERATIONS)
async def test_who_does_not_name_a_required_extension_is_refused(
    demanding: Stage, verb: str, path: str, body: Mapping[str, Any], version: str
) -> None:
    await demanding.begin()

    async with demanding.client({**HEADERS, "a2a-version": version}) as client:
        refused = await client.request(verb, path, json=body or None)
        taken = await client.request(verb, path, json=body or None, headers={"a2a-extensions": STREAM_HINTS})

    told = refused.json()
    assert told.get("error", told)["code"] in (-32008, 400)
    assert "EXTENSION_SUPPORT_REQUIRED" in refused.text
    assert "error" not in taken.json()
    assert taken.headers["x-a2a-extensions"] == STREAM_HINTS


async def test_another_name_of_a_required_extension_will_do(demanding: Stage) -> None:
    await demanding.begin()
    other = "urn:opencode-a2a:extension:stream-hints:v1"

    async with demanding.client() as client:
        answer = await client.get("/tasks/task-1", headers={"a2a-extensions": other})

    assert (answer.status_code, answer.headers["a2a-extensions"]) == (200, other)


def test_metadata_is_told_to_who_names_the_extension_in_any_way() -> None:
    other = evolve(SHELL, uri="urn:test:hints", same_as=STREAM_HINTS)
    negotiation = Negotiation.of([*extensions(), other])

    told = [negotiation.telling([uri], Words.V1_0) for uri in (STREAM_HINTS, other.uri, INTERACTIVE_INTERRUPT)]
    assert told == [Telling.ALL, Telling.ALL, Telling.UNHINTED]


@clause("4.6.3b")
async def test_another_version_of_a_required_extension_is_not_that_one(demanding: Stage) -> None:
    await demanding.begin()

    async with demanding.client() as client:
        answer = await client.get("/tasks/task-1", headers={"a2a-extensions": "urn:a2a:stream-hints/v2"})

    assert answer.json()["error"]["details"][0]["reason"] == "EXTENSION_SUPPORT_REQUIRED"
    assert STREAM_HINTS in answer.json()["error"]["message"]


async def test_a_refused_message_begins_nothing(demanding: Stage) -> None:
    await demanding.rpc("SendMessage", AT_ONCE)

    assert demanding.accept.heard == []


# What is sent names what it uses


@pytest.mark.parametrize(
    "asking",
    [
        [InterruptRaised(PERMISSION)],
        [InterruptRaised(QUESTION), InterruptRaised(PERMISSION, QUESTION)],
        [InterruptRaised(QUESTION), InterruptRaised(PERMISSION, QUESTION), answered("per_1", shown=QUESTION)],
    ],
)
@pytest.mark.parametrize("shape", [V1_0, JSON, PROTO])
def test_what_asks_for_an_answer_says_by_which_extension(asking: list[Update], shape: Shape) -> None:
    task, entries = journaled([STARTED, *asking])

    told = json.loads(Encoder(task, shape)(entries[-1]))
    polled = json.loads(task_result(task, shape=shape))

    status = (told.get("statusUpdate") or told)["status"]
    assert status["message"]["extensions"] == [INTERACTIVE_INTERRUPT]
    assert polled["status"]["message"]["extensions"] == [INTERACTIVE_INTERRUPT]


def test_words_without_an_interrupt_name_no_extension() -> None:
    task, entries = journaled([STARTED, StatusChanged(TaskState.INPUT_REQUIRED, (TextPart("which?"),))])

    told = json.loads(Encoder(task)(entries[-1]))["statusUpdate"]

    assert "extensions" not in told["status"]["message"]
    assert "extensions" not in json.loads(task_result(task))["status"]["message"]


@pytest.mark.parametrize("shape", [V1_0, JSON, PROTO])
def test_every_artifact_says_whose_hints_it_has(shape: Shape) -> None:
    task, entries = journaled([STARTED, told("prt_1", TextPart("a")), more("prt_1", "b"), more("prt_1", "c")])
    encoder = Encoder(task, shape)

    updates = [json.loads(encoder(entry)) for entry in entries[2:]]
    polled = json.loads(task_result(task, shape=shape))

    artifacts = [(update.get("artifactUpdate") or update)["artifact"] for update in updates]
    assert [one["extensions"] for one in [*artifacts, *polled["artifacts"]]] == [[STREAM_HINTS]] * 4


def test_what_is_named_is_in_the_card() -> None:
    named = {STREAM_HINTS, INTERACTIVE_INTERRUPT}

    assert named <= {extension.uri for extension in agent_card(CARD).capabilities.extensions}
