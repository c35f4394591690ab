"""Spans, as an exporter gets them."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from opencode_a2a_server.adapters.outbound.otel.tracer import OtelTracer, batched
from opencode_a2a_server.app.ports.tracer import NO_SPAN, UNTRACED, Fact, Work

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> OtelTracer:
    return OtelTracer.to(SimpleSpanProcessor(exporter), "1.2.3")


def test_a_request_goes_on_with_the_trace_of_its_client(tracer: OtelTracer, exporter: InMemorySpanExporter) -> None:
    with tracer.begin(Work.REQUEST, "unknown", PARENT) as span:
        span.tell(Fact.OPERATION, "SendMessage")

    (made,) = exporter.get_finished_spans()
    assert made.name == "SendMessage"
    assert made.kind is SpanKind.SERVER
    assert made.parent is not None
    assert f"{made.parent.trace_id:032x}-{made.parent.span_id:016x}" in PARENT
    assert made.resource.attributes["service.name"] == "opencode-a2a-server"


def test_a_request_without_a_trace_begins_one_of_its_own(tracer: OtelTracer, exporter: InMemorySpanExporter) -> None:
    with tracer.begin(Work.DELIVERY, "around"), tracer.begin(Work.REQUEST, "GetTask"):
        pass

    request, _ = exporter.get_finished_spans()
    assert request.parent is None


def test_a_turn_has_the_names_of_the_conventions_for_agents(tracer: OtelTracer, exporter: InMemorySpanExporter) -> None:
    with tracer.begin(Work.TURN, "OpenCode", PARENT) as span:
        span.tell(Fact.CONTEXT, "context")
        span.tell(Fact.INPUT_TOKENS, 12)

    (made,) = exporter.get_finished_spans()
    assert made.name == "invoke_agent OpenCode"
    assert dict(made.attributes or {}) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "opencode",
        "gen_ai.agent.name": "OpenCode",
        "gen_ai.conversation.id": "context",
        "gen_ai.usage.input_tokens": 12,
    }


def test_a_call_is_traced_as_a_part_only_and_carries_the_trace_on(
    tracer: OtelTracer, exporter: InMemorySpanExporter
) -> None:
    with tracer.begin(Work.CALL, "GET /global/health") as alone:
        assert alone.headers == {}
    with tracer.begin(Work.TURN, "OpenCode"), tracer.begin(Work.CALL, "POST /session") as span:
        carried = span.headers["traceparent"]

    call, turn = exporter.get_finished_spans()
    assert call.parent is not None
    assert call.context is not None
    assert turn.context is not None
    assert call.parent.span_id == turn.context.span_id
    assert carried == f"00-{turn.context.trace_id:032x}-{call.context.span_id:016x}-{carried[-2:]}"


def test_an_exception_is_told_by_its_class_alone(tracer: OtelTracer, exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="what somebody said"), tracer.begin(Work.TURN, "OpenCode"):
        raise ValueError("what somebody said")

    (made,) = exporter.get_finished_spans()
    assert "somebody said" not in made.to_json()
    assert (made.attributes or {})["error.type"] == "ValueError"
    assert not made.status.is_ok


def test_a_failure_is_told_by_its_name(tracer: OtelTracer, exporter: InMemorySpanExporter) -> None:
    with tracer.begin(Work.DELIVERY, "push notification") as span:
        span.fail("Undelivered")

    (made,) = exporter.get_finished_spans()
    assert (made.attributes or {})["error.type"] == "Undelivered"


def test_every_fact_has_a_name(tracer: OtelTracer, exporter: InMemorySpanExporter) -> None:
    with tracer.begin(Work.TURN, "OpenCode") as span:
        for fact in Fact:
            span.tell(fact, 1)

    assert len(set(exporter.get_finished_spans()[0].attributes or {})) == len(Fact) + 3


def test_what_is_left_is_sent_at_the_end(exporter: InMemorySpanExporter) -> None:
    tracer = OtelTracer.to(batched(exporter), "1.2.3")
    with tracer.begin(Work.REQUEST, "GetTask"):
        pass

    tracer.close()

    assert len(exporter.get_finished_spans()) == 1


def test_the_one_that_traces_nothing_carries_nothing_on() -> None:
    with UNTRACED.begin(Work.TURN, "OpenCode", PARENT) as span:
        span.tell(Fact.TASK, "t")
        span.fail("anything")

    assert span is NO_SPAN
    assert span.headers == {}
