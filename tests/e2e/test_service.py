"""The main job: A2A clients send and stream, a real OpenCode does the work."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from a2a.client import Client, ClientConfig, create_client
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from anyio import to_thread
from google.protobuf.json_format import MessageToDict

from tests.e2e.model import ScriptedModel
from tests.e2e.opencode import RealOpenCode
from tests.e2e.service import RunningService
from tests.e2e.until import until

pytestmark = pytest.mark.anyio

COMPLETED = TaskState.TASK_STATE_COMPLETED
FAILED = TaskState.TASK_STATE_FAILED


@pytest.fixture(scope="module")
def service(opencode: RealOpenCode) -> Iterator[RunningService]:
    with RunningService(in_front_of(opencode)) as service:
        yield service


@pytest.fixture
def start_service() -> Iterator[Callable[[RealOpenCode], RunningService]]:
    started: list[RunningService] = []

    def start(opencode: RealOpenCode, **settings: str) -> RunningService:
        service = RunningService(in_front_of(opencode) | settings)
        started.append(service)
        return service.__enter__()

    yield start
    for service in started:
        service.__exit__()


def in_front_of(opencode: RealOpenCode) -> dict[str, str]:
    secured = {"OPENCODE_AUTH_PASSWORD": opencode.password} if opencode.password else {}
    return {"OPENCODE_BASE_URL": opencode.url, "OPENCODE_DIRECTORY": str(opencode.workspace), **secured}


@pytest.fixture(params=["JSONRPC", "HTTP+JSON"])
def binding(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@asynccontextmanager
async def client_of(
    service: RunningService, binding: str = "JSONRPC", *, streaming: bool = True
) -> AsyncIterator[Client]:
    headers = {name: service.headers[name] for name in ("authorization", "a2a-extensions")}
    async with httpx.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
        config = ClientConfig(httpx_client=http, supported_protocol_bindings=[binding], streaming=streaming)
        config.use_client_preference = True
        client = await create_client(service.url, config)
        yield client
        await client.close()


_count = iter(range(1_000_000))


def asking(text: str, *parts: Part, context: str = "", task: str = "", at_once: bool = False) -> SendMessageRequest:
    message = Message(
        message_id=f"m-{os.getpid()}-{next(_count)}",
        role=Role.ROLE_USER,
        parts=[Part(text=text), *parts],
        context_id=context,
        task_id=task,
    )
    return SendMessageRequest(message=message, configuration=SendMessageConfiguration(return_immediately=at_once))


async def send(client: Client, request: SendMessageRequest) -> list[StreamResponse]:
    return [answer async for answer in client.send_message(request)]


def fold(answers: list[StreamResponse]) -> Task:
    """Take a stream together as the specification says a client does."""
    task = Task()
    for answer in answers:
        if answer.HasField("task"):
            task.CopyFrom(answer.task)
        elif answer.HasField("status_update"):
            task.status.CopyFrom(answer.status_update.status)
            task.metadata.update(MessageToDict(answer.status_update.metadata))
        elif answer.HasField("artifact_update"):
            told = answer.artifact_update
            known = next((one for one in task.artifacts if one.artifact_id == told.artifact.artifact_id), None)
            if known is None:
                task.artifacts.append(told.artifact)
            elif told.append:
                known.parts.extend(told.artifact.parts)
            else:
                known.CopyFrom(told.artifact)
    return task


def said(task: Task, kind: str = "text") -> str:
    return "".join(
        part.text
        for artifact in task.artifacts
        if MessageToDict(artifact.metadata)["shared"]["stream"]["block_type"] == kind
        for part in artifact.parts
    )


def tools(task: Task) -> list[dict[str, Any]]:
    return [
        MessageToDict(part.data)
        for artifact in task.artifacts
        if MessageToDict(artifact.metadata)["shared"]["stream"]["block_type"] == "tool_call"
        for part in artifact.parts[-1:]
    ]


def usage(task: Task) -> dict[str, Any]:
    found: dict[str, Any] = MessageToDict(task.metadata)["shared"]["usage"]
    return found


async def eventually(look: Callable[[], Any], what: str = "") -> Any:
    return await to_thread.run_sync(lambda: until(look, within=20, what=what))


async def task_of(client: Client, task_id: str, wanted: Callable[[Task], bool]) -> Task:
    """Poll a task until it is as wanted."""
    end = time.monotonic() + 30
    while True:
        task = await client.get_task(GetTaskRequest(id=task_id))
        if wanted(task):
            return task
        assert time.monotonic() < end, f"task {task_id} is {TaskState.Name(task.status.state)}: {task.status.message}"
        await to_thread.run_sync(time.sleep, 0.05)


# What a client gets


async def test_a_message_is_answered_with_the_completed_task(service: RunningService, binding: str) -> None:
    async with client_of(service, binding, streaming=False) as client:
        answers = await send(client, asking("[[say hello world]]"))

        assert answers[-1].task.status.state == COMPLETED
        assert said(answers[-1].task).strip() == "hello world"


async def test_a_stream_begins_with_the_task_and_ends_completed(service: RunningService, binding: str) -> None:
    async with client_of(service, binding) as client:
        answers = await send(client, asking("[[text n=40 delay=0.01]]"))

        assert answers[0].HasField("task")
        assert answers[-1].status_update.status.state == COMPLETED
        assert sum(answer.HasField("artifact_update") for answer in answers) > 3
        assert said(fold(answers)) == "".join(f"word{number:05} " for number in range(40))


async def test_polling_and_streaming_tell_the_same_task(service: RunningService) -> None:
    async with client_of(service) as client:
        streamed = fold(await send(client, asking("[[reason let me see]][[bash echo hi]][[say done]]")))
        polled = await client.get_task(GetTaskRequest(id=streamed.id))

        assert polled.status.state == streamed.status.state == COMPLETED
        for kind in ("text", "reasoning"):
            assert said(polled, kind) == said(streamed, kind) != ""
        assert tools(polled) == tools(streamed)
        assert usage(polled) == usage(streamed)


async def test_reasoning_is_told_apart_from_text(service: RunningService, binding: str) -> None:
    async with client_of(service, binding) as client:
        task = fold(await send(client, asking("[[reason because it is so]][[say yes]]")))

        assert said(task, "reasoning").strip() == "because it is so"
        assert said(task).strip() == "yes"


async def test_a_tool_run_is_told_with_its_input_and_output_and_usage_is_summed(service: RunningService) -> None:
    async with client_of(service) as client:
        task = fold(await send(client, asking("[[bash echo from the shell]]")))

        (tool,) = tools(task)
        assert (tool["tool"], tool["status"]) == ("bash", "completed")
        assert tool["input"]["command"] == "echo from the shell"
        assert tool["output"].strip() == "from the shell"
        assert "from the shell" in said(task)
        assert usage(task)["input_tokens"] == 2 * 80  # two calls of the model, each 100 with 20 cached
        assert usage(task)["cache_tokens"]["read_tokens"] == 2 * 20


async def test_a_file_reaches_the_model(service: RunningService, binding: str) -> None:
    attached = Part(raw=b"the secret word is plover\n", media_type="text/plain", filename="notes.txt")
    async with client_of(service, binding) as client:
        task = fold(await send(client, asking("[[repeat-input]]", attached)))

        assert task.status.state == COMPLETED
        assert "the secret word is plover" in said(task)


async def test_data_reaches_the_model_and_does_not_poison_the_session(service: RunningService) -> None:
    part = Part()
    part.data.struct_value.update({"answer": 42})
    async with client_of(service) as client:
        first = fold(await send(client, asking("[[repeat-input]]", part)))
        second = fold(await send(client, asking("[[say still here]]", context=first.context_id)))

        assert '"answer"' in said(first)
        assert said(second).strip() == "still here"


async def test_a_follow_up_in_the_same_context_is_remembered(service: RunningService, binding: str) -> None:
    async with client_of(service, binding) as client:
        first = fold(await send(client, asking("[[say hello]] my name is Ada")))
        second = fold(await send(client, asking("[[recall]]", context=first.context_id)))

        assert second.context_id == first.context_id
        assert second.id != first.id
        assert "my name is Ada" in said(second)


async def test_messages_sent_at_once_in_one_context_run_one_after_the_other(
    service: RunningService, model: ScriptedModel
) -> None:
    async with client_of(service, streaming=False) as client:
        first = fold(await send(client, asking("[[say hello]]")))
        tasks = [
            (await send(client, asking(f"[[text n=10 delay=0.02]] {number}", context=first.context_id, at_once=True)))[
                0
            ]
            for number in range(3)
        ]
        done = [await task_of(client, sent.task.id, lambda task: task.status.state == COMPLETED) for sent in tasks]

        assert [said(task) for task in done] == ["".join(f"word{number:05} " for number in range(10))] * 3


# How it ends


async def test_cancel_while_streaming_really_stops_opencode(
    service: RunningService, model: ScriptedModel, binding: str
) -> None:
    async with client_of(service, binding) as client:
        answers: list[StreamResponse] = []
        canceled = None
        async for answer in client.send_message(asking("[[text n=2000 delay=0.02]]")):
            answers.append(answer)
            if canceled is None and answer.HasField("artifact_update"):
                canceled = await client.cancel_task(CancelTaskRequest(id=answers[0].task.id))

        assert canceled is not None
        assert canceled.status.state == TaskState.TASK_STATE_CANCELED
        assert answers[-1].status_update.status.state == TaskState.TASK_STATE_CANCELED
        session = MessageToDict(canceled.metadata)["shared"]["session"]["id"]
        (call,) = model.calls_of(session)
        await eventually(lambda: call.hung_up, "the model's call was cut")


@pytest.mark.parametrize(("status", "name"), [(401, "APIError"), (400, "APIError")])
async def test_a_model_that_refuses_fails_the_task_with_the_reason(
    service: RunningService, status: int, name: str
) -> None:
    async with client_of(service) as client:
        task = fold(await send(client, asking(f"[[status {status}]]")))

        assert task.status.state == FAILED
        assert task.status.message.parts[0].text
        error = MessageToDict(task.metadata)["opencode"]["error"]
        assert error["type"] == name
        assert int(error["upstream_status"]) == status


@pytest.mark.parametrize("status", [429, 500])
async def test_a_model_that_fails_for_a_while_is_tried_again(service: RunningService, status: int) -> None:
    async with client_of(service) as client:
        task = fold(await send(client, asking(f"[[status {status} times=2 after=0.05]][[say at last]]")))

        assert task.status.state == COMPLETED
        assert said(task).strip() == "at last"


@pytest.mark.parametrize("status", [429, 500])
async def test_a_model_that_never_recovers_fails_the_task(service: RunningService, status: int) -> None:
    async with client_of(service) as client:
        task = fold(await send(client, asking(f"[[status {status} after=0.05]]")))

        assert task.status.state == FAILED


async def test_text_of_an_attempt_that_broke_off_is_not_kept_beside_the_second(service: RunningService) -> None:
    async with client_of(service) as client:
        task = fold(await send(client, asking("[[text n=5 delay=0.01]][[drop]][[say end]]")))

        assert task.status.state == COMPLETED
        assert said(task).count("word00000") == 1
        assert said(task).count("end") == 1


async def test_a_model_that_never_finishes_is_stopped(
    start_service: Callable[..., RunningService], opencode: RealOpenCode
) -> None:
    service = start_service(opencode, A2A_TURN_MAX_STEPS="5")
    async with client_of(service) as client:
        task = fold(await send(client, asking("[[nofinish]]")))

        assert task.status.state == FAILED
        assert "limit" in task.status.message.parts[0].text


# When something dies


async def test_opencode_killed_in_mid_turn_fails_the_task_and_the_next_one_works(
    start_opencode: Callable[..., RealOpenCode], start_service: Callable[..., RunningService]
) -> None:
    opencode = start_opencode()
    service = start_service(opencode)
    async with client_of(service) as client:
        answers: list[StreamResponse] = []
        async for answer in client.send_message(asking("[[text n=4000 delay=0.02]]")):
            answers.append(answer)
            if len(answers) == 6:
                await to_thread.run_sync(opencode.restart)
        task = fold(answers)

        assert task.status.state == FAILED
        assert "OpenCode" in task.status.message.parts[0].text
        after = fold(await send(client, asking("[[say back again]]", context=task.context_id)))
        assert after.status.state == COMPLETED
        assert said(after).strip() == "back again"


async def test_a_client_that_left_in_mid_stream_reads_on_where_it_was(service: RunningService) -> None:
    frames: list[tuple[str, dict[str, Any]]] = []

    def read() -> None:
        body = {"message": {"messageId": "cut", "role": "ROLE_USER", "parts": [{"text": "[[text n=100 delay=0.02]]"}]}}
        with service.stream("/message:stream", body) as stream:
            for frame in stream:
                frames.append(frame)
                if len(frames) == 8:
                    break
        task_id = frames[0][1]["task"]["id"]
        with service.stream(f"/tasks/{task_id}:subscribe", last_event_id=frames[-1][0]) as stream:
            frames.extend(stream)

    await to_thread.run_sync(read)

    numbers = [int(frame_id.rpartition(":")[2]) for frame_id, _ in frames]
    assert numbers == sorted(set(numbers))
    assert text_of(frames) == "".join(f"word{number:05} " for number in range(100))
    assert frames[-1][1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_turn_goes_on_over_a_crash_of_the_service_and_its_stream_resumes(
    start_service: Callable[..., RunningService], opencode: RealOpenCode
) -> None:
    service = start_service(opencode)
    frames: list[tuple[str, dict[str, Any]]] = []

    def read() -> None:
        body = {"message": {"messageId": "k", "role": "ROLE_USER", "parts": [{"text": "[[text n=150 delay=0.03]]"}]}}
        with service.stream("/message:stream", body) as stream:
            for frame in stream:
                frames.append(frame)
                if len(frames) == 10:
                    break
        service.kill()
        service.start()
        task_id = frames[0][1]["task"]["id"]
        with service.stream(f"/tasks/{task_id}:subscribe", last_event_id=frames[-1][0]) as stream:
            frames.extend(stream)

    await to_thread.run_sync(read)

    assert text_of(frames) == "".join(f"word{number:05} " for number in range(150))
    assert frames[-1][1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_turn_that_ended_while_the_service_was_down_is_harvested(
    start_service: Callable[..., RunningService], opencode: RealOpenCode, model: ScriptedModel
) -> None:
    service = start_service(opencode)
    async with client_of(service, streaming=False) as client:
        sent = (await send(client, asking("[[text n=30 delay=0.03]]", at_once=True)))[0].task
        working = await task_of(client, sent.id, lambda task: "session" in str(task.metadata))
        session = MessageToDict(working.metadata)["shared"]["session"]["id"]
        call = await to_thread.run_sync(model.wait_for_call, session)
        await to_thread.run_sync(service.kill)
        await to_thread.run_sync(model.wait_for_ending, call)
        await to_thread.run_sync(service.start)

        task = await task_of(client, sent.id, lambda task: task.status.state == COMPLETED)
        assert said(task) == "".join(f"word{number:05} " for number in range(30))


async def test_sigterm_lets_a_turn_end_and_then_the_service_ends(
    start_service: Callable[..., RunningService], opencode: RealOpenCode
) -> None:
    service = start_service(opencode)
    frames: list[tuple[str, dict[str, Any]]] = []
    status: list[int] = []

    def read() -> None:
        body = {"message": {"messageId": "t", "role": "ROLE_USER", "parts": [{"text": "[[text n=50 delay=0.02]]"}]}}
        with service.stream("/message:stream", body) as stream:
            for frame in stream:
                frames.append(frame)
                if len(frames) == 4:
                    service._process.send_signal(15)  # type: ignore[union-attr]
        status.append(service.terminate())

    await to_thread.run_sync(read)

    assert frames[-1][1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert status == [0]


async def test_sigterm_tells_a_stream_whose_turn_goes_on_where_to_resume(
    start_service: Callable[..., RunningService], opencode: RealOpenCode
) -> None:
    service = start_service(opencode, A2A_DRAIN_SECONDS="0.5")
    frames: list[tuple[str, dict[str, Any]]] = []

    def read() -> None:
        body = {"message": {"messageId": "d", "role": "ROLE_USER", "parts": [{"text": "[[text n=200 delay=0.03]]"}]}}
        with service.stream("/message:stream", body) as stream:
            for frame in stream:
                frames.append(frame)
                if len(frames) == 4:
                    service._process.send_signal(15)  # type: ignore[union-attr]
        service.terminate()
        service.start()
        seen = [frame for frame in frames if "error" not in frame[1]]
        task_id = frames[0][1]["task"]["id"]
        with service.stream(f"/tasks/{task_id}:subscribe", last_event_id=seen[-1][0]) as stream:
            frames[:] = [*seen, *stream]

    await to_thread.run_sync(read)

    assert text_of(frames) == "".join(f"word{number:05} " for number in range(200))


# When it asks


async def test_a_permission_asks_for_input_and_a_plain_yes_goes_on(
    start_opencode: Callable[..., RealOpenCode], start_service: Callable[..., RunningService], binding: str
) -> None:
    service = start_service(start_opencode(permission={"bash": "ask"}))
    async with client_of(service, binding) as client:
        asked = fold(await send(client, asking("[[bash echo allowed]]")))
        assert asked.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
        assert "echo allowed" in asked.status.message.parts[0].text

        task = fold(await send(client, asking("yes", task=asked.id)))

        assert task.status.state == COMPLETED
        assert tools(task)[0]["output"].strip() == "allowed"


async def test_a_question_is_answered_by_the_number_of_an_option(service: RunningService) -> None:
    async with client_of(service) as client:
        asked = fold(await send(client, asking("[[ask Which colour? | Red | Blue]]")))
        assert asked.status.state == TaskState.TASK_STATE_INPUT_REQUIRED

        task = fold(await send(client, asking("2", task=asked.id)))

        assert task.status.state == COMPLETED
        assert "Blue" in said(task)


async def test_subscribing_to_a_running_task_begins_with_the_task(service: RunningService, binding: str) -> None:
    async with client_of(service, binding, streaming=False) as sender, client_of(service, binding) as client:
        sent = (await send(sender, asking("[[text n=60 delay=0.02]]", at_once=True)))[0].task
        answers = [answer async for answer in client.subscribe(SubscribeToTaskRequest(id=sent.id))]

        assert answers[0].HasField("task")
        assert said(fold(answers)) == "".join(f"word{number:05} " for number in range(60))


def test_a_wrong_password_makes_the_service_not_ready_and_the_log_says_what_to_do(
    start_opencode: Callable[..., RealOpenCode], start_service: Callable[..., RunningService]
) -> None:
    opencode = start_opencode(secured=True)
    service = start_service(opencode, OPENCODE_AUTH_PASSWORD="wrong")  # noqa: S106 - it is meant to be

    refused = httpx.post(
        f"{service.url}/message:send",
        headers=service.headers,
        json={"message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hi"}]}},
        trust_env=False,
    )

    assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "OPENCODE_AUTH_PASSWORD" in refused.json()["error"]["message"]
    assert "OPENCODE_AUTH_PASSWORD" in service.log


async def test_a_password_that_is_right_is_used(
    start_opencode: Callable[..., RealOpenCode], start_service: Callable[..., RunningService]
) -> None:
    service = start_service(start_opencode(secured=True))
    async with client_of(service) as client:
        assert said(fold(await send(client, asking("[[say let in]]")))).strip() == "let in"


async def test_the_agents_shell_sees_opencodes_password_but_nothing_of_the_service(
    start_opencode: Callable[..., RealOpenCode], start_service: Callable[..., RunningService]
) -> None:
    opencode = start_opencode(secured=True)
    service = start_service(opencode)
    async with client_of(service) as client:
        task = fold(await send(client, asking("[[bash env]]")))

    shown = tools(task)[0]["output"]
    assert opencode.password in shown  # as OpenCode 1.18 is; the README warns of it
    assert service.token not in shown


def text_of(frames: list[tuple[str, dict[str, Any]]]) -> str:
    """Fold the text of a stream's frames."""
    texts: dict[str, str] = {}
    for _, data in frames:
        for artifact in data.get("task", {}).get("artifacts", ()):
            texts[artifact["artifactId"]] = "".join(part.get("text", "") for part in artifact["parts"])
        if told := data.get("artifactUpdate"):
            text = "".join(part.get("text", "") for part in told["artifact"]["parts"])
            name = told["artifact"]["artifactId"]
            texts[name] = texts.get(name, "") + text if told.get("append") else text
    return "".join(texts.values())
