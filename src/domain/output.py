"""
What a turn tells: its blocks, and the artifacts they are to the reader.

A text block grows (`block.TextBlock` says by what); a tool call and other content are told whole, and anew when they
change. Each block is one artifact under the block's own id, so whatever is told twice is still one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

from attrs import define, evolve, field

from .block import Append, Rewrite, TextBlock
from .events import ContentSeen, TextDelta, TextKind, TextSeen, TextUnderway, ToolSeen, ToolState
from .ids import ArtifactId, MessageId, PartId, SessionId
from .message import DataPart, Json, TextPart
from .task import Artifact
from .updates import ArtifactTold, BlockKind, TextAppended, Update

_EARLY_ENOUGH = 4096
"""Deltas kept of a block that has not begun; beyond, its next snapshot has to tell."""

_KINDS: Mapping[TextKind, BlockKind] = {TextKind.TEXT: BlockKind.TEXT, TextKind.REASONING: BlockKind.REASONING}
_NOTHING = (TextPart(""),)


@define
class _Text:
    """A text block, and the artifact it is once it begins; `head` is that without content."""

    head: ArtifactTold
    block: TextBlock
    begun: bool = False

    def begin(self, text: str, *, last: bool = False) -> ArtifactTold:
        self.begun = True
        return evolve(self.head, parts=(TextPart(text),), last=last)


@define(eq=False)
class Output:
    """All blocks of a turn; `session` is the turn's own, what other sessions say goes into lanes of their own."""

    session: SessionId
    size: int = field(default=0, init=False)
    """Bytes told."""

    _texts: dict[PartId, _Text] = field(factory=dict, init=False)
    _whole: dict[PartId, ArtifactTold] = field(factory=dict, init=False)
    """Tool calls and other content, as the reader knows them."""
    _calls: dict[PartId, ToolState] = field(factory=dict, init=False)
    _early: dict[PartId, list[str]] = field(factory=dict, init=False)
    """Deltas that came before their block."""
    _holed: set[PartId] = field(factory=set, init=False)
    """Blocks that have not begun and of which deltas are lost."""
    lossy: bool = field(default=False, init=False)
    """Whether there may be blocks of which we know nothing."""

    @classmethod
    def resumed(cls, session: SessionId, artifacts: Iterable[Artifact]) -> Self:
        """Go on with blocks of which the reader has the artifacts."""
        output = cls(session)
        for artifact in artifacts:
            part = PartId(artifact.id)
            told = ArtifactTold(
                artifact.id,
                artifact.kind,
                artifact.parts,
                artifact.message,
                artifact.lane,
                artifact.name,
                artifact.closed,
            )
            if artifact.kind in _KINDS.values():
                block = TextBlock.resumed(artifact.text, closed=artifact.closed)
                output._texts[part] = _Text(evolve(told, parts=()), block, begun=True)
                output.size += _size(artifact.text)
            else:
                output._whole[part] = told
                if artifact.kind is BlockKind.TOOL:
                    output._calls[part] = _state_of(artifact)
        return output

    @property
    def open(self) -> bool:
        """Whether some text is not whole."""
        return bool(self._early) or any(not text.block.closed for text in self._texts.values())

    @property
    def underway(self) -> bool:
        """Whether the reader has a part of some text, or a part of one is kept for it."""
        youngest_first = reversed(self._texts.values())
        return bool(self._early) or any(text.begun and not text.block.closed for text in youngest_first)

    def has_text(self, part: PartId) -> bool:
        """Whether a text block has begun."""
        return part in self._texts

    def tells(self, part: PartId) -> bool:
        """Whether a text is being told to the reader: more of it belongs behind what there is, whatever else was missed."""
        text = self._texts.get(part)
        return text is not None and text.begun

    def knows(self, part: PartId) -> bool:
        """Whether a block has its place among the others."""
        return part in self._texts or part in self._whole

    def calls(self, message: MessageId) -> set[ToolState]:
        """Say how the tool calls of a message stand."""
        return {state for part, state in self._calls.items() if self._whole[part].message == message}

    # Text

    def hear_delta(self, delta: TextDelta) -> list[Update]:
        """Take more text of a block."""
        text = self._texts.get(delta.part)
        if text is None:
            self._keep_early(delta)
            return []
        more = text.block.delta(delta.text)
        if not more:
            return []
        self.size += _size(more)
        return [TextAppended(ArtifactId(delta.part), more) if text.begun else text.begin(more)]

    def hear_text(self, seen: TextSeen, *, recalled: bool = False, hidden: bool = False) -> list[Update]:
        """Take a block's text as it stands; when it is only `recalled`, its deltas may have been missed."""
        text = self._texts.get(seen.part)
        if text is None:
            text = self._texts[seen.part] = self._begin(seen, torn=recalled and self.lossy)
        text.block.closed = text.block.closed or hidden
        updates = self._show(text, text.block.snapshot(seen.text, closed=seen.closed))
        if early := self._early.pop(seen.part, None):
            updates += self.hear_delta(TextDelta(seen.session, seen.message, seen.part, "".join(early)))
        return updates

    def hear_underway(self, seen: TextUnderway, *, hidden: bool = False, in_order: bool = False) -> list[Update]:
        """Take how far a block is: who missed some of its deltas goes on from there; `in_order`, if none is missing before."""
        text = self._texts.get(seen.part)
        if text is None:
            if seen.length > len(seen.tail) or (self.lossy and not in_order):
                return []  # how it begins, or what stands before it, is not known
            self._early.pop(seen.part, None)  # the tail has them
            text = self._texts[seen.part] = self._begin(seen, torn=True)
        text.block.closed = text.block.closed or hidden
        more = text.block.catch_up(seen.length, seen.tail)
        return self._show(text, Append(more)) if more else []

    def _begin(self, seen: TextSeen | TextUnderway, *, torn: bool) -> _Text:
        head = ArtifactTold(
            ArtifactId(seen.part), _KINDS[seen.kind], (), message=seen.message, lane=self._lane(seen.session)
        )
        return _Text(head, TextBlock(torn=torn or seen.part in self._holed))

    def _show(self, text: _Text, change: Append | Rewrite | None) -> list[Update]:
        if change is None:
            return []
        self.size += _size(change.text)
        if isinstance(change, Append) and text.begun:
            return [TextAppended(text.head.artifact, change.text, last=change.last)]
        return [text.begin(change.text, last=change.last)] if change.text or text.begun else []

    def _keep_early(self, delta: TextDelta) -> None:
        early = self._early.setdefault(delta.part, [])
        early.append(delta.text)
        if len(early) > _EARLY_ENOUGH:
            early.clear()
            self._holed.add(delta.part)

    # What is told whole

    def hear_tool(self, seen: ToolSeen) -> list[Update]:
        """Take a tool call as it stands; output that grows while it runs is shown when it is whole."""
        before = self._whole.get(seen.part)
        if before is not None and (before.last or seen.state < self._calls[seen.part]):
            return []
        self._calls[seen.part] = seen.state
        told = ArtifactTold(
            ArtifactId(seen.part),
            BlockKind.TOOL,
            (DataPart(_view(seen)),),
            message=seen.message,
            lane=self._lane(seen.session),
            name=seen.tool,
            last=seen.state >= ToolState.COMPLETED,
        )
        if told == before:
            return []
        self._whole[seen.part] = told
        self.size += _size(seen.output or "")
        return [told, *self._hear_files(seen)] if told.last and seen.files else [told]

    def _hear_files(self, seen: ToolSeen) -> list[Update]:
        part = PartId(f"{seen.part}-files")
        return self.hear_content(ContentSeen(seen.session, seen.message, part, seen.files, seen.title))

    def hear_content(self, seen: ContentSeen) -> list[Update]:
        """Take other content."""
        if seen.part in self._whole:
            return []
        told = self._whole[seen.part] = ArtifactTold(
            ArtifactId(seen.part),
            BlockKind.CONTENT,
            seen.content,
            message=seen.message,
            lane=self._lane(seen.session),
            name=seen.name,
            last=True,
        )
        return [told]

    # What does not count any more, or is no longer known

    def abandon(self, session: SessionId) -> list[Update]:
        """Withdraw what a session had not finished: it is going to say it again."""
        lane = self._lane(session)
        parts = [part for part, text in self._texts.items() if text.head.lane == lane and not text.block.closed]
        return [update for part in parts for update in self.withdraw(part)]

    def withdraw_message(self, message: MessageId) -> list[Update]:
        """Withdraw all blocks of a message."""
        texts = [part for part, text in self._texts.items() if text.head.message == message]
        whole = [part for part, told in self._whole.items() if told.message == message]
        return [update for part in texts + whole for update in self.withdraw(part)]

    def withdraw(self, part: PartId) -> list[Update]:
        """Take back what a block told; nothing more comes of it."""
        self._early.pop(part, None)
        if (text := self._texts.get(part)) is not None:
            text.block.closed = True
            if not text.block.text:
                return []
            text.block.rewrite("")
            return [text.begin("", last=True)]
        if (told := self._whole.get(part)) is None or told.parts == _NOTHING:
            return []
        self._whole[part] = evolve(told, parts=_NOTHING, last=True)
        return [self._whole[part]]

    def tear(self, kept: Iterable[PartId] = ()) -> None:
        """Trust no open block any more: deltas may be lost. Of blocks not begun, what was `kept` does not go on, either."""
        self.lossy = True
        self._holed.update(kept)
        for text in self._texts.values():
            text.block.torn = not text.block.closed
        self._holed.update(self._early)
        self._early.clear()

    def mend(self) -> None:
        """Everything there is was recalled: a block that comes to be from now on is heard from its beginning."""
        self.lossy = False

    def _lane(self, session: SessionId) -> SessionId | None:
        return None if session == self.session else session


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _state_of(artifact: Artifact) -> ToolState:
    """Read back what `_view` wrote; a call that was withdrawn says nothing, and nothing more comes of it."""
    match artifact.parts:
        case (DataPart(data=dict() as view),):
            return ToolState[str(view["status"]).upper()]
    return ToolState.ERROR


def _view(seen: ToolSeen) -> Mapping[str, Json]:
    """Give what the client sees of a tool call."""
    view: dict[str, Json] = {
        "call_id": seen.call,
        "tool": seen.tool,
        "status": seen.state.name.lower(),
        "title": seen.title or None,
        "input": seen.input,
        "output": seen.output if seen.state is ToolState.COMPLETED else None,
        "error": seen.error,
    }
    return {key: value for key, value in view.items() if value is not None}
