"""What is streamed over gRPC is what JSON tells, made once."""

from __future__ import annotations

import json

import pytest
from a2a import types as a2a
from a2a.compat.v0_3 import a2a_v0_3_pb2
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from opencode_a2a_server.adapters.inbound.a2a.encode import V1_0, Encoder, Shape
from opencode_a2a_server.adapters.inbound.a2a.grpc.frames import Frames
from opencode_a2a_server.adapters.inbound.a2a.v03.shape import PROTO
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.updates import BlockKind
from tests.adapters.inbound.a2a.grpc.line import shared
from tests.adapters.inbound.a2a.test_encode import journaled
from tests.adapters.inbound.a2a.updates import JOURNALS, STARTED, more, told

VERSIONS: list[tuple[Shape, type[Message]]] = [(V1_0, a2a.StreamResponse), (PROTO, a2a_v0_3_pb2.StreamResponse)]
of_each_version = pytest.mark.parametrize(("shape", "response"), VERSIONS, ids=["1.0", "0.3"])


@of_each_version
@pytest.mark.parametrize("name", JOURNALS)
def test_every_update_is_what_json_tells(name: str, shape: Shape, response: type[Message]) -> None:
    task, entries = journaled(JOURNALS[name])
    frames, encoder = Frames(Encoder(task, shape), response), Encoder(task, shape)

    for entry in entries:
        frame = frames(entry)
        entry.encodings.clear()
        json_told = encoder(entry)
        assert bool(frame) == bool(json_told)
        if frame:
            assert response.FromString(frame) == ParseDict(json.loads(json_told), response())


def test_an_update_is_made_once_for_all_readers() -> None:
    task, entries = journaled((STARTED, told("prt_1", TextPart("a")), more("prt_1", "b"), more("prt_1", "c")))
    first, second = (Frames(Encoder(task), a2a.StreamResponse) for _ in range(2))

    made = [first(entry) for entry in entries]

    assert all(second(entry) is frame for entry, frame in zip(entries, made, strict=True))


def test_the_versions_are_kept_apart() -> None:
    task, entries = journaled((STARTED, told("prt_1", TextPart("a")), more("prt_1", "b")))
    new, old = (Frames(Encoder(task, shape), response) for shape, response in VERSIONS)

    for entry in entries[1:]:
        assert a2a.StreamResponse.FromString(new(entry)) == a2a.StreamResponse.FromString(new(entry))
        assert old(entry) != new(entry)


def test_a_block_that_is_told_anew_as_another_kind_is_not_taken_for_the_old_one() -> None:
    again = told("prt_1", TextPart("x"), kind=BlockKind.REASONING)
    task, entries = journaled((STARTED, told("prt_1", TextPart("a")), more("prt_1", "b"), again, more("prt_1", "c")))
    reader, other = Frames(Encoder(task), a2a.StreamResponse), Frames(Encoder(task), a2a.StreamResponse)
    for entry in entries[:4]:
        reader(entry)
    other(entries[4])

    frame = a2a.StreamResponse.FromString(reader(entries[5]))

    assert shared(frame.artifact_update.artifact.metadata)["block_type"] == "reasoning"


def test_half_a_surrogate_pair_is_told_as_json_tells_it() -> None:
    task, entries = journaled((STARTED, told("prt_1", TextPart("a")), more("prt_1", "b"), more("prt_1", "c\ud800")))
    frames = Frames(Encoder(task), a2a.StreamResponse)

    *_, last = [a2a.StreamResponse.FromString(frames(entry)) for entry in entries]

    assert last.artifact_update.artifact.parts[0].text == "c\ufffd"
