"""Streams: from the first frame to the last, whoever ends them."""

from __future__ import annotations

import asyncio
from typing import Never

import pytest
from a2a import types as a2a

from opencode_a2a_server.adapters.inbound.a2a.encode import Encoder
from opencode_a2a_server.adapters.inbound.a2a.shared import cursor
from opencode_a2a_server.domain.errors import JournalUnavailable
from opencode_a2a_server.domain.ids import TaskId
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.updates import Entry, InterruptRaised, MessageReceived, Update
from tests.adapters.inbound.a2a.folding import folded, snapshot
from tests.adapters.inbound.a2a.listener import Frame, Listener
from tests.adapters.inbound.a2a.stage import Stage, message_json, said
from tests.adapters.inbound.a2a.updates import COMPLETED, JOURNALS, PERMISSION, STARTED, TURN, answered, more, told
from tests.fakes.clock import settled
from tests.fakes.journal import FakeLog

pytestmark = pytest.mark.anyio

LAST = "Last-Event-ID"


async def subscribed(stage: Stage, last: str | None = None) -> Listener:
    headers = {} if last is None else {LAST: last}
    return await Listener.rpc(stage.app, "SubscribeToTask", {"id": "task-1"}, headers=headers)


async def play(log: FakeLog, *updates: Update) -> None:
    log.append(updates)
    await settled()


def kinds(frames: list[Frame]) -> list[str]:
    return [next(iter(frame.result)) for frame in frames]


def ids(frames: list[Frame]) -> list[str]:
    return [frame.id for frame in frames]


def text_of(frame: Frame) -> str:
    """Give the text that an event brings."""
    told = frame.result
    artifacts = [
        *told.get("task", {}).get("artifacts", ()),
        *([told["artifactUpdate"]["artifact"]] if "artifactUpdate" in told else ()),
    ]
    return "".join(part["text"] for artifact in artifacts for part in artifact["parts"])


async def test_a_stream_is_the_task_then_its_updates_then_its_end() -> None:
    stage = Stage()
    listener = await Listener.rpc(stage.app, "SendStreamingMessage", {"message": message_json()})

    await play(
        stage.journal.logs[TaskId("task-1")], STARTED, told("prt_1", TextPart("4")), more("prt_1", "2"), COMPLETED
    )

    assert listener.ended
    assert kinds(listener.frames) == ["task", "statusUpdate", "artifactUpdate", "artifactUpdate", "statusUpdate"]
    assert ids(listener.frames) == [f"task-1:{seq}" for seq in (1, 2, 3, 4, 5)]
    assert {frame.data["id"] for frame in listener.frames} == {"call-1"}


async def test_a_stream_is_one_of_events_that_nobody_keeps_or_holds_back() -> None:
    stage = Stage()
    await stage.begin()

    listener = await subscribed(stage)

    assert listener.status == 200
    assert listener.answer_headers["content-type"].startswith("text/event-stream")
    assert listener.answer_headers["cache-control"] == "no-store"
    assert listener.answer_headers["x-accel-buffering"] == "no"
    assert listener.text.startswith("retry: 1000\nid: task-1:1\ndata: ")
    await listener.leave()


@pytest.mark.parametrize("path", ["/tasks/task-1:subscribe"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_http_streams_bare_responses(method: str, path: str) -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await Listener(stage.app, method, path).begin()

    await play(log, *JOURNALS["completed"])

    assert listener.ended
    assert "jsonrpc" not in listener.text
    assert folded(listener.frames[0].parsed.task, [frame.parsed for frame in listener.frames[1:]]) == snapshot(log.task)


@pytest.mark.parametrize("name", JOURNALS)
async def test_every_reader_of_a_stream_has_the_polled_task(name: str) -> None:
    stage = Stage()
    log = await stage.begin()
    reading = [await subscribed(stage)]
    for update in JOURNALS[name]:
        await play(log, update)
        for listener in reading:
            opening, *rest = [frame.parsed for frame in listener.frames]
            assert folded(opening.task, rest) == snapshot(log.task)
        reading = [listener for listener in reading if not listener.ended]
        if not log.task.state.terminal:
            reading.append(await subscribed(stage))

    for listener in reading:
        await listener.leave()


async def test_readers_read_the_same() -> None:
    stage = Stage()
    log = await stage.begin()
    listeners = [await subscribed(stage) for _ in range(3)]

    await play(log, *TURN, COMPLETED)

    assert len({listener.text for listener in listeners}) == 1


async def test_the_task_is_told_when_it_is_durable() -> None:
    stage = Stage()
    log = await stage.begin()
    stage.journal.held = True
    log.append([STARTED])
    listener = await subscribed(stage)
    assert listener.sent == []

    stage.journal.release()
    await settled()

    assert listener.frames[0].result["task"]["status"]["state"] == "TASK_STATE_WORKING"
    await listener.leave()


async def test_a_stream_ends_where_somebody_must_answer() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)

    await play(log, STARTED, InterruptRaised(PERMISSION))

    assert listener.ended
    assert listener.last.parsed.status_update.status.state == a2a.TaskState.TASK_STATE_INPUT_REQUIRED


async def test_what_clients_are_not_told_has_no_frame() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)

    await play(log, STARTED, MessageReceived(said("more")), told("prt_1", TextPart("a")))

    assert ids(listener.frames) == ["task-1:1", "task-1:2", "task-1:4"]
    await listener.leave()


async def test_a_bare_reply_is_one_frame() -> None:
    stage = Stage()
    stage.accept.answer = said("hello yourself")

    listener = await Listener.rpc(stage.app, "SendStreamingMessage", {"message": message_json()})

    assert listener.ended
    assert [frame.parsed.message.parts[0].text for frame in listener.frames] == ["hello yourself"]


# Resuming


@pytest.mark.parametrize("cut", range(1, len(TURN) + 3))
async def test_a_resumed_stream_is_exactly_what_was_missed(cut: int) -> None:
    stage = Stage()
    log = await stage.begin()
    whole = await subscribed(stage)
    await play(log, *TURN, COMPLETED)

    resumed = await subscribed(stage, cursor(TaskId("task-1"), log.entries[cut - 1].seq))

    assert resumed.ended
    assert resumed.text.removeprefix("retry: 1000\n\n") == "".join(
        f"{block}\n\n" for block in whole.text.removeprefix("retry: 1000\n").split("\n\n")[cut:-1]
    )


async def test_a_resumed_stream_goes_on_with_the_task() -> None:
    stage = Stage()
    log = await stage.begin()
    await play(log, STARTED)

    listener = await subscribed(stage, "task-1:2")
    assert listener.frames == []
    await play(log, COMPLETED)

    assert ids(listener.frames) == ["task-1:3"]
    assert listener.ended


@pytest.mark.parametrize(
    "last", ["task-2:1", "task-1:99", "task-1:0", "nonsense", "task-1:", ":", "1", "task-1:-1", "\xff"]
)
async def test_a_cursor_that_leads_nowhere_is_a_gap(last: str) -> None:
    stage = Stage()
    log = await stage.begin()
    await play(log, STARTED)

    listener = await Listener(stage.app, "GET", "/tasks/task-1:subscribe", headers={LAST: last}).begin()

    (frame,) = listener.frames
    assert frame.result["task"]["metadata"]["shared"]["stream"] == {"cursor": "task-1:2", "gap": True}
    await listener.leave()


async def test_a_task_that_has_ended_has_no_stream_without_a_cursor() -> None:
    stage = Stage()
    log = await stage.begin()
    await play(log, STARTED, COMPLETED)

    listener = await subscribed(stage)

    assert "UNSUPPORTED_OPERATION" in listener.text


async def test_a_gap_in_the_stream_of_a_task_that_has_ended_is_the_task_and_the_end() -> None:
    stage = Stage()
    log = await stage.begin()
    await play(log, STARTED, COMPLETED)

    listener = await subscribed(stage, "nonsense")

    assert listener.ended
    assert listener.last.parsed.task.status.state == a2a.TaskState.TASK_STATE_COMPLETED


async def test_a_message_whose_stream_broke_is_not_sent_again() -> None:
    stage = Stage()
    await Listener.rpc(stage.app, "SendStreamingMessage", {"message": message_json()})
    log = stage.journal.logs[TaskId("task-1")]
    await play(log, STARTED, COMPLETED)

    again = await Listener.rpc(
        stage.app, "SendStreamingMessage", {"message": message_json()}, headers={LAST: "task-1:1"}
    )

    assert len(stage.accept.heard) == 1
    assert ids(again.frames) == ["task-1:2", "task-1:3"]


async def test_a_new_message_with_an_old_cursor_is_sent() -> None:
    stage = Stage()

    listener = await Listener.rpc(
        stage.app, "SendStreamingMessage", {"message": message_json()}, headers={LAST: "task-9:1"}
    )

    assert kinds(listener.frames) == ["task"]
    assert len(stage.accept.heard) == 1
    await listener.leave()


# Silence


async def test_silence_is_broken_by_comments() -> None:
    stage = Stage()
    await stage.begin()
    listener = await subscribed(stage)
    (first,) = listener.pieces

    await stage.clock.turn(2.9)
    assert listener.pieces == [first]
    await stage.clock.turn(3.2)

    assert listener.pieces == [first, b": ping\n\n", b": ping\n\n"]
    await listener.leave()


async def test_what_is_told_postpones_the_comment() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)

    await stage.clock.turn(2)
    await play(log, STARTED)
    await stage.clock.turn(2)

    assert b": ping\n\n" not in listener.pieces
    await listener.leave()


# Size


async def test_frames_that_come_together_go_together() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)

    await play(log, STARTED, told("prt_1", TextPart("")), *(more("prt_1", "x") for _ in range(50)))

    assert len(listener.pieces) == 2
    assert len(listener.frames) == 53
    await listener.leave()


async def test_pieces_have_a_bound() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)

    await play(log, STARTED, told("prt_1", TextPart("")), *(more("prt_1", "x" * 10_000) for _ in range(30)))

    assert len(listener.frames) == 33
    assert len(listener.pieces) > 4
    assert all(len(piece) < 100_000 for piece in listener.pieces)
    await listener.leave()


async def test_one_update_that_is_large_is_told_in_pieces_and_whole() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)

    large = "x" * 500_000
    await play(log, STARTED, told("prt_1", TextPart("a")), more("prt_1", large), more("prt_1", "b"), COMPLETED)

    assert [text_of(frame) for frame in listener.frames] == ["", "", "a", large, "b", ""]
    assert ids(listener.frames) == [f"task-1:{seq}" for seq in (1, 2, 3, 4, 5, 6)]
    assert all(len(piece) <= 64 * 1024 + 1024 for piece in listener.pieces)


async def test_a_large_task_opens_a_stream_in_pieces_and_whole() -> None:
    stage = Stage()
    log = await stage.begin()
    large = "x" * 500_000
    await play(log, STARTED, told("prt_1", TextPart(large)))

    listener = await subscribed(stage)
    await play(log, more("prt_1", "b"), COMPLETED)

    assert [text_of(frame) for frame in listener.frames] == [large, "b", ""]
    assert ids(listener.frames) == [f"task-1:{seq}" for seq in (3, 4, 5)]
    assert all(len(piece) <= 64 * 1024 + 1024 for piece in listener.pieces)


async def test_streams_that_open_at_the_same_place_share_what_they_open_with() -> None:
    stage = Stage()
    log = await stage.begin()
    await play(log, STARTED)
    encoder = Encoder(log.task)

    first, again = encoder.opening(), encoder.opening()
    shorter = encoder.opening(0)
    await play(log, told("prt_1", TextPart("4")))
    later = encoder.opening()

    assert first is again
    assert len({id(line) for line in (first, shorter, later)}) == 3
    del first, again, shorter, later
    assert len(encoder._openings) == 0


# Ends


async def test_a_reader_who_leaves_is_not_missed() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)
    await play(log, STARTED)

    await listener.leave()

    assert listener.running.done()
    assert listener.running.exception() is None
    assert (stage.clock.waiting, stage.drain.listening) == (0, 0)
    await play(log, COMPLETED)
    assert log.task.state.terminal


async def test_a_reader_may_leave_while_it_takes_nothing() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)
    listener.stuck = asyncio.Event()
    await play(log, STARTED)

    await listener.leave()

    assert listener.running.done()


async def test_a_server_may_say_by_an_error_that_the_reader_left() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)
    listener.broken = True

    await play(log, STARTED)

    assert listener.running.done()
    assert listener.running.exception() is None
    assert stage.drain.listening == 0


async def test_a_slow_reader_keeps_nobody_waiting() -> None:
    stage = Stage()
    log = await stage.begin()
    slow, quick = await subscribed(stage), await subscribed(stage)
    slow.stuck = asyncio.Event()

    await play(log, *TURN, COMPLETED)
    assert quick.ended
    assert len(slow.frames) == 1
    slow.stuck.set()
    await settled()

    assert slow.ended
    assert slow.text == quick.text


@pytest.mark.parametrize("rest", [False, True])
async def test_the_end_of_the_service_is_told_with_the_place_to_go_on(rest: bool) -> None:  # noqa: FBT001
    stage = Stage()
    log = await stage.begin()
    listener = await (Listener.rest(stage.app, "/tasks/task-1:subscribe") if rest else subscribed(stage))
    await play(log, STARTED)

    stage.drain.begin()
    await settled()

    assert listener.ended
    assert (listener.last.event, listener.last.id) == ("error", "task-1:2")
    error = listener.last.data["error"]
    info = (error["details"] if rest else error["data"])[0]
    assert (info["reason"], info["metadata"]) == ("SERVICE_DRAINING", {"cursor": "task-1:2"})
    assert not log.task.state.terminal


async def test_a_stream_that_begins_while_the_service_ends_ends_too() -> None:
    stage = Stage()
    await stage.begin()
    stage.drain.begin()

    listener = await subscribed(stage)

    assert listener.ended
    assert [frame.event for frame in listener.frames] == ["", "error"]


async def test_a_stream_that_is_all_told_ends_without_an_error() -> None:
    stage = Stage()
    log = await stage.begin()
    await play(log, STARTED, COMPLETED)
    stage.drain.begin()

    listener = await subscribed(stage, "task-1:3")

    assert listener.ended
    assert listener.frames == []


async def test_a_reader_who_takes_its_time_hears_of_the_end_after_what_was_on_its_way() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)
    listener.stuck = asyncio.Event()
    await play(log, STARTED)

    stage.drain.begin()
    listener.stuck.set()
    await settled()

    assert listener.ended
    assert [(frame.event, frame.id) for frame in listener.frames[1:]] == [("", "task-1:2"), ("error", "task-1:2")]


async def test_a_reader_who_takes_nothing_does_not_keep_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opencode_a2a_server.adapters.inbound.a2a.sse._GRACE", 0.0)
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)
    listener.stuck = asyncio.Event()
    await play(log, STARTED)

    stage.drain.begin()
    await settled()

    assert listener.running.done()
    assert len(listener.frames) == 1


async def test_a_store_that_breaks_is_an_error_and_the_end() -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)
    await play(log, STARTED)

    break_reading(log, JournalUnavailable("the disk is full"))
    await play(log, told("prt_1", TextPart("a")))

    assert listener.ended
    assert (listener.last.event, listener.last.id) == ("error", "task-1:2")
    assert listener.last.data["error"]["message"] == "the disk is full"
    assert listener.last.data["id"] == "call-1"


async def test_what_breaks_in_us_is_an_error_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    log = await stage.begin()
    listener = await subscribed(stage)

    break_reading(log, RuntimeError("secret"))
    await play(log, STARTED)

    assert listener.ended
    assert listener.last.data["error"]["code"] == -32603
    assert "secret" not in listener.text
    assert "secret" in caplog.text


def break_reading(log: FakeLog, error: Exception) -> None:
    """Have the next read fail."""

    class Unreadable(list[Entry]):
        def __getitem__(self, _: object) -> Never:
            raise error

    log.entries = Unreadable(log.entries)


async def test_an_answer_lets_a_new_stream_go_on() -> None:
    stage = Stage()
    log = await stage.begin()
    await play(log, STARTED, InterruptRaised(PERMISSION))
    listener = await subscribed(stage)

    await play(log, answered("per_1"), COMPLETED)

    assert kinds(listener.frames) == ["task", "statusUpdate", "statusUpdate"]
    assert listener.ended
