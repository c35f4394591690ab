"""What a push notification configuration may hold."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import ArtifactId, PushConfigId, Seq, TaskId
from opencode_a2a_server.domain.push import PushConfig, parcels
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.updates import Entry, StatusChanged, TextAppended, Update

GOOD = PushConfig(PushConfigId("c"), TaskId("t"), "https://client.example/x?y=1", "token", "Bearer", "a b=")


def test_what_headers_can_carry_is_taken() -> None:
    GOOD.check()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", ""),
        ("url", "https://a b/"),
        ("url", "https://a/\r\nX: y"),
        ("url", "https://a/" + "x" * 2048),
        ("token", "a\r\nX-Admin: yes"),
        ("token", "a\n"),
        ("token", "ünïcode"),
        ("scheme", "Bearer x"),
        ("scheme", "Bearer\r\n"),
        ("scheme", ""),
        ("credentials", "a\rb"),
        ("credentials", "a\0"),
    ],
)
def test_what_no_header_can_carry_is_refused(field: str, value: str) -> None:
    changed: dict[str, Any] = {field: value}

    with pytest.raises(InvalidRequest) as refused:
        evolve(GOOD, **changed).check()

    assert refused.value.field.endswith(field)


def test_secrets_do_not_show() -> None:
    assert "a b=" not in repr(GOOD)
    assert "'token'" not in repr(GOOD)


ONE, OTHER = ArtifactId("prt_1"), ArtifactId("prt_2")


def entries(*updates: Update) -> list[Entry]:
    return [Entry(Seq(number), 0.0, update) for number, update in enumerate(updates, 1)]


def told(*updates: Update, upto: int = 0) -> list[tuple[int, str]]:
    """Give the deliveries: up to where, and the text."""
    return [
        (parcel.upto, parcel.entry.update.text if isinstance(parcel.entry.update, TextAppended) else "-")
        for parcel in parcels(entries(*updates), Seq(upto))
    ]


def test_pieces_of_one_text_are_one_delivery() -> None:
    assert told(TextAppended(ONE, "a"), TextAppended(ONE, "b"), TextAppended(ONE, "c", last=True)) == [(3, "abc")]


def test_what_stands_between_pieces_keeps_its_place() -> None:
    status = StatusChanged(TaskState.WORKING)

    assert told(TextAppended(ONE, "a"), status, TextAppended(ONE, "b")) == [(1, "a"), (2, "-"), (3, "b")]
    assert told(TextAppended(ONE, "a"), TextAppended(OTHER, "b")) == [(1, "a"), (2, "b")]
    assert told(TextAppended(ONE, "a", last=True), TextAppended(ONE, "b")) == [(1, "a"), (2, "b")]


def test_a_delivery_that_was_begun_ends_where_it_did() -> None:
    pieces = [TextAppended(ONE, letter) for letter in "abcd"]

    assert told(*pieces, upto=2) == [(2, "ab"), (4, "cd")]


def test_a_delivery_has_a_bound() -> None:
    assert len(told(*[TextAppended(ONE, "x" * 10_000)] * 20)) == 3
