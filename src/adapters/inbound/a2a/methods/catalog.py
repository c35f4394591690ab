"""Methods that say what the runtime can be asked to work with."""

from __future__ import annotations

from typing import Final

from opencode_a2a_server.adapters.inbound.a2a.parameters import Call
from opencode_a2a_server.adapters.inbound.a2a.shared import Told
from opencode_a2a_server.app.ports.catalog import Offer
from opencode_a2a_server.app.usecases.look_around import LookAround

from .read import Placed, Words
from .row import Answer, ExtensionMethod, Rows
from .told import plain
from .uris import PROVIDER_DISCOVERY


class ListModels(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose models are wanted."""

    provider_id: Words | None = None


async def _providers(around: LookAround, call: Call, asked: Placed) -> Told:
    offer = await around.models(call.principal, asked.place)
    return {"items": plain(offer.providers), **_defaults(offer)}


async def _models(around: LookAround, call: Call, asked: ListModels) -> Told:
    offer = await around.models(call.principal, asked.place)
    wanted = None if asked.provider_id is None else asked.provider_id.strip()
    models = [model for model in offer.models if wanted in (None, model.provider_id)]
    return {"items": plain(models), **_defaults(offer)}


async def _agents(around: LookAround, call: Call, asked: Placed) -> Told:
    return {"items": plain(await around.agents(call.principal, asked.place))}


async def _commands(around: LookAround, call: Call, asked: Placed) -> Told:
    return {"items": plain(await around.commands(call.principal, asked.place))}


async def _tool_servers(around: LookAround, call: Call, asked: Placed) -> Told:
    return {"items": plain(await around.tool_servers(call.principal, asked.place))}


def _defaults(offer: Offer) -> Told:
    return {"default_by_provider": dict(offer.default_by_provider), "connected": list(offer.connected)}


_OFFER: Final = ("items", "default_by_provider", "connected")

_ROWS: Final[Rows[LookAround]] = Rows(PROVIDER_DISCOVERY, lambda services: services.around)

ROWS: Final[tuple[ExtensionMethod, ...]] = (
    _ROWS.of(
        "opencode.providers.list",
        "list_providers",
        summary="Who serves models, with how many and which by default.",
        params=Placed,
        answer=Answer(_OFFER, "ProviderSummary"),
        call=_providers,
        since="0.2",
    ),
    _ROWS.of(
        "opencode.models.list",
        "list_models",
        summary="Models, of one provider or of all, with what they can do, their variants and prices.",
        params=ListModels,
        answer=Answer(_OFFER, "ModelSummary"),
        call=_models,
        since="0.2",
    ),
    _ROWS.of(
        "opencode.agents.list",
        "list_agents",
        summary="OpenCode's agents: those a prompt may name, and those that work for others.",
        params=Placed,
        answer=Answer(("items",), "AgentSummary"),
        call=_agents,
    ),
    _ROWS.of(
        "opencode.commands.list",
        "list_commands",
        summary="OpenCode's commands, with the places their arguments go to.",
        params=Placed,
        answer=Answer(("items",), "CommandSummary"),
        call=_commands,
    ),
    _ROWS.of(
        "opencode.mcp.status",
        "mcp_status",
        summary="Servers of tools (MCP), and whether they are connected.",
        params=Placed,
        answer=Answer(("items",), "McpServerStatus"),
        call=_tool_servers,
    ),
)
