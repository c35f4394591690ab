"""The dashboard and the alerts draw on what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from opencode_a2a_server.adapters.inbound.a2a.errors import EXTENSION_TABLE, TABLE
from opencode_a2a_server.adapters.outbound.prometheus import Described, Gauges, PrometheusMeter
from opencode_a2a_server.app.ports.meter import CallEnd, DeliveryEnd, TurnEnd
from tests.fakes.clock import TurnedClock

OPS = Path(__file__).parents[2] / "ops"
OF_PROMETHEUS = {"instance", "job"}
VALUES = {
    ("opencode_a2a_turn_duration_seconds", "end"): {end.value for end in TurnEnd},
    ("opencode_a2a_upstream_request_duration_seconds", "end"): {end.value for end in CallEnd},
    ("opencode_a2a_push_attempts_total", "end"): {end.value for end in DeliveryEnd},
    ("opencode_a2a_refusals_total", "reason"): {row.reason for row in (*TABLE.values(), *EXTENSION_TABLE.values())},
}


def known() -> dict[str, Described]:
    """Give the metrics by all names that Prometheus has for them."""
    meter = PrometheusMeter(TurnedClock())
    meter.show(Gauges(*[int] * len(attrs.fields(Gauges))))
    named: dict[str, Described] = {}
    for told in meter.described:
        suffixes = ("_bucket", "_sum", "_count") if told.kind == "histogram" else ("",)
        named |= {told.name + suffix: told for suffix in suffixes}
    return named


def drawn() -> list[str]:
    board = json.loads((OPS / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def alerts() -> list[dict[str, Any]]:
    read = yaml.safe_load((OPS / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in read["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("expression", [*drawn(), *(rule["expr"] for rule in alerts())])
def test_every_metric_that_is_named_exists_with_these_labels(expression: str) -> None:
    metrics = known()
    named = re.findall(r"\b(opencode_a2a_\w+)(?:\{([^}]*)\})?", expression)
    grouped = {label.strip() for by in re.findall(r"\bby \(([^)]*)\)", expression) for label in by.split(",")}

    for name, selected in named:
        assert name in metrics, f"there is no {name}"
        labels = set(metrics[name].labels) | OF_PROMETHEUS | ({"le"} if name.endswith("_bucket") else set())
        chosen = re.findall(r'(\w+)\s*(?:=~|!=|=)\s*"([^"]*)"', selected)
        assert {label for label, _ in chosen} | grouped <= labels
        for label, value in chosen:
            assert value in VALUES.get((metrics[name].name, label), {value})
    assert named or re.match(r"(up|process_resident_memory_bytes)\b", expression)


def test_every_metric_that_is_measured_is_drawn_or_watched() -> None:
    used = " ".join([*drawn(), *(rule["expr"] for rule in alerts())])
    board = (OPS / "grafana" / "dashboard.json").read_text(encoding="utf-8")

    unused = {told.name for told in known().values() if told.name not in used and told.name not in board}

    assert unused <= {"opencode_a2a_journal_updates_total", "opencode_a2a_push_attempt_duration_seconds"}


def test_every_alert_says_what_it_means() -> None:
    for rule in alerts():
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
