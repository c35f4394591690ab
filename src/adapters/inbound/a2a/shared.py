"""
`metadata.shared`: what we tell beside the protocol's own fields.

The names are a contract with clients of opencode-a2a-server 0.2 and hold for every protocol version.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, assert_never

from opencode_a2a_server.domain.events import Failure
from opencode_a2a_server.domain.ids import Seq, SessionId, TaskId
from opencode_a2a_server.domain.interrupt import Inquiry, Interrupt, Permission, Question
from opencode_a2a_server.domain.message import DataPart, Part, TextPart
from opencode_a2a_server.domain.session import Session
from opencode_a2a_server.domain.task import Artifact, Task
from opencode_a2a_server.domain.updates import ArtifactTold, InterruptResolved
from opencode_a2a_server.domain.usage import Usage

Told = dict[str, Any]
"""A JSON object on its way out."""


class Telling(Enum):
    """How much of it a client is told."""

    ALL = "all"
    UNHINTED = "unhinted"
    """All but what the extension of stream hints is about: what describes blocks of output, usage, progress."""
    NOTHING = "nothing"


STREAM_SOURCE: Final = "stream"
STATUS_SOURCE: Final = "status"


def cursor(task_id: TaskId, seq: Seq) -> str:
    """Name a place in a task's stream: an SSE event's id, and what `Last-Event-ID` brings back."""
    return f"{task_id}:{seq}"


def session(bound: Session | None, replaced: SessionId | None = None) -> Told:
    """Tell the session, if there is one, and whose place it takes."""
    instead = {} if replaced is None else {"replaces": replaced}
    return {} if bound is None else {"session": {"id": bound.id, **instead}}


def usage(spent: Usage | None) -> Told:
    """Tell tokens and cost, if they are known."""
    if spent is None:
        return {}
    cached = {"read_tokens": spent.cache_read_tokens, "write_tokens": spent.cache_write_tokens}
    return {
        "usage": {
            "input_tokens": spent.input_tokens,
            "output_tokens": spent.output_tokens,
            "total_tokens": spent.total_tokens,
            "reasoning_tokens": spent.reasoning_tokens,
            "cache_tokens": cached,
            "cost": spent.cost,
        }
    }


def error(failure: Failure | None) -> Told:
    """Tell why the task failed; beside `shared`, since the names are OpenCode's."""
    if failure is None:
        return {}
    return {"opencode": {"error": {"type": failure.name, "upstream_status": failure.status}}}


def progress(retry: int) -> Told:
    """Tell that a call of the model is tried again."""
    return {"progress": {"type": "retry", "status": "retrying", "attempt": retry}} if retry else {}


# Interrupts


def asked(interrupt: Interrupt) -> Told:
    """Tell that an interrupt waits for an answer, and how long."""
    return {**_named(interrupt), "phase": "asked", "details": details(interrupt), **due(interrupt)}


def due(interrupt: Interrupt) -> Told:
    """Tell when the answer is no longer waited for (seconds since the epoch), and what is done then."""
    if interrupt.deadline is None:
        return {}
    return {"expires_at": interrupt.deadline.at, "default_action": interrupt.deadline.action.value}


def resolved(update: InterruptResolved, interrupt: Interrupt | None) -> Told:
    """Tell that an interrupt is gone; which client answered stays between them and us."""
    named = {"request_id": update.request} if interrupt is None else _named(interrupt)
    told = {**named, "phase": "resolved", "resolution": update.resolution}
    if update.channel is None:
        return told
    who = update.channel.value if update.by is None else "client"
    return {**told, "by": who, **({"reason": update.reason} if update.reason else {})}


def asking(interrupt: Interrupt) -> tuple[Part, ...]:
    """Ask a person, and a program: readable text, and the same as data with the id that an answer names."""
    told = {**_named(interrupt), "session_id": interrupt.session, **details(interrupt), **due(interrupt)}
    return (TextPart(interrupt.prompt), DataPart(told, "application/json"))


def asked_now(task: Task) -> Interrupt | None:
    """Give the interrupt which the task's status is about."""
    status = task.status
    if not status.state.interrupted:
        return None
    waiting = (interrupt for interrupt in task.pending.values() if (TextPart(interrupt.prompt),) == status.parts)
    return next(waiting, None)


def details(interrupt: Interrupt) -> Told:
    """Tell what is asked."""
    match interrupt:
        case Permission():
            return {
                "permission": interrupt.permission,
                "patterns": list(interrupt.patterns),
                "always": list(interrupt.always),
                "metadata": dict(interrupt.details),
            }
        case Question():
            return {"questions": [_inquiry(inquiry) for inquiry in interrupt.inquiries]}
    assert_never(interrupt)


def _named(interrupt: Interrupt) -> Told:
    return {"request_id": interrupt.id, "type": interrupt.kind.value}


def _inquiry(inquiry: Inquiry) -> Told:
    options = [
        {"label": option.label, "value": option.label, "description": option.description} for option in inquiry.options
    ]
    return {
        "header": inquiry.header,
        "question": inquiry.question,
        "options": options,
        "multiple": inquiry.multiple,
        "custom": inquiry.custom,
    }


# Blocks


def block(task: Task, told: Artifact | ArtifactTold, seq: Seq) -> Told:
    """Tell which block of which message an artifact holds, as of update `seq`; `lane` is a sub-agent's session."""
    return {"shared": {"stream": {**hints(task, told), "event_id": cursor(task.id, seq), "sequence": seq}}}


def hints(task: Task, told: Artifact | ArtifactTold) -> Told:
    """Tell the part of a block's metadata that stays the same from update to update."""
    lane = {} if told.lane is None else {"lane": told.lane}
    return {
        "block_type": told.kind.value,
        "message_id": told.message or f"{task.id}:{task.context_id}:assistant",
        "source": STREAM_SOURCE,
        "role": "agent",
        **lane,
    }
