"""What is seen of the service: whether it is ready, what it measures, where a request spends its time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from importlib.util import find_spec

from dependency_injector import providers

from opencode_a2a_server.adapters.inbound.a2a.drain import Drain
from opencode_a2a_server.adapters.inbound.a2a.watch import Watch
from opencode_a2a_server.adapters.outbound.prometheus import Gauges
from opencode_a2a_server.app.ports.tracer import UNTRACED, Tracer
from opencode_a2a_server.app.settings import Settings, SettingsError
from opencode_a2a_server.app.usecases.check_readiness import CheckReadiness
from opencode_a2a_server.app.usecases.watch_agent import WatchAgent

from .access import Access
from .given import VERSION, Given
from .turns import Turns

_log = logging.getLogger(__name__)

_NO_OTEL = "OpenTelemetry is not installed; pip install 'opencode-a2a-server[otel]'"


class Observed(Access):
    """What says how the service does."""

    watch = providers.Singleton(WatchAgent, agent=Given.agent, clock=Given.clock)
    readiness = providers.Singleton(
        CheckReadiness, watch=watch, journal=Given.journal, turns=Turns.turns, clock=Given.clock
    )
    drain = providers.Singleton(Drain)
    requests = providers.Singleton(Watch, Given.clock, Given.meter, Given.tracer)


def gauges(observed: Observed, backlog: Callable[[], float]) -> Gauges:
    """Give what is looked at when somebody asks for the metrics; `backlog` is what waits for the disk."""
    turns, watch = observed.turns(), observed.watch()
    return Gauges(
        streams=lambda: observed.drain().listening,
        turns=lambda: turns.active,
        interrupts=lambda: turns.waiting,
        deliveries=lambda: observed.deliver().active,
        backlog=backlog,
        ready=lambda: watch.readiness.ready,
        draining=lambda: turns.draining,
    )


async def listen_to_operators(stack: AsyncExitStack, observed: Observed, settings: Settings) -> None:
    """
    Listen at the port, or if other workers of ours have it, at one of those that follow: each has its own metrics.

    Raises:
        SettingsError: Somebody else has them.

    """
    from opencode_a2a_server.adapters.inbound.admin import listener as admin

    ready = await stack.enter_async_context(observed.readiness())
    told = admin.Admin(ready, observed.meter().expose)
    last = settings.admin.port + settings.server.workers - 1
    for port in range(settings.admin.port, last + 1):
        try:
            await stack.enter_async_context(admin.serving(told, settings.admin.host, port))
        except admin.PortTaken as taken:
            if port == last:
                raise SettingsError([f"A2A_ADMIN_PORT: {taken}"]) from taken
        else:
            return


@contextmanager
def tracing() -> Iterator[Tracer]:
    """Have spans sent, if this installation can; that it should, by A2A_TRACING, was looked at before."""
    try:
        from opencode_a2a_server.adapters.outbound.otel.tracer import OtelTracer, batched

        tracer = OtelTracer.to(batched(), VERSION)
    except ImportError:
        _log.warning("nothing is traced: OTEL_EXPORTER_OTLP_ENDPOINT is set, but %s", _NO_OTEL)
        yield UNTRACED
        return
    try:
        yield tracer
    finally:
        tracer.close()


def missing_for_tracing(settings: Settings, find: Callable[[str], object] = find_spec) -> Iterator[str]:
    """Say what tracing needs and this installation does not have."""
    if settings.tracing.wanted and not _has_otel(find):
        yield f"A2A_TRACING: {_NO_OTEL}"


def _has_otel(find: Callable[[str], object]) -> bool:
    try:
        return bool(find("opentelemetry.sdk") and find("opentelemetry.exporter.otlp.proto.http"))
    except ModuleNotFoundError:  # of what stands before the dot
        return False
