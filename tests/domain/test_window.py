"""How often something may happen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.domain.window import Window


def test_as_often_as_allowed_and_then_not() -> None:
    window = Window()

    waits = []
    for _ in range(4):
        waits.append(window.wait(60.0, 60, 3))
        if not waits[-1]:
            window.count(60.0, 60)

    assert waits[:3] == [0, 0, 0]
    assert waits[3] > 0


@given(
    most=st.integers(1, 20),
    seconds=st.sampled_from([1.0, 60.0]),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=100),
)
def test_who_waits_as_told_is_let_in_and_no_span_has_more_than_allowed(
    most: int, seconds: float, gaps: list[float]
) -> None:
    window, at, counted = Window(), 1_000_000.0, []

    for gap in gaps:
        at += gap * seconds / most
        if wait := window.wait(at, seconds, most):
            at += wait + 1e-3
        assert window.wait(at, seconds, most) == 0
        window.count(at, seconds)
        counted.append(at)

    for begin in {at // seconds for at in counted}:
        assert sum(1 for at in counted if at // seconds == begin) <= most


def test_what_others_counted_counts() -> None:
    window = Window()
    window.slide(60.0, 60)
    window.elsewhere = 3

    assert window.wait(60.0, 60, 3) > 0


def test_what_is_two_windows_ago_is_forgotten() -> None:
    window = Window()
    for _ in range(3):
        window.count(60.0, 60)

    assert window.wait(180.0, 60, 3) == 0
