"""The runtime: which one the settings name, and how it is reached."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib import import_module
from pathlib import Path

from opencode_a2a_server.adapters.outbound.opencode.agent import OpenCode
from opencode_a2a_server.adapters.outbound.opencode.client import Address
from opencode_a2a_server.adapters.outbound.opencode.instances import Keep
from opencode_a2a_server.adapters.outbound.opencode.watch import Watch
from opencode_a2a_server.adapters.outbound.scripted.agent import factory as scripted
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.adapters.outbound.system.ids import RandomIds
from opencode_a2a_server.adapters.outbound.system.paths import HostPaths, UnseenPaths
from opencode_a2a_server.app.ports.agent import Agent, AgentFactory, Readiness, Surroundings
from opencode_a2a_server.app.ports.paths import Paths
from opencode_a2a_server.app.settings import Settings, SettingsError


def find_runtime(settings: Settings) -> AgentFactory:
    """
    Give what opens the runtime.

    Raises:
        SettingsError: There is none of that name.

    """
    name = settings.runtime.runtime
    if name == "opencode":
        return partial(_opencode, settings)
    if name == "scripted":
        return partial(scripted, script=None if settings.runtime.script is None else Path(settings.runtime.script))
    module, colon, attribute = name.partition(":")
    if not colon:
        raise SettingsError([f"A2A_RUNTIME: {name!r} is neither opencode, scripted nor package.module:factory"])
    try:
        factory: AgentFactory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingsError([f"A2A_RUNTIME: {name} cannot be imported ({error})"]) from error
    return factory


def paths_of(settings: Settings) -> Paths:
    """Give the disk that the runtime works on: ours, unless it is an OpenCode on another machine."""
    remote = settings.runtime.runtime == "opencode" and not settings.opencode.local
    return UnseenPaths() if remote else HostPaths()


async def probe(settings: Settings) -> Readiness:
    """Look whether the runtime can be worked with."""
    surroundings = Surroundings(SystemClock(), RandomIds(), settings.environment)
    async with find_runtime(settings)(surroundings) as agent:
        return await agent.probe()


def _opencode(settings: Settings, surroundings: Surroundings) -> AbstractAsyncContextManager[Agent]:
    opencode = settings.opencode
    address = Address(opencode.url, opencode.username, opencode.password, opencode.root, timeout=opencode.timeout)
    return OpenCode.at(
        address,
        surroundings.clock,
        default=opencode.options.model,
        keep=Keep(opencode.open_directories, opencode.directory_idle),
        watch=Watch(surroundings.clock, surroundings.meter, surroundings.tracer),
        shared=settings.on_postgres,
    )
