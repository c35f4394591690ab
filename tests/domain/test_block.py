from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.domain.block import Append, Rewrite, TextBlock

texts = st.text(alphabet="ab \n", max_size=30)  # few letters, so that pieces look alike


class Reader:
    """What a client has after it did what it was told."""

    def __init__(self) -> None:
        self.text = ""
        self.rewrites = 0

    def take(self, change: Append | Rewrite | str | None) -> None:
        match change:
            case str(more) | Append(more):
                self.text += more
            case Rewrite(text):
                self.text, self.rewrites = text, self.rewrites + 1


@st.composite
def tellings(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]]]:
    """A text told in order: deltas that are its pieces, and at any point its beginning up to anywhere."""
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    told: list[tuple[str, str]] = []
    for piece in pieces:
        shown = draw(st.lists(st.integers(0, len(text)), max_size=2))
        told += [("snapshot", text[:size]) for size in shown]
        told.append(("delta", piece))
    return text, told[: draw(st.integers(0, len(told)))]


@given(tellings())
def test_told_in_any_mix_each_character_is_read_once_in_order(telling: tuple[str, list[tuple[str, str]]]) -> None:
    text, told = telling
    block, reader = TextBlock(), Reader()

    for kind, words in told:
        reader.take(block.delta(words) if kind == "delta" else block.snapshot(words, closed=False))
        assert text.startswith(reader.text)
        assert block.text == reader.text
    reader.take(block.snapshot(text, closed=True))

    assert reader.text == text
    assert reader.rewrites == 0


@given(st.lists(st.tuples(st.sampled_from(["delta", "snapshot", "tear"]), texts), max_size=12), texts)
def test_whatever_was_told_the_whole_text_settles_it(told: list[tuple[str, str]], text: str) -> None:
    block, reader = TextBlock(), Reader()

    for kind, words in told:
        if kind == "tear":
            block.torn = True
        else:
            reader.take(block.delta(words) if kind == "delta" else block.snapshot(words, closed=False))
    reader.take(block.snapshot(text, closed=True))
    reader.take(block.delta("late"))
    reader.take(block.snapshot("later", closed=True))

    assert reader.text == block.text == text


@given(tellings(), st.data())
def test_resumed_anywhere_the_reader_gets_the_rest(
    telling: tuple[str, list[tuple[str, str]]], data: st.DataObject
) -> None:
    text, told = telling
    block, reader = TextBlock(), Reader()
    left = data.draw(st.integers(0, len(told)))

    for number, (kind, words) in enumerate(told):
        if number == left:
            block = TextBlock.resumed(reader.text, closed=False)
        reader.take(block.delta(words) if kind == "delta" else block.snapshot(words, closed=False))
        assert text.startswith(reader.text)
    reader.take(block.snapshot(text, closed=True))

    assert reader.text == text


def test_the_end_is_told_even_if_nothing_is_new() -> None:
    block = TextBlock()
    block.delta("all")

    assert block.snapshot("all", closed=True) == Append("", last=True)


def test_an_older_snapshot_says_nothing() -> None:
    block = TextBlock()
    block.delta("much more")

    assert block.snapshot("much", closed=False) is None
    assert block.text == "much more"


def test_a_torn_block_waits_for_the_whole_text() -> None:
    block = TextBlock()
    block.delta("one ")
    block.torn = True

    assert block.delta("three") == ""
    assert block.snapshot("one two three", closed=True) == Append("two three", last=True)


def test_a_text_that_was_changed_is_read_anew() -> None:
    block = TextBlock()
    block.delta("draft")

    assert block.snapshot("final", closed=True) == Rewrite("final", last=True)


def test_a_closed_block_is_not_opened_again_by_resuming() -> None:
    block = TextBlock.resumed("done", closed=True)

    assert block.delta("more") == ""
    assert block.snapshot("other", closed=True) is None


@given(st.text(alphabet="ab", max_size=30), st.data())
def test_who_takes_over_goes_on_where_the_reader_is(text: str, data: st.DataObject) -> None:
    """The reader has so much; who takes over has heard more or less of it, and of that has kept the end."""
    have, heard = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))
    kept = data.draw(st.integers(0, min(have, heard)))
    reader, block = Reader(), TextBlock.resumed(text[:have], closed=False)
    reader.text = text[:have]

    reader.take(block.delta("lost, since nobody knows where it belongs"))
    reader.take(block.catch_up(heard, text[kept:heard]))
    assert reader.text == text[: max(have, heard)]
    for letter in text[heard:]:
        reader.take(block.delta(letter))

    assert reader.text == block.text == text


def test_what_lies_between_the_reader_and_the_kept_end_is_waited_for() -> None:
    block = TextBlock.resumed("one ", closed=False)

    assert block.catch_up(13, "three") == ""
    assert block.delta(" four") == ""
    assert block.snapshot("one two three four", closed=True) == Append("two three four", last=True)


def test_a_kept_end_of_another_text_says_nothing() -> None:
    block = TextBlock.resumed("one two", closed=False)

    assert block.catch_up(9, "tea for 2") == ""
    assert block.torn


def test_who_missed_nothing_needs_no_kept_end() -> None:
    block = TextBlock()
    block.delta("one ")

    assert block.catch_up(8, "one two ") == ""
    assert block.delta("two ") == "two "
