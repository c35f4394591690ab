"""What operations have in common: errors, capabilities, contexts, streams, versions (A2A 1.0, 3.3 to 3.7)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from opencode_a2a_server.adapters.outbound.access.hashes import TokenHash
from tests.conformance.agents import BINDINGS, JSONRPC, Client, Service, sending, serving, text_of
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio


# Errors


@clause("3.3.2b", "7.4", "13.1a", "14.1.1e")
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic bGV0Om1lLWlu"])
@pytest.mark.parametrize("operation", ["SendMessage", "GetTask", "ListTasks", "CancelTask", "GetExtendedAgentCard"])
async def test_nobody_gets_in_without_the_token(agent: Client, operation: str, authorization: str) -> None:
    refused = await agent.call(operation, {**sending("hello"), "id": "any"}, authorization=authorization)

    assert refused.http.status_code == 401
    assert refused.http.headers["www-authenticate"].startswith("Bearer")


@clause("3.3.2d", "3.3.2f", "13.1c", "13.1d")
async def test_somebody_elses_task_is_as_one_that_is_not_there(service: Service, agent: Client) -> None:
    foreign = await service.somebody_elses_task()
    answers = [
        [
            await agent.call("GetTask", {"id": task_id}),
            await agent.call("CancelTask", {"id": task_id}),
            await agent.call("SubscribeToTask", {"id": task_id}),
            await agent.call("SendMessage", sending("hello", taskId=task_id)),
            await agent.call("SendStreamingMessage", sending("hello", taskId=task_id)),
            await agent.call("SendMessage", sending("hello", referenceTaskIds=[task_id])),
        ]
        for task_id in (foreign, "nothing")
    ]

    told = [
        [(one.http.status_code, one.reason, str(one.error).replace(foreign, "nothing")) for one in row]
        for row in answers
    ]
    assert told[0] == told[1]
    assert {reason for _, reason, _ in told[0]} == {"TASK_NOT_FOUND"}


@clause("3.3.2a", "3.3.2e", "13.4b", "14.1.1b", "5.7a", "5.7b")
@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("SendMessage", {}),
        ("SendMessage", {"message": {"role": "ROLE_USER", "parts": [{"text": "x"}]}}),
        ("SendMessage", {"message": {"messageId": "m", "parts": [{"text": "x"}]}}),
        ("SendMessage", {"message": {"messageId": "m", "role": "ROLE_USER", "parts": []}}),
        ("SendMessage", {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{}]}}),
        ("SendMessage", {"message": {"messageId": "m", "role": "ROLE_KING", "parts": [{"text": "x"}]}}),
        ("SendMessage", {**sending("x"), "configuration": {"historyLength": -1}}),
        ("SendMessage", {**sending("x"), "configuration": {"returnImmediately": "perhaps"}}),
        ("ListTasks", {"pageSize": 0}),
        ("ListTasks", {"pageSize": 101}),
        ("ListTasks", {"status": "TASK_STATE_RUNNING"}),
        ("ListTasks", {"pageToken": "made-up"}),
        ("ListTasks", {"statusTimestampAfter": "yesterday"}),
        ("GetTask", {"id": "any", "historyLength": "-1"}),
    ],
)
async def test_what_breaks_the_contract_is_refused_and_nothing_done(
    agent: Client, operation: str, params: dict[str, Any]
) -> None:
    before = (await agent.call("ListTasks")).result["totalSize"]

    refused = await agent.call(operation, params)

    assert refused.reason == "INVALID_PARAMS"
    assert refused.error["code"] == (-32602 if agent.binding == JSONRPC else 400)
    assert (await agent.call("ListTasks")).result["totalSize"] == before


@clause("3.3.2a")
async def test_a_part_that_the_agent_cannot_take_is_refused_as_such(agent: Client) -> None:
    part = {"raw": "AAAA", "mediaType": "application/x-unsupported"}

    assert (await agent.call("SendMessage", sending("", parts=[part]))).reason == "CONTENT_TYPE_NOT_SUPPORTED"


@clause("3.3.2g", "3.3.2h", "3.3.2i", "9.5", "11.6a", "11.6b")
async def test_an_error_has_a_code_words_and_typed_details(agent: Client) -> None:
    refused = await agent.call("GetTask", {"id": "nothing"})

    assert isinstance(refused.error["code"], int)
    assert refused.error["message"]
    assert all(detail["@type"].startswith("type.googleapis.com/") for detail in refused.details)
    assert refused.details[0] == {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "TASK_NOT_FOUND",
        "domain": "a2a-protocol.org",
        "metadata": {},
    }


# Capabilities


@clause("3.3.4a")
@pytest.mark.parametrize("binding", BINDINGS)
async def test_without_notifications_all_of_their_operations_are_refused(binding: str) -> None:
    async with serving(A2A_PUSH_NOTIFICATIONS="false") as service:
        agent, config = Client(service, binding), {"taskId": "any", "id": "any"}
        answers = [
            await agent.call("CreateTaskPushNotificationConfig", {"taskId": "any", "url": "https://example.com"}),
            await agent.call("GetTaskPushNotificationConfig", config),
            await agent.call("ListTaskPushNotificationConfigs", {"taskId": "any"}),
            await agent.call("DeleteTaskPushNotificationConfig", config),
        ]
        card = await service.card()

    assert {answer.reason for answer in answers} == {"PUSH_NOTIFICATION_NOT_SUPPORTED"}
    assert not card["capabilities"].get("pushNotifications")


@clause("3.3.2c")
@pytest.mark.parametrize("binding", BINDINGS)
async def test_who_may_only_read_is_told_that_it_may_not_write(binding: str, tmp_path: Path) -> None:
    registry = tmp_path / "credentials.toml"
    registry.write_text(
        '[[principal]]\nname = "reader"\n[[principal.credential]]\n'
        f'token = "{TokenHash.of(b"token-of-a-reader")}"\nscopes = ["read"]\n'
    )
    async with serving(A2A_CREDENTIALS_FILE=str(registry)) as service:
        agent, reader = Client(service, binding), "Bearer token-of-a-reader"
        read = await agent.call("ListTasks", authorization=reader)
        refused = [
            await agent.call("SendMessage", sending("[[say hello]]"), authorization=reader),
            await agent.call("CancelTask", {"id": "any"}, authorization=reader),
        ]

    assert "error" not in read.body
    assert [answer.reason for answer in refused] == ["AUTHORIZATION_FORBIDDEN"] * 2
    assert [answer.http.status_code for answer in refused] == [200 if binding == JSONRPC else 403] * 2


@clause("3.3.4d", "4.6.3b", "4.6.3c")
@pytest.mark.parametrize("binding", BINDINGS)
async def test_who_does_not_name_a_required_extension_is_refused(binding: str) -> None:
    required = "urn:a2a:stream-hints/v1"
    async with serving(A2A_REQUIRED_EXTENSIONS=required) as service:
        agent = Client(service, binding)
        answers = [
            await agent.call("ListTasks"),
            await agent.call("ListTasks", a2a_extensions="urn:a2a:stream-hints/v2"),
            await agent.call("ListTasks", a2a_extensions=required),
        ]
        card = await service.card()

    assert [answer.reason for answer in answers[:2]] == ["EXTENSION_SUPPORT_REQUIRED"] * 2
    assert "error" not in answers[2].body
    assert [one["uri"] for one in card["capabilities"]["extensions"] if one.get("required")] == [required]


@clause("3.3.4c", "13.3c")
@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize(("served", "reason"), [("true", ""), ("false", "UNSUPPORTED_OPERATION")])
async def test_an_extended_card_that_is_not_declared_is_unsupported(binding: str, served: str, reason: str) -> None:
    async with serving(A2A_EXTENDED_CARD=served) as service:
        declared = (await service.card())["capabilities"].get("extendedAgentCard", False)
        answer = await Client(service, binding).call("GetExtendedAgentCard")

    assert declared == (served == "true")
    assert (answer.reason if "error" in answer.body else "") == reason


# Contexts and tasks


@clause("3.4.1b")
async def test_a_context_of_the_clients_is_kept_or_refused_never_replaced(agent: Client) -> None:
    kept = await agent.send("[[say hello]]", contextId="made by the client")
    refused = await agent.call("SendMessage", sending("hello", contextId="x" * 300))

    assert kept["contextId"] == "made by the client"
    assert refused.reason == "INVALID_PARAMS"


@clause("3.4.2a")
async def test_every_task_has_an_id_of_its_own(agent: Client) -> None:
    tasks = [await agent.send("[[say hello]]", contextId="one", messageId="same") for _ in range(5)]

    assert len({task["id"] for task in tasks}) == 5


@clause("3.4.2c")
async def test_a_message_to_a_task_that_is_not_there_makes_none(agent: Client) -> None:
    before = (await agent.call("ListTasks")).result["totalSize"]

    refused = await agent.call("SendMessage", sending("hello", taskId="made-up"))

    assert refused.reason == "TASK_NOT_FOUND"
    assert (await agent.call("ListTasks")).result["totalSize"] == before


@clause("3.4.3a")
async def test_a_message_that_names_its_task_only_is_of_the_tasks_context(agent: Client) -> None:
    task = await agent.send("[[ask input What else?]]")

    done = await agent.send("[[complete]]", taskId=task["id"])

    assert (done["id"], done["contextId"]) == (task["id"], task["contextId"])
    assert [message.get("contextId") for message in done["history"] if message["role"] == "ROLE_USER"] == [
        task["contextId"]
    ] * 2


@clause("3.4.3b")
async def test_a_message_of_another_context_than_its_tasks_is_refused(agent: Client) -> None:
    task = await agent.send("[[ask input What else?]]")

    refused = await agent.call("SendMessage", sending("hello", taskId=task["id"], contextId="another"))

    assert refused.reason == "INVALID_PARAMS"
    assert (await agent.call("GetTask", {"id": task["id"]})).result == task


# Streams of one task


@clause("3.5.2a", "3.5.2b", "3.5.2c", "3.5.2d")
async def test_all_streams_of_a_task_get_the_same_in_the_same_order(agent: Client) -> None:
    task = await agent.send("[[ask input What else?]]")
    readers = [await agent.begin("SubscribeToTask", {"id": task["id"]}) for _ in range(4)]
    await readers[0].leave()

    await agent.send("[[say one two three four five]] [[think so]] [[say six]]", taskId=task["id"])
    streams = [await agent.end(reader) for reader in readers[1:]]

    assert streams[0] == streams[1] == streams[2]
    numbers = [
        (event["artifactUpdate"]["artifact"] if "artifactUpdate" in event else event["statusUpdate"])["metadata"][
            "shared"
        ]["stream"]["sequence"]
        for event in streams[0][1:]
    ]
    assert numbers == sorted(numbers)
    spoken = [
        event["artifactUpdate"]["artifact"]["parts"][0]["text"] for event in streams[0] if "artifactUpdate" in event
    ]
    assert "".join(spoken) == "one two three four fivesosix"


@clause("3.7")
async def test_what_was_made_is_found_later_though_nobody_listened(agent: Client) -> None:
    task = await agent.send("[[delay 0.01]] [[say the answer]] [[complete and a word]]", wait=False)
    listener = await agent.begin("SubscribeToTask", {"id": task["id"]})
    await asyncio.shield(listener.running)

    found = (await agent.call("GetTask", {"id": task["id"]})).result

    assert text_of(found) == "the answer"
    assert found["status"]["message"]["parts"] == [{"text": "and a word"}]


# Versions


@clause("3.6a")
@pytest.mark.parametrize("version", ["1.0", "1.0.1", "1.0.99"])
async def test_patch_numbers_do_not_count(agent: Client, version: str) -> None:
    assert (await agent.call("ListTasks", a2a_version=version)).http.status_code == 200


@clause("3.6.2b")
@pytest.mark.parametrize("version", ["0.2", "1.1", "2.0", "one"])
async def test_a_version_that_is_not_served_is_refused_as_such(agent: Client, version: str) -> None:
    refused = await agent.call("ListTasks", a2a_version=version)

    assert refused.reason == "VERSION_NOT_SUPPORTED"


@clause("3.6.2a", "3.6.2c")
@pytest.mark.parametrize("version", ["", "0.3"])
async def test_no_version_is_0_3_and_told_so(service: Service, version: str) -> None:
    said = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "[[say hello]]"}]}
    call = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": said}}

    async with service.http(a2a_version=version) as http:
        answer = (await http.post("/", json=call)).json()

    assert answer["result"]["kind"] == "task"
    assert answer["result"]["status"]["state"] == "completed"


@clause("3.6.2a")
@pytest.mark.parametrize(
    ("version", "method", "code"), [("0.3", "SendMessage", -32601), ("1.0", "message/send", -32601)]
)
async def test_what_a_version_does_not_have_is_not_found_in_it(
    service: Service, version: str, method: str, code: int
) -> None:
    async with service.http(a2a_version=version) as http:
        answer = (await http.post("/", json={"jsonrpc": "2.0", "id": 1, "method": method})).json()

    assert answer["error"]["code"] == code
