"""Suites stand in modules of their own; their asserts are to tell as much as those of tests."""

import pytest

pytest.register_assert_rewrite("tests.contracts.agent_turns", "tests.contracts.agent_hearing")
