"""Prompts, commands and shell lines as clients word them: OpenCode's own names, checked."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from opencode_a2a_server.app.ports.sessions import AgentNamed, Command, Order, PartGiven, ShellLine, SubtaskGiven
from opencode_a2a_server.domain.ids import MessageId
from opencode_a2a_server.domain.message import TextPart, UrlPart
from opencode_a2a_server.domain.session import ModelChoice, PromptOptions

from .read import MessageIdentifier, ModelNamed, Words

Told = Annotated[str, Meta(min_length=1)]


class TextGiven(Struct, frozen=True, kw_only=True, tag="text", tag_field="type"):
    """Text."""

    text: str

    @property
    def part(self) -> PartGiven:
        """The same in our words."""
        return TextPart(self.text)


class FileGiven(Struct, frozen=True, kw_only=True, tag="file", tag_field="type"):
    """A file, by a `data:` URL."""

    mime: Told
    url: Told
    filename: str | None = None

    @property
    def part(self) -> UrlPart:
        """The same in our words."""
        return UrlPart(self.url, self.mime, self.filename or "")


class AgentGiven(Struct, frozen=True, kw_only=True, tag="agent", tag_field="type"):
    """A sub-agent to work with."""

    name: Words

    @property
    def part(self) -> PartGiven:
        """The same in our words."""
        return AgentNamed(self.name)


class SubtaskPart(Struct, frozen=True, kw_only=True, tag="subtask", tag_field="type"):
    """Work for a sub-agent."""

    prompt: str
    description: str
    agent: Words
    model: ModelNamed | None = None
    command: str | None = None

    @property
    def part(self) -> PartGiven:
        """The same in our words."""
        return SubtaskGiven(self.prompt, self.description, self.agent, _choice(self.model), self.command)


Given: TypeAlias = TextGiven | FileGiven | AgentGiven | SubtaskPart


class TextFormat(Struct, frozen=True, kw_only=True, tag="text", tag_field="type"):
    """Text, as always."""


class SchemaFormat(Struct, frozen=True, kw_only=True, tag="json_schema", tag_field="type"):
    """Data of a JSON Schema."""

    schema: dict[str, Any]
    retryCount: Annotated[int, Meta(ge=0, le=10)] | None = None  # noqa: N815 - OpenCode's


class PromptRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt."""

    parts: list[Given]
    messageID: MessageIdentifier | None = None  # noqa: N815 - OpenCode's
    model: ModelNamed | None = None
    agent: str | None = None
    noReply: bool | None = None  # noqa: N815 - OpenCode's
    tools: dict[str, bool] | None = None
    format: TextFormat | SchemaFormat | None = None
    system: str | None = None
    variant: str | None = None

    @property
    def order(self) -> Order:
        """
        The same in our words.

        A format of text is not passed on: it is what OpenCode does anyway, and to say so breaks the session.
        """
        schema = self.format if isinstance(self.format, SchemaFormat) else None
        return Order(
            tuple(given.part for given in self.parts),
            _id(self.messageID),
            PromptOptions(_choice(self.model), self.agent, self.system, self.variant),
            self.tools or {},
            no_reply=bool(self.noReply),
            schema=None if schema is None else schema.schema,
            retries=None if schema is None else schema.retryCount,
        )


class CommandRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command."""

    command: Words
    arguments: str = ""
    messageID: MessageIdentifier | None = None  # noqa: N815 - OpenCode's
    agent: str | None = None
    model: ModelNamed | None = None
    variant: str | None = None
    parts: list[FileGiven] | None = None

    @property
    def ordered(self) -> Command:
        """The same in our words; a slash before the name, as people type it, is none of the name."""
        return Command(
            self.command.strip().removeprefix("/"),
            self.arguments,
            _id(self.messageID),
            PromptOptions(_choice(self.model), self.agent, None, self.variant),
            tuple(given.part for given in self.parts or ()),
        )


class ShellRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line for the shell."""

    agent: Words
    command: Told
    model: ModelNamed | None = None

    @property
    def line(self) -> ShellLine:
        """The same in our words."""
        return ShellLine(self.agent, self.command, _choice(self.model))


def _choice(model: ModelNamed | None) -> ModelChoice | None:
    return None if model is None else model.choice


def _id(named: str | None) -> MessageId | None:
    return None if named is None else MessageId(named)
