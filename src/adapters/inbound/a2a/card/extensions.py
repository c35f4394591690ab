"""
Extensions (A2A 1.0, 4.6): what is served beyond the protocol, and what the cards say of it.

`extensions` is the table; which JSON-RPC methods an extension has, the table of methods says, and one that is nothing
without its methods is served, and told, if they are. What is in `params` both cards have; `more` is for the extended one,
which may be as long as it needs to be. None is required unless the operator says so, and what clients are told of their
metadata unasked is the operator's choice, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import evolve

from opencode_a2a_server.adapters.inbound.a2a.methods.uris import (
    FILES,
    PROVIDER_DISCOVERY,
    SESSION_QUERY,
    WORKSPACE_CONTROL,
)

from .extension import Extension
from .skills import ANSWER, PROVIDERS, READING, SESSIONS, WORKSPACES

STREAM_HINTS: Final = "urn:a2a:stream-hints/v1"
SESSION_BINDING: Final = "urn:a2a:session-binding/v1"
MODEL_SELECTION: Final = "urn:a2a:model-selection/v1"
INTERACTIVE_INTERRUPT: Final = "urn:a2a:interactive-interrupt/v1"

_STREAM_HINTS: Final = Extension(
    uri=STREAM_HINTS,
    description="Artifacts and statuses say what they hold: block, session, usage, interrupt, place in stream.",
    params={
        "artifact_metadata_field": "metadata.shared.stream",
        "status_metadata_field": "metadata.shared.stream",
        "interrupt_metadata_field": "metadata.shared.interrupt",
        "session_metadata_field": "metadata.shared.session",
        "usage_metadata_field": "metadata.shared.usage",
        "progress_metadata_field": "metadata.shared.progress",
        "cursor_metadata_field": "metadata.shared.stream.cursor",
        "gap_metadata_field": "metadata.shared.stream.gap",
        "resume_header": "Last-Event-ID",
        "block_types": ["text", "reasoning", "tool_call", "content"],
        "stream_fields": ["block_type", "source", "message_id", "event_id", "sequence", "role", "lane"],
        "interrupt_fields": ["request_id", "type", "phase", "details", "resolution"],
        "usage_fields": [
            "input_tokens",
            "output_tokens",
            "total_tokens",
            "reasoning_tokens",
            "cache_tokens.read_tokens",
            "cache_tokens.write_tokens",
            "cost",
        ],
    },
    more={
        "block_contracts": {
            "text": {"part_kind": "text", "append": "the text grows", "payload_field": "text"},
            "reasoning": {"part_kind": "text", "append": "the text grows", "payload_field": "text"},
            "tool_call": {
                "part_kind": "data",
                "append": "never: each one tells the call anew",
                "payload_fields": [
                    "call_id",
                    "tool",
                    "status",
                    "title",
                    "input",
                    "output",
                    "error",
                ],
            },
            "content": {"part_kind": "any", "append": "never", "payload_field": "the part itself"},
        },
        "progress_fields": ["type", "status", "attempt"],
        "withdrawn": "a text that is told anew and empty is withdrawn: the runtime tried again",
    },
)


def _session_binding(to_working: str, *, directory_override: bool) -> Extension:
    return Extension(
        uri=SESSION_BINDING,
        description="Each context is bound to one session of the runtime: a new one, or the one a message names.",
        params={
            "metadata_field": "metadata.shared.session.id",
            "session_metadata_field": "metadata.shared.session",
            "session_fields": ["id", "replaces"],
            "behavior": "prefer_metadata_binding_else_create_session",
            "supported_metadata": ["shared.session.id", "opencode.directory"],
            "provider_private_metadata": ["opencode.directory"],
            "directory_override_enabled": directory_override,
            "shared_workspace_across_consumers": True,
            "tenant_isolation": "none",
            "messages_to_working": to_working,
        },
        more={
            "ownership": "a session belongs to who had it opened here, or else to who used it first with success",
            "foreign_session": "refused as one that does not exist: SESSION_NOT_FOUND",
            "directory": "inside the workspace, links followed; a context keeps that of its session",
            "replaces": "the session that was lost, in whose place a new one began",
        },
    )


_MODEL_SELECTION: Final = Extension(
    uri=MODEL_SELECTION,
    description="A message chooses the model of its turn, and the runtime's agent and the model's variant.",
    params={
        "metadata_field": "metadata.shared.model",
        "behavior": "prefer_metadata_model_else_server_default",
        "applies_to_methods": ["SendMessage", "SendStreamingMessage", "message/send", "message/stream"],
        "supported_metadata": [
            "shared.model.providerID",
            "shared.model.modelID",
            "opencode.agent",
            "opencode.variant",
        ],
        "provider_private_metadata": ["opencode.agent", "opencode.variant"],
        "fields": {
            "providerID": "metadata.shared.model.providerID",
            "modelID": "metadata.shared.model.modelID",
        },
    },
    more={"unknown": "refused with the nearest names before the turn, if the runtime can be asked"},
)

_INTERACTIVE_INTERRUPT: Final = Extension(
    uri=INTERACTIVE_INTERRUPT,
    description=(
        "Permissions and questions of the agent, told as data; a message to the task answers them, or a method."
    ),
    params={
        "interrupt_metadata_field": "metadata.shared.interrupt",
        "request_id_field": "metadata.shared.interrupt.request_id",
        "supported_interrupt_events": ["permission.asked", "question.asked"],
        "permission_reply_values": ["once", "always", "reject"],
        "success_result_fields": ["ok", "request_id"],
    },
    more={
        "answered_by": "a message with the task's id while the task requires input, or a method",
        "interrupt_fields": [
            "request_id",
            "type",
            "phase",
            "details",
            "expires_at",
            "default_action",
            "resolution",
            "by",
            "reason",
        ],
        "question_reply_contract": {"answers": "for each question asked a list of labels or of own words"},
        "permission_details": ["permission", "patterns", "always", "metadata"],
        "question_details": ["header", "question", "options", "multiple", "custom"],
    },
    skills=(ANSWER,),
)

_OF_METHODS: Final = (
    Extension(
        uri=SESSION_QUERY,
        description="Sessions of the runtime: listed, read, and whatever else its methods do.",
        skills=(SESSIONS,),
        by_methods=True,
    ),
    Extension(
        uri=PROVIDER_DISCOVERY,
        description="Providers and models that the runtime can work with.",
        skills=(PROVIDERS,),
        by_methods=True,
    ),
    Extension(
        uri=WORKSPACE_CONTROL,
        description="Projects of the runtime, their workspaces and worktrees.",
        skills=(WORKSPACES,),
        by_methods=True,
        public=False,
    ),
    Extension(
        uri=FILES,
        description="Files the runtime works on, and what was changed in them.",
        skills=(READING,),
        by_methods=True,
        public=False,
    ),
)


def extensions(*, to_working: str = "reject", directory_override: bool = True) -> tuple[Extension, ...]:
    """
    Give the table.

    Args:
        to_working: What becomes of a message to a task at work: `reject` or `queue`.
        directory_override: Whether a message may choose a directory of the workspace.

    """
    binding = _session_binding(to_working, directory_override=directory_override)
    return (_STREAM_HINTS, binding, _MODEL_SELECTION, _INTERACTIVE_INTERRUPT, *_OF_METHODS)


def served_with(table: Iterable[Extension], methods: Mapping[str, Mapping[str, str]]) -> tuple[Extension, ...]:
    """Keep what can be had where these JSON-RPC methods, by URI and short name, are served."""
    told = (evolve(extension, methods=methods.get(extension.uri, {})) for extension in table)
    return tuple(extension for extension in told if extension.methods or not extension.by_methods)
