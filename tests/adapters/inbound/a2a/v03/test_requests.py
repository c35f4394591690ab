"""Requests of 0.3: whatever comes is read or refused, never an error of ours."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opencode_a2a_server.adapters.inbound.a2a.encode import task_result
from opencode_a2a_server.adapters.inbound.a2a.requests import read_get
from opencode_a2a_server.adapters.inbound.a2a.v03.requests import read_send_0_3, send_params, task_params
from opencode_a2a_server.adapters.inbound.a2a.v03.shape import JSON
from opencode_a2a_server.domain.errors import InvalidRequest, Refusal
from opencode_a2a_server.domain.message import DataPart, RawPart
from tests.adapters.inbound.a2a.test_encode import journaled
from tests.adapters.inbound.a2a.v03.test_methods import message

_NAME = st.sampled_from(
    [
        "kind",
        "text",
        "data",
        "file",
        "bytes",
        "uri",
        "fileWithBytes",
        "metadata",
        "value",
        "data_part_compat",
        "schemes",
    ]
)
_VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "user", "0", "text", "AAAA", "é"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAME, inner, max_size=3),
    max_leaves=6,
)
_PART = st.dictionaries(_NAME, _VALUE, max_size=4)
_CONFIGURATION = st.dictionaries(
    st.sampled_from(["blocking", "historyLength", "acceptedOutputModes", "pushNotificationConfig", "pushNotification"]),
    _VALUE | st.fixed_dictionaries({"authentication": _VALUE}),
    max_size=3,
)


@given(st.sampled_from(["parts", "content"]), st.lists(_PART, max_size=2) | _VALUE, _CONFIGURATION | _VALUE)
@example("parts", [{"kind": "data", "data": {"value": 1}, "metadata": "x"}], None)
@example("parts", [], {"pushNotificationConfig": {"authentication": {"schemes": {"0": 1}}}})
def test_whatever_comes_is_read_or_refused(name: str, parts: object, configuration: object) -> None:
    said = {**message(), "parts": None} | {name: parts}

    with suppress(Refusal):
        assert read_send_0_3({"message": said, "configuration": configuration}).message.parts


@pytest.mark.parametrize("params", [None, [], "x", 7])
def test_parameters_that_are_no_object_are_refused(params: object) -> None:
    for read, rename in ((read_send_0_3, send_params), (lambda told: read_get(task_params(told)), task_params)):
        assert rename(params) == params
        with pytest.raises(InvalidRequest):
            read(params)


def test_data_of_no_kind_is_not_taken_apart() -> None:
    parts = [{"data": {"a": 1}}, {"data": {"data": {"a": 1}, "b": 2}}, {"data": {"data": {"a": 1}}}]

    heard = read_send_0_3({"message": message(parts=parts)}).message

    assert heard.parts == (DataPart({"a": 1}), DataPart({"data": {"a": 1}, "b": 2}), DataPart({"a": 1}))


@pytest.mark.parametrize(("name", "kind"), [("kind", "video"), ("type", "unsupported"), ("kind", {}), ("kind", None)])
def test_a_part_of_an_unknown_kind_is_refused_whatever_it_holds(name: str, kind: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_send_0_3({"message": message(parts=[{name: kind, "text": "hello"}])})

    assert refused.value.field == "message.parts[0]"


@pytest.mark.parametrize("content", [b"", b"\x89PNG\0", b"plain words", bytes(range(256))])
def test_a_file_in_proto_json_is_read_however_often_it_was_encoded(content: bytes) -> None:
    once = base64.b64encode(content).decode()
    twice = base64.b64encode(once.encode()).decode()

    for sent in (once, twice):
        said = {**message(), "content": [{"file": {"fileWithBytes": sent}}]}
        assert read_send_0_3({"message": said}).message.parts == (RawPart(content),)


def test_a_task_without_history_has_none() -> None:
    task, _ = journaled([])

    assert "history" not in json.loads(task_result(task, 0, shape=JSON))
