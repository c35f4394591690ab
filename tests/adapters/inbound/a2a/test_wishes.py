"""What a message asks for in its metadata."""

from __future__ import annotations

from typing import Any

import pytest

from opencode_a2a_server.adapters.inbound.a2a.requests import read_send
from opencode_a2a_server.adapters.inbound.a2a.v03.requests import read_send_0_3
from opencode_a2a_server.domain.errors import InvalidRequest, SessionNotFound
from opencode_a2a_server.domain.session import NO_WISHES, ModelChoice, Wishes
from tests.adapters.inbound.a2a.stage import Stage, message_json

MODEL = {"providerID": "anthropic", "modelID": "claude"}
EVERYTHING = {
    "shared": {"session": {"id": "ses_1"}, "model": MODEL, "stream": {"cursor": "t:1"}},
    "opencode": {"directory": "a/b", "agent": "plan", "variant": "high", "more": 1},
}
WISHES = Wishes("ses_1", "a/b", ModelChoice("anthropic", "claude"), "plan", "high")  # type: ignore[arg-type]


def wishes_of(message: dict[str, Any] | None = None, request: dict[str, Any] | None = None) -> Wishes:
    params = {"message": message_json(metadata=message or {}), "metadata": request or {}}
    return read_send(params).message.wishes


def test_a_message_without_metadata_wishes_nothing() -> None:
    assert read_send({"message": message_json()}).message.wishes is NO_WISHES
    assert wishes_of({"mine": 1}) == wishes_of({"shared": {}, "opencode": None}) == NO_WISHES


def test_wishes_stand_in_the_message_or_in_the_request() -> None:
    assert wishes_of(EVERYTHING) == wishes_of({}, EVERYTHING) == WISHES


def test_what_the_message_says_counts_before_what_the_request_says() -> None:
    wishes = wishes_of({"shared": {"session": {"id": "ses_2"}}, "opencode": {"agent": None}}, EVERYTHING)

    assert (wishes.session, wishes.model, wishes.agent) == ("ses_2", WISHES.model, "plan")


def test_clients_of_0_3_wish_the_same() -> None:
    message = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "x"}]}

    assert read_send_0_3({"message": {**message, "metadata": EVERYTHING}}).message.wishes == WISHES
    assert read_send_0_3({"message": message, "metadata": EVERYTHING}).message.wishes == WISHES


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"shared": "x"}, "shared"),
        ({"shared": []}, "shared"),
        ({"shared": {"session": "ses_1"}}, "shared.session"),
        ({"shared": {"session": {}}}, "shared.session.id"),
        ({"shared": {"session": {"id": ""}}}, "shared.session.id"),
        ({"shared": {"session": {"id": 7}}}, "shared.session.id"),
        ({"shared": {"session": {"id": "a\nb"}}}, "shared.session.id"),
        ({"shared": {"model": "anthropic/claude"}}, "shared.model"),
        ({"shared": {"model": {"providerID": "anthropic"}}}, "shared.model.modelID"),
        ({"shared": {"model": {"modelID": "claude"}}}, "shared.model.providerID"),
        ({"shared": {"model": {"providerID": "", "modelID": "claude"}}}, "shared.model.providerID"),
        ({"shared": {"model": {"providerID": ["a"], "modelID": "claude"}}}, "shared.model.providerID"),
        ({"opencode": 1}, "opencode"),
        ({"opencode": {"directory": ["a"]}}, "opencode.directory"),
        ({"opencode": {"directory": ""}}, "opencode.directory"),
        ({"opencode": {"directory": "a" * 5000}}, "opencode.directory"),
        ({"opencode": {"agent": {}}}, "opencode.agent"),
        ({"opencode": {"variant": True}}, "opencode.variant"),
        ({"opencode": {"workspace": {"id": "wrk_1"}}}, "opencode.workspace"),
    ],
)
def test_what_is_half_given_or_of_the_wrong_kind_is_refused(metadata: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        wishes_of(metadata)
    assert refused.value.field == f"message.metadata.{field}"

    with pytest.raises(InvalidRequest) as refused:
        wishes_of({}, metadata)
    assert refused.value.field == f"metadata.{field}"


@pytest.mark.anyio
async def test_a_session_that_is_not_ones_own_is_not_found() -> None:
    stage = Stage()
    stage.accept.answer = SessionNotFound("there is no session ses_1")

    told = (await stage.rpc("SendMessage", {"message": message_json()}))["error"]

    assert told["code"] == -32054
    assert told["data"][0]["reason"] == "SESSION_NOT_FOUND"
    async with stage.client() as client:
        assert (await client.post("/message:send", json={"message": message_json()})).status_code == 404
