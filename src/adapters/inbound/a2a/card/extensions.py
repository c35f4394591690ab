"""
Extensions (A2A 1.0, 4.6): what is served beyond the protocol, and what the cards say of it.

`extensions` is the table; which JSON-RPC methods an extension has, the table of methods says, and one that is nothing
without its methods is served, and told, if they are. What is in `params` both cards have; `more` is for the extended one,
which may be as long as it needs to be. None is required unless the operator says so, and their metadata is told whether
or not they were asked for, as 0.2 did.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from opencode_a2a_server.adapters.inbound.a2a.errors import ExtensionSupportRequired
from opencode_a2a_server.adapters.inbound.a2a.methods.uris import (
    FILES,
    PROVIDER_DISCOVERY,
    SESSION_QUERY,
    WORKSPACE_CONTROL,
)

from .skills import ANSWER, PROVIDERS, READING, SESSIONS, WORKSPACES, Skill

STREAM_HINTS: Final = "urn:a2a:stream-hints/v1"
SESSION_BINDING: Final = "urn:a2a:session-binding/v1"
MODEL_SELECTION: Final = "urn:a2a:model-selection/v1"
INTERACTIVE_INTERRUPT: Final = "urn:a2a:interactive-interrupt/v1"

_NO_MAPPING: Final[Mapping[str, Any]] = {}


class Detail(enum.IntEnum):
    """How much a card says of an extension: each step has what those before it have."""

    NAME = 0
    """That it is there."""
    SHARED = 1
    """The parameters of what is no method."""
    METHODS = 2
    """The methods."""
    PARAMETERS = 3
    """All parameters a program needs to begin with."""
    ALL = 4
    """The contracts of methods, too."""


@frozen
class Extension:
    """Something beyond the protocol: its URI, which never changes its meaning, and what the cards say of it."""

    uri: str
    description: str
    params: Mapping[str, Any] = _NO_MAPPING
    """What a program needs to begin with; the public card has 8 KB for all."""
    more: Mapping[str, Any] = _NO_MAPPING
    """What else there is to know: the contracts of methods, errors. The extended card has it beside `params`."""
    methods: Mapping[str, str] = _NO_MAPPING
    """The JSON-RPC methods of it which are served, by their short names; filled in by `served_with`."""
    by_methods: bool = False
    """Whether it is nothing without its methods."""
    skills: tuple[Skill, ...] = ()
    """What it lets a client ask for; the extended card has them."""
    public: bool = True
    """Whether the public card has it, too."""
    same_as: str = ""
    """The URI of the one it is, if this is another name for it."""

    def told(self, detail: Detail = Detail.ALL, *, required: bool = False) -> Mapping[str, Any]:
        """Tell it as a card does."""
        params: dict[str, Any] = {}
        if detail >= (Detail.PARAMETERS if self.by_methods else Detail.SHARED):
            params |= self.params
        if self.methods and detail >= Detail.METHODS:
            params["methods"] = dict(self.methods)
        if detail is Detail.ALL:
            params |= self.more
        return {
            "uri": self.uri,
            "description": self.description,
            **({"required": True} if required else {}),
            **({"params": params} if params else {}),
        }


def extensions(*, to_working: str = "reject", directory_override: bool = True) -> tuple[Extension, ...]:
    """
    Give the table.

    Args:
        to_working: What becomes of a message to a task at work: `reject` or `queue`.
        directory_override: Whether a message may choose a directory of the workspace.

    """
    return (
        Extension(
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
        ),
        Extension(
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
        ),
        Extension(
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
        ),
        Extension(
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
        ),
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


def served_with(table: Iterable[Extension], methods: Mapping[str, Mapping[str, str]]) -> tuple[Extension, ...]:
    """Keep what can be had where these JSON-RPC methods, by URI and short name, are served."""
    told = (evolve(extension, methods=methods.get(extension.uri, _NO_MAPPING)) for extension in table)
    return tuple(extension for extension in told if extension.methods or not extension.by_methods)


@frozen
class Negotiation:
    """Which extensions can be activated, and which must be (A2A 1.0, 3.2.6 and 4.6)."""

    served: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    unasked: bool = True
    """Whether metadata of extensions is told to callers who did not activate them, too."""
    names: Mapping[str, str] = _NO_MAPPING
    """Which extension is meant by each other name."""
    _places: Mapping[str, int] = field(init=False, repr=False)

    @_places.default
    def _by_place(self) -> Mapping[str, int]:
        return {uri: place for place, uri in enumerate(self.served)}

    @classmethod
    def of(cls, table: Iterable[Extension], required: Iterable[str] = (), *, unasked: bool = True) -> Negotiation:
        """
        Negotiate about the extensions of a table.

        Raises:
            ValueError: One is required that is not in it.

        """
        known = tuple(table)
        names = {extension.uri: extension.same_as for extension in known if extension.same_as}
        made = cls(tuple(extension.uri for extension in known), tuple(required), unasked, names)
        for uri in made.required:
            if uri not in made.served:
                raise ValueError(f"extension {uri} is required and not served; served: {', '.join(made.served)}")
        return made

    def activated(self, asked: Iterable[str]) -> tuple[str, ...]:
        """Give those which are activated by being asked for; unknown ones are ignored."""
        return tuple(sorted({uri for uri in asked if uri in self._places}, key=self._places.__getitem__))

    def hints(self, activated: Collection[str]) -> bool:
        """Whether a caller who activated these is told our metadata."""
        return self.unasked or STREAM_HINTS in self._meant(activated)

    def check(self, activated: Collection[str]) -> None:
        """
        Refuse a caller who does not say that it knows what must be known.

        Raises:
            ExtensionSupportRequired: It does not.

        """
        if not self.required:
            return
        meant = self._meant(activated)
        missing = [uri for uri in self.required if uri not in meant]
        if missing:
            raise ExtensionSupportRequired(
                f"this agent requires extensions; name them in the header A2A-Extensions: {', '.join(missing)}"
            )

    def _meant(self, activated: Collection[str]) -> Collection[str]:
        return {self.names.get(uri, uri) for uri in activated}
