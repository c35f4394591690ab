"""Every refusal as gRPC tells it."""

from __future__ import annotations

import logging

import grpc
import pytest
from a2a import types as a2a

from opencode_a2a_server.adapters.inbound.a2a.errors import TABLE, Fault
from opencode_a2a_server.adapters.inbound.a2a.grpc.status import status_of
from opencode_a2a_server.domain import errors
from tests.adapters.inbound.a2a.grpc.line import METADATA, Told, error_of, line
from tests.adapters.inbound.a2a.stage import Stage
from tests.adapters.inbound.a2a.test_errors import Row, by_name, internal
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio

MESSAGE = a2a.Message(message_id="message-1", role=a2a.Role.ROLE_USER, parts=[a2a.Part(text="hello")])


async def refused(stage: Stage) -> Told:
    """Send a message that is refused: in the same way whether or not its task would have been followed."""
    async with line(stage) as called:
        methods = (called.v1.SendMessage, called.v1.SendStreamingMessage)
        request = a2a.SendMessageRequest(message=MESSAGE)
        whole, streamed = [await error_of(method(request, metadata=METADATA)) for method in methods]
    assert whole == streamed
    return whole


@clause("10.6", "5.4")
@by_name
async def test_a_refusal_has_its_code_and_says_why(row: Row) -> None:
    error, _, _, status, reason = row
    stage = Stage()
    stage.accept.answer = error

    told = await refused(stage)

    assert (told.code, told.message, told.reason) == (status, "x", reason)


@internal
async def test_what_broke_in_us_is_not_told(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.accept.answer = error

    with caplog.at_level(logging.ERROR):
        told = await refused(stage)

    assert (told.code, told.message, told.reason) == ("INTERNAL", "Internal error", "INTERNAL_ERROR")
    assert "secret" in caplog.text


async def test_what_is_too_coarse_for_a_reason_has_its_type() -> None:
    stage = Stage()
    stage.accept.answer = errors.TaskIsBusy("it works")

    assert (await refused(stage)).metadata == {"type": "TASK_IS_BUSY"}


async def test_the_field_that_broke_the_contract_is_named_and_when_to_try_again() -> None:
    stage = Stage()
    stage.accept.answer = errors.AmbiguousAnswer("say yes or no", "message.parts[0]")
    ambiguous = await refused(stage)
    stage = Stage()
    stage.accept.answer = errors.AgentUnreachable("start it")
    unreachable = await refused(stage)

    assert (ambiguous.fields, ambiguous.retry) == (["message.parts[0]"], 0)
    assert (unreachable.fields, unreachable.retry) == ([], 5)


async def test_a_long_message_is_cut_so_that_clients_take_it() -> None:
    stage = Stage()
    stage.accept.answer = errors.InvalidRequest("\U0001f600" * 100_000, "message")

    told = await refused(stage)

    assert told.message == "\U0001f600" * 250 + "…"
    assert told.fields == ["message"]


async def test_a_message_that_utf_8_cannot_say_is_told_all_the_same() -> None:
    stage = Stage()
    stage.accept.answer = errors.InvalidRequest("what is \ud800?", "message")

    assert (await refused(stage)).message == "what is \ufffd?"


def test_grpc_knows_the_status_of_every_row() -> None:
    for refusal_, row in TABLE.items():
        status = status_of(Fault.of(refusal_("x")))
        assert status.code == grpc.StatusCode[row.status].value[0]
