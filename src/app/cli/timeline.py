"""How a task went: its journal as lines, one for each thing that happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define, field, frozen

from opencode_a2a_server.adapters.outbound.stores.reading import Kept
from opencode_a2a_server.domain.ids import ArtifactId
from opencode_a2a_server.domain.interrupt import PermissionAnswer, QuestionAnswer, QuestionDismissed
from opencode_a2a_server.domain.message import DataPart, Message, Part, TextPart
from opencode_a2a_server.domain.push import Outbox
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.updates import (
    AnswerDropped,
    AnswerGiven,
    ArtifactTold,
    BlockKind,
    CancelRequested,
    Entry,
    InterruptRaised,
    InterruptResolved,
    MessageReceived,
    StatusChanged,
    TaskSubmitted,
    TextAppended,
    TurnStarted,
)
from opencode_a2a_server.domain.usage import Usage

from .live import clean, short

_LONG: Final = 100


@define
class Happening:
    """One thing that happened; `at` in seconds since the epoch, None where it is not known."""

    at: float | None
    what: str
    says: str


@frozen
class _Growing:
    happening: Happening
    letters: list[int] = field(factory=lambda: [0])

    def grow(self, text: str) -> None:
        self.letters[0] += len(text)
        self.happening.says = f"{self.letters[0]} characters"


def tell(kept: Kept) -> list[Happening]:
    """Tell all that is kept of a task, in its order; text that grew is one line."""
    told = [] if kept.folded is None else [*_folded(kept.folded)]
    texts: dict[ArtifactId, _Growing] = {}
    for entry in kept.entries:
        match entry.update:
            case TextAppended(artifact, text):
                if artifact in texts:
                    texts[artifact].grow(text)
            case ArtifactTold(artifact, kind, parts) if kind in (BlockKind.TEXT, BlockKind.REASONING):
                if artifact in texts:
                    told.append(Happening(entry.at, kind.value, "told anew: the runtime withdrew what was there"))
                growing = texts[artifact] = _Growing(Happening(entry.at, kind.value, ""))
                growing.grow(_text(parts))
                told.append(growing.happening)
            case _:
                told += _told(entry)
    return told + [_delivery(outbox) for outbox in kept.deliveries]


def _folded(task: Task) -> Iterator[Happening]:
    yield Happening(task.created_at, "message", f"from {task.principal}: {_said(task.history[0])}")
    yield Happening(None, "folded", f"{task.seq} updates were folded by retention; this is what they led to")
    yield Happening(task.status.at, "status", _status(task.status.state.value, task.status.parts, task.usage))


def _told(entry: Entry) -> Iterator[Happening]:  # noqa: C901 - one case for each update
    def line(what: str, says: str) -> Happening:
        return Happening(entry.at, what, clean(says))

    match entry.update:
        case TaskSubmitted(context_id, principal, message):
            yield line("message", f"from {principal}, in context {context_id}: {_said(message)}")
        case MessageReceived(message, queued):
            yield line("message", f"{'queued: ' if queued else ''}{_said(message)}")
        case TurnStarted(session, prompt) as started:
            lost = f", in place of {started.replaced}, which is gone" if started.replaced else ""
            again = ", the same message again" if started.again else ""
            yield line("turn", f"session {session.id} in {session.directory}{lost}, prompt {prompt}{again}")
        case StatusChanged(state, parts, usage, failure, retry):
            why = f" ({failure.name}: {failure.text})" if failure else ""
            again = f" retry {retry}" if retry else ""
            yield line("status", _status(state.value, parts, usage) + again + why)
        case InterruptRaised(interrupt):
            yield line("asked", f"{interrupt.prompt.splitlines()[0]} [{interrupt.id}]")
        case AnswerGiven(interrupt, answer, by):
            yield line("answer", f"{_answer(answer)} by {by} ({by.channel.value}) [{interrupt.id}]")
        case AnswerDropped(request, reason):
            yield line("dropped", f"the answer was not taken: {reason} [{request}]")
        case InterruptResolved(request, resolution):
            yield line("resolved", f"{resolution} [{request}]")
        case ArtifactTold(_, kind, parts) as artifact:
            yield line("tool" if kind is BlockKind.TOOL else "artifact", _artifact(artifact.name, parts))
        case CancelRequested(by):
            yield line("cancel", f"wanted by {by}")


def _artifact(name: str, parts: Sequence[Part]) -> str:
    for part in parts:
        if isinstance(part, DataPart) and isinstance(part.data, Mapping) and "status" in part.data:
            title = part.data.get("error") or part.data.get("title") or ""
            return _cut(f"{part.data.get('tool', name)} {part.data['status']} {title}".strip())
    return name or f"{len(parts)} parts"


def _answer(answer: object) -> str:
    match answer:
        case PermissionAnswer(verdict, reason):
            return verdict.value + (f" ({reason})" if reason else "")
        case QuestionAnswer(answers):
            return "; ".join(", ".join(labels) for labels in answers)
        case QuestionDismissed():
            return "dismissed"
    return str(answer)


def _status(state: str, parts: Sequence[Part], usage: Usage | None) -> str:
    used = f", {usage.total_tokens} tokens, cost {usage.cost:g}" if usage else ""
    said = _cut(_text(parts))
    return state + used + (f": {said}" if said else "")


def _delivery(outbox: Outbox) -> Happening:
    where = urlsplit(outbox.config.url)
    place = f"{where.scheme}://{where.hostname or ''}{where.path}"  # without what may be a secret
    stopped = f", stopped: {outbox.stopped}" if outbox.stopped else ""
    failed = f", {outbox.failures} failures in a row" if outbox.failures else ""
    says = f"to {place}: all up to update {outbox.seq}{failed}{stopped} [{outbox.config.id}]"
    return Happening(outbox.created_at or None, "push", says)


def _said(message: Message) -> str:
    return _cut(message.text)


def _text(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _cut(text: str) -> str:
    line = " ".join(clean(text).split())
    return line if len(line) <= _LONG else line[:_LONG] + "..."


def tell_remote(task: Mapping[str, Any], frames: Sequence[Mapping[str, Any]]) -> list[Happening]:
    """Tell what a service shows of a task over A2A: what was said, statuses with their times, tools and texts."""
    said = [one for one in task.get("history", ()) if one.get("role") == "ROLE_USER"]
    told = [Happening(None, "message", _cut(_words(one))) for one in said]
    texts: dict[str, _Growing] = {}
    for frame in frames:
        if snapshot := frame.get("task"):
            told.append(_seen(snapshot.get("status", {}), snapshot.get("metadata", {})))
        elif update := frame.get("statusUpdate"):
            told.append(_seen(update.get("status", {}), update.get("metadata", {})))
        elif update := frame.get("artifactUpdate"):
            told += _shown(update, texts)
    return told


def _seen(status: Mapping[str, Any], metadata: Mapping[str, Any]) -> Happening:
    from datetime import datetime

    shared = metadata.get("shared", {})
    usage, interrupt = shared.get("usage"), shared.get("interrupt", {})
    says = short(status.get("state", "")).lower()
    says += f", {usage.get('total_tokens', 0)} tokens, cost {usage.get('cost', 0):g}" if usage else ""
    if interrupt:
        says += f", {interrupt.get('phase', '')} {interrupt.get('resolution', '')}".rstrip()
        says += f" [{interrupt.get('request_id', '')}]"
    words = _cut(_words(status.get("message", {})))
    at = datetime.fromisoformat(status["timestamp"]).timestamp() if "timestamp" in status else None
    return Happening(at, "status", says + (f": {words}" if words else ""))


def _shown(update: Mapping[str, Any], texts: dict[str, _Growing]) -> Iterator[Happening]:
    artifact = update["artifact"]
    name, words = artifact.get("artifactId", ""), _words(artifact)
    data = next((part["data"] for part in artifact.get("parts", ()) if isinstance(part.get("data"), dict)), None)
    if data is not None:
        yield Happening(None, "tool", _cut(f"{data.get('tool', name)} {data.get('status', '')}"))
    elif name in texts and update.get("append"):
        texts[name].grow(words)
    else:
        kind = artifact.get("metadata", {}).get("shared", {}).get("stream", {}).get("block_type", "text")
        growing = texts[name] = _Growing(Happening(None, kind, ""))
        growing.grow(words)
        yield growing.happening


def _words(message: Mapping[str, Any]) -> str:
    return "".join(part.get("text", "") for part in message.get("parts", ()))
