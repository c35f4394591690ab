"""Every refusal over both bindings."""

from __future__ import annotations

import json

import httpx
import pytest
from litestar.exceptions import ClientException, HTTPException, TooManyRequestsException

from opencode_a2a_server.adapters.inbound.a2a.errors import (
    TABLE,
    Fault,
    MethodNotFound,
    PushNotificationNotSupported,
    Unauthenticated,
    VersionNotSupported,
)
from opencode_a2a_server.domain import errors
from tests.adapters.inbound.a2a.listener import Listener
from tests.adapters.inbound.a2a.stage import HEADERS, Stage, message_json, untouched

pytestmark = pytest.mark.anyio

ROWS = [
    (errors.TaskNotFound("x"), -32001, 404, "NOT_FOUND", "TASK_NOT_FOUND"),
    (errors.TaskNotCancelable("x"), -32002, 400, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE"),
    (PushNotificationNotSupported("x"), -32003, 400, "FAILED_PRECONDITION", "PUSH_NOTIFICATION_NOT_SUPPORTED"),
    (errors.UnsupportedOperation("x"), -32004, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
    (errors.TaskIsTerminal("x"), -32004, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
    (errors.TaskIsBusy("x"), -32004, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
    (errors.ContentTypeNotSupported("x"), -32005, 400, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"),
    (errors.AgentFault("x"), -32006, 500, "INTERNAL", "INVALID_AGENT_RESPONSE"),
    (errors.AgentRefused("x", 418), -32006, 500, "INTERNAL", "INVALID_AGENT_RESPONSE"),
    (VersionNotSupported("x"), -32009, 400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED"),
    (errors.InvalidRequest("x"), -32602, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
    (errors.ContextMismatch("x"), -32602, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
    (errors.AnswerDoesNotFit("x"), -32602, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
    (errors.AmbiguousAnswer("x"), -32602, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
    (errors.AlreadyAnswered("x"), -32055, 409, "ABORTED", "ALREADY_ANSWERED"),
    (errors.Draining("x"), -32050, 503, "UNAVAILABLE", "SERVICE_DRAINING"),
    (errors.JournalUnavailable("x"), -32051, 503, "UNAVAILABLE", "JOURNAL_UNAVAILABLE"),
    (errors.AgentUnreachable("x"), -32052, 503, "UNAVAILABLE", "AGENT_UNREACHABLE"),
    (errors.Unavailable("x"), -32053, 503, "UNAVAILABLE", "UNAVAILABLE"),
    (MethodNotFound("x"), -32601, 404, "NOT_FOUND", "METHOD_NOT_FOUND"),
    (Unauthenticated("x"), -32056, 401, "UNAUTHENTICATED", "UNAUTHENTICATED"),
]
INTERNAL = [errors.IllegalTransition("secret"), errors.Refusal("secret"), RuntimeError("secret"), KeyError("secret")]

Row = tuple[Exception, int, int, str, str]
by_name = pytest.mark.parametrize("row", ROWS, ids=[type(row[0]).__name__ for row in ROWS])
internal = pytest.mark.parametrize("error", INTERNAL, ids=lambda error: type(error).__name__)


async def rest_answer(stage: Stage, path: str = "/message:send") -> httpx.Response:
    async with stage.client() as client:
        return await client.post(path, json={"message": message_json()})


@by_name
async def test_json_rpc_says_code_reason_and_words(row: Row) -> None:
    error, code, _, _, reason = row
    stage = Stage()
    stage.accept.answer = error

    answer = await stage.rpc("SendMessage", {"message": message_json()})

    assert (answer["jsonrpc"], answer["id"]) == ("2.0", 1)
    assert (answer["error"]["code"], answer["error"]["message"]) == (code, "x")
    info = answer["error"]["data"][0]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["domain"]) == (reason, "a2a-protocol.org")


@by_name
@pytest.mark.parametrize("path", ["/message:send", "/message:stream"])
async def test_http_says_status_reason_and_words(row: Row, path: str) -> None:
    error, _, http, status, reason = row
    stage = Stage()
    stage.accept.answer = error

    answer = await rest_answer(stage, path)

    assert answer.status_code == http
    assert answer.headers["content-type"] == "application/a2a+json"
    told = answer.json()["error"]
    assert (told["code"], told["status"], told["message"]) == (http, status, "x")
    assert told["details"][0]["reason"] == reason


@internal
async def test_what_broke_in_us_is_told_to_nobody(error: Exception) -> None:
    stage = Stage()
    stage.accept.answer = error

    rpc = await stage.rpc("SendMessage", {"message": message_json()})
    rest = await rest_answer(stage)

    assert (rpc["error"]["code"], rpc["error"]["message"]) == (-32603, "Internal error")
    assert (rest.status_code, rest.json()["error"]["message"]) == (500, "Internal error")
    assert "secret" not in json.dumps(rpc) + rest.text


async def test_what_is_not_available_now_says_when_to_come_back() -> None:
    stage = Stage()
    stage.accept.answer = errors.AgentUnreachable("OpenCode does not answer")

    answer = await rest_answer(stage)

    assert answer.headers["retry-after"] == "5"
    assert answer.json()["error"]["details"][1] == {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": "5s",
    }


async def test_a_finer_kind_of_refusal_is_named() -> None:
    stage = Stage()
    stage.accept.answer = errors.TaskIsBusy("it works")

    answer = await stage.rpc("SendMessage", {"message": message_json()})

    assert answer["error"]["data"][0]["metadata"] == {"type": "TASK_IS_BUSY"}


async def test_a_broken_field_is_named() -> None:
    stage = Stage()
    stage.accept.answer = errors.InvalidRequest("no such context", "message.contextId")

    answer = await stage.rpc("SendMessage", {"message": message_json()})

    assert answer["error"]["data"][1] == {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "message.contextId", "description": "no such context"}],
    }


async def test_a_refused_stream_never_begins() -> None:
    stage = Stage()
    stage.accept.answer = errors.TaskNotFound("there is no such task")

    listener = await Listener.rpc(stage.app, "SendStreamingMessage", {"message": message_json()})

    assert listener.answer_headers["content-type"] == "application/json"
    assert json.loads(listener.text)["error"]["code"] == -32001


def test_every_refusal_of_the_domain_has_a_row() -> None:
    refusals = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Refusal)}

    missing = {kind for kind in refusals - {errors.Refusal} if not any(base in TABLE for base in kind.__mro__)}

    assert missing == set()


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/nowhere", 404, "METHOD_NOT_FOUND"),
        ("GET", "/tasks/x/y", 404, "METHOD_NOT_FOUND"),
        ("GET", "/", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/tasks/x", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/tasks/x", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_what_litestar_refuses_has_the_same_shape(method: str, path: str, status: int, reason: str) -> None:
    async with untouched().client() as client:
        answer = await client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/a2a+json"
    assert answer.json()["error"]["details"][0]["reason"] == reason


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/tasks/x", "GET, HEAD, OPTIONS"),
        ("/tasks/x:cancel", "OPTIONS, POST"),
        ("/tasks/x:subscribe", "GET, HEAD, OPTIONS, POST"),
        ("/v1/tasks/x:cancel", "OPTIONS, POST"),
    ],
)
async def test_a_method_that_is_not_allowed_names_those_which_are(path: str, allowed: str) -> None:
    async with untouched().client() as client:
        answer = await client.put(path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_what_is_posted_is_not_got() -> None:
    async with untouched().client() as client:
        answer = await client.get("/tasks/x:cancel")

    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")


async def test_a_foreign_host_header_is_refused_in_the_same_shape() -> None:
    async with untouched().client() as client:
        answer = await client.get("/tasks/x", headers={"host": "a b"})

    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("path", ["/", "/message:send", "/message:stream"])
async def test_a_body_that_is_too_large_is_refused(path: str) -> None:
    async with untouched().client() as client:
        answer = await client.post(path, json={"message": message_json("x" * 5000)})

    assert answer.status_code == 413
    assert "REQUEST_BODY_TOO_LARGE" in answer.text


async def test_a_body_of_unknown_length_that_is_too_large_is_refused() -> None:
    async def endless() -> object:
        for _ in range(100):
            yield b" " * 100

    async with untouched().client() as client:
        answer = await client.post("/message:send", content=endless())  # type: ignore[arg-type]

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("error", "code", "http", "reason"),
    [
        (ClientException(status_code=415), -32005, 415, "CONTENT_TYPE_NOT_SUPPORTED"),
        (TooManyRequestsException(), -32600, 429, "INVALID_REQUEST"),
        (HTTPException(status_code=502), -32603, 500, "INTERNAL_ERROR"),
    ],
)
def test_other_errors_of_litestar_have_rows(error: Exception, code: int, http: int, reason: str) -> None:
    row = Fault.of(error).row

    assert (row.code, row.http, row.reason) == (code, http, reason)


async def test_without_credentials_nothing_is_told() -> None:
    async with untouched().client({}) as client:
        answer = await client.post("/", json={"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "x"}})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["status"] == "UNAUTHENTICATED"
    assert HEADERS["authorization"] not in answer.text
