"""However a turn is told: what its reader has in the end, and at any time before."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from opencode_a2a_server.domain.events import (
    ContentSeen,
    Event,
    Gap,
    MessageRemoved,
    PartRemoved,
    Recollection,
    SessionGone,
    SessionIdle,
    SessionRetrying,
    Telling,
    TextDelta,
    TextKind,
    TextSeen,
    ToolState,
    TurnOver,
)
from opencode_a2a_server.domain.ids import MessageId, PartId, SessionId
from opencode_a2a_server.domain.interrupt import Interrupt
from opencode_a2a_server.domain.meanwhile import Meanwhile
from opencode_a2a_server.domain.message import DataPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.turn import Limits, Turn
from opencode_a2a_server.domain.updates import Update
from opencode_a2a_server.domain.usage import Usage

from .folding import PROMPT, SESSION, begun, tell, texts, view
from .telling import (
    ABORTED,
    BUSY,
    CHILD,
    DENIED,
    IDLE,
    SUB_AGENT,
    answer,
    answered,
    asked_for,
    asks,
    delta,
    failed,
    permission,
    shown,
    step,
    text,
    tool,
)

words = st.text(alphabet="ab", max_size=12)


@define
class Block:
    """A text as the runtime is going to tell it."""

    part: str
    message: str
    session: SessionId
    kind: TextKind
    text: str
    plain: bool
    """Whether it is told as OpenCode does: opened, then deltas, then whole."""
    told: list[Telling] = field(factory=list)

    def seen(self, size: int, *, closed: bool) -> TextSeen:
        return text(self.text[:size], self.part, self.message, session=self.session, kind=self.kind, closed=closed)


@st.composite
def blocks(draw: st.DrawFn, number: int) -> Block:
    """A block told by deltas in order, with its beginning shown in between: early, late, twice or not at all."""
    child = draw(st.booleans())
    session, message = (CHILD, "c1") if child else (SESSION, draw(st.sampled_from(["a1", "a2"])))
    kind, plain = draw(st.sampled_from(list(TextKind))), draw(st.booleans())
    block = Block(f"p{number}", message, session, kind, draw(words), plain)
    size = len(block.text)
    cuts = sorted(draw(st.lists(st.integers(0, size), max_size=4)))
    block.told += [block.seen(0, closed=False)] if plain else []
    for begin, end in zip([0, *cuts], [*cuts, size], strict=True):
        sizes = draw(st.lists(st.integers(0, size), max_size=0 if plain else 2))
        block.told += [block.seen(size, closed=False) for size in sizes]
        block.told.append(delta(block.text[begin:end], block.part, block.message, block.session))
    if not plain:
        block.told = block.told[: draw(st.integers(0, len(block.told)))]
    block.told += [block.seen(size, closed=True)] * draw(st.integers(1, 2))
    return block


OPENING = (
    SUB_AGENT,
    asked_for(),
    BUSY,
    answer("a1"),
    answer("a2", created=30),
    answer("c1", created=25, session=CHILD, parent="c0"),
)
END = (
    step("s1", "tool-calls", "a1", input_tokens=1, cost=0.25),
    step("s2", "stop", "c1", session=CHILD, input_tokens=10),
    step("s3", "stop", "a2", input_tokens=100, cost=0.5),
    answer("a1", finish="tool-calls"),
    answer("c1", created=25, session=CHILD, parent="c0", finish="stop"),
    answer("a2", created=30, finish="stop"),
)


@st.composite
def turns(draw: st.DrawFn) -> tuple[list[Block], list[Telling]]:
    """Some blocks, told at the same time."""
    told = [draw(blocks(number)) for number in range(draw(st.integers(1, 3)))]
    queues = [list(block.told) for block in told]
    events: list[Telling] = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        events.append(queue.pop(0))
    return told, events


def remembered(
    told: Sequence[Block],
    heard: Sequence[Telling],
    *,
    busy: bool,
    end: Sequence[Telling] = (),
    asked: tuple[Interrupt, ...] = (),
) -> Recollection:
    """What the runtime shows after that: text is "" until it is whole, or as it stands."""
    whole = {telling.part for telling in heard if isinstance(telling, TextSeen) and telling.closed}
    begun_ = {telling.part for telling in heard if isinstance(telling, TextSeen | TextDelta)}
    parts = [
        block.seen(len(block.text) if block.part in whole else 0, closed=block.part in whole)
        for block in told
        if block.part in begun_
    ]
    return shown(*OPENING, *parts, *end, busy=(SESSION,) if busy else (), asked=asked)


def whole_text(told: Sequence[Block]) -> dict[str, str]:
    return {block.part: block.text for block in told if block.text}


class Reader:
    """A turn, and a client that reads all of it."""

    def __init__(self) -> None:
        self.task = begun()
        self.turn = Turn.of(self.task, SESSION, PROMPT, Limits())

    def hear(self, *events: Event) -> list[Update]:
        updates = [update for event in events for update in self.turn.receive(event)]
        tell(self.task, updates)
        return updates

    def restart(self) -> None:
        self.turn = Turn.of(self.task, SESSION, PROMPT, Limits())
        self.turn.receive(Gap())

    def park(self) -> None:
        family, self.turn = self.turn.family, Turn.of(self.task, SESSION, PROMPT, Limits())
        self.turn.wait_no_more(family)

    def reads_what_was_said(self, told: Sequence[Block]) -> bool:
        read = texts(self.task)
        return all(block.text.startswith(read.get(block.part, "")) for block in told)


@given(turns())
def test_in_any_mix_and_order_each_character_is_read_once(told_turn: tuple[list[Block], list[Telling]]) -> None:
    told, events = told_turn
    reader = Reader()
    reader.hear(*OPENING)

    for event in events:
        reader.hear(event)
        assert reader.reads_what_was_said(told)
    reader.hear(*END, IDLE)

    assert texts(reader.task) == whole_text(told)
    assert reader.task.state is TaskState.COMPLETED
    assert reader.task.usage == Usage(input_tokens=111, cost=0.75)


@given(turns(), st.data())
def test_it_does_not_matter_how_events_are_batched(
    told_turn: tuple[list[Block], list[Telling]], data: st.DataObject
) -> None:
    _, events = told_turn
    whole, batched = Reader(), Reader()
    everything = [*OPENING, *events, *END, IDLE]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(everything)), max_size=5)))

    whole.hear(*everything)
    for begin, end in zip([0, *cuts], [*cuts, len(everything)], strict=True):
        tell(batched.task, batched.turn.receive_all(everything[begin:end]))

    assert view(batched.task) == view(whole.task)


@given(turns(), st.data())
def test_what_was_missed_is_made_good(told_turn: tuple[list[Block], list[Telling]], data: st.DataObject) -> None:
    told, events = told_turn
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(events))] * 2)))
    asked = data.draw(st.integers(last, len(events)))
    reader = Reader()

    reader.hear(*(OPENING if data.draw(st.booleans()) or first else ()), *events[:first], Gap())
    for number in range(last, len(events) + 1):
        if number == asked:
            reader.hear(remembered(told, events[:number], busy=True))
        reader.hear(*events[number : number + 1])
        assert reader.reads_what_was_said([block for block in told if block.plain])
    reader.hear(*END, remembered(told, events, busy=False, end=END))

    assert texts(reader.task) == whole_text(told)
    assert reader.task.state is TaskState.COMPLETED
    assert reader.task.usage == Usage(input_tokens=111, cost=0.75)


@given(turns(), st.data())
def test_what_is_heard_while_it_is_asked_what_was_missed_is_told_once(
    told_turn: tuple[list[Block], list[Telling]], data: st.DataObject
) -> None:
    told, events = told_turn
    first, last, asked, seen, got = sorted(data.draw(st.tuples(*[st.integers(0, len(events))] * 5)))
    reader = Reader()
    meanwhile = Meanwhile(reader.turn)

    reader.hear(*(OPENING if data.draw(st.booleans()) or first else ()), *events[:first], Gap(), *events[last:asked])
    for event in events[asked:got]:
        reader.hear(*meanwhile.hear([event]))
        assert reader.reads_what_was_said([block for block in told if block.plain])
    reader.hear(remembered(told, events[:seen], busy=True), *meanwhile.kept)
    for event in events[got:]:
        reader.hear(event)
        assert reader.reads_what_was_said([block for block in told if block.plain])
    reader.hear(*END, remembered(told, events, busy=False, end=END))

    assert texts(reader.task) == whole_text(told)
    assert reader.task.state is TaskState.COMPLETED
    assert reader.task.usage == Usage(input_tokens=111, cost=0.75)


@st.composite
def blocks_in_order(draw: st.DrawFn) -> tuple[list[Block], list[Telling]]:
    """Some blocks of one message as OpenCode tells them: one begins when the last one is whole."""
    told: list[Block] = []
    for number in range(draw(st.integers(1, 4))):
        block = Block(
            f"p{number}", "a1", SESSION, TextKind.TEXT, draw(st.text(alphabet="ab", min_size=1, max_size=6)), plain=True
        )
        cut = draw(st.integers(0, len(block.text)))
        size = len(block.text)
        block.told = [block.seen(0, closed=False), delta(block.text[:cut], block.part)]
        block.told += [delta(block.text[cut:], block.part), block.seen(size, closed=True)]
        told.append(block)
    return told, [telling for block in told for telling in block.told]


@settings(max_examples=300)
@given(blocks_in_order(), st.data())
def test_blocks_are_read_in_their_order_whatever_is_missed_and_whenever_it_is_asked_for(
    told_turn: tuple[list[Block], list[Telling]], data: st.DataObject
) -> None:
    told, events = told_turn
    reader = Reader()
    reader.hear(*OPENING)

    for number, event in enumerate(events):
        match data.draw(st.sampled_from(["heard", "heard", "heard", "missed", "asked", "asked in vain"])):
            case "heard":
                reader.hear(event)
            case "missed":
                reader.hear(Gap())
            case "asked":
                reader.hear(event, remembered(told, events[: number + 1], busy=True))
            case _:
                reader.hear(IDLE, event)  # it must not end
        read = texts(reader.task)
        assert list(read) == sorted(read)
        assert reader.reads_what_was_said(told)
    reader.hear(*END, IDLE, remembered(told, events, busy=False, end=END))

    assert list(texts(reader.task).items()) == list(whole_text(told).items())
    assert reader.task.state is TaskState.COMPLETED


@given(turns(), st.data())
def test_a_turn_is_taken_up_again_wherever_it_was_left(
    told_turn: tuple[list[Block], list[Telling]], data: st.DataObject
) -> None:
    told, events = told_turn
    left = data.draw(st.integers(0, len(events)))
    reader = Reader()

    reader.hear(*OPENING, *events[:left])
    reader.restart()
    reader.hear(remembered(told, events[:left], busy=True))
    for event in events[left:]:
        reader.hear(event)
        assert reader.reads_what_was_said(told)
    reader.hear(*END, IDLE)
    reader.hear(remembered(told, events, busy=False, end=END))

    assert texts(reader.task) == whole_text(told)
    assert reader.task.state is TaskState.COMPLETED
    assert reader.task.usage == Usage(input_tokens=111, cost=0.75)


@given(turns(), st.data())
def test_a_turn_that_only_waits_is_gone_on_with_from_its_task(
    told_turn: tuple[list[Block], list[Telling]], data: st.DataObject
) -> None:
    told, events = told_turn
    asked = data.draw(st.integers(0, len(events)))
    reader = Reader()

    reader.hear(*OPENING)
    for number, event in enumerate([*events, *END]):
        if number == asked:
            reader.hear(asks(permission()))
        if reader.turn.only_waits:
            reader.park()
            end = END[: max(0, number - len(events))]
            reader.hear(remembered(told, events[:number], busy=True, end=end, asked=(permission(),)))
        reader.hear(event)
        assert reader.reads_what_was_said(told)
    reader.hear(answered(), IDLE)
    reader.hear(remembered(told, events, busy=False, end=END))

    assert texts(reader.task) == whole_text(told)
    assert reader.task.state is TaskState.COMPLETED
    assert reader.task.usage == Usage(input_tokens=111, cost=0.75)


@given(turns())
def test_a_recollection_repeated_says_nothing_new(told_turn: tuple[list[Block], list[Telling]]) -> None:
    told, events = told_turn
    reader = Reader()
    reader.hear(*OPENING, *events)
    again = remembered(told, events, busy=True, end=END)

    reader.hear(again)

    assert reader.hear(again, again) == []


sessions = st.sampled_from([SESSION, CHILD, SessionId("ses_stranger")])
messages = st.sampled_from(["a1", "a2", "c1", PROMPT])
parts = st.sampled_from(["p1", "p2"])
tellings = st.one_of(
    st.sampled_from([BUSY, IDLE, SUB_AGENT, Gap(), asked_for(), asked_for("m2", 15), SessionIdle(CHILD)]),
    st.builds(
        lambda session, message, part, text_: delta(text_, part, message, session), sessions, messages, parts, words
    ),
    st.builds(
        lambda session, message, part, text_, closed: text(text_, part, message, session=session, closed=closed),
        sessions,
        messages,
        parts,
        words,
        st.booleans(),
    ),
    st.builds(
        lambda session, message, state: tool(state, "t1", message, session=session, child=CHILD),
        sessions,
        messages,
        st.sampled_from(list(ToolState)),
    ),
    st.builds(
        lambda session, message, created, finish, failure: answer(
            message, session=session, created=created, finish=finish, failure=failure
        ),
        sessions,
        messages,
        st.integers(5, 25),
        st.sampled_from(["", "stop", "tool-calls", "error", "unknown"]),
        st.sampled_from([None, ABORTED, DENIED]),
    ),
    st.builds(lambda session, message: answer(message, session=session, completed=True), sessions, messages),
    st.builds(lambda message, part: PartRemoved(SESSION, MessageId(message), PartId(part)), messages, parts),
    st.builds(lambda message: MessageRemoved(SESSION, MessageId(message)), messages),
    st.builds(lambda message: ContentSeen(SESSION, MessageId(message), PartId("f1"), (DataPart(1),)), messages),
    st.builds(lambda session, message: step("s1", "unknown", message, session), sessions, messages),
    st.builds(lambda session, number: asks(permission(number, session)), sessions, st.integers(1, 2)),
    st.builds(answered, st.integers(1, 2), st.sampled_from(["once", "reject"])),
    st.builds(lambda session, failure: failed(failure, session), sessions, st.sampled_from([ABORTED, DENIED])),
    st.builds(lambda session: SessionRetrying(session, 1, "429"), sessions),
    st.builds(SessionGone, sessions),
    st.builds(TurnOver, sessions, st.sampled_from([TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED])),
)
recollections = st.builds(
    lambda told, busy, asked, known: Recollection(frozenset(busy), tuple(told), tuple(asked), known),
    st.lists(tellings, max_size=6),
    st.lists(sessions, max_size=2),
    st.lists(st.builds(permission, st.integers(1, 2), sessions), max_size=2),
    st.integers(0, 20).map(bool),
)


@settings(max_examples=300)
@given(st.lists(st.one_of(tellings, tellings, tellings, recollections), max_size=30), st.booleans(), st.data())
def test_no_update_follows_a_terminal_one_whatever_happens(
    events: list[Event],
    canceling: bool,  # noqa: FBT001 - a case
    data: st.DataObject,
) -> None:
    reader = Reader()
    cut = data.draw(st.integers(0, len(events)))
    if canceling:
        reader.turn.cancel()

    for number, event in enumerate(events):  # the task itself refuses what may not follow
        if number == cut and reader.turn.outcome is None:
            reader.restart()
        updates = reader.hear(event)
        assert reader.turn.outcome is None or not updates or reader.task.state is reader.turn.outcome
    before = reader.task.seq
    reader.hear(*events)

    assert reader.turn.outcome is None or reader.task.state.terminal
    if reader.task.state.terminal and reader.task.seq == before:
        assert reader.hear(*events) == []


@settings(max_examples=300)
@given(st.lists(st.one_of(tellings, recollections), max_size=20), st.booleans())
def test_a_session_at_rest_ends_every_turn(events: list[Event], canceling: bool) -> None:  # noqa: FBT001
    reader = Reader()
    if canceling:
        reader.turn.cancel()
    reader.hear(*events)

    for _ in range(20):  # so often an unanswered prompt is looked for
        reader.hear(shown(asked_for()))

    assert reader.turn.outcome is not None
    assert reader.task.state.terminal
    assert not reader.turn.doubtful
