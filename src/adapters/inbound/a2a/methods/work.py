"""Methods that have a session work."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.app.ports.capabilities import Capability
from opencode_a2a_server.app.ports.sessions import Order
from opencode_a2a_server.app.usecases.choose_directory import Named
from opencode_a2a_server.app.usecases.work_in_session import WorkInSession
from opencode_a2a_server.domain.ids import SessionId
from opencode_a2a_server.domain.session import ModelChoice, PromptOptions

from .orders import CommandRequest, Given, PromptRequest, ShellRequest
from .read import Identifier, MissingField, ModelNamed, OfSession, Params, Words
from .row import Answer, ExtensionMethod, Risk, Rows
from .told import history_message
from .uris import SESSION_QUERY


class PromptSession(OfSession, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt for a session."""

    request: PromptRequest


class RunCommand(OfSession, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command for a session."""

    request: CommandRequest


class RunShell(OfSession, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line for a session's shell."""

    request: ShellRequest


class SummarizeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who summarizes: both names or none."""

    providerID: Words | None = None  # noqa: N815 - OpenCode's
    modelID: Words | None = None  # noqa: N815 - OpenCode's
    auto: bool | None = None

    @property
    def choice(self) -> ModelChoice | None:
        """
        The model, if one is named.

        Raises:
            MissingField: Only half of one is.

        """
        if self.providerID is None and self.modelID is None:
            return None
        if self.providerID is None or self.modelID is None:
            missing = "request.providerID" if self.providerID is None else "request.modelID"
            raise MissingField("request.providerID and request.modelID go together: give both or none", missing)
        return ModelChoice(self.providerID, self.modelID)


class SummarizeSession(OfSession, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session to summarize."""

    request: SummarizeRequest = SummarizeRequest()


class StructuredRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question, and the JSON Schema of its answer."""

    parts: list[Given]
    schema: dict[str, Any]
    retryCount: Annotated[int, Meta(ge=0, le=10)] | None = None  # noqa: N815 - OpenCode's
    model: ModelNamed | None = None
    agent: str | None = None
    system: str | None = None
    variant: str | None = None

    @property
    def order(self) -> Order:
        """The same in our words."""
        model = None if self.model is None else self.model.choice
        options = PromptOptions(model, self.agent, self.system, self.variant)
        parts = tuple(given.part for given in self.parts)
        return Order(parts, options=options, schema=self.schema, retries=self.retryCount)


class AskStructured(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question for data, about a session or about nothing that was said before."""

    request: StructuredRequest
    session_id: Identifier | None = None


async def _prompt(work: WorkInSession, call: Call, asked: PromptSession) -> Told:
    session = await work.prompt(call.principal, asked.named, asked.request.order)
    told: Told = {"ok": True, "session_id": session}
    return told if session == asked.session_id else {**told, "forked_from": asked.session_id}


async def _command(work: WorkInSession, call: Call, asked: RunCommand) -> Told:
    spoken = await work.command(call.principal, asked.named, asked.request.ordered)
    return {"item": history_message(spoken, call.shape)}


async def _shell(work: WorkInSession, call: Call, asked: RunShell) -> Told:
    return {"item": history_message(await work.shell(call.principal, asked.named, asked.request.line), call.shape)}


async def _summarize(work: WorkInSession, call: Call, asked: SummarizeSession) -> Told:
    auto = bool(asked.request.auto)
    await work.summarize(call.principal, asked.named, asked.request.choice, auto=auto)
    return {"ok": True, "session_id": asked.session_id}


async def _structured(work: WorkInSession, call: Call, asked: AskStructured) -> Told:
    named = None if asked.session_id is None else Named(SessionId(asked.session_id))
    spoken = await work.structured(call.principal, named, asked.request.order)
    return {"item": history_message(spoken, call.shape), "structured": spoken.structured}


_ROWS: Final[Rows[WorkInSession]] = Rows(SESSION_QUERY, lambda services: services.work)

ROWS: Final[tuple[ExtensionMethod, ...]] = (
    _ROWS.of(
        "opencode.sessions.prompt_async",
        "prompt_async",
        summary=(
            "Have a prompt taken; what comes of it is read later. With `request.format` of type json_schema it is worked "
            "on in a copy: `session_id` is the copy's, `forked_from` the session's own."
        ),
        params=PromptSession,
        answer=Answer(("ok", "session_id")),
        call=_prompt,
        since="0.2",
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "opencode.sessions.command",
        "command",
        summary="Run a command of OpenCode's and wait for its end; gives the last message.",
        params=RunCommand,
        answer=Answer(("item",), "Message"),
        call=_command,
        since="0.2",
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "opencode.sessions.shell",
        "shell",
        summary="Run a line in OpenCode's shell, with its rights and without asking anybody.",
        params=RunShell,
        answer=Answer(("item",), "Message"),
        call=_shell,
        since="0.2",
        risk=Risk.DANGER,
        capability=Capability.SESSION_SHELL,
        setting="A2A_ENABLE_SESSION_SHELL",
    ),
    _ROWS.of(
        "opencode.sessions.summarize",
        "summarize",
        summary="Have the history replaced by a summary; without a model by the session's own, or the default one.",
        params=SummarizeSession,
        answer=Answer(("ok", "session_id")),
        call=_summarize,
        since="1.4",
        risk=Risk.CHANGE,
    ),
    _ROWS.of(
        "opencode.sessions.structured",
        "structured",
        summary=(
            "Have a question answered by data of a JSON Schema, about a session or about nothing said before. It is asked "
            "in a copy that is deleted afterwards; the data is a data part of the message, and `structured`."
        ),
        params=AskStructured,
        answer=Answer(("item", "structured"), "Message"),
        call=_structured,
        risk=Risk.CHANGE,
    ),
)
