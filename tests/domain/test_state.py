from __future__ import annotations

import pytest

from opencode_a2a_server.domain.errors import IllegalTransition
from opencode_a2a_server.domain.state import INTERRUPTED, TERMINAL, TRANSITIONS, TaskState, step

ALIVE = [state for state in TaskState if not state.terminal]


def test_a_state_is_terminal_or_interrupted_or_neither() -> None:
    assert {state for state in TaskState if state.terminal} == TERMINAL
    assert {state for state in TaskState if state.interrupted} == INTERRUPTED
    assert not TERMINAL & INTERRUPTED
    assert {state.value for state in TERMINAL} == {"completed", "failed", "canceled", "rejected"}


def test_the_table_knows_every_state() -> None:
    assert set(TRANSITIONS) == set(TaskState)


@pytest.mark.parametrize("old", [state for state in TaskState if state.terminal])
@pytest.mark.parametrize("new", list(TaskState))
def test_nothing_follows_a_terminal_state(old: TaskState, new: TaskState) -> None:
    with pytest.raises(IllegalTransition, match=f"{old.value} cannot become {new.value}"):
        step(old, new)


@pytest.mark.parametrize("old", ALIVE)
@pytest.mark.parametrize("new", [state for state in TaskState if state is not TaskState.SUBMITTED])
def test_a_task_under_way_may_come_to_anything(old: TaskState, new: TaskState) -> None:
    assert step(old, new) is new


@pytest.mark.parametrize("old", ALIVE)
def test_no_task_is_submitted_again(old: TaskState) -> None:
    with pytest.raises(IllegalTransition):
        step(old, TaskState.SUBMITTED)
