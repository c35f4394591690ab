"""Streams over gRPC: from the first message to the last, whoever ends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from a2a import types as a2a

from opencode_a2a_server.adapters.inbound.a2a.shared import cursor
from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.ids import TaskId
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.updates import InterruptRaised, MessageReceived
from tests.adapters.inbound.a2a.folding import folded, snapshot
from tests.adapters.inbound.a2a.grpc.line import METADATA, Line, error_of, line, shared
from tests.adapters.inbound.a2a.listener import Listener
from tests.adapters.inbound.a2a.stage import Stage, said
from tests.adapters.inbound.a2a.test_sse import break_reading
from tests.adapters.inbound.a2a.updates import COMPLETED, JOURNALS, PERMISSION, STARTED, TURN, answered, more, told
from tests.conformance.clauses import clause
from tests.fakes.clock import settled

pytestmark = pytest.mark.anyio

MESSAGE = a2a.Message(message_id="message-1", role=a2a.Role.ROLE_USER, parts=[a2a.Part(text="hello")])
SEND = a2a.SendMessageRequest(message=MESSAGE)
TASK_1 = a2a.SubscribeToTaskRequest(id="task-1")


def subscribe(called: Line, last: str | None = None) -> Any:
    seen = () if last is None else (("last-event-id", last),)
    return called.v1.SubscribeToTask(TASK_1, metadata=(*METADATA, *seen))


async def rest(call: Any) -> list[a2a.StreamResponse]:
    """Read on to the end."""
    responses = []
    while (response := await call.read()) is not grpc.aio.EOF:
        responses.append(response)
    return responses


async def until(called: Line, holds: Callable[[], bool]) -> None:
    """Wait for something on the other side, as many calls long as it takes."""
    for _ in range(2000):
        if holds():
            return
        await called.knock()
    raise AssertionError("it never comes")


def kinds(responses: list[a2a.StreamResponse]) -> list[str | None]:
    return [response.WhichOneof("payload") for response in responses]


def places(responses: list[a2a.StreamResponse]) -> list[str]:
    found = []
    for response in responses:
        if response.HasField("artifact_update"):
            metadata = response.artifact_update.artifact.metadata
        else:
            metadata = response.status_update.metadata
        found.append(shared(metadata)["event_id"])
    return found


@clause("3.1.2c", "3.1.2d")
async def test_a_stream_is_the_task_then_its_updates_then_its_end() -> None:
    stage = Stage()
    async with line(stage) as called:
        call = called.v1.SendStreamingMessage(SEND, metadata=METADATA)
        first = await call.read()
        log = stage.journal.logs[TaskId("task-1")]
        log.append([STARTED, told("prt_1", TextPart("4")), more("prt_1", "2"), COMPLETED])
        responses = [first, *await rest(call)]

    assert kinds(responses) == ["task", "status_update", "artifact_update", "artifact_update", "status_update"]
    assert places(responses[1:]) == [f"task-1:{seq}" for seq in (2, 3, 4, 5)]
    assert await call.code() == grpc.StatusCode.OK


@clause("5.1b")
@pytest.mark.parametrize("name", JOURNALS)
async def test_a_stream_tells_what_sse_tells(name: str) -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await Listener.rest(stage.app, "/tasks/task-1:subscribe")
    async with line(stage) as called:
        call = subscribe(called)
        responses = [await call.read()]
        log.append(JOURNALS[name])
        await settled()
        frames = [frame.parsed for frame in listener.frames]
        while len(responses) < len(frames):
            responses.append(await call.read())

    assert responses == frames
    assert folded(responses[0].task, responses[1:]) == snapshot(log.task)
    await listener.leave()


@clause("3.5.2b", "3.5.2c")
async def test_readers_read_the_same() -> None:
    stage = Stage()
    log = await stage.begin()
    async with line(stage) as called:
        calls = [subscribe(called) for _ in range(3)]
        heard = [[await call.read()] for call in calls]
        log.append([*TURN, COMPLETED])
        heard = [[*opening, *await rest(call)] for call, opening in zip(calls, heard, strict=True)]

    assert heard[0] == heard[1] == heard[2]


async def test_a_stream_ends_where_somebody_must_answer_and_a_new_one_goes_on() -> None:
    stage = Stage()
    log = await stage.begin()
    async with line(stage) as called:
        call = subscribe(called)
        await call.read()
        log.append([STARTED, InterruptRaised(PERMISSION)])
        *_, asked = await rest(call)
        again = subscribe(called)
        await again.read()
        log.append([answered("per_1"), COMPLETED])
        responses = await rest(again)

    assert asked.status_update.status.state == a2a.TaskState.TASK_STATE_INPUT_REQUIRED
    assert kinds(responses) == ["status_update", "status_update"]


async def test_what_clients_are_not_told_has_no_message() -> None:
    stage = Stage()
    log = await stage.begin()
    async with line(stage) as called:
        call = subscribe(called)
        await call.read()
        log.append([STARTED, MessageReceived(said("more")), told("prt_1", TextPart("a")), COMPLETED])
        responses = await rest(call)

    assert places(responses) == ["task-1:2", "task-1:4", "task-1:5"]


@clause("3.1.2b")
async def test_a_bare_reply_is_one_message() -> None:
    stage = Stage()
    stage.accept.answer = said("hello yourself")
    async with line(stage) as called:
        responses = await rest(called.v1.SendStreamingMessage(SEND, metadata=METADATA))

    assert [response.message.parts[0].text for response in responses] == ["hello yourself"]


# Resuming


@pytest.mark.parametrize("cut", range(1, len(TURN) + 3))
async def test_a_resumed_stream_is_exactly_what_was_missed(cut: int) -> None:
    stage = Stage()
    log = await stage.begin()
    async with line(stage) as called:
        call = subscribe(called)
        whole = [await call.read()]
        log.append([*TURN, COMPLETED])
        whole += await rest(call)
        resumed = await rest(subscribe(called, cursor(TaskId("task-1"), log.entries[cut - 1].seq)))

    assert resumed == whole[cut:]


async def test_the_cursor_is_what_each_message_says_of_its_place() -> None:
    stage = Stage()
    log = await stage.begin()
    async with line(stage) as called:
        call = subscribe(called)
        opening = await call.read()
        log.append([STARTED, told("prt_1", TextPart("a")), more("prt_1", "b"), COMPLETED])
        whole = await rest(call)
        seen = [shared(opening.task.metadata)["cursor"], *places(whole)]
        resumed = [await rest(subscribe(called, place)) for place in seen]

    assert resumed == [whole[number:] for number in range(5)]


@pytest.mark.parametrize("last", ["task-2:1", "task-1:99", "task-1:0", "nonsense", ":"])
async def test_a_cursor_that_leads_nowhere_is_a_gap(last: str) -> None:
    stage = Stage()
    log = await stage.begin()
    log.append([STARTED])
    async with line(stage) as called:
        opening = await subscribe(called, last).read()

    assert shared(opening.task.metadata) == {"cursor": "task-1:2", "gap": True}


async def test_a_task_that_has_ended_has_no_stream_without_a_cursor() -> None:
    stage = Stage()
    log = await stage.begin()
    log.append([STARTED, COMPLETED])
    async with line(stage) as called:
        refused = await error_of(subscribe(called))

    assert (refused.code, refused.metadata["type"]) == ("FAILED_PRECONDITION", "TASK_IS_TERMINAL")


async def test_a_message_whose_stream_broke_is_not_sent_again() -> None:
    stage = Stage()
    async with line(stage) as called:
        broken = called.v1.SendStreamingMessage(SEND, metadata=METADATA)
        await broken.read()
        broken.cancel()
        stage.journal.logs[TaskId("task-1")].append([STARTED, COMPLETED])
        seen = ("last-event-id", "task-1:1")
        again = await rest(called.v1.SendStreamingMessage(SEND, metadata=(*METADATA, seen)))

    assert len(stage.accept.heard) == 1
    assert places(again) == ["task-1:2", "task-1:3"]


# Ends


async def test_a_reader_who_leaves_is_not_missed() -> None:
    stage = Stage()
    log = await stage.begin()
    async with line(stage) as called:
        leaving, staying = subscribe(called), subscribe(called)
        await leaving.read()
        await staying.read()
        leaving.cancel()
        await until(called, lambda: stage.drain.listening == 2)  # one who stays, and what it waits with
        log.append([STARTED, COMPLETED])
        responses = await rest(staying)

    assert len(responses) == 2
    assert stage.drain.listening == 0


async def test_a_slow_reader_is_held_back_and_keeps_nobody_waiting() -> None:
    stage = Stage()
    log = await stage.begin()
    pieces = [more("prt_1", "x" * 10_000) for _ in range(1000)]
    async with line(stage, options=[("grpc.http2.bdp_probe", 0)]) as called, line(stage) as other:
        slow = subscribe(called)
        opening = [await slow.read()]
        log.append([STARTED, told("prt_1", TextPart("")), *pieces, COMPLETED])
        await until(other, lambda: "1.0, gRPC" in log.entries[2].encodings)
        for _ in range(50):
            await other.knock()
        sent = sum("1.0, gRPC" in entry.encodings for entry in log.entries)
        quick = await rest(subscribe(other, "task-1:1"))
        responses = await rest(slow)

    assert sent < 500
    assert len(opening + responses) == 1004
    assert responses == quick


async def test_the_end_of_the_service_is_told_with_the_place_to_go_on() -> None:
    stage = Stage()
    log = await stage.begin()
    async with line(stage) as called:
        call = subscribe(called)
        await call.read()
        log.append([STARTED])
        await call.read()
        stage.drain.begin()
        told_ = await error_of(call)

    assert (told_.code, told_.reason, told_.retry) == ("UNAVAILABLE", "SERVICE_DRAINING", 1)
    assert told_.metadata == {"cursor": "task-1:2"}
    assert not log.task.state.terminal


async def test_a_stream_that_begins_while_the_service_ends_ends_too() -> None:
    stage = Stage()
    await stage.begin()
    stage.drain.begin()
    async with line(stage) as called:
        call = subscribe(called)
        first = await call.read()
        told_ = await error_of(call)

    assert first.HasField("task")
    assert told_.metadata == {"cursor": "task-1:1"}


async def test_a_stream_that_is_all_told_ends_without_an_error() -> None:
    stage = Stage()
    log = await stage.begin()
    log.append([STARTED, COMPLETED])
    stage.drain.begin()
    async with line(stage) as called:
        assert await rest(subscribe(called, "task-1:3")) == []


async def test_a_reader_who_takes_nothing_does_not_keep_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opencode_a2a_server.adapters.inbound.a2a.grpc.door._GRACE", 0.0)
    stage = Stage()
    log = await stage.begin()
    async with line(stage, options=[("grpc.http2.bdp_probe", 0)]) as called, line(stage) as other:
        slow = subscribe(called)
        await slow.read()
        log.append([STARTED, told("prt_1", TextPart("")), *(more("prt_1", "x" * 10_000) for _ in range(1000))])
        await until(other, lambda: "1.0, gRPC" in log.entries[2].encodings)
        stage.drain.begin()
        await until(other, lambda: stage.drain.listening == 0)
        told_ = await error_of(slow)

    assert (told_.code, told_.reason) == ("UNAVAILABLE", "SERVICE_DRAINING")


async def test_a_store_that_breaks_is_an_error_and_the_end() -> None:
    stage = Stage()
    log = await stage.begin()
    async with line(stage) as called:
        call = subscribe(called)
        await call.read()
        log.append([STARTED])
        await call.read()
        break_reading(log, JournalUnavailable("the disk is full"))
        log.append([told("prt_1", TextPart("a"))])
        told_ = await error_of(call)

    assert (told_.code, told_.message) == ("UNAVAILABLE", "the disk is full")
    assert told_.metadata == {"cursor": "task-1:2"}


async def test_what_breaks_in_us_is_an_error_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    log = await stage.begin()
    async with line(stage) as called:
        call = subscribe(called)
        await call.read()
        break_reading(log, RuntimeError("secret"))
        log.append([STARTED])
        told_ = await error_of(call)

    assert (told_.code, told_.message) == ("INTERNAL", "Internal error")
    assert "secret" in caplog.text


async def test_a_server_that_stops_without_a_drain_lets_go_of_its_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opencode_a2a_server.adapters.inbound.a2a.grpc.server._GRACE", 0.0)
    stage = Stage()
    await stage.begin()
    async with line(stage) as called:
        await subscribe(called).read()
    await settled()

    assert stage.drain.listening == 0
