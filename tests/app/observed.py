"""A whole service over an OpenCode that is none, with all that watches it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
from attrs import define
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from opencode_a2a_server.adapters.outbound.opencode.agent import OpenCode
from opencode_a2a_server.adapters.outbound.opencode.client import Address
from opencode_a2a_server.adapters.outbound.opencode.watch import Watch
from opencode_a2a_server.adapters.outbound.otel.tracer import OtelTracer
from opencode_a2a_server.app.container import Container, assemble
from opencode_a2a_server.app.ports.agent import Agent, AgentFactory, Surroundings
from opencode_a2a_server.app.settings import load_settings
from tests.fakes.opencode import FakeOpenCode

TOKEN = "the-token-of-clients"  # noqa: S105 - a test's
SETTINGS = {"A2A_BEARER_TOKEN": TOKEN, "A2A_TASK_STORE_BACKEND": "memory"}


@define(eq=False)
class Observed:
    """The service, its client, and what is seen of it."""

    container: Container
    client: httpx.AsyncClient
    fake: FakeOpenCode
    exporter: InMemorySpanExporter

    async def call(self, method: str, params: object, **headers: str) -> httpx.Response:
        """Call by JSON-RPC."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self.client.post("/", json=body, headers=headers)

    async def say(self, text: str, *, method: str = "SendMessage", **headers: str) -> httpx.Response:
        """Send a message, and wait for what comes of it."""
        message = {"messageId": f"m {text}", "role": "ROLE_USER", "parts": [{"text": text}]}
        return await self.call(method, {"message": message}, **headers)

    def metric(self, name: str, **labels: str) -> float | None:
        """Give the value of a metric."""
        body, _ = self.container.meter().expose("")
        for family in text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                if sample.name == f"opencode_a2a_{name}" and sample.labels == labels:
                    return sample.value
        return None

    def span(self, name: str) -> ReadableSpan:
        """Give the one span of a name."""
        (found,) = [span for span in self.exporter.get_finished_spans() if span.name == name]
        return found


@asynccontextmanager
async def observed(
    settings: Mapping[str, str] | None = None,
    fake: FakeOpenCode | None = None,
    exporter: InMemorySpanExporter | None = None,
) -> AsyncIterator[Observed]:
    """Let a service live."""
    fake, exporter = fake or FakeOpenCode(), exporter or InMemorySpanExporter()
    tracer = OtelTracer.to(SimpleSpanProcessor(exporter), "test")
    async with assemble(load_settings(SETTINGS | dict(settings or {})), over(fake), tracer=tracer) as container:
        transport: Any = httpx.ASGITransport(container.app())  # type: ignore[arg-type] # its scopes are typed more narrowly
        headers = {"authorization": f"Bearer {TOKEN}", "a2a-version": "1.0"}
        async with httpx.AsyncClient(transport=transport, base_url="http://agent", headers=headers) as client:
            yield Observed(container, client, fake, exporter)


def over(fake: FakeOpenCode) -> AgentFactory:
    """Give what makes the runtime."""

    def make(surroundings: Surroundings) -> AbstractAsyncContextManager[Agent]:
        watch = Watch(surroundings.clock, surroundings.meter, surroundings.tracer)
        return OpenCode.at(Address("http://opencode"), surroundings.clock, fake, watch=watch)

    return make


def parent_of(span: ReadableSpan) -> int | None:
    """Give the id of a span's parent."""
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    """Give a span's own id."""
    assert span.context is not None
    found: int = span.context.span_id
    return found
