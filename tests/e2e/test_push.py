"""Push notifications from the running service to a receiver of our own."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from a2a.types import StreamResponse
from google.protobuf.json_format import ParseDict

from tests.e2e.receiver import Receiver, receiving
from tests.e2e.service import RunningService
from tests.e2e.until import until

SETTINGS = {
    "A2A_RUNTIME": "scripted",
    "A2A_PUSH_ALLOWED_HOSTS": "127.0.0.1",
    "A2A_PUSH_SECRET": "push-secret",
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def send(service: RunningService, receiver: Receiver, text: str = "hello") -> dict[str, Any]:
    body = {
        "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]},
        "configuration": {
            "returnImmediately": True,
            "taskPushNotificationConfig": {
                "url": receiver.url,
                "token": "my-token",
                "authentication": {"scheme": "Bearer", "credentials": "my-credentials"},
            },
        },
    }
    answer = httpx.post(f"{service.url}/message:send", headers=service.headers, json=body, trust_env=False)
    assert answer.status_code == httpx.codes.OK, answer.text
    task: dict[str, Any] = answer.json()["task"]
    return task


def test_all_that_comes_of_a_message_is_pushed_signed_and_in_order(receiver: Receiver) -> None:
    with RunningService(SETTINGS) as service:
        task = send(service, receiver)
        until(lambda: "TASK_STATE_COMPLETED" in receiver.states, what=f"the end; {service.log}")
        configs = f"{service.url}/tasks/{task['id']}/pushNotificationConfigs"
        until(
            lambda: not httpx.get(configs, headers=service.headers, trust_env=False).json().get("configs"),
            what="the configuration to end with its task",
        )

    for headers, body in receiver.got:
        said = dict(part.split("=") for part in headers["x-a2a-signature"].split(","))
        signed = hmac.new(b"push-secret", said["t"].encode() + b"." + body, sha256).hexdigest()
        assert (said["v1"], headers["x-a2a-notification-token"]) == (signed, "my-token")
        assert headers["authorization"] == "Bearer my-credentials"
        assert headers["content-type"] == "application/a2a+json"
        ParseDict(json.loads(body), StreamResponse())
    texts = [
        part["text"]
        for one in receiver.told
        if "artifactUpdate" in one
        for part in one["artifactUpdate"]["artifact"]["parts"]
    ]
    assert "hello" in "".join(texts)
    assert receiver.states[-1] == "TASK_STATE_COMPLETED"


def test_a_receiver_that_does_not_answer_holds_up_no_stream(receiver: Receiver) -> None:
    receiver.gate.clear()
    body = {
        "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "[[delay 1]] [[say hello]]"}]},
        "configuration": {"taskPushNotificationConfig": {"url": receiver.url}},
    }
    with RunningService(SETTINGS) as service:
        began = time.monotonic()
        with service.stream("/message:stream", body) as stream:
            frames = [frame for _, frame in stream]
        took = time.monotonic() - began
        until(lambda: receiver.attempts == 1, what="the first delivery")
        receiver.gate.set()
        until(lambda: "TASK_STATE_COMPLETED" in receiver.states, what=f"the end; {service.log}")

    assert frames[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert took < 5


def test_what_could_not_be_delivered_is_delivered_after_a_crash(receiver: Receiver) -> None:
    receiver.status = 503
    with RunningService(SETTINGS) as service:
        task = f"{service.url}/tasks/{send(service, receiver)['id']}"
        until(lambda: receiver.attempts > 0, what="an attempt")
        until(  # what the crash would cut short is another test's matter
            lambda: "COMPLETED" in httpx.get(task, headers=service.headers, trust_env=False).text, what="the task's end"
        )
        service.kill()
        receiver.status = 200
        service.start()
        until(lambda: "TASK_STATE_COMPLETED" in receiver.states, what=f"the end; {service.log}")

    names = [headers["x-a2a-notification-id"] for headers, _ in receiver.got]
    assert len(names) == len(set(names))


def test_a_receiver_that_is_not_public_is_refused_unless_it_was_allowed(receiver: Receiver) -> None:
    body = {
        "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]},
        "configuration": {"taskPushNotificationConfig": {"url": "https://localhost/hook"}},
    }
    with RunningService(SETTINGS) as service:
        answer = httpx.post(f"{service.url}/message:send", headers=service.headers, json=body, trust_env=False)

    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert answer.json()["error"]["details"][1]["fieldViolations"][0]["field"] == "url"
    assert receiver.attempts == 0


def test_where_notifications_are_off_the_card_says_so_and_they_are_refused() -> None:
    with RunningService(SETTINGS | {"A2A_PUSH_NOTIFICATIONS": "false"}) as service:
        card = httpx.get(f"{service.url}/.well-known/agent-card.json", trust_env=False).json()
        answer = httpx.get(
            f"{service.url}/tasks/x/pushNotificationConfigs", headers=service.headers, trust_env=False
        ).json()

    assert not card["capabilities"].get("pushNotifications")
    assert answer["error"]["details"][0]["reason"] == "PUSH_NOTIFICATION_NOT_SUPPORTED"
