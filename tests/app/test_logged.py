"""What a service says of itself, with secrets everywhere and things going wrong."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from opencode_a2a_server.adapters.outbound.logs import Look, configure
from opencode_a2a_server.app.settings import load_settings
from tests.app.observed import SETTINGS, TOKEN, Observed, observed
from tests.fakes.opencode import FakeOpenCode

pytestmark = pytest.mark.anyio

SEEDS = {
    "A2A_PUSH_SECRET": "seed-push-secret",
    "OPENCODE_AUTH_PASSWORD": "seed-upstream-password",
    "A2A_PUSH_ALLOWED_HOSTS": "127.0.0.1",
    "A2A_PUSH_MAX_ATTEMPTS": "1",
}
SECRETS = ("seed-", TOKEN, "c2VlZC11cHN0cmVhbS1wYXNzd29yZA")
PAYLOADS = {"A2A_LOG_PAYLOADS": "true"}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Log as the service does, at its most talkative, to a text."""
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    stream = io.StringIO()
    configure(Look("DEBUG", json=True), load_settings(SETTINGS | SEEDS).secrets, stream)
    yield stream
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def events(log: io.StringIO) -> list[str]:
    return [str(json.loads(line)["event"]) for line in log.getvalue().splitlines()]


async def live_dangerously(service: Observed) -> None:
    """Say secrets in every way there is, and have things go wrong."""
    asked: dict[str, Any] = {
        "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello, token=seed-in-text"}]},
        "configuration": {
            "taskPushNotificationConfig": {
                "url": "http://127.0.0.1:9/hook?token=seed-in-url",
                "token": "seed-push-token",
                "authentication": {"scheme": "Bearer", "credentials": "seed-push-credentials"},
            }
        },
    }
    task = (await service.call("SendMessage", asked)).json()["result"]["task"]
    config = {"taskId": task["id"], "url": "http://127.0.0.1:9/", "token": "seed-push-token", "bad": "seed-x"}
    await service.call("CreateTaskPushNotificationConfig", config)
    await service.client.post(f"/tasks/{task['id']}/pushNotificationConfigs", json={**config, "bad": 1})
    await service.client.get("/tasks", headers={"authorization": "Bearer seed-wrong-token", "cookie": "seed-cookie"})
    await service.call("SendMessage", {"password": "seed-in-params"})
    await service.client.post("/", content=b'{"token": "seed-in-broken-json')
    await service.call("a2a.interrupt.permission.reply", {"request_id": "none", "reply": "seed-reply"})
    await service.call("opencode.sessions.command", {"session_id": "none", "command": "seed-command"})
    service.fake.faults.answers["prompt_async"] = 400
    await service.say("again")
    service.fake.faults.answers.clear()
    service.fake.faults.down = True
    await service.container.watch().look()


@pytest.mark.parametrize("payloads", ["false", "true"])
async def test_no_secret_is_ever_logged(log: io.StringIO, payloads: str) -> None:
    class Careless(FakeOpenCode):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/prompt_async") and self.faults.answers:
                text = f"password: {SEEDS['OPENCODE_AUTH_PASSWORD']} {request.headers.get('authorization')}"
                return httpx.Response(400, text=text, request=request)
            return await super().handle_async_request(request)

    async with observed({**SEEDS, "A2A_LOG_PAYLOADS": payloads}, Careless()) as service:
        await live_dangerously(service)

    said = log.getvalue()
    assert "failed" in said
    for secret in SECRETS:
        assert secret not in said, [line for line in said.splitlines() if secret in line]


async def test_bodies_are_not_logged_unless_that_is_wanted(log: io.StringIO) -> None:
    async with observed() as service:
        await service.say("the client's own words")

    assert "own words" not in log.getvalue()


async def test_bodies_are_logged_both_ways(log: io.StringIO) -> None:
    async with observed(PAYLOADS) as service:
        await service.say("the client's own words")
        await service.say("other words", method="SendStreamingMessage")

    said = events(log)
    assert any(line.startswith("request SendMessage: {") and "own words" in line for line in said)
    assert any(line.startswith("answer to SendMessage: {") and "TASK_STATE_COMPLETED" in line for line in said)
    assert any(line.startswith("answer to SendStreamingMessage: retry") for line in said)


async def test_a_body_is_cut_to_the_limit(log: io.StringIO) -> None:
    async with observed({**PAYLOADS, "A2A_LOG_BODY_LIMIT": "40"}) as service:
        await service.say("the client's own words " * 100)

    (request,) = [line for line in events(log) if line.startswith("request SendMessage")]
    assert request.startswith('request SendMessage: {"jsonrpc":"2.0"')
    assert len(request) < 100
    assert request.endswith(" bytes)")


async def test_a_large_answer_is_readable_although_the_client_takes_gzip(log: io.StringIO) -> None:
    async with observed(PAYLOADS) as service:
        await service.say("the client's own words " * 1000, **{"accept-encoding": "gzip"})

    assert any(line.startswith('answer to SendMessage: {"jsonrpc"') for line in events(log))


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("opencode.sessions.list", {"limit": 77777}),
        ("a2a.interrupt.question.reply", {"request_id": "77777", "answers": []}),
        ("CreateTaskPushNotificationConfig", {"taskId": "77777"}),
        ("tasks/pushNotificationConfig/set", {"taskId": "77777"}),
        ("invented.method", {"taskId": "77777"}),
    ],
)
async def test_what_is_sensitive_is_named_only(log: io.StringIO, method: str, params: object) -> None:
    async with observed(PAYLOADS) as service:
        await service.call(method, params, **({"a2a-version": "0.3"} if "/" in method else {}))

    (request,) = [line for line in events(log) if line.startswith("request ")]
    assert request.endswith(" bytes, not shown)")
    assert not [line for line in events(log) if "77777" in line]


async def test_push_configurations_over_http_are_named_only(log: io.StringIO) -> None:
    async with observed(PAYLOADS) as service:
        await service.client.post("/tasks/t/pushNotificationConfigs", json={"token": "77777"})

    assert "77777" not in log.getvalue()
    assert any(line.startswith("request CreateTaskPushNotificationConfig: (") for line in events(log))


async def test_lines_of_a_request_bear_its_ids(log: io.StringIO) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with observed(PAYLOADS) as service:
        await service.say("hello", **{"x-request-id": "mine-1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"})

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (asked,) = [line for line in lines if str(line["event"]).startswith("request SendMessage")]
    assert (asked["request_id"], asked["trace_id"]) == ("mine-1", trace)
