"""What a client takes is what it gets: `acceptedOutputModes`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from opencode_a2a_server.adapters.inbound.a2a.encode import Encoder
from opencode_a2a_server.domain.ids import TaskId
from opencode_a2a_server.domain.message import DataPart, TextPart
from opencode_a2a_server.domain.updates import BlockKind, InterruptRaised, MessageReceived
from tests.adapters.inbound.a2a.stage import Stage, message_json, said, untouched
from tests.adapters.inbound.a2a.updates import PERMISSION, STARTED, more, told
from tests.fakes.journal import FakeLog

pytestmark = pytest.mark.anyio

DATA: dict[str, Any] = {"tool": "bash", "output": "line\nläne \u2028", "exit": 0, "nested": {"list": [1, None, True]}}


async def begun(stage: Stage, *modes: str) -> FakeLog:
    """Send a message which says what its sender takes, and have a tool called."""
    message = message_json(parts=[{"data": {"mine": 1}}])
    configuration = {"returnImmediately": True, "acceptedOutputModes": list(modes)}
    await stage.rpc("SendMessage", {"message": message, "configuration": configuration})
    log = stage.journal.logs[TaskId("task-1")]
    log.append([STARTED, told("prt_1", DataPart(DATA), kind=BlockKind.TOOL), told("prt_2", TextPart("so"))])
    log.append([more("prt_2", " far"), InterruptRaised(PERMISSION)])
    return log


def streamed(log: FakeLog) -> list[Any]:
    encoder = Encoder(log.task)
    return [json.loads(frame) for entry in log.entries if (frame := encoder(entry))]


@pytest.mark.parametrize("modes", [("text/plain",), ("TEXT/PLAIN; charset=utf-8", "image/png"), ("text/*",)])
async def test_who_takes_only_text_gets_data_as_json_text(modes: tuple[str, ...]) -> None:
    stage = Stage()
    log = await begun(stage, *modes)

    task = (await stage.rpc("GetTask", {"id": "task-1"}))["result"]
    frames = streamed(log)

    (part,) = task["artifacts"][0]["parts"]
    assert json.loads(part["text"]) == DATA
    artifacts = [frame["artifactUpdate"]["artifact"] for frame in frames if "artifactUpdate" in frame]
    assert artifacts[0]["parts"] == [part]
    assert [one["parts"] for one in artifacts[1:]] == [[{"text": "so"}], [{"text": " far"}]]
    for status in (task["status"], frames[-1]["statusUpdate"]["status"]):
        assert [list(one) for one in status["message"]["parts"]] == [["text"], ["text"]]
        assert json.loads(status["message"]["parts"][1]["text"])["request_id"] == "per_1"


@pytest.mark.parametrize("modes", [(), ("application/json",), ("text/plain", "application/json"), ("*/*",)])
async def test_who_takes_data_gets_data(modes: tuple[str, ...]) -> None:
    stage = Stage()
    log = await begun(stage, *modes)

    task = (await stage.rpc("GetTask", {"id": "task-1"}))["result"]

    assert task["artifacts"][0]["parts"] == [{"data": DATA}]
    assert any(
        frame.get("artifactUpdate", {}).get("artifact", {}).get("parts") == [{"data": DATA}] for frame in streamed(log)
    )


async def test_what_the_client_said_stays_as_it_said_it() -> None:
    stage = Stage()
    await begun(stage, "text/plain")

    task = (await stage.rpc("GetTask", {"id": "task-1"}))["result"]

    assert task["history"][0]["parts"] == [{"data": {"mine": 1}}]


async def test_a_later_message_may_say_otherwise_or_nothing() -> None:
    stage = Stage()
    log = await begun(stage, "text/plain")

    log.append([MessageReceived(said("yes", "message-2"))])
    assert log.task.text_only
    log.append([MessageReceived(evolve(said("as data", "message-3"), accepts=("application/json",)))])

    assert (await stage.rpc("GetTask", {"id": "task-1"}))["result"]["artifacts"][0]["parts"] == [{"data": DATA}]


async def test_who_takes_nothing_we_have_is_refused() -> None:
    configuration = {"acceptedOutputModes": ["image/png"]}

    answer = await untouched().rpc("SendMessage", {"message": message_json(), "configuration": configuration})

    assert answer["error"]["code"] == -32005
