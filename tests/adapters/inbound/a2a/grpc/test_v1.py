"""The operations of protocol 1.0 over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from a2a import types as a2a
from a2a.compat.v0_3 import a2a_v0_3_pb2
from attrs import evolve
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from opencode_a2a_server.domain.ids import Principal, TaskId
from opencode_a2a_server.domain.message import DataPart, RawPart
from tests.adapters.inbound.a2a.grpc.line import LARGEST, METADATA, OLD, Line, Told, error_of, line
from tests.adapters.inbound.a2a.stage import CARD, Stage, message_json, said
from tests.adapters.inbound.a2a.updates import COMPLETED, JOURNALS, STARTED
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio

MESSAGE = a2a.Message(message_id="message-1", role=a2a.Role.ROLE_USER, parts=[a2a.Part(text="hello")])
REQUESTS: dict[str, Message] = {
    "GetTask": a2a.GetTaskRequest(id="task-1"),
    "SubscribeToTask": a2a.SubscribeToTaskRequest(id="task-1"),
}
NOW = a2a.SendMessageConfiguration(return_immediately=True)
CONFIG = a2a.TaskPushNotificationConfig(
    task_id="task-1",
    id="mine",
    url="https://client.example/hook",
    token="my-token",  # noqa: S106 - a test's
    authentication=a2a.AuthenticationInfo(scheme="Bearer", credentials="my-credentials"),
)


async def refused(called: Line, method: str, request: Message, metadata: Any = METADATA) -> Told:
    return await error_of(getattr(called.v1, method)(request, metadata=metadata))


async def test_a_message_becomes_a_task() -> None:
    stage = Stage()
    async with line(stage) as called:
        sent = await called.v1.SendMessage(
            a2a.SendMessageRequest(message=MESSAGE, configuration=NOW), metadata=METADATA
        )

    assert sent.task.id == "task-1"
    assert sent.task.status.state == a2a.TaskState.TASK_STATE_SUBMITTED
    assert [message.text for message in stage.accept.heard] == ["hello"]


async def test_a_bare_reply_is_a_message() -> None:
    stage = Stage()
    stage.accept.answer = said("hello yourself")
    async with line(stage) as called:
        sent = await called.v1.SendMessage(a2a.SendMessageRequest(message=MESSAGE), metadata=METADATA)

    assert sent.message.parts[0].text == "hello yourself"


async def test_files_and_data_arrive_as_they_were_sent() -> None:
    stage = Stage()
    message = a2a.Message(message_id="m", role=a2a.Role.ROLE_USER)
    message.parts.add(raw=b"\0\xff", media_type="image/png", filename="a.png")
    message.parts.add().data.struct_value.update({"n": 1, "deep": [1.5, None, True]})
    async with line(stage) as called:
        await called.v1.SendMessage(a2a.SendMessageRequest(message=message, configuration=NOW), metadata=METADATA)

    (heard,) = stage.accept.heard
    assert heard.parts == (
        RawPart(b"\0\xff", "image/png", "a.png"),
        DataPart({"n": 1, "deep": [1.5, None, True]}),
    )


@clause("4a", "5.1b")
@pytest.mark.parametrize("name", JOURNALS)
async def test_a_task_is_the_same_by_json_rpc_and_by_grpc(name: str) -> None:
    stage = Stage()
    log = await stage.begin()
    log.append(JOURNALS[name])
    for params in ({}, {"historyLength": 0}, {"historyLength": 1}):
        wanted = {"id": "task-1", **params}
        by_rpc = (await stage.rpc("GetTask", wanted))["result"]
        async with line(stage) as called:
            by_grpc = await called.v1.GetTask(ParseDict(wanted, a2a.GetTaskRequest()), metadata=METADATA)

        assert by_grpc == ParseDict(by_rpc, a2a.Task())


async def test_lists_are_the_same_by_json_rpc_and_by_grpc() -> None:
    stage = Stage()
    for number in range(5):
        log = await stage.begin(f"task-{number}")
        log.append([STARTED, COMPLETED] if number % 2 else [STARTED])
    await stage.begin("theirs", Principal("somebody"))
    params: dict[str, Any] = {"pageSize": 2, "status": "TASK_STATE_WORKING", "includeArtifacts": True}

    by_rpc = (await stage.rpc("ListTasks", params))["result"]
    async with line(stage) as called:
        page = await called.v1.ListTasks(ParseDict(params, a2a.ListTasksRequest()), metadata=METADATA)
        params["pageToken"] = page.next_page_token
        rest = await called.v1.ListTasks(ParseDict(params, a2a.ListTasksRequest()), metadata=METADATA)

    assert page == ParseDict(by_rpc, a2a.ListTasksResponse())
    assert (page.total_size, len(page.tasks), len(rest.tasks), rest.next_page_token) == (3, 2, 1, "")


async def test_a_task_is_canceled_once() -> None:
    stage = Stage()
    await stage.begin()
    async with line(stage) as called:
        canceled = await called.v1.CancelTask(a2a.CancelTaskRequest(id="task-1"), metadata=METADATA)
        again = await refused(called, "CancelTask", a2a.CancelTaskRequest(id="task-1"))

    assert canceled.status.state == a2a.TaskState.TASK_STATE_CANCELED
    assert (again.code, again.reason) == ("FAILED_PRECONDITION", "TASK_NOT_CANCELABLE")


async def test_push_notifications_are_configured_seen_listed_and_ended() -> None:
    stage = Stage(pushes=True)
    await stage.begin()
    this = {"task_id": "task-1", "id": "mine"}
    every = a2a.ListTaskPushNotificationConfigsRequest(task_id="task-1")
    async with line(stage) as called:
        made = await called.v1.CreateTaskPushNotificationConfig(CONFIG, metadata=METADATA)
        wanted = a2a.GetTaskPushNotificationConfigRequest(**this)
        got = await called.v1.GetTaskPushNotificationConfig(wanted, metadata=METADATA)
        listed = await called.v1.ListTaskPushNotificationConfigs(every, metadata=METADATA)
        ended = a2a.DeleteTaskPushNotificationConfigRequest(**this)
        await called.v1.DeleteTaskPushNotificationConfig(ended, metadata=METADATA)
        left = await called.v1.ListTaskPushNotificationConfigs(every, metadata=METADATA)
        gone = await refused(called, "GetTaskPushNotificationConfig", wanted)

    assert made == got == CONFIG
    assert list(listed.configs) == [CONFIG]
    assert list(left.configs) == []
    assert gone.reason == "TASK_NOT_FOUND"


async def test_a_message_may_bring_its_push_notification_configuration() -> None:
    stage = Stage(pushes=True)
    asked = a2a.SendMessageConfiguration(return_immediately=True, task_push_notification_config=CONFIG)
    asked.task_push_notification_config.task_id = ""
    async with line(stage) as called:
        await called.v1.SendMessage(a2a.SendMessageRequest(message=MESSAGE, configuration=asked), metadata=METADATA)
        every = a2a.ListTaskPushNotificationConfigsRequest(task_id="task-1")
        listed = await called.v1.ListTaskPushNotificationConfigs(every, metadata=METADATA)

    assert [config.url for config in listed.configs] == [CONFIG.url]


async def test_where_there_are_no_push_notifications_they_are_refused() -> None:
    async with line(Stage()) as called:
        told = await refused(called, "CreateTaskPushNotificationConfig", CONFIG)

    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "PUSH_NOTIFICATION_NOT_SUPPORTED")


async def test_the_extended_card_is_that_of_json_rpc() -> None:
    stage = Stage(required=["urn:a2a:stream-hints/v1"])
    by_rpc = (await stage.rpc("GetExtendedAgentCard", {}))["result"]
    async with line(stage) as called:
        card = await called.v1.GetExtendedAgentCard(a2a.GetExtendedAgentCardRequest(), metadata=METADATA)

    assert card == ParseDict(by_rpc, a2a.AgentCard())


async def test_an_extended_card_that_is_turned_off_is_refused_in_either_version() -> None:
    async with line(Stage(card=evolve(CARD, extended=False))) as called:
        told = await refused(called, "GetExtendedAgentCard", a2a.GetExtendedAgentCardRequest())
        old = await error_of(called.v03.GetAgentCard(a2a_v0_3_pb2.GetAgentCardRequest(), metadata=OLD))

    assert (told.reason, old.reason) == ("UNSUPPORTED_OPERATION", "EXTENDED_AGENT_CARD_NOT_CONFIGURED")


# What breaks the contract


@clause("3.3.2e")
@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("SendMessage", a2a.SendMessageRequest(), "message.messageId"),
        ("SendMessage", a2a.SendMessageRequest(message=a2a.Message(message_id="m")), "message.role"),
        ("GetTask", a2a.GetTaskRequest(), "id"),
        ("GetTask", a2a.GetTaskRequest(id="task-1", history_length=-1), "historyLength"),
        ("CancelTask", a2a.CancelTaskRequest(), "id"),
        ("ListTasks", a2a.ListTasksRequest(page_size=101), "pageSize"),
        ("ListTasks", a2a.ListTasksRequest(page_size=0), "pageSize"),
        ("ListTasks", a2a.ListTasksRequest(page_token="x"), "pageToken"),  # noqa: S106 - not a password
        ("ListTasks", a2a.ListTasksRequest(status=99), "status"),  # type: ignore[arg-type] # as a newer client may
    ],
)
async def test_what_breaks_the_contract_is_refused_and_the_field_named(
    method: str, request_: Message, field: str
) -> None:
    async with line(Stage()) as called:
        told = await refused(called, method, request_)

    assert (told.code, told.reason, told.fields) == ("INVALID_ARGUMENT", "INVALID_PARAMS", [field])


async def test_what_is_no_message_at_all_is_refused() -> None:
    async with line(Stage()) as called:
        call = called.raw("/lf.a2a.v1.A2AService/GetTask")
        told = await error_of(call(b"\xff\xff\xff", metadata=METADATA))

    assert (told.code, told.message) == ("INVALID_ARGUMENT", "the request is no GetTaskRequest")


async def test_a_request_that_is_too_large_is_refused() -> None:
    message = a2a.Message(message_id="m", role=a2a.Role.ROLE_USER, parts=[a2a.Part(text="x" * LARGEST)])
    async with line(Stage()) as called:
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await called.v1.SendMessage(a2a.SendMessageRequest(message=message), metadata=METADATA)

    assert told.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_method_that_nobody_knows_is_refused() -> None:
    async with line(Stage()) as called:
        call = called.raw("/lf.a2a.v1.A2AService/DropTables")
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await call(b"", metadata=METADATA)

    assert told.value.code() == grpc.StatusCode.UNIMPLEMENTED


# Who asks, and how


@clause("7.4", "13.1a")
@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", "Bearer wrong"),),
        (("authorization", "Basic bGV0LW1lLWlu"),),
        (("authorization", "let-me-in"),),
        (*METADATA, ("authorization", "Bearer let-me-in")),
    ],
)
@pytest.mark.parametrize("method", ["GetTask", "SubscribeToTask"])
async def test_nobody_gets_in_without_the_token(method: str, metadata: Any) -> None:
    stage = Stage()
    await stage.begin()
    async with line(stage) as called:
        told = await error_of(getattr(called.v1, method)(REQUESTS[method], metadata=metadata))

    assert (told.code, told.reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")


async def test_who_asks_is_looked_at_before_what_is_asked() -> None:
    async with line(Stage()) as called:
        call = called.raw("/lf.a2a.v1.A2AService/GetTask")
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await call(b"\xff\xff\xff")

    assert told.value.code() == grpc.StatusCode.UNAUTHENTICATED


@clause("3.3.2d", "13.1c")
async def test_somebody_else_s_task_is_not_found() -> None:
    stage = Stage()
    await stage.begin("theirs", Principal("somebody"))
    async with line(stage) as called:
        told = await refused(called, "GetTask", a2a.GetTaskRequest(id="theirs"))

    assert (told.code, told.reason) == ("NOT_FOUND", "TASK_NOT_FOUND")


@pytest.mark.parametrize("version", ["1.0", "1.0.7", "", None])
async def test_the_version_of_the_service_is_served_and_so_is_none(version: str | None) -> None:
    stage = Stage()
    await stage.begin()
    metadata = METADATA[:1] if version is None else (*METADATA[:1], ("a2a-version", version))
    async with line(stage) as called:
        got = await called.v1.GetTask(a2a.GetTaskRequest(id="task-1"), metadata=metadata)

    assert got.id == "task-1"


@clause("10.2")
@pytest.mark.parametrize("version", ["0.3", "1.1", "2.0", "one"])
@pytest.mark.parametrize("method", ["GetTask", "SubscribeToTask"])
async def test_another_version_is_refused(method: str, version: str) -> None:
    stage = Stage()
    await stage.begin()
    metadata = (*METADATA[:1], ("a2a-version", version))
    async with line(stage) as called:
        told = await error_of(getattr(called.v1, method)(REQUESTS[method], metadata=metadata))

    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED")


@clause("10.2")
async def test_extensions_that_are_honoured_are_said_to_be_active() -> None:
    stage = Stage()
    log = await stage.begin()
    asked = (*METADATA, ("a2a-extensions", "urn:a2a:stream-hints/v1, urn:x:unknown"))
    async with line(stage) as called:
        got = called.v1.GetTask(a2a.GetTaskRequest(id="task-1"), metadata=asked)
        followed = called.v1.SubscribeToTask(a2a.SubscribeToTaskRequest(id="task-1"), metadata=asked)
        plain = called.v1.GetTask(a2a.GetTaskRequest(id="task-1"), metadata=METADATA)
        active = [dict(await call.initial_metadata()).get("a2a-extensions") for call in (got, followed, plain)]
        log.append([STARTED, COMPLETED])
        await got
        await plain

    assert active == ["urn:a2a:stream-hints/v1", "urn:a2a:stream-hints/v1", None]


async def test_a_caller_who_leaves_does_not_stop_what_was_sent() -> None:
    stage = Stage()
    async with line(stage) as called:
        call = called.v1.SendMessage(a2a.SendMessageRequest(message=MESSAGE), metadata=METADATA)
        while not stage.journal.logs:
            await called.knock()
        call.cancel()
        (log,) = stage.journal.logs.values()
        log.append([STARTED, COMPLETED])
        got = await called.v1.GetTask(a2a.GetTaskRequest(id=TaskId("task-1")), metadata=METADATA)

    assert got.status.state == a2a.TaskState.TASK_STATE_COMPLETED


async def test_both_bindings_hear_the_same_message() -> None:
    stage = Stage()
    params = {"message": message_json(), "configuration": {"returnImmediately": True}}
    await stage.rpc("SendMessage", params)
    async with line(stage) as called:
        await called.v1.SendMessage(ParseDict(params, a2a.SendMessageRequest()), metadata=METADATA)

    by_rpc, by_grpc = stage.accept.heard
    assert by_rpc == by_grpc


async def test_who_does_not_name_a_required_extension_is_refused() -> None:
    stage = Stage(required=["urn:a2a:stream-hints/v1"])
    await stage.begin()
    named = (*METADATA, ("a2a-extensions", "urn:a2a:stream-hints/v1"))

    async with line(stage) as called:
        told = await refused(called, "GetTask", REQUESTS["GetTask"])
        old = await error_of(called.v03.GetTask(a2a_v0_3_pb2.GetTaskRequest(name="tasks/task-1"), metadata=OLD))
        got = await called.v1.GetTask(REQUESTS["GetTask"], metadata=named)

    assert told.reason == old.reason == "EXTENSION_SUPPORT_REQUIRED"
    assert got.id == "task-1"
