"""The operations (A2A 1.0, 3.1 and 3.2)."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from tests.conformance.agents import JSONRPC, PATIENCE, Client, Service, sending, text_of
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio

TERMINAL = {"TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED", "TASK_STATE_REJECTED"}


# Sending


@clause("3.1.1")
async def test_a_message_is_answered_with_a_task_or_with_a_message(agent: Client) -> None:
    worked = await agent.call("SendMessage", sending("[[say hello]]"))
    replied = await agent.call("SendMessage", sending("[[reply hello]]"))

    assert (set(worked.result), set(replied.result)) == ({"task"}, {"message"})


@clause("3.1.1", "3.2.2c")
async def test_who_does_not_wait_gets_the_task_while_the_work_goes_on(agent: Client) -> None:
    task = await agent.send("[[hang]]", wait=False)

    assert task["status"]["state"] in {"TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"}
    canceled = await agent.call("CancelTask", {"id": task["id"]})
    assert canceled.result["status"]["state"] == "TASK_STATE_CANCELED"


@clause("3.2.2a")
@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("[[say done]]", "TASK_STATE_COMPLETED"),
        ("[[fail]]", "TASK_STATE_FAILED"),
        ("[[reject no]]", "TASK_STATE_REJECTED"),
        ("[[ask input What else?]]", "TASK_STATE_INPUT_REQUIRED"),
        ("[[ask permission bash rm *]]", "TASK_STATE_INPUT_REQUIRED"),
        ("[[need auth Sign in]]", "TASK_STATE_AUTH_REQUIRED"),
    ],
)
async def test_who_waits_gets_the_task_where_it_ended_or_halts(agent: Client, script: str, state: str) -> None:
    assert (await agent.send(f"[[delay 0.01]] {script}"))["status"]["state"] == state


@clause("3.2.2b")
async def test_who_waited_gets_all_that_was_made(agent: Client) -> None:
    task = await agent.send('[[say some words]] [[data {"a": 1}]] [[file notes.txt text/plain more]] [[complete fine]]')

    parts = [part for artifact in task["artifacts"] for part in artifact["parts"]]
    assert [part.get("text") or part.get("data") or part["filename"] for part in parts] == [
        "some words",
        {"a": 1},
        "notes.txt",
    ]
    assert task["status"]["message"]["parts"] == [{"text": "fine"}]
    assert (await agent.call("GetTask", {"id": task["id"]})).result == task


@clause("3.4.1a", "3.4.2b")
async def test_the_answer_names_the_task_and_the_context_that_were_made(agent: Client) -> None:
    task = await agent.send("[[say hello]]")

    assert task["id"]
    assert task["contextId"]
    assert (await agent.send("[[reply hello]]", contextId="mine"))["contextId"] == "mine"


# Streams


@clause("3.1.2a", "3.1.2c", "3.1.2d")
async def test_a_stream_is_the_task_then_updates_then_the_end(agent: Client) -> None:
    events = await agent.stream("SendStreamingMessage", sending("[[say one two three]]"))

    assert set(events[0]) == {"task"}
    assert {name for event in events[1:] for name in event} == {"statusUpdate", "artifactUpdate"}
    states = [event["statusUpdate"]["status"]["state"] for event in events if "statusUpdate" in event]
    assert [state for state in states if state in TERMINAL] == states[-1:]
    assert "statusUpdate" in events[-1]


@clause("3.1.2b")
async def test_a_stream_of_a_bare_message_has_nothing_else(agent: Client) -> None:
    (event,) = await agent.stream("SendStreamingMessage", sending("[[reply hello]]"))

    assert event["message"]["parts"] == [{"text": "hello"}]


@clause("3.1.2e")
async def test_a_stream_tells_what_there_is_before_the_work_is_done(agent: Client) -> None:
    listener = await agent.begin("SendStreamingMessage", sending("[[say early words]] [[hang]]"))
    async with asyncio.timeout(PATIENCE):
        while not any("artifactUpdate" in frame.result for frame in listener.frames):  # noqa: ASYNC110
            await asyncio.sleep(0)  # whatever comes next is the service's to do

    assert not listener.ended
    task_id = listener.frames[0].result["task"]["id"]
    await agent.call("CancelTask", {"id": task_id})
    events = await agent.end(listener)
    assert events[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_CANCELED"


@clause("3.1.6a", "3.1.6b")
async def test_who_follows_a_task_gets_it_as_it_stands_and_then_its_end(agent: Client) -> None:
    task = await agent.send("[[hang]]", wait=False)
    listener = await agent.begin("SubscribeToTask", {"id": task["id"]})
    await agent.call("CancelTask", {"id": task["id"]})

    events = await agent.end(listener)

    assert events[0]["task"]["id"] == task["id"]
    assert events[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_CANCELED"


@clause("3.3.2a")
async def test_a_task_that_has_ended_cannot_be_followed_continued_or_canceled(agent: Client) -> None:
    task = await agent.send("[[say done]]")

    followed = await agent.call("SubscribeToTask", {"id": task["id"]})
    continued = await agent.call("SendMessage", sending("more", taskId=task["id"]))
    canceled = await agent.call("CancelTask", {"id": task["id"]})

    assert [followed.reason, continued.reason, canceled.reason] == [
        "UNSUPPORTED_OPERATION",
        "UNSUPPORTED_OPERATION",
        "TASK_NOT_CANCELABLE",
    ]


# Lists


@clause("3.1.4a", "3.1.4b")
async def test_a_list_leaves_out_what_was_made_unless_asked(agent: Client) -> None:
    context = uuid4().hex
    await agent.send("[[say words]]", contextId=context)

    short = (await agent.call("ListTasks", {"contextId": context})).result
    asked = {"contextId": context, "includeArtifacts": True if agent.binding == JSONRPC else "true"}
    long = (await agent.call("ListTasks", asked)).result

    assert "artifacts" not in short["tasks"][0]
    assert text_of(long["tasks"][0]) == "words"
    assert (short["nextPageToken"], short["totalSize"], short["pageSize"]) == ("", 1, 50)


@clause("3.1.4b", "3.1.4d", "3.1.4e", "11.5a", "11.5b", "11.5d")
async def test_pages_lead_through_all_tasks_the_newest_status_first(agent: Client) -> None:
    context = f"pages & more {uuid4().hex}"
    first, second, third = [await agent.send(f"[[say {n}]]", contextId=context) for n in range(3)]

    listed, token = [], ""
    while True:
        page = (await agent.call("ListTasks", {"contextId": context, "pageSize": 1, "pageToken": token})).result
        listed += [task["id"] for task in page["tasks"]]
        token = page["nextPageToken"]
        if not token:
            break

    assert listed == [third["id"], second["id"], first["id"]]


# Push notification configurations


@clause("3.1.8a", "3.1.8b", "3.1.9", "3.1.10a", "3.1.10b")
async def test_configurations_are_kept_shown_and_gone_when_deleted(agent: Client) -> None:
    task_id = (await agent.send("[[ask input What else?]]"))["id"]
    wanted = {"taskId": task_id, "url": "http://127.0.0.1:9/hook", "token": "t"}
    made = [(await agent.call("CreateTaskPushNotificationConfig", wanted)).result for _ in range(2)]
    named = {"taskId": task_id, "id": made[0]["id"]}

    got = (await agent.call("GetTaskPushNotificationConfig", named)).result
    listed = (await agent.call("ListTaskPushNotificationConfigs", {"taskId": task_id})).result["configs"]
    for _ in range(2):
        assert (await agent.call("DeleteTaskPushNotificationConfig", named)).http.status_code == 200
    left = (await agent.call("ListTaskPushNotificationConfigs", {"taskId": task_id})).result["configs"]
    gone = await agent.call("GetTaskPushNotificationConfig", named)

    assert {name: got[name] for name in wanted} == wanted
    assert sorted(one["id"] for one in listed) == sorted(one["id"] for one in made)
    assert [one["id"] for one in left] == [made[1]["id"]]
    assert gone.reason == "TASK_NOT_FOUND"


@clause("3.1.8b", "13.1c")
async def test_configurations_of_somebody_elses_task_are_not_there(service: Service, agent: Client) -> None:
    task_id = await service.somebody_elses_task()
    config = {"taskId": task_id, "id": "any"}

    answers = [
        await agent.call("CreateTaskPushNotificationConfig", {"taskId": task_id, "url": "http://127.0.0.1:9/hook"}),
        await agent.call("GetTaskPushNotificationConfig", config),
        await agent.call("ListTaskPushNotificationConfigs", {"taskId": task_id}),
        await agent.call("DeleteTaskPushNotificationConfig", config),
    ]

    assert {answer.reason for answer in answers} == {"TASK_NOT_FOUND"}
