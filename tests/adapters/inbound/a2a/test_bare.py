"""Metadata of ours is told to everybody, or to those who asked for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from a2a import types as a2a
from a2a.compat.v0_3 import a2a_v0_3_pb2
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from opencode_a2a_server.adapters.inbound.a2a.bare import telling
from opencode_a2a_server.adapters.inbound.a2a.encode import (
    V1_0,
    Encoder,
    Shape,
    listed_task,
    task_response,
    task_result,
)
from opencode_a2a_server.adapters.inbound.a2a.grpc.frames import Frames
from opencode_a2a_server.adapters.inbound.a2a.shared import Telling
from opencode_a2a_server.adapters.inbound.a2a.v03.shape import JSON, PROTO
from tests.adapters.inbound.a2a.test_encode import journaled
from tests.adapters.inbound.a2a.updates import JOURNALS
from tests.conformance.agents import BINDINGS, JSONRPC, V03_ROUTES, Client, sending, serving
from tests.conformance.clauses import clause

HINTS = "urn:a2a:stream-hints/v1"

all_shapes = pytest.mark.parametrize("shape", [V1_0, JSON, PROTO], ids=lambda shape: shape.version)


def bare(shape: Shape) -> Shape:
    return telling(shape, Telling.NOTHING)


def unhinted(shape: Shape) -> Shape:
    return telling(shape, Telling.UNHINTED)


def stripped(told: Any) -> Any:
    """Take away what is ours of a result in any shape; a message's metadata is its sender's."""
    if isinstance(told, list):
        return [stripped(one) for one in told]
    if not isinstance(told, dict) or "messageId" in told:
        return told
    ours = {name: stripped(item) for name, item in told.items() if name != "metadata"}
    kept = {name: item for name, item in told.get("metadata", {}).items() if name not in ("shared", "opencode")}
    if "artifactId" in ours and ours.get("extensions") == [HINTS]:
        del ours["extensions"]
    return {**ours, "metadata": kept} if kept else ours


@all_shapes
@pytest.mark.parametrize("name", JOURNALS)
def test_who_did_not_ask_is_told_all_the_same_but_our_metadata(name: str, shape: Shape) -> None:
    task, entries = journaled(JOURNALS[name])
    encoder, barely = Encoder(task, shape), Encoder(task, bare(shape))

    for entry in entries:
        if encoder(entry):
            assert json.loads(barely(entry)) == stripped(json.loads(encoder(entry)))
        else:
            assert not barely(entry)
    for encode in (task_result, task_response):
        assert json.loads(encode(task, shape=bare(shape))) == stripped(json.loads(encode(task, shape=shape)))
    assert b'"shared"' not in listed_task(task, None, with_artifacts=True, shape=bare(shape))


def without_hints(told: Any) -> Any:
    """Take away usage, progress, and what artifacts have but their place, which of a polled one is a number only."""
    if isinstance(told, list):
        return [without_hints(one) for one in told]
    if not isinstance(told, dict) or "messageId" in told:
        return told
    if "artifact" in told:
        return {**told, "artifact": placed(told["artifact"], "source", "event_id", "sequence")}
    if "artifactId" in told:
        return placed(told, "source", "sequence")
    kept = {name: item if name == "metadata" else without_hints(item) for name, item in told.items()}
    if "shared" in kept.get("metadata", {}):
        ours = {name: item for name, item in kept["metadata"]["shared"].items() if name not in ("usage", "progress")}
        kept["metadata"] = {**kept["metadata"], "shared": ours}
    return kept


def placed(artifact: Mapping[str, Any], *kept: str) -> Mapping[str, Any]:
    stream = artifact["metadata"]["shared"]["stream"]
    return {**stripped(artifact), "metadata": {"shared": {"stream": {name: stream[name] for name in kept}}}}


@all_shapes
@pytest.mark.parametrize("name", JOURNALS)
def test_who_did_not_ask_for_hints_is_told_all_the_same_but_them(name: str, shape: Shape) -> None:
    task, entries = journaled(JOURNALS[name])
    encoder, without = Encoder(task, shape), Encoder(task, unhinted(shape))

    for entry in entries:
        assert bool(without(entry)) == bool(encoder(entry))
        if encoder(entry):
            assert json.loads(without(entry)) == without_hints(json.loads(encoder(entry)))
    for encode in (task_result, task_response):
        assert json.loads(encode(task, shape=unhinted(shape))) == without_hints(json.loads(encode(task, shape=shape)))
    assert b"block_type" not in listed_task(task, None, with_artifacts=True, shape=unhinted(shape))


@pytest.mark.parametrize("name", JOURNALS)
def test_without_hints_over_grpc_is_what_json_tells(name: str) -> None:
    task, entries = journaled(JOURNALS[name])
    frames, encoder = Frames(Encoder(task, unhinted(V1_0)), a2a.StreamResponse), Encoder(task, unhinted(V1_0))

    for entry in entries:
        frame, json_told = frames(entry), encoder(entry)
        assert bool(frame) == bool(json_told)
        if frame:
            assert a2a.StreamResponse.FromString(frame) == ParseDict(json.loads(json_told), a2a.StreamResponse())


def test_a_shape_that_tells_all_is_the_shape_itself() -> None:
    assert telling(V1_0, Telling.ALL) is V1_0


@pytest.mark.parametrize(("shape", "response"), [(V1_0, a2a.StreamResponse), (PROTO, a2a_v0_3_pb2.StreamResponse)])
@pytest.mark.parametrize("name", JOURNALS)
def test_over_grpc_too(name: str, shape: Shape, response: type[Message]) -> None:
    task, entries = journaled(JOURNALS[name])
    frames = Frames(Encoder(task, bare(shape)), response)

    assert not any(b"shared" in frames(entry) for entry in entries)
    assert any(frames(entry) for entry in entries)


OF_0_3 = {
    "kind": "message",
    "messageId": "m",
    "role": "user",
    "parts": [{"kind": "text", "text": "[[say hello]]"}],
}


def has_ours(told: object) -> bool:
    return '"shared"' in json.dumps(told)


def hinted(told: object) -> bool:
    return "block_type" in json.dumps(told) and HINTS in json.dumps(told)


@pytest.mark.anyio
@pytest.mark.parametrize("binding", BINDINGS)
async def test_the_operator_decides_who_is_told(binding: str) -> None:
    async with serving(A2A_SHARED_METADATA="negotiated") as service:
        agent = Client(service, binding)
        for headers, wanted in ({}, False), ({"a2a_extensions": f"urn:a2a:session-binding/v1, {HINTS}"}, True):
            sent = await agent.call("SendMessage", sending("[[say hello]]"), **headers)
            task_id = sent.result["task"]["id"]
            events = await agent.end(await agent.begin("SendStreamingMessage", sending("[[say hello]]"), **headers))
            got = await agent.call("GetTask", {"id": task_id}, **headers)
            listed = await agent.call("ListTasks", {}, **headers)

            told: list[Mapping[str, Any]] = [sent.body, got.body, listed.body, *events]
            assert [has_ours(one) for one in told] == [wanted] * len(told)


@pytest.mark.anyio
async def test_clients_of_0_3_ask_by_their_own_header() -> None:
    async with serving(A2A_SHARED_METADATA="negotiated") as service:
        agent = Client(service, JSONRPC, V03_ROUTES, "0.3")
        bare_one = await agent.call("message/send", {"message": OF_0_3})
        asked = await agent.call("message/send", {"message": OF_0_3}, x_a2a_extensions=HINTS)

    assert (has_ours(bare_one.body), has_ours(asked.body)) == (False, True)


@pytest.mark.anyio
async def test_clients_of_0_3_are_told_everything_unasked_as_0_2_did() -> None:
    async with serving() as service:
        agent = Client(service, JSONRPC, V03_ROUTES, "0.3")
        sent = await agent.call("message/send", {"message": OF_0_3})
        events = await agent.stream("message/stream", {"message": OF_0_3})

    assert hinted(sent.result)
    assert any(hinted(event) for event in events)


@pytest.mark.anyio
@pytest.mark.parametrize("binding", BINDINGS)
async def test_clients_of_1_0_are_told_of_blocks_if_they_name_the_extension(binding: str) -> None:
    async with serving() as service:
        agent = Client(service, binding)
        for headers, wanted in ({}, False), ({"a2a_extensions": HINTS}, True):
            sent = await agent.call("SendMessage", sending("[[say hello]]"), **headers)
            task = sent.result["task"]
            events = await agent.end(await agent.begin("SendStreamingMessage", sending("[[say hello]]"), **headers))
            got = await agent.call("GetTask", {"id": task["id"]}, **headers)
            listed = await agent.call(
                "ListTasks", {"includeArtifacts": True if binding == JSONRPC else "true"}, **headers
            )

            artifacts = [event for event in events if "artifactUpdate" in event]
            assert [hinted(one) for one in (task, got.result, listed.body, *artifacts)] == [wanted] * (
                3 + len(artifacts)
            )
            assert artifacts
            assert all("event_id" in json.dumps(event) for event in artifacts)


def names_in(told: Any) -> set[str]:
    if isinstance(told, list):
        return set().union(*map(names_in, told))
    return set(told).union(*map(names_in, told.values())) if isinstance(told, dict) else set()


@clause("5.5a")
@pytest.mark.anyio
@pytest.mark.parametrize("binding", BINDINGS)
async def test_who_names_no_extension_is_answered_in_camel_case_throughout(binding: str) -> None:
    async with serving() as service:
        task = (await Client(service, binding).call("SendMessage", sending("Hello"))).result["task"]

    assert task["artifacts"]
    assert [name for name in names_in(task) if "_" in name] == []


@pytest.mark.anyio
async def test_what_is_no_hint_clients_of_1_0_are_told_unasked() -> None:
    async with serving() as service:
        agent = Client(service, JSONRPC)
        events = await agent.stream("SendStreamingMessage", sending("[[ask question Which? | S | M]]"))
        task = await agent.send("[[say hello]]")

    last = events[-1]["statusUpdate"]["metadata"]["shared"]
    assert last["session"]["id"]
    assert last["interrupt"]["phase"] == "asked"
    assert task["metadata"]["shared"]["session"]["id"]
    assert task["metadata"]["shared"]["stream"]["cursor"].startswith(task["id"])


@pytest.mark.anyio
async def test_the_operator_may_have_everybody_told_everything() -> None:
    async with serving(A2A_SHARED_METADATA="always") as service:
        assert hinted(await Client(service, JSONRPC).send("[[say hello]]"))
