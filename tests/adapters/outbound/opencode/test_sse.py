from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencode_a2a_server.adapters.outbound.opencode.sse import SseParser

line_ends = st.sampled_from([b"\n", b"\r", b"\r\n"])
contents = st.sampled_from(
    [
        b"",
        b"data",
        b"data:",
        b"data: ",
        b"data: {}",
        b'data:{"a":1}',
        b"data:  two spaces",
        b": comment",
        b"event: x",
        b"id: 7",
        b"retry",
        b"database: no",
        b"data: \xe2\x80\xa8 U+2028",
        b"data: \xc2\x85 \x0b \x0c \x1c",
        b"data: \xef\xbb\xbf",
        b" data: no",
    ]
)
streams = st.builds(
    lambda mark, lines, rest: mark + b"".join(line + end for line, end in lines) + rest,
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef\xbb", b"\xef\xbb\xbf\xef\xbb\xbf"]),
    st.lists(st.tuples(st.one_of(contents, st.just(b"")), line_ends), max_size=20),
    contents,
)


def read(parser: SseParser, *chunks: bytes) -> list[bytes]:
    return [data for chunk in chunks for data in parser.feed(chunk)]


def as_specified(stream: bytes) -> list[bytes]:
    """Read a whole stream the way the specification is written."""
    *lines, _ = re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf"))
    events: list[bytes] = []
    data: list[bytes] = []
    for line in lines:
        name, _, value = line.partition(b":")
        if not line:
            events += [b"\n".join(data)] if data else []
            data = []
        elif name == b"data":
            data.append(value.removeprefix(b" "))
    return events


@settings(deadline=None, derandomize=True)
@given(streams, st.data())
def test_any_cut_of_any_stream_gives_the_same_events(stream: bytes, cuts: st.DataObject) -> None:
    places = sorted(cuts.draw(st.lists(st.integers(0, len(stream)), max_size=8)))

    chunks = [stream[begin:end] for begin, end in zip([0, *places], [*places, len(stream)], strict=True)]

    assert read(SseParser(), *chunks) == as_specified(stream)


@settings(deadline=None, derandomize=True)
@given(streams)
def test_a_stream_may_come_byte_by_byte(stream: bytes) -> None:
    assert read(SseParser(), *[bytes([byte]) for byte in stream]) == as_specified(stream)


def test_nothing_at_all_changes_nothing() -> None:
    assert read(SseParser(), b"", b"data: a\r", b"", b"\n\r", b"", b"\n") == [b"a"]


def test_data_over_several_lines_is_joined() -> None:
    assert read(SseParser(), b"data: one\nevent: x\ndata:two\n\n") == [b"one\ntwo"]


def test_separators_of_unicode_are_just_text() -> None:
    text = "data: a\u2028b\u0085c\u000bd\n\n".encode()

    assert read(SseParser(), text) == [text[6:-2]]


def test_an_event_without_its_blank_line_is_kept_back() -> None:
    parser = SseParser()

    assert read(parser, b"data: half") == []
    assert read(parser, b" and half\n") == []
    assert read(parser, b"\n") == [b"half and half"]


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_a_frame_too_large_is_dropped_whole_and_counted(cut: int) -> None:
    parser = SseParser(largest=50)
    stream = b"data: small\n\ndata: " + b"x" * 60 + b"\n\ndata: after\n\n"

    events = read(parser, *[stream[at : at + cut] for at in range(0, len(stream), cut)])

    assert events == [b"small", b"after"]
    assert parser.dropped == 1


def test_a_frame_that_never_ends_is_not_kept() -> None:
    parser = SseParser(largest=1000)

    for _ in range(1000):
        parser.feed(b"x" * 100 + b"\n")

    assert parser.dropped == 1
    assert not parser._tail
    assert read(parser, b"\ndata: after\n\n") == [b"after"]


def test_a_large_frame_in_small_pieces_is_put_together_once() -> None:
    parser = SseParser()

    for _ in range(1000):
        parser.feed(b"x" * 100)

    assert len(parser._tail) == 1000  # joining at each piece would cost the square of the size
