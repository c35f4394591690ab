"""ListTasks, in both bindings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from a2a import types as a2a
from google.protobuf.json_format import ParseDict

from opencode_a2a_server.adapters.inbound.a2a.codec import timestamp
from opencode_a2a_server.adapters.inbound.a2a.page_token import token_in, token_out
from opencode_a2a_server.app.ports.tasks import Place
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import Principal, TaskId
from opencode_a2a_server.domain.message import TextPart
from opencode_a2a_server.domain.updates import MessageReceived
from tests.adapters.inbound.a2a.stage import Stage, said
from tests.adapters.inbound.a2a.updates import COMPLETED, STARTED, told

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["JSONRPC", "HTTP+JSON"])
def binding(request: pytest.FixtureRequest) -> str:
    binding: str = request.param
    return binding


async def ask(stage: Stage, binding: str, **asked: object) -> Mapping[str, Any]:
    """List; gives the response or the error."""
    if binding == "JSONRPC":
        answer = await stage.rpc("ListTasks", asked)
        result: Mapping[str, Any] = answer.get("result") or answer["error"]
        return result
    query = {name: str(value).lower() if isinstance(value, bool) else value for name, value in asked.items()}
    async with stage.client() as client:
        response = await client.get("/tasks", params=query)  # type: ignore[arg-type]
    told: Mapping[str, Any] = response.json()
    return told if response.status_code == 200 else told["error"]


async def peopled(count: int = 3) -> Stage:
    stage = Stage()
    for number in range(count):
        log = await stage.begin(f"task-{number}")
        log.append([STARTED, told("prt_1", TextPart("42")), MessageReceived(said("and", "message-2"))])
        await stage.clock.turn(1)
    return stage


async def test_all_fields_are_there_even_of_an_empty_list(binding: str) -> None:
    answer = await ask(Stage(), binding)

    assert answer == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}
    ParseDict(dict(answer), a2a.ListTasksResponse())


async def test_pages_have_the_sdks_shape_and_go_on_where_they_ended(binding: str) -> None:
    stage = await peopled()

    one = await ask(stage, binding, pageSize=2)
    two = await ask(stage, binding, pageSize=2, pageToken=one["nextPageToken"])

    read = ParseDict(dict(one), a2a.ListTasksResponse())
    assert [task.id for task in read.tasks] == ["task-2", "task-1"]
    assert (read.page_size, read.total_size, bool(read.next_page_token)) == (2, 3, True)
    assert [task["id"] for task in two["tasks"]] == ["task-0"]
    assert (two["nextPageToken"], two["totalSize"]) == ("", 3)


async def test_output_is_told_only_if_asked_for_and_history_as_long_as_asked(binding: str) -> None:
    stage = await peopled(1)

    (plain,) = (await ask(stage, binding))["tasks"]
    (whole,) = (await ask(stage, binding, includeArtifacts=True, historyLength=1))["tasks"]

    assert ("artifacts" in plain, len(plain["history"])) == (False, 2)
    assert (whole["artifacts"][0]["parts"], len(whole["history"])) == ([{"text": "42"}], 1)


async def test_filters_are_honoured(binding: str) -> None:
    stage = await peopled()
    stage.journal.logs[TaskId("task-0")].append([COMPLETED])
    moment = timestamp(stage.journal.logs[TaskId("task-2")].task.status.at)

    ended = await ask(stage, binding, status="TASK_STATE_COMPLETED")
    here = await ask(stage, binding, contextId="context-1", status="TASK_STATE_UNSPECIFIED")
    elsewhere = await ask(stage, binding, contextId="context-2")
    new = await ask(stage, binding, statusTimestampAfter=moment)

    assert [task["id"] for task in ended["tasks"]] == ["task-0"]
    assert (here["totalSize"], elsewhere["totalSize"]) == (3, 0)
    assert [task["id"] for task in new["tasks"]] == ["task-0", "task-2"]


async def test_only_ones_own_tasks_are_listed(binding: str) -> None:
    stage = Stage()
    await stage.begin(principal=Principal("bearer:somebody"))

    assert (await ask(stage, binding))["totalSize"] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pageSize", 0),
        ("pageSize", 101),
        ("pageSize", -1),
        ("pageSize", "many"),
        ("pageToken", "!"),
        ("pageToken", "bm9uZSBvZiBvdXJz"),
        ("pageToken", token_out(Place(1.0, TaskId("x"))) + "AAAA"),
        ("pageToken", "ü"),
        ("status", "TASK_STATE_BOGUS"),
        ("status", "working"),
        ("status", ""),
        ("historyLength", -1),
        ("statusTimestampAfter", "yesterday"),
    ],
)
async def test_what_cannot_be_meant_is_refused(binding: str, name: str, value: object) -> None:
    stage = await peopled(1)

    answer = await ask(stage, binding, **{name: value})

    assert answer["code"] in (-32602, 400)
    details = answer["data"] if binding == "JSONRPC" else answer["details"]
    assert name in str(details)


async def test_output_is_wanted_or_not(binding: str) -> None:
    assert (await ask(Stage(), binding, includeArtifacts="perhaps"))["code"] in (-32602, 400)


async def test_a_status_by_its_number_is_known_if_there_is_one() -> None:
    stage = await peopled(1)

    assert (await stage.rpc("ListTasks", {"status": 2}))["result"]["totalSize"] == 1
    for unknown in (99, True, 2.5, ["TASK_STATE_WORKING"]):
        assert (await stage.rpc("ListTasks", {"status": unknown}))["error"]["code"] == -32602


def test_a_token_is_read_as_it_was_written() -> None:
    place = Place(1_795_346_746.123456, TaskId("task-ü"))

    assert token_in(token_out(place)) == place
    with pytest.raises(InvalidRequest):
        token_in(token_out(Place(1.0, TaskId("\n"))))
