"""A service at work, as those see it who look after it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

import anyio
import anyio.lowlevel
import httpx
import pytest
from attrs import evolve
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from opencode_a2a_server.app.container import assemble, check, missing_extras
from opencode_a2a_server.app.container.observed import listen_to_operators
from opencode_a2a_server.app.settings import SettingsError, load_settings
from tests.app.observed import SETTINGS, id_of, observed, over, parent_of
from tests.fakes.opencode import FakeOpenCode

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
SAID = "the client's own words"


async def test_a_turn_is_measured_from_its_message_to_its_end() -> None:
    async with observed() as service:
        await service.say(SAID)

        assert service.metric("tasks_total", state="submitted") == 1
        assert service.metric("tasks_total", state="completed") == 1
        assert service.metric("turn_duration_seconds_count", end="completed") == 1
        assert service.metric("time_to_first_token_seconds_count") == 1
        assert service.metric("request_duration_seconds_count", operation="SendMessage", binding="jsonrpc") == 1
        assert service.metric("upstream_feed_connections_total") == 1
        called = {"operation": "POST /session/{id}/prompt_async", "end": "ok"}
        assert service.metric("upstream_request_duration_seconds_count", **called) == 1
        assert (service.metric("journal_updates_total") or 0) > 3
        assert (service.metric("journal_lag_seconds_count") or 0) > 0
        assert service.metric("upstream_ready") == 1
        assert service.metric("turns_active") == 0


async def test_what_a_stream_takes_while_it_is_open_is_measured() -> None:
    async with observed() as service:
        await service.say(SAID, method="SendStreamingMessage")

        assert (service.metric("stream_lag_seconds_count") or 0) >= 1


async def test_refusals_are_counted_by_their_reason_wherever_they_are_made() -> None:
    async with observed({"A2A_ALLOWED_HOSTS": "agent"}) as service:
        await service.call("GetTask", {"id": "none"})
        await service.call("NoSuchMethod", {})
        await service.client.get("/tasks/none")
        await service.client.get("/tasks", headers={"authorization": "Bearer wrong"})
        await service.client.get("/health", headers={"host": "other"})

        assert service.metric("refusals_total", reason="TASK_NOT_FOUND") == 2
        assert service.metric("refusals_total", reason="METHOD_NOT_FOUND") == 1
        assert service.metric("refusals_total", reason="UNAUTHENTICATED") == 1
        assert service.metric("refusals_total", reason="HOST_NOT_ALLOWED") == 1
        assert service.metric("request_duration_seconds_count", operation="unknown", binding="jsonrpc") == 1
        assert service.metric("request_duration_seconds_count", operation="GetTask", binding="http") == 1


async def test_no_label_is_what_a_client_wrote() -> None:
    async with observed() as service:
        await service.say(SAID)
        await service.call("An/invented method", {"id": "an-invented-id"})
        await service.client.get("/tasks/an-invented-id:verb")
        body, _ = service.container.meter().expose("")

    assert b"nvented" not in body
    assert b"ses_" not in body
    assert SAID.encode() not in body


async def test_client_service_turn_and_runtime_are_one_trace() -> None:
    async with observed() as service:
        await service.say(SAID, traceparent=PARENT)
        spans = service.exporter.get_finished_spans()

        request, turn = service.span("SendMessage"), service.span("invoke_agent OpenCode")
        prompt = service.span("POST /session/{id}/prompt_async")
        assert all(span.context is not None and f"{span.context.trace_id:032x}" == TRACE for span in spans)
        assert f"{parent_of(request):016x}" == "b7ad6b7169203331"
        assert parent_of(turn) == id_of(request)
        assert parent_of(prompt) == id_of(turn)
        told = dict(turn.attributes or {})
        assert told["gen_ai.operation.name"] == "invoke_agent"
        assert told["a2a.task.state"] == "completed"
        assert "gen_ai.usage.output_tokens" in told


async def test_the_runtime_is_told_the_trace() -> None:
    heard: list[str] = []

    class Listening(FakeOpenCode):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/prompt_async"):
                heard.append(request.headers["traceparent"])
            return await super().handle_async_request(request)

    async with observed(fake=Listening()) as service:
        await service.say(SAID, traceparent=PARENT)
        prompt = service.span("POST /session/{id}/prompt_async")

    assert heard[0].startswith(f"00-{TRACE}-{id_of(prompt):016x}-")


async def test_nothing_that_was_said_is_in_a_span() -> None:
    async with observed() as service:
        await service.say(SAID)
        service.fake.faults.answers["prompt_async"] = 400
        await service.say(f"{SAID}, refused")
        await service.call("GetTask", {"id": SAID})
        told = "".join(span.to_json() for span in service.exporter.get_finished_spans())

    assert "own words" not in told
    assert "AgentRefused" in told


async def test_watching_the_runtime_makes_no_traces() -> None:
    async with observed() as service:
        await service.container.watch().look()

        assert not service.exporter.get_finished_spans()


async def test_a_turn_that_is_taken_up_by_the_next_life_is_part_of_the_same_trace(tmp_path: object) -> None:
    fake, exporter = FakeOpenCode(), InMemorySpanExporter()
    fake.faults.prompts = "vanish"
    store = {
        "A2A_TASK_STORE_BACKEND": "database",
        "A2A_TASK_STORE_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/tasks.db",
    }
    async with observed(store, fake, exporter) as service:
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": SAID}]}
        asked = {"message": message, "configuration": {"returnImmediately": True}}
        await service.call("SendMessage", asked, traceparent=PARENT)
    exporter.clear()
    fake.faults.prompts = "work"

    async with observed(store, fake, exporter) as service:
        await until(lambda: service.metric("tasks_total", state="completed") == 1)
    turns = [span for span in exporter.get_finished_spans() if span.name == "invoke_agent OpenCode"]

    assert {f"{span.context.trace_id:032x}" for span in turns if span.context} == {TRACE}


async def test_a_push_notification_is_part_of_the_trace_of_its_message() -> None:
    hooks = {"A2A_PUSH_ALLOWED_HOSTS": "127.0.0.1", "A2A_PUSH_MAX_ATTEMPTS": "1"}
    async with observed(hooks) as service:
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": SAID}]}
        push = {"url": f"http://127.0.0.1:{free_port()}/{SAID.replace(' ', '-')}"}
        asked = {"message": message, "configuration": {"taskPushNotificationConfig": push}}
        await service.call("SendMessage", asked, traceparent=PARENT)
        await until(lambda: service.metric("push_attempts_total", end="stopped") == 1)

        delivery, post = service.span("push notification"), service.span("POST")

    assert delivery.context is not None
    assert f"{delivery.context.trace_id:032x}" == TRACE
    assert parent_of(delivery) == id_of(service.span("SendMessage"))
    assert parent_of(post) == id_of(delivery)
    assert (delivery.attributes or {})["error.type"] == "Undelivered"
    assert "own-words" not in delivery.to_json() + post.to_json()


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def test_the_request_says_its_own_id_or_is_given_one() -> None:
    async with observed() as service:
        given = await service.client.get("/health", headers={"x-request-id": "mine-1"})
        made = await service.client.get("/health", headers={"x-request-id": "not one\nof ours"})

    assert given.headers["x-request-id"] == "mine-1"
    assert len(made.headers["x-request-id"]) == 16


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


async def test_probes_and_metrics_are_on_a_port_of_their_own() -> None:
    port = free_port()

    async with observed({"A2A_ADMIN_PORT": str(port)}) as service, httpx.AsyncClient() as client:
        await service.say(SAID)
        ready = await client.get(f"http://127.0.0.1:{port}/readyz")
        metrics = await client.get(f"http://127.0.0.1:{port}/metrics")
        service.container.turns().draining = True
        draining = await client.get(f"http://127.0.0.1:{port}/readyz")
        inside = await service.client.get("/metrics")

    assert ready.status_code == 200
    assert 'opencode_a2a_tasks_total{state="completed"} 1.0' in metrics.text
    assert draining.status_code == 503
    assert inside.status_code == 404


async def test_a_further_worker_takes_the_port_that_follows() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = load_settings(SETTINGS | {"A2A_ADMIN_PORT": str(port)})
        several = evolve(settings, server=evolve(settings.server, workers=50))  # one of so many ports is free

        async with observed() as service, AsyncExitStack() as stack, httpx.AsyncClient() as client:
            await listen_to_operators(stack, service.container, several)
            found = [await live(client, port + number) for number in range(1, 50)]

    assert any(found)


async def live(client: httpx.AsyncClient, port: int) -> bool:
    try:
        return bool((await client.get(f"http://127.0.0.1:{port}/livez")).json() == {"status": "ok"})
    except (httpx.TransportError, ValueError):
        return False


async def test_a_port_of_operators_that_is_taken_stops_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = load_settings(SETTINGS | {"A2A_ADMIN_PORT": str(taken.getsockname()[1])})

        with pytest.raises(SettingsError, match=r"A2A_ADMIN_PORT: 127\.0\.0\.1 port"):
            async with assemble(settings, over(FakeOpenCode())):
                pass


def test_ports_that_are_the_same_are_refused() -> None:
    with pytest.raises(SettingsError, match="A2A_ADMIN_PORT: must differ"):
        load_settings({"A2A_ADMIN_PORT": "8000"})


def test_traces_are_sent_if_somebody_says_where_to_or_that_they_shall() -> None:
    there = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}

    assert not load_settings({}).traced
    assert load_settings(there).traced
    assert load_settings({"A2A_TRACING": "true"}).traced
    assert not load_settings(there | {"A2A_TRACING": "false"}).traced


def test_a_protocol_that_is_not_spoken_is_refused() -> None:
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_PROTOCOL: spans are sent by http/protobuf, not grpc"):
        load_settings({"A2A_TRACING": "true", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_tracing_that_is_not_installed_is_told_with_the_remedy() -> None:
    def find(name: str) -> object:
        raise ModuleNotFoundError(name)

    problems = missing_extras(load_settings({"A2A_TRACING": "true"}), find)

    assert problems == ["A2A_TRACING: OpenTelemetry is not installed; pip install 'opencode-a2a-server[otel]'"]
    assert missing_extras(load_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}), find) == []


async def test_a_service_that_is_traced_to_nowhere_works_all_the_same() -> None:
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "A2A_RUNTIME": "scripted"}

    async with assemble(load_settings(SETTINGS | nowhere)) as container:
        assert container.readiness() is not None
    assert isinstance(await check(load_settings(SETTINGS | nowhere)), list)


def test_all_that_is_secret_is_known() -> None:
    settings = load_settings(
        {
            "A2A_BEARER_TOKEN": "one",
            "OPENCODE_AUTH_PASSWORD": "two",
            "A2A_PUSH_SECRET": "three",
            "A2A_SIGNING_KEY": "four",
            "A2A_TASK_STORE_DATABASE_URL": "postgresql+asyncpg://user:f%C3%AFve@host/name",
            "OPENCODE_BASE_URL": "http://user:six@host",
            "A2A_STATIC_AUTH_CREDENTIALS": '[{"scheme": "bearer", "principal": "p", "token": "seven"}, 8]',
        }
    )

    assert settings.secrets >= {"one", "two", "three", "four", "fïve", "six", "seven"}
