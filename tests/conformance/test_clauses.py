"""Every demand on a server has a test, or a reason why it can have none."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conformance.clauses import clause, editions, known, marked_tests


def test_every_demand_has_a_test_or_a_reason_and_not_both() -> None:
    found = marked_tests()

    assert [
        one.number
        for edition in editions()
        for one in edition.clauses
        if bool(found.get(one.number)) == bool(one.no_test)
    ] == []


def test_no_number_is_there_twice() -> None:
    numbers = Counter(one.number for edition in editions() for one in edition.clauses)

    assert [number for number, times in numbers.items() if times > 1] == []


def test_tests_name_demands_that_exist() -> None:
    assert set(marked_tests()) <= known()
    with pytest.raises(LookupError, match=r"no 47\.11"):
        clause("3.1.1", "47.11")
