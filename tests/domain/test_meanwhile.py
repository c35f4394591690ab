"""What is heard while the runtime is asked: told at once, or kept behind what it shows."""

from __future__ import annotations

import pytest

from opencode_a2a_server.domain.events import Event, Gap, MessageRemoved, PartRemoved, SessionRetrying, ToolState
from opencode_a2a_server.domain.ids import MessageId, PartId
from opencode_a2a_server.domain.meanwhile import Meanwhile
from opencode_a2a_server.domain.turn import Limits, Turn

from .folding import PROMPT, SESSION, begun
from .telling import answer, asked_for, delta, opened, text, tool, underway


@pytest.fixture
def meanwhile() -> Meanwhile:
    """Give what parts the events of a turn that tells two texts."""
    turn = Turn.of(begun(), SESSION, PROMPT, Limits())
    turn.receive_all([asked_for(), answer(), opened("p1"), delta("one", "p1"), opened("p2"), delta("two", "p2")])
    return Meanwhile(turn)


def test_a_text_that_is_being_told_goes_on(meanwhile: Meanwhile) -> None:
    more: list[Event] = [delta(" and", "p1"), underway("one and more", "p1"), delta(" and", "p2")]

    assert meanwhile.hear(more) == more
    assert meanwhile.kept == []


def test_a_text_that_begins_has_to_wait(meanwhile: Meanwhile) -> None:
    begins: list[Event] = [opened("p3"), delta("three", "p3"), text("three", "p3")]

    assert meanwhile.hear(begins) == []
    assert meanwhile.kept == begins


def test_a_text_that_was_opened_and_not_told_of_has_to_wait(meanwhile: Meanwhile) -> None:
    meanwhile.turn.receive(opened("p3"))

    assert meanwhile.hear([delta("three", "p3")]) == []


def test_what_follows_something_that_waits_waits_behind_it(meanwhile: Meanwhile) -> None:
    whole = text("one", "p1")

    assert meanwhile.hear([whole, delta(" more", "p1"), delta(" more", "p2")]) == [delta(" more", "p2")]
    assert meanwhile.kept == [whole, delta(" more", "p1")]


@pytest.mark.parametrize("part", [tool(ToolState.RUNNING), PartRemoved(SESSION, MessageId("a1"), PartId("p9"))])
def test_what_concerns_another_part_holds_up_no_text(meanwhile: Meanwhile, part: Event) -> None:
    assert meanwhile.hear([part, delta(" more", "p1")]) == [delta(" more", "p1")]


@pytest.mark.parametrize("event", [Gap(), SessionRetrying(SESSION, 1, "429"), MessageRemoved(SESSION, MessageId("a1"))])
def test_nothing_goes_on_behind_what_may_concern_any_text(meanwhile: Meanwhile, event: Event) -> None:
    assert meanwhile.hear([event, delta(" more", "p1")]) == []
    assert meanwhile.kept == [event, delta(" more", "p1")]
