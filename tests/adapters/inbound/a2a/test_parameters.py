"""Versions, extensions, cursors."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.adapters.inbound.a2a.errors import VersionNotSupported
from opencode_a2a_server.adapters.inbound.a2a.parameters import check_version, read_cursor
from opencode_a2a_server.adapters.inbound.a2a.shared import cursor
from opencode_a2a_server.app.usecases.subscribe import Cursor
from opencode_a2a_server.domain.ids import Seq, TaskId
from tests.adapters.inbound.a2a.listener import Listener
from tests.adapters.inbound.a2a.stage import Stage, untouched

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("asked", ["", "1.0", "1.0.3", "1.00"])
def test_a_served_version_is_taken_whatever_its_patch(asked: str) -> None:
    check_version(asked)


@pytest.mark.parametrize("asked", ["0.3", "0.3.0", "1.1", "2.0", "1", "one", "1.0-beta", "1.0.0.0", "\u0661.\u0660.1"])
def test_another_version_is_refused(asked: str) -> None:
    with pytest.raises(VersionNotSupported, match=r"served: 1\.0"):
        check_version(asked)


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, "", 404),
        ({"a2a-version": ""}, "", 404),
        ({"a2a-version": "1.0"}, "", 404),
        ({}, "?A2A-Version=1.0", 404),
        ({}, "?a2a-version=1.0.1", 404),
        ({"a2a-version": "0.3"}, "", 400),
        ({}, "?A2A-Version=0.3", 400),
        ({"a2a-version": "1.0"}, "?A2A-Version=0.3", 404),
        ({}, "?version=0.3", 404),
    ],
)
async def test_the_version_is_in_a_header_or_the_query(headers: Mapping[str, str], query: str, status: int) -> None:
    async with untouched().client({"authorization": "Bearer let-me-in"}) as client:
        answer = await client.get(f"/tasks/x{query}", headers=headers)

    assert answer.status_code == status


async def test_json_rpc_refuses_a_version_as_the_protocol_says() -> None:
    stage = Stage()
    async with stage.client() as client:
        call = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "x"}}
        answer = await client.post("/", json=call, headers={"a2a-version": "2.0"})

    assert answer.json()["error"]["code"] == -32009


async def test_methods_of_0_3_are_not_found_with_a_word_about_why() -> None:
    error = (await untouched().rpc("message/send", {}))["error"]

    assert error["code"] == -32601
    assert "1.0" in error["message"]


@pytest.mark.parametrize("name", ["a2a-extensions", "x-a2a-extensions"])
async def test_activated_extensions_are_echoed_and_others_ignored(name: str) -> None:
    stage = Stage()
    await stage.begin()

    async with stage.client() as client:
        asked = {name: "urn:unknown, urn:a2a:stream-hints/v1"}
        rest = await client.get("/tasks/task-1", headers=asked)
        rpc = await client.post(
            "/", json={"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "task-1"}}, headers=asked
        )
    listener = await Listener.rest(stage.app, "/tasks/task-1:subscribe", headers=asked)

    assert rest.headers["a2a-extensions"] == "urn:a2a:stream-hints/v1"
    assert rpc.headers["a2a-extensions"] == "urn:a2a:stream-hints/v1"
    assert listener.answer_headers["a2a-extensions"] == "urn:a2a:stream-hints/v1"
    await listener.leave()


@given(st.text(min_size=1).filter(lambda text: "\n" not in text), st.integers(0, 10**15 - 1))
def test_a_cursor_comes_back_as_it_was_told(task: str, seq: int) -> None:
    assert read_cursor(cursor(TaskId(task), Seq(seq))) == Cursor(TaskId(task), Seq(seq))


@given(st.text(st.characters(exclude_characters=":")))
def test_what_is_no_cursor_is_no_place_of_any_task(text: str) -> None:
    assert read_cursor(text) == Cursor(TaskId(""), Seq(0))
