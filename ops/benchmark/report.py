"""Medians, targets and verdicts."""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from ops.benchmark.measure import Outcome

Figures = dict[str, list[float]]

_BIG: Final = 1000  # from here on nobody reads decimals
_NUMBERS: Final = (1, 2, 3)  # the columns which are set flush right


@dataclass(frozen=True, slots=True)
class Row:
    """
    One line of the table: which figure of which measure, and what is asked of ours.

    `kind` says what the bound is for: the ratio to the relay, the difference to it, our figure as it is, or
    nothing at all.
    """

    measure: str
    figure: str
    label: str
    kind: Literal["ratio", "added", "own", "none"] = "none"
    bound: float = math.inf
    aim: float = math.nan

    @property
    def target(self) -> str:
        """The bound in words."""
        match self.kind:
            case "ratio":
                return f"<= {self.bound:g}x (aim {self.aim:g}x)"
            case "added":
                return f"added <= {self.bound:g}"
            case "own":
                return f"<= {self.bound:g}"
            case "none":
                return ""


ROWS: Final = (
    Row("unary", "rate", "unary, 4 clients: requests/s"),
    Row("unary", "cpu_ms", "unary, 4 clients: CPU ms each", "ratio", 4, 2),
    Row("streams-1", "rate", "1 stream of 2000: deltas/s"),
    Row("streams-1", "cpu_us", "1 stream of 2000: CPU us/delta", "ratio", 4, 2),
    Row("streams-8", "rate", "8 streams of 2000: deltas/s"),
    Row("streams-8", "cpu_us", "8 streams of 2000: CPU us/delta", "ratio", 4, 2),
    Row("streams-32", "rate", "32 streams of 2000: deltas/s"),
    Row("streams-32", "cpu_us", "32 streams of 2000: CPU us/delta", "ratio", 4, 2),
    Row("latency", "p50", "8 streams at 50/s: latency p50 ms"),
    Row("latency", "p99", "8 streams at 50/s: latency p99 ms", "added", 10),
    Row("written-fast", "disk", "8 streams of 10,000: bytes to disk/byte of text", "own", 3),
    Row("written-fast", "size", "8 streams of 10,000: bytes kept/byte of text"),
    Row("written-paced", "disk", "8 streams at 50/s: bytes to disk/byte of text"),
    Row("written-paced", "size", "8 streams at 50/s: bytes kept/byte of text"),
    Row("slow", "rss_kb", "500 slow streams: RSS KB each", "own", 60),
    Row("slow", "card_p50", "500 slow streams: card p50 ms"),
    Row("slow", "card_p99", "500 slow streams: card p99 ms", "own", 20),
    Row("slow", "livez_worst", "500 slow streams: /livez, slowest ms", "own", 100),
    Row("finished", "rss_mb", "100,000 finished tasks: RSS MB more", "own", 4),
    Row("finished", "get_p50", "100,000 finished tasks: GetTask p50 ms"),
    Row("finished", "get_p99", "100,000 finished tasks: GetTask p99 ms", "own", 5),
    Row("waiting", "rss_kb", "2,000 tasks that wait: RSS KB each", "own", 4),
)


@dataclass(slots=True)
class Results:
    """Everything measured: for each server and measure, each figure once a round."""

    figures: dict[str, dict[str, Figures]] = field(default_factory=dict)
    exact: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def add(self, server: str, measure: str, outcome: Outcome) -> None:
        """Take in what one measure saw of one server."""
        figures = self.figures.setdefault(server, {}).setdefault(measure, {})
        for name, figure in outcome.figures.items():
            figures.setdefault(name, []).append(figure)

        counts = self.exact.setdefault(server, {})
        exact, texts = counts.get(measure, (0, 0))
        counts[measure] = (exact + outcome.exact, texts + outcome.texts)
        self.complaints += [f"{server}, {measure}: {complaint}" for complaint in outcome.complaints]

    def fail(self, server: str, measure: str, error: Exception) -> None:
        """Note that a measure could not be taken; no figure of it can pass then."""
        self.add(server, measure, Outcome(texts=1, complaints=[f"not measured: {error!r}"]))

    def median(self, server: str, row: Row) -> float:
        """The median over the rounds; not a number if nothing was measured."""
        figures = self.figures.get(server, {}).get(row.measure, {}).get(row.figure)
        return statistics.median(figures) if figures else math.nan

    def compared(self, row: Row) -> float:
        """What a row's bound is held against. Rounds are paired: both servers met the same weather in each."""
        if row.kind == "own":
            return self.median("ours", row)
        ours, relay = (
            self.figures.get(server, {}).get(row.measure, {}).get(row.figure, []) for server in ("ours", "relay")
        )
        pairs = list(zip(ours, relay, strict=False))
        if not pairs:
            return math.nan

        return statistics.median(mine - its if row.kind == "added" else mine / its for mine, its in pairs)

    def all_exact(self, measure: str) -> bool:
        """Whether every server told every text of a measure exactly."""
        return all(exact == texts for counts in self.exact.values() for exact, texts in [counts.get(measure, (0, 0))])


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table, judged."""

    label: str
    relay: str
    ours: str
    against: str
    target: str
    passed: bool | None
    aimed: bool = False

    @property
    def verdict(self) -> str:
        """PASS, FAIL, or nothing where nothing is asked."""
        if self.passed is None:
            return ""
        if not self.passed:
            return "FAIL"
        return "PASS, aim met" if self.aimed else "PASS"


def rows(store: str) -> Iterator[Row]:
    """Give the lines for a store: PostgreSQL's driver may cost a delta one relay's work more."""
    for row in ROWS:
        if store == "postgres" and row.kind == "ratio":
            yield replace(row, bound=5) if row.measure.startswith("streams") else replace(row, kind="none")
        else:
            yield row


def lines(results: Results, *, relay_only: bool, store: str = "sqlite") -> Iterator[Line]:
    """Judge every row that was measured, then the exactness of every measure."""
    measured = {measure for counts in results.exact.values() for measure in counts}
    for row in rows(store):
        if row.measure in measured:
            yield _judged(results, row, relay_only=relay_only)

    for measure in sorted(measured, key=[row.measure for row in ROWS].index):
        relay, ours = (
            "{}/{}".format(*counts[measure]) if measure in counts else "-"
            for counts in (results.exact.get("relay", {}), results.exact.get("ours", {}))
        )
        passed = results.all_exact(measure)
        yield Line(f"{measure}: texts exact", relay, ours, "", "all", passed)


def _judged(results: Results, row: Row, *, relay_only: bool) -> Line:
    relay, ours = (_number(results.median(server, row)) for server in ("relay", "ours"))
    compared = results.compared(row)
    against = _number(compared) + ("" if row.kind in ("own", "added") or math.isnan(compared) else "x")
    if relay_only:
        return Line(row.label, relay, "-", "", row.target, None)
    if row.kind == "none":
        return Line(row.label, relay, ours, against, "", None)

    # A comparison with "not a number" is false: what was not measured does not pass.
    return Line(
        row.label,
        relay,
        ours,
        "+" + against if row.kind == "added" and compared >= 0 else "" if row.kind == "own" else against,
        row.target,
        passed=compared <= row.bound,
        aimed=compared <= row.aim,
    )


def table(judged: list[Line]) -> str:
    """The lines as text."""
    cells = [("", "relay", "ours", "to relay", "target", "")]
    cells += [(line.label, line.relay, line.ours, line.against, line.target, line.verdict) for line in judged]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]

    return "\n".join(
        "  ".join(
            cell.rjust(width) if place in _NUMBERS else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def _number(figure: float) -> str:
    if math.isnan(figure):
        return "-"
    return f"{figure:,.0f}" if abs(figure) >= _BIG else f"{figure:.2f}"
