"""
The port `Meter` as Prometheus knows it.

Names begin with `opencode_a2a_` and end with their unit. Labels have a bounded number of values: states, ends,
operations, reasons; never an id or anything a client wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define, field, frozen
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.meter import CallEnd, DeliveryEnd, TurnEnd
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.usage import Usage

_LAGS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_CALLS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
_FIRST: Final = (0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60, 120)
_TURNS: Final = (0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14_400)


@frozen
class Gauges:
    """What is looked at when somebody asks for metrics, and costs nothing before."""

    streams: Callable[[], float]
    turns: Callable[[], float]
    interrupts: Callable[[], float]
    deliveries: Callable[[], float]
    backlog: Callable[[], float]
    ready: Callable[[], float]
    draining: Callable[[], float]


@frozen
class Described:
    """One metric, for the documents and for whoever checks what is drawn of it."""

    name: str
    kind: str
    doc: str
    labels: tuple[str, ...] = ()


@define(eq=False)
class PrometheusMeter:
    """Counters and histograms in a registry of their own."""

    clock: Clock
    version: str = ""
    registry: CollectorRegistry = field(factory=CollectorRegistry, init=False)
    described: list[Described] = field(factory=list, init=False)
    """Our own metrics, as they are exposed."""

    _tasks: Counter = field(init=False)
    _written: Counter = field(init=False)
    _journal_lag: Histogram = field(init=False)
    _stream_lag: Histogram = field(init=False)
    _turns: Histogram = field(init=False)
    _spoke: Histogram = field(init=False)
    _tokens: Counter = field(init=False)
    _cost: Counter = field(init=False)
    _calls: Histogram = field(init=False)
    _feed: Counter = field(init=False)
    _attempts: Counter = field(init=False)
    _deliveries: Histogram = field(init=False)
    _requests: Histogram = field(init=False)
    _refusals: Counter = field(init=False)
    _counts: dict[tuple[Counter, str], Counter] = field(factory=dict, init=False)
    _times: dict[tuple[Histogram, *tuple[str, ...]], Histogram] = field(factory=dict, init=False)
    """What has been labelled before: to look one up in the library takes longer than to count with it."""

    def __attrs_post_init__(self) -> None:
        self._of_process()
        self._of_work()
        self._of_neighbours()

    def _of_process(self) -> None:
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.described.append(Described("opencode_a2a_build_info", "gauge", "The service.", ("version",)))
        Info("opencode_a2a_build", "The service.", registry=self.registry).info({"version": self.version})

    def _of_work(self) -> None:
        self._tasks = self._counter("tasks", "Tasks that came into a state.", "state")
        self._turns = self._histogram("turn_duration_seconds", "Turns, from prompt to end.", _TURNS, "end")
        self._spoke = self._histogram("time_to_first_token_seconds", "From a prompt to the first output.", _FIRST)
        self._tokens = self._counter("tokens", "Tokens that turns used, by kind.", "kind")
        self._cost = self._counter("cost_dollars", "What turns cost, by the runtime's prices.")
        self._written = self._counter("journal_updates", "Updates that are durable.")
        self._journal_lag = self._histogram("journal_lag_seconds", "From an update to its being durable.", _LAGS)
        self._stream_lag = self._histogram(
            "stream_lag_seconds",
            "From an update to its being taken by a stream that follows; of each stream one a second.",
            _LAGS,
        )

    def _of_neighbours(self) -> None:
        self._requests = self._histogram(
            "request_duration_seconds",
            "Requests until their answer, streams until their begin.",
            _CALLS,
            "operation",
            "binding",
        )
        self._refusals = self._counter("refusals", "Refusals that clients were told, by their reason.", "reason")
        self._calls = self._histogram(
            "upstream_request_duration_seconds", "Calls to the runtime.", _CALLS, "operation", "end"
        )
        self._feed = self._counter("upstream_feed_connections", "Times that the runtime's event feed was connected.")
        self._attempts = self._counter("push_attempts", "Attempts to deliver a push notification.", "end")
        self._deliveries = self._histogram(
            "push_attempt_duration_seconds", "Attempts to deliver a push notification.", _CALLS
        )
        for end in DeliveryEnd:
            self._attempts.labels(end.value)
        for state in TaskState:
            self._tasks.labels(state.value)
        for kind in ("input", "output", "reasoning", "cache_read", "cache_write"):
            self._tokens.labels(kind)

    def _counter(self, name: str, doc: str, *labels: str) -> Counter:
        self.described.append(Described(f"opencode_a2a_{name}_total", "counter", doc, labels))
        return Counter(f"opencode_a2a_{name}", doc, labels, registry=self.registry)

    def _histogram(self, name: str, doc: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        self.described.append(Described(f"opencode_a2a_{name}", "histogram", doc, labels))
        return Histogram(f"opencode_a2a_{name}", doc, labels, buckets=buckets, registry=self.registry)

    def show(self, gauges: Gauges) -> None:
        """Show how things stand whenever somebody asks."""
        shown: tuple[tuple[str, str, Callable[[], float]], ...] = (
            ("streams_active", "Streams that are open.", gauges.streams),
            ("turns_active", "Tasks that have something to do.", gauges.turns),
            ("interrupts_waiting", "Permissions and questions that wait for an answer.", gauges.interrupts),
            ("push_configs_active", "Push notification configurations that are delivered to.", gauges.deliveries),
            ("journal_backlog_bytes", "What waits to be written.", gauges.backlog),
            ("upstream_ready", "Whether the runtime can be worked with.", gauges.ready),
            ("draining", "Whether no new work is taken.", gauges.draining),
        )
        for name, doc, look in shown:
            self.described.append(Described(f"opencode_a2a_{name}", "gauge", doc))
            Gauge(f"opencode_a2a_{name}", doc, registry=self.registry).set_function(look)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Give all metrics in the form that is accepted, with its media type."""
        encode, media_type = choose_encoder(accept)
        return encode(self.registry), media_type

    # The port

    def task_became(self, state: TaskState) -> None:
        """Count the task."""
        self._count(self._tasks, state.value).inc()

    def updates_written(self, updates: int, waited: float) -> None:
        """Count them, and measure the first one's lag."""
        self._written.inc(updates)
        self._journal_lag.observe(waited)

    def update_told(self, at: float) -> None:
        """Measure the lag."""
        self._stream_lag.observe(max(0.0, self.clock.now() - at))

    def turn_ended(self, end: TurnEnd, seconds: float, usage: Usage) -> None:
        """Measure the turn, count its tokens and cost."""
        self._time(self._turns, end.value).observe(seconds)
        spent = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "reasoning": usage.reasoning_tokens,
            "cache_read": usage.cache_read_tokens,
            "cache_write": usage.cache_write_tokens,
        }
        for kind, tokens in spent.items():
            if tokens > 0:
                self._count(self._tokens, kind).inc(tokens)
        if usage.cost > 0:
            self._cost.inc(usage.cost)

    def turn_spoke(self, seconds: float) -> None:
        """Measure the wait."""
        self._spoke.observe(seconds)

    def runtime_called(self, operation: str, end: CallEnd, seconds: float) -> None:
        """Measure the call."""
        self._time(self._calls, operation, end.value).observe(seconds)

    def feed_connected(self) -> None:
        """Count it."""
        self._feed.inc()

    def delivery_attempted(self, end: DeliveryEnd, seconds: float) -> None:
        """Count and measure the attempt."""
        self._count(self._attempts, end.value).inc()
        self._deliveries.observe(seconds)

    def request_answered(self, operation: str, binding: str, seconds: float) -> None:
        """Measure the request."""
        self._time(self._requests, operation, binding).observe(seconds)

    def refused(self, reason: str) -> None:
        """Count it."""
        self._count(self._refusals, reason).inc()

    def _count(self, counter: Counter, label: str) -> Counter:
        known = self._counts.get((counter, label))
        if known is None:
            known = self._counts[counter, label] = counter.labels(label)
        return known

    def _time(self, histogram: Histogram, *labels: str) -> Histogram:
        known = self._times.get((histogram, *labels))
        if known is None:
            known = self._times[(histogram, *labels)] = histogram.labels(*labels)
        return known
