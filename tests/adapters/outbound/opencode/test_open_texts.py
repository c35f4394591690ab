from __future__ import annotations

import asyncio
from itertools import count

import pytest

from opencode_a2a_server.adapters.outbound.opencode import open_texts
from opencode_a2a_server.adapters.outbound.opencode.codec import Frame
from opencode_a2a_server.adapters.outbound.opencode.open_texts import KEPT, OpenTexts
from opencode_a2a_server.app.ports.earshot import Mark
from opencode_a2a_server.domain.events import (
    MessageRemoved,
    PartRemoved,
    SessionIdle,
    Telling,
    TextDelta,
    TextKind,
    TextSeen,
    TextUnderway,
)
from opencode_a2a_server.domain.ids import MessageId, PartId, SessionId

pytestmark = pytest.mark.anyio

SES, MSG, PART = SessionId("ses_1"), MessageId("msg_1"), PartId("prt_1")
_events = count(1)


def hear(texts: OpenTexts, *tellings: Telling) -> TextUnderway | None:
    """Have each heard, under a name of its own; gives what the last one placed."""
    placed = None
    for telling in tellings:
        placed = texts.hear(Frame(SES, (telling,), event=f"evt_{next(_events)}"))
    return placed


def begins(part: PartId = PART, text: str = "", **more: bool) -> TextSeen:
    return TextSeen(SES, MSG, part, TextKind.TEXT, text, **({"closed": False} | more))


def goes_on(text: str, part: PartId = PART) -> TextDelta:
    return TextDelta(SES, MSG, part, text)


def told(texts: OpenTexts) -> dict[PartId, tuple[int, str]]:
    return {one.part: (one.length, one.tail) for one in texts.of(SES)}


def test_a_text_heard_from_its_beginning_is_known() -> None:
    texts = OpenTexts()

    hear(texts, begins(), goes_on("one "), goes_on("two"))

    assert list(texts.of(SES)) == [TextUnderway(SES, MSG, PART, TextKind.TEXT, 7, "one two")]
    assert list(texts.of(SessionId("ses_2"))) == []


@pytest.mark.parametrize(
    "end",
    [
        begins(text="one", closed=True),
        PartRemoved(SES, MSG, PART),
        MessageRemoved(SES, MSG),
        SessionIdle(SES),
        begins(text="more than was heard"),
    ],
)
def test_one_that_is_over_is_forgotten(end: Telling) -> None:
    texts = OpenTexts()

    hear(texts, begins(), goes_on("one"), end)

    assert told(texts) == {}
    assert (texts._texts, texts._sessions, texts._kept) == ({}, {}, 0)


def test_a_message_that_is_removed_takes_only_its_own() -> None:
    texts = OpenTexts()

    hear(texts, begins(), goes_on("one"), MessageRemoved(SES, MessageId("msg_2")))

    assert told(texts) == {PART: (3, "one")}


def test_of_a_long_text_the_end_is_kept() -> None:
    texts = OpenTexts()
    whole = "".join(f"{number:07} " for number in range(KEPT // 2))

    hear(texts, begins(), *(goes_on(whole[place : place + 8]) for place in range(0, len(whole), 8)))

    ((length, tail),) = told(texts).values()
    assert length == len(whole)
    assert whole.endswith(tail)
    assert KEPT <= len(tail) < 2 * KEPT
    assert texts._kept <= 2 * KEPT


def test_all_texts_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_texts, "_KEPT_OF_ALL", 1000)
    monkeypatch.setattr(open_texts, "_TEXTS_MOST", 5)
    texts = OpenTexts()

    for number in range(20):
        part = PartId(f"prt_{number}")
        hear(texts, begins(part), *(goes_on("word ", part) for _ in range(64)))

    assert list(told(texts)) == ["prt_17", "prt_18", "prt_19"]
    for number in range(20):
        hear(texts, begins(PartId(f"short_{number}")))
    assert len(told(texts)) == 5


async def test_one_that_had_begun_before_is_placed_by_what_another_says() -> None:
    here, there = OpenTexts(), OpenTexts()
    hear(there, begins(), goes_on("one "))
    for word in ("two ", "three "):
        event = f"evt_{next(_events)}"
        for texts in (here, there):
            texts.hear(Frame(SES, (goes_on(word),), event=event))
    assert told(here) == {}
    assert await asyncio.wait_for(here.unplaced(), 1) == (PART,)

    (mark,) = there.marks(await here.unplaced())
    placed = here.place(mark)

    assert placed == TextUnderway(SES, MSG, PART, TextKind.TEXT, 14, "two three ")
    assert told(here) == {PART: (14, "two three ")}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(here.unplaced(), 0)


def test_a_mark_may_come_before_its_event() -> None:
    texts = OpenTexts()
    texts.hear(Frame(SES, (goes_on("two "),), event="evt_a"))

    assert texts.place(Mark(PART, TextKind.TEXT, 14, "evt_b")) is None
    placed = texts.hear(Frame(SES, (goes_on("three "),), event="evt_b"))

    assert placed is not None
    assert (placed.length, placed.tail) == (14, "two three ")


@pytest.mark.parametrize(
    "mark",
    [
        Mark(PART, TextKind.TEXT, 4, "evt_before_it_listened"),
        Mark(PART, TextKind.TEXT, 3, "evt_a"),  # fewer than were heard here alone
        Mark(PartId("prt_9"), TextKind.TEXT, 9, "evt_a"),
    ],
)
def test_a_mark_that_does_not_fit_places_nothing(mark: Mark) -> None:
    texts = OpenTexts()
    texts.hear(Frame(SES, (goes_on("two "),), event="evt_a"))

    assert texts.place(mark) is None
    assert hear(texts, goes_on("three")) is None
    assert told(texts) == {}


def test_a_mark_changes_nothing_of_what_is_known() -> None:
    texts = OpenTexts()
    texts.hear(Frame(SES, (begins(),)))
    texts.hear(Frame(SES, (goes_on("one "),), event="evt_a"))

    assert texts.place(Mark(PART, TextKind.TEXT, 40, "evt_a")) is None
    assert told(texts) == {PART: (4, "one ")}


def test_what_has_not_gone_on_since_it_began_has_no_mark() -> None:
    texts = OpenTexts()
    hear(texts, begins())

    assert list(texts.marks([PART])) == []


async def test_those_nobody_knows_of_do_not_stand_before_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_texts, "_ASKED_MOST", 2)
    texts = OpenTexts()
    hear(texts, *(goes_on("x", PartId(f"prt_{number}")) for number in range(3)))

    assert {*await texts.unplaced(), *await texts.unplaced()} == {"prt_0", "prt_1", "prt_2"}


def test_after_a_gap_nothing_is_known() -> None:
    texts = OpenTexts()
    hear(texts, begins(), goes_on("one"), goes_on("x", PartId("prt_2")))

    texts.clear()
    hear(texts, goes_on("three"))

    assert told(texts) == {}


def test_what_one_that_is_not_placed_keeps_of_events_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_texts, "_EVENTS_MOST", 3)
    texts = OpenTexts()
    for number in range(5):
        texts.hear(Frame(SES, (goes_on("x"),), event=f"e{number}"))

    assert texts.place(Mark(PART, TextKind.TEXT, 9, "e0")) is None
    assert texts.place(Mark(PART, TextKind.TEXT, 9, "e4")) is not None
