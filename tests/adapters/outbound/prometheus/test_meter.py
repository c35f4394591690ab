"""Metrics as Prometheus reads them."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from opencode_a2a_server.adapters.outbound.prometheus import Gauges, PrometheusMeter
from opencode_a2a_server.app.ports.meter import UNMETERED, CallEnd, DeliveryEnd, Meter, TurnEnd
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.usage import Usage
from tests.fakes.clock import TurnedClock


def told(meter: PrometheusMeter, name: str, **labels: str) -> float | None:
    body, media_type = meter.expose("text/plain")
    assert media_type.startswith("text/plain")
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def meter(clock: TurnedClock) -> PrometheusMeter:
    return PrometheusMeter(clock, "1.2.3")


def hear_everything(meter: Meter, clock: TurnedClock) -> None:
    meter.task_became(TaskState.COMPLETED)
    meter.updates_written(7, 0.004)
    meter.update_told(clock.now() - 0.5)
    meter.turn_ended(TurnEnd.COMPLETED, 12.0, Usage(10, 20, 30, 40, 50, 0.25))
    meter.turn_spoke(1.5)
    meter.runtime_called("GET /session/{id}", CallEnd.OK, 0.01)
    meter.feed_connected()
    meter.delivery_attempted(DeliveryEnd.FAILED, 0.2)
    meter.request_answered("SendMessage", "jsonrpc", 0.03)
    meter.refused("TASK_NOT_FOUND")


def test_everything_that_is_heard_can_be_read(meter: PrometheusMeter, clock: TurnedClock) -> None:
    hear_everything(meter, clock)

    assert told(meter, "opencode_a2a_tasks_total", state="completed") == 1
    assert told(meter, "opencode_a2a_journal_updates_total") == 7
    assert told(meter, "opencode_a2a_journal_lag_seconds_sum") == 0.004
    assert told(meter, "opencode_a2a_stream_lag_seconds_sum") == pytest.approx(0.5)
    assert told(meter, "opencode_a2a_turn_duration_seconds_sum", end="completed") == 12
    assert told(meter, "opencode_a2a_tokens_total", kind="cache_write") == 50
    assert told(meter, "opencode_a2a_cost_dollars_total") == 0.25
    assert told(meter, "opencode_a2a_time_to_first_token_seconds_count") == 1
    assert (
        told(meter, "opencode_a2a_upstream_request_duration_seconds_count", operation="GET /session/{id}", end="ok")
        == 1
    )
    assert told(meter, "opencode_a2a_upstream_feed_connections_total") == 1
    assert told(meter, "opencode_a2a_push_attempts_total", end="failed") == 1
    assert told(meter, "opencode_a2a_request_duration_seconds_sum", operation="SendMessage", binding="jsonrpc") == 0.03
    assert told(meter, "opencode_a2a_refusals_total", reason="TASK_NOT_FOUND") == 1
    assert told(meter, "opencode_a2a_build_info", version="1.2.3") == 1


def test_every_state_is_there_before_a_task_came_into_it(meter: PrometheusMeter) -> None:
    assert [told(meter, "opencode_a2a_tasks_total", state=state.value) for state in TaskState] == [0] * len(TaskState)


def test_a_clock_that_was_set_back_gives_no_negative_lag(meter: PrometheusMeter, clock: TurnedClock) -> None:
    meter.update_told(clock.now() + 60)

    assert told(meter, "opencode_a2a_stream_lag_seconds_sum") == 0


def test_gauges_are_looked_at_when_somebody_asks(meter: PrometheusMeter) -> None:
    streams = [3]
    meter.show(Gauges(lambda: streams[0], lambda: 2, lambda: 1, lambda: 0, lambda: 9, lambda: True, lambda: False))
    streams[0] = 4

    assert told(meter, "opencode_a2a_streams_active") == 4
    assert told(meter, "opencode_a2a_upstream_ready") == 1


def test_open_metrics_are_given_to_who_accepts_them(meter: PrometheusMeter) -> None:
    body, media_type = meter.expose("application/openmetrics-text; version=1.0.0")

    assert media_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_names_bear_the_product_and_memory_is_told(meter: PrometheusMeter) -> None:
    names = {family.name for family in meter.registry.collect()}

    own = {name for name in names if not name.startswith(("process_", "python_"))}
    assert all(name.startswith("opencode_a2a_") for name in own)
    assert "process_resident_memory_bytes" in names


def test_the_one_that_counts_nothing_takes_everything(clock: TurnedClock) -> None:
    hear_everything(UNMETERED, clock)
