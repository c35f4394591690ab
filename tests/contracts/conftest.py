"""Suites stand in modules of their own; their asserts are to tell as much as those of tests."""

import pytest

pytest.register_assert_rewrite("tests.contracts.agent_turns", "tests.contracts.agent_hearing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what does not apply: a runtime in our own process is never out of reach."""
    items[:] = [
        item
        for item in items
        if item.get_closest_marker("out_of_reach") is None or "scripted" not in item.callspec.params.values()  # type: ignore[attr-defined]
    ]
