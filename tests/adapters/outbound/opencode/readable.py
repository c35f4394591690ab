"""Updates as JSON that a person can read; for comparison only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opencode_a2a_server.domain.interrupt import Interrupt, Permission
from opencode_a2a_server.domain.message import DataPart, Part, RawPart, TextPart, UrlPart
from opencode_a2a_server.domain.updates import (
    ArtifactTold,
    InterruptRaised,
    InterruptResolved,
    StatusChanged,
    TextAppended,
    Update,
)
from opencode_a2a_server.domain.usage import Usage


def readable(update: Update) -> Mapping[str, Any]:
    """Give an update in few words; what is empty is left out."""
    return {name: value for name, value in _words(update).items() if value not in (None, "", (), [], 0, False)}


def _words(update: Update) -> Mapping[str, Any]:
    match update:
        case TextAppended(artifact, text, last):
            return {"more": artifact, "text": text, "last": last}
        case ArtifactTold(artifact, kind, parts, message, lane, name, last):
            about = {"message": message, "lane": lane, "name": name}
            return {
                "told": artifact,
                "kind": kind.value,
                **about,
                "parts": [_part(part) for part in parts],
                "last": last,
            }
        case StatusChanged(state, parts, usage, failure, retry):
            return {
                "state": state.value,
                "said": [_part(part) for part in parts],
                "usage": _usage(usage) if usage else None,
                "failure": [failure.name, failure.text, failure.status] if failure else None,
                "retry": retry,
            }
        case InterruptRaised(interrupt):
            return {"asked": interrupt.id, **_interrupt(interrupt)}
        case InterruptResolved(request, resolution):
            return {"settled": request, "resolution": resolution}
    raise AssertionError(update)


def _interrupt(interrupt: Interrupt) -> Mapping[str, Any]:
    about = {"session": interrupt.session, "message": interrupt.message}
    if isinstance(interrupt, Permission):
        permission = interrupt.permission
        return {
            **about,
            "permission": permission,
            "patterns": interrupt.patterns,
            "always": interrupt.always,
            "details": interrupt.details,
        }
    return {
        **about,
        "questions": [
            {
                "question": inquiry.question,
                "header": inquiry.header,
                "options": [[option.label, option.description] for option in inquiry.options],
                "multiple": inquiry.multiple,
                "custom": inquiry.custom,
            }
            for inquiry in interrupt.inquiries
        ],
    }


def _part(part: Part) -> Any:
    match part:
        case TextPart(text):
            return text
        case DataPart(data):
            return data
        case RawPart(raw, media_type, filename):
            return {"bytes": len(raw), "media_type": media_type, "filename": filename}
        case UrlPart(url, media_type, filename):
            return {"url": url, "media_type": media_type, "filename": filename}


def _usage(usage: Usage) -> Mapping[str, Any]:
    return {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "reasoning": usage.reasoning_tokens,
        "cache_read": usage.cache_read_tokens,
        "cache_write": usage.cache_write_tokens,
        "cost": round(usage.cost, 9),
    }
