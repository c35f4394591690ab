"""Metadata of ours is told to everybody, or to those who asked for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from a2a import types as a2a
from a2a.compat.v0_3 import a2a_v0_3_pb2
from google.protobuf.message import Message

from opencode_a2a_server.adapters.inbound.a2a.bare import bare
from opencode_a2a_server.adapters.inbound.a2a.encode import (
    V1_0,
    Encoder,
    Shape,
    listed_task,
    task_response,
    task_result,
)
from opencode_a2a_server.adapters.inbound.a2a.grpc.frames import Frames
from opencode_a2a_server.adapters.inbound.a2a.v03.shape import JSON, PROTO
from tests.adapters.inbound.a2a.test_encode import journaled
from tests.adapters.inbound.a2a.updates import JOURNALS
from tests.conformance.agents import BINDINGS, JSONRPC, V03_ROUTES, Client, sending, serving

HINTS = "urn:a2a:stream-hints/v1"

all_shapes = pytest.mark.parametrize("shape", [V1_0, JSON, PROTO], ids=lambda shape: shape.version)


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


@pytest.mark.parametrize(("shape", "response"), [(V1_0, a2a.StreamResponse), (PROTO, a2a_v0_3_pb2.StreamResponse)])
@pytest.mark.parametrize("name", JOURNALS)
def test_over_grpc_too(name: str, shape: Shape, response: type[Message]) -> None:
    task, entries = journaled(JOURNALS[name])
    frames = Frames(Encoder(task, bare(shape)), response)

    assert not any(b"shared" in frames(entry) for entry in entries)
    assert any(frames(entry) for entry in entries)


def has_hints(told: object) -> bool:
    return '"shared"' in json.dumps(told)


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
            assert [has_hints(one) for one in told] == [wanted] * len(told)


@pytest.mark.anyio
async def test_clients_of_0_3_ask_by_their_own_header() -> None:
    message = {
        "kind": "message",
        "messageId": "m",
        "role": "user",
        "parts": [{"kind": "text", "text": "[[say hello]]"}],
    }
    async with serving(A2A_SHARED_METADATA="negotiated") as service:
        agent = Client(service, JSONRPC, V03_ROUTES, "0.3")
        bare_one = await agent.call("message/send", {"message": message})
        asked = await agent.call("message/send", {"message": message}, x_a2a_extensions=HINTS)

    assert (has_hints(bare_one.body), has_hints(asked.body)) == (False, True)


@pytest.mark.anyio
async def test_everybody_is_told_unless_the_operator_says_otherwise() -> None:
    async with serving() as service:
        assert has_hints(await Client(service, JSONRPC).send("[[say hello]]"))
