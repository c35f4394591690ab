"""
The port `Tracer` as OpenTelemetry knows it.

Attributes have the names of its semantic conventions, those for generative AI where there are any. Nothing that
anybody said becomes one: what can be told is a closed list, and an exception is told by its class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, Self

from attrs import define, frozen
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from opencode_a2a_server.app.ports.tracer import NO_SPAN, Fact, Span, Work

_KINDS: Final[Mapping[Work, SpanKind]] = {
    Work.REQUEST: SpanKind.SERVER,
    Work.TURN: SpanKind.CLIENT,
    Work.CALL: SpanKind.CLIENT,
    Work.DELIVERY: SpanKind.PRODUCER,
}
_ATTRIBUTES: Final[Mapping[Fact, str]] = {
    Fact.OPERATION: "rpc.method",
    Fact.BINDING: "rpc.system",
    Fact.VERSION: "a2a.protocol.version",
    Fact.STATUS: "http.response.status_code",
    Fact.REASON: "error.type",
    Fact.TASK: "a2a.task.id",
    Fact.CONTEXT: "gen_ai.conversation.id",
    Fact.SESSION: "opencode.session.id",
    Fact.MODEL: "gen_ai.request.model",
    Fact.STATE: "a2a.task.state",
    Fact.INPUT_TOKENS: "gen_ai.usage.input_tokens",
    Fact.OUTPUT_TOKENS: "gen_ai.usage.output_tokens",
    Fact.CACHE_READ_TOKENS: "gen_ai.usage.cache_read.input_tokens",
    Fact.CACHE_WRITE_TOKENS: "gen_ai.usage.cache_creation.input_tokens",
    Fact.COST: "opencode.usage.cost",
    Fact.CONFIG: "a2a.push_notification_config.id",
}
_W3C: Final = TraceContextTextMapPropagator()


@frozen
class OtelSpan:
    """A span while it goes on."""

    span: trace.Span
    work: Work

    @property
    def headers(self) -> Mapping[str, str]:
        """Give `traceparent`, and `tracestate` if there is one."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(self.span))
        return carrier

    def tell(self, fact: Fact, value: str | float) -> None:
        """Set an attribute; a request is called by its operation."""
        self.span.set_attribute(_ATTRIBUTES[fact], value)
        if fact is Fact.OPERATION and self.work is Work.REQUEST:
            self.span.update_name(str(value))

    def fail(self, reason: str) -> None:
        """Set the status."""
        self.span.set_attribute("error.type", reason)
        self.span.set_status(Status(StatusCode.ERROR))


@define(eq=False)
class OtelTracer:
    """Spans, handed to a processor; `provider` is our own, that of whoever embeds us is left alone."""

    provider: TracerProvider
    _tracer: trace.Tracer

    @classmethod
    def to(cls, processor: SpanProcessor, version: str, service: str = "opencode-a2a-server") -> Self:
        """Make one; OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and OTEL_TRACES_SAMPLER have their say."""
        resource = Resource.create({"service.version": version})
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": service}))
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(processor)
        return cls(provider, provider.get_tracer("opencode_a2a_server", version))

    def begin(self, work: Work, name: str, trace: str = "") -> AbstractContextManager[Span]:
        """See `Tracer.begin`."""
        if work is Work.CALL and not _is_traced():
            return nullcontext(NO_SPAN)
        return self._begin(work, name, trace)

    @contextmanager
    def _begin(self, work: Work, name: str, parent: str) -> Iterator[Span]:
        context = _W3C.extract({"traceparent": parent}, Context()) if parent else None
        if work is Work.REQUEST and not parent:
            context = Context()  # it begins a trace of its own
        with self._tracer.start_as_current_span(
            f"invoke_agent {name}" if work is Work.TURN else name,
            context,
            _KINDS[work],
            _first_attributes(work, name),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            began = OtelSpan(span, work)
            try:
                yield began
            except BaseException as error:
                began.fail(type(error).__name__)
                raise

    def close(self) -> None:
        """Send what is left; that takes some seconds if nobody takes it."""
        self.provider.shutdown()


def _is_traced() -> bool:
    return trace.get_current_span().get_span_context().is_valid


def _first_attributes(work: Work, name: str) -> Mapping[str, str]:
    if work is not Work.TURN:
        return {}
    return {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "opencode", "gen_ai.agent.name": name}


def batched(exporter: SpanExporter | None = None) -> SpanProcessor:
    """Send spans in batches, from a thread of their own; by default by OTLP, as OTEL_EXPORTER_OTLP_* say."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(exporter or OTLPSpanExporter())
