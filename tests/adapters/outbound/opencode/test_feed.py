"""What is kept of the event feed for a turn that does not listen."""

from __future__ import annotations

import pytest

from opencode_a2a_server.adapters.outbound.opencode.feed import MOST_UNHEARD, MOST_UNHEARD_BYTES, FeedHearing
from opencode_a2a_server.domain.events import Gap, TextDelta
from opencode_a2a_server.domain.ids import MessageId, PartId, SessionId

pytestmark = pytest.mark.anyio


def delta(text: str) -> TextDelta:
    return TextDelta(SessionId("ses_1"), MessageId("msg_1"), PartId("prt_1"), text)


async def test_a_turn_that_does_not_listen_hears_of_a_gap_in_place_of_more_events_than_are_kept() -> None:
    hearing = FeedHearing()
    for number in range(MOST_UNHEARD + 1):
        hearing.tell(delta(str(number)), 100)

    assert await hearing.next() == [Gap(), delta(str(MOST_UNHEARD))]


async def test_and_in_place_of_more_bytes_than_are_kept() -> None:
    hearing, third = FeedHearing(), MOST_UNHEARD_BYTES // 3
    for text in "abc":
        hearing.tell(delta(text), third)
    assert await hearing.next() == [delta("a"), delta("b"), delta("c")]

    for text in "abcdefg":
        hearing.tell(delta(text), third)

    assert await hearing.next() == [Gap(), delta("g")]


async def test_an_event_that_is_larger_than_all_that_is_kept_is_heard() -> None:
    hearing = FeedHearing()
    hearing.tell(delta("large"), MOST_UNHEARD_BYTES + 1)

    assert await hearing.next() == [Gap(), delta("large")]
