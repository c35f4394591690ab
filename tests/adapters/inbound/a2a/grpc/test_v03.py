"""Protocol 0.3 over gRPC, on the same tasks."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from a2a import types as a2a
from a2a.compat.v0_3 import a2a_v0_3_pb2 as proto
from a2a.compat.v0_3 import proto_utils
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from opencode_a2a_server.domain.ids import TaskId
from opencode_a2a_server.domain.message import DataPart, RawPart, TextPart
from opencode_a2a_server.domain.updates import InterruptRaised
from tests.adapters.inbound.a2a.grpc.line import METADATA, OLD, error_of, line
from tests.adapters.inbound.a2a.listener import Listener
from tests.adapters.inbound.a2a.stage import TOKEN, Stage
from tests.adapters.inbound.a2a.updates import COMPLETED, JOURNALS, PERMISSION, STARTED, more, told
from tests.conformance.clauses import clause
from tests.fakes.clock import settled

pytestmark = pytest.mark.anyio

MESSAGE = proto.Message(message_id="message-1", role=proto.ROLE_USER, content=[proto.Part(text="hello")])
SEND = proto.SendMessageRequest(request=MESSAGE)


async def rest(call: Any) -> list[proto.StreamResponse]:
    responses = []
    while (response := await call.read()) is not grpc.aio.EOF:
        responses.append(response)
    return responses


@clause("0.3 3.2.2")
async def test_a_message_of_0_3_becomes_a_task_that_1_0_sees() -> None:
    stage = Stage()
    async with line(stage) as called:
        sent = await called.v03.SendMessage(SEND, metadata=OLD)
        got = await called.v1.GetTask(a2a.GetTaskRequest(id=sent.task.id), metadata=METADATA)

    assert (sent.task.id, sent.task.status.state) == ("task-1", proto.TASK_STATE_SUBMITTED)
    assert got.history[0].parts[0].text == "hello"


async def test_whoever_wants_to_wait_says_so() -> None:
    stage = Stage()
    waiting = proto.SendMessageRequest(request=MESSAGE, configuration=proto.SendMessageConfiguration(blocking=True))
    async with line(stage) as called:
        call = called.v03.SendMessage(waiting, metadata=OLD)
        while not stage.journal.logs:
            await called.knock()
        stage.journal.logs[TaskId("task-1")].append([STARTED, COMPLETED])
        sent = await call

    assert sent.task.status.state == proto.TASK_STATE_COMPLETED


async def test_every_kind_of_part_arrives() -> None:
    stage = Stage()
    message = proto.Message(message_id="m", role=proto.ROLE_USER, content=[proto.Part(text="hi")])
    message.content.add().data.data.update({"n": 1})
    file = message.content.add().file
    file.file_with_bytes, file.mime_type, file.name = b"iVBORw==", "image/png", "a.png"  # Base64: as the SDKs send it
    async with line(stage) as called:
        await called.v03.SendMessage(proto.SendMessageRequest(request=message), metadata=OLD)

    (heard,) = stage.accept.heard
    assert heard.parts == (TextPart("hi"), DataPart({"n": 1}), RawPart(b"\x89PNG", "image/png", "a.png"))


@clause("0.3 3.2.2", "0.3 3.4.1")
@pytest.mark.parametrize("name", JOURNALS)
async def test_a_task_and_its_stream_are_those_of_http(name: str) -> None:
    stage = Stage()
    log = await stage.begin()
    headers = {"a2a-version": "0.3"}
    listener = await Listener.rest(stage.app, "/v1/tasks/task-1:subscribe", headers=headers)
    async with line(stage) as called, stage.client({"authorization": f"Bearer {TOKEN}"}) as client:
        call = called.v03.TaskSubscription(proto.TaskSubscriptionRequest(name="tasks/task-1"), metadata=OLD)
        responses = [await call.read()]
        log.append(JOURNALS[name])
        await settled()
        while len(responses) < len(listener.frames):
            responses.append(await call.read())
        by_http = (await client.get("/v1/tasks/task-1")).json()
        by_grpc = await called.v03.GetTask(proto.GetTaskRequest(name="tasks/task-1"), metadata=OLD)

    assert responses == [ParseDict(dict(frame.result), proto.StreamResponse()) for frame in listener.frames]
    assert by_grpc == ParseDict(by_http, proto.Task())
    assert proto_utils.FromProto.task(by_grpc).id == "task-1"
    await listener.leave()


async def test_the_last_status_of_a_stream_is_final() -> None:
    stage = Stage()
    async with line(stage) as called:
        call = called.v03.SendStreamingMessage(SEND, metadata=OLD)
        opening = await call.read()
        stage.journal.logs[TaskId("task-1")].append(
            [STARTED, told("prt_1", TextPart("4")), more("prt_1", "2"), InterruptRaised(PERMISSION)]
        )
        responses = await rest(call)

    assert opening.task.id == "task-1"
    assert [response.WhichOneof("payload") for response in responses] == [
        "status_update",
        "artifact_update",
        "artifact_update",
        "status_update",
    ]
    assert [response.status_update.final for response in responses] == [False, False, False, True]


async def test_a_stream_resumes() -> None:
    stage = Stage()
    log = await stage.begin()
    log.append([STARTED, COMPLETED])
    wanted = proto.TaskSubscriptionRequest(name="tasks/task-1")
    async with line(stage) as called:
        responses = await rest(called.v03.TaskSubscription(wanted, metadata=(*OLD, ("last-event-id", "task-1:2"))))

    assert [response.status_update.status.state for response in responses] == [proto.TASK_STATE_COMPLETED]


async def test_a_task_is_canceled_and_its_history_limited() -> None:
    stage = Stage()
    await stage.begin()
    async with line(stage) as called:
        canceled = await called.v03.CancelTask(proto.CancelTaskRequest(name="tasks/task-1"), metadata=OLD)
        again = await error_of(called.v03.CancelTask(proto.CancelTaskRequest(name="tasks/task-1"), metadata=OLD))
        wanted = proto.GetTaskRequest(name="tasks/task-1", history_length=1)
        short = await called.v03.GetTask(wanted, metadata=OLD)

    assert canceled.status.state == proto.TASK_STATE_CANCELLED
    assert (again.code, again.reason) == ("FAILED_PRECONDITION", "TASK_NOT_CANCELABLE")
    assert len(short.history) == 1


async def test_push_notifications_are_configured_seen_listed_and_ended() -> None:
    stage = Stage(pushes=True)
    await stage.begin()
    config = proto.PushNotificationConfig(id="mine", url="https://client.example/hook", token="t")  # noqa: S106 - a test's
    config.authentication.schemes.append("Bearer")
    config.authentication.credentials = "c"
    named = proto.TaskPushNotificationConfig(
        name="tasks/task-1/pushNotificationConfigs/mine", push_notification_config=config
    )
    create = proto.CreateTaskPushNotificationConfigRequest(parent="tasks/task-1", config_id="mine", config=named)
    every = proto.ListTaskPushNotificationConfigRequest(parent="tasks/task-1")
    wanted = proto.GetTaskPushNotificationConfigRequest(name=named.name)
    async with line(stage) as called:
        made = await called.v03.CreateTaskPushNotificationConfig(create, metadata=OLD)
        got = await called.v03.GetTaskPushNotificationConfig(wanted, metadata=OLD)
        listed = await called.v03.ListTaskPushNotificationConfig(every, metadata=OLD)
        ended = proto.DeleteTaskPushNotificationConfigRequest(name=named.name)
        await called.v03.DeleteTaskPushNotificationConfig(ended, metadata=OLD)
        gone = await error_of(called.v03.GetTaskPushNotificationConfig(wanted, metadata=OLD))

    assert made == got == named
    assert list(listed.configs) == [named]
    assert gone.reason == "TASK_NOT_FOUND"


@clause("0.3 3.2.2")
@pytest.mark.parametrize(
    ("method", "request_", "reason", "fields"),
    [
        ("GetTask", proto.GetTaskRequest(name="tasks/nothing"), "TASK_NOT_FOUND", []),
        ("GetTask", proto.GetTaskRequest(name="nothing"), "INVALID_PARAMS", ["name"]),
        ("GetTask", proto.GetTaskRequest(), "INVALID_PARAMS", ["name"]),
        ("SendMessage", proto.SendMessageRequest(), "INVALID_PARAMS", []),
        (
            "ListTaskPushNotificationConfig",
            proto.ListTaskPushNotificationConfigRequest(parent="x"),
            "INVALID_PARAMS",
            ["parent"],
        ),
    ],
)
async def test_what_cannot_be_done_is_refused(method: str, request_: Message, reason: str, fields: list[str]) -> None:
    async with line(Stage(pushes=True)) as called:
        told_ = await error_of(getattr(called.v03, method)(request_, metadata=OLD))

    assert told_.reason == reason
    assert not fields or told_.fields == fields


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [((), "UNAUTHENTICATED"), (METADATA, "VERSION_NOT_SUPPORTED"), ((*OLD, ("a2a-version", "0.3")), "TASK_NOT_FOUND")],
)
async def test_who_asks_and_in_which_version_is_looked_at(metadata: Any, reason: str) -> None:
    async with line(Stage()) as called:
        told_ = await error_of(called.v03.GetTask(proto.GetTaskRequest(name="tasks/x"), metadata=metadata))

    assert told_.reason == reason
