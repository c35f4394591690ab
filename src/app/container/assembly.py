"""
In which order a service begins, and ends.

What opens connections is opened here, one after the other; the container gets finished objects and wires the rest.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from dependency_injector import providers

from opencode_a2a_server.adapters.outbound.audit import open_audit
from opencode_a2a_server.adapters.outbound.stores.opening import Stores, open_stores
from opencode_a2a_server.app.ports.agent import AgentFactory, Surroundings
from opencode_a2a_server.app.ports.tracer import UNTRACED, Tracer
from opencode_a2a_server.app.settings import Settings, SettingsError
from opencode_a2a_server.app.usecases.forget_owners import ForgetOwners
from opencode_a2a_server.app.usecases.retain import Retain
from opencode_a2a_server.app.usecases.share_counts import ATTEMPTS, REQUESTS, ShareCounts
from opencode_a2a_server.app.usecases.share_hearing import ShareHearing

from .access import credentials_of
from .given import give_stores
from .grpc import listen_to_grpc
from .inbound import Container
from .interrupts import terms_of
from .observed import gauges, listen_to_operators, tracing
from .problems import problems_of
from .push import webhook
from .runtime import find_runtime
from .signing import notification_tokens, signing_keys

_log = logging.getLogger(__name__)


@asynccontextmanager
async def assemble(
    settings: Settings, runtime: AgentFactory | None = None, *, tracer: Tracer | None = None
) -> AsyncIterator[Container]:
    """
    Open a service: stores, runtime, turns; take up what the last life left; end them in reverse order.

    Args:
        settings: See `settings.load_settings`.
        runtime: Takes the place of the runtime the settings name.
        tracer: Takes the place of the one the settings ask for.

    Raises:
        SettingsError: There are no credentials, an extra is missing, a key or the runtime cannot be used, or a port is
            taken.
        Exception: What the stores or the runtime raise on entering.

    """
    if problems := list(problems_of(settings)):
        raise SettingsError(problems)
    container = Container(settings=settings, terms=terms_of(settings.interrupts))
    make = runtime or find_runtime(settings)
    async with AsyncExitStack() as stack:
        if tracer is None:
            tracer = stack.enter_context(tracing()) if settings.traced else UNTRACED
        container.tracer.override(providers.Object(tracer))
        stores = await _open(stack, container, settings)
        await _begin_runtime(stack, container, make)
        await _begin_jobs(stack, container, stores)
        await _listen(stack, container, stores)
        yield container
        container.turns().draining = True


async def _open(stack: AsyncExitStack, container: Container, settings: Settings) -> Stores:
    """Open what the service needs besides the runtime."""
    opening = open_stores(settings.database_url, container.clock(), meter=container.meter())
    stores = await stack.enter_async_context(opening)
    give_stores(container, stores)
    audit = await stack.enter_async_context(open_audit(settings.interrupts.audit))
    container.audit.override(providers.Object(audit))
    credentials = await stack.enter_async_context(credentials_of(settings, container.clock(), audit))
    container.credentials.override(providers.Object(credentials))
    sign = None
    if (keys := signing_keys(settings)) is not None:
        container.jwks.override(providers.Object(keys.jwks))
        sign = notification_tokens(keys, settings, container.clock())
    notifier = await stack.enter_async_context(webhook(container, sign))
    container.notifier.override(providers.Object(notifier))
    return stores


async def _begin_runtime(stack: AsyncExitStack, container: Container, make: AgentFactory) -> None:
    """
    Open the runtime, and write the card, which says what it offers, before anybody waits for it.

    Raises:
        SettingsError: Something is required that the runtime does not have.

    """
    environment = container.settings().environment
    surroundings = Surroundings(container.clock(), container.ids(), environment, container.meter(), container.tracer())
    agent = await stack.enter_async_context(make(surroundings))
    container.agent.override(providers.Object(agent))
    try:
        container.operations().cards.public()
    except ValueError as error:
        raise SettingsError([f"A2A_REQUIRED_EXTENSIONS: {error}"]) from error
    await stack.enter_async_context(container.watch())


async def _begin_jobs(stack: AsyncExitStack, container: Container, stores: Stores) -> None:
    """Begin what the service does by itself, and take up what the last life left."""
    settings, clock = container.settings(), container.clock()
    if (earshot := container.offers().earshot) is not None:
        await stack.enter_async_context(ShareHearing(earshot, stores.talk, clock))
    await stack.enter_async_context(_retain(container, stores))
    if settings.push.enabled:
        await stack.enter_async_context(container.deliver())
    await stack.enter_async_context(container.turns())
    if container.offers().sessions is not None:
        await stack.enter_async_context(container.work())
    if settings.on_postgres:
        for measure, limit in ((REQUESTS, container.limit_requests()), (ATTEMPTS, container.limit_attempts())):
            await stack.enter_async_context(ShareCounts(measure, limit, container.ledger()))
    take_over = container.take_over()  # now: what is recovered may be lost before all is
    if unfinished := await container.recover()():
        _log.info("%d unfinished tasks are taken up", unfinished)
    if container.offers().sessions is not None:
        await container.work().take_up()
        take_over.others.append(container.work().take_up)
    await stack.enter_async_context(take_over)
    await stack.enter_async_context(container.run_errands())


def _retain(container: Container, stores: Stores) -> Retain:
    """Have forgotten, now and then, what nobody will ask for any more."""
    settings, clock = container.settings(), container.clock()

    async def forget_interrupts() -> None:
        await stores.interrupts.forget(clock.now() - settings.interrupts.tombstone)

    forget_owners = ForgetOwners(stores.owners, container.agent(), clock)
    others = (forget_interrupts, forget_owners, container.quotas().forget)
    return Retain(stores.retention, clock, settings.store.keeping, others)


async def _listen(stack: AsyncExitStack, container: Container, stores: Stores) -> None:
    """Listen to those who do not come through the application."""
    settings = container.settings()
    if settings.grpc_address:
        await listen_to_grpc(stack, container, settings)
    container.meter().show(gauges(container, stores.backlog))
    if settings.admin.port:
        await listen_to_operators(stack, container, settings)
