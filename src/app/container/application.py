"""The service as an application, and the server around it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from attrs import define, field

from opencode_a2a_server.adapters.inbound import server
from opencode_a2a_server.adapters.inbound.a2a.drain import Drain
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.adapters.outbound.systemd.notify import Supervisor
from opencode_a2a_server.app.ports.agent import AgentFactory
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.settings import Settings, SettingsError
from opencode_a2a_server.domain.errors import JournalUnavailable

from .assembly import assemble
from .inbound import Container
from .tls import certificate_and_key

_log = logging.getLogger(__name__)

_EXIT_SECONDS = 5.0
"""What the end may take besides draining, before the worker is killed."""

_FIRST_SECONDS = 10.0
"""A worker that begins within this time after the service did is one of its first: what cannot begin then shall say so."""

_RETURN_SECONDS = 120.0
"""For the store to come back, before a worker that takes the place of one which died gives up."""

_AGAIN_SECONDS = 1.0

_LAST_WORDS_SECONDS = 1.0
"""For streams to tell the end of the last turns, before those that are still open are told to come back."""

_LOOK_SECONDS = 0.05
"""Between two looks whether streams are open."""
_ENDING_SECONDS = 2.0
"""For streams to end by themselves, also those of clients that do not read."""


@define(eq=False)
class Application:
    """
    The service as an ASGI application: its life is the server's lifespan.

    With `signals`, SIGTERM drains it: no new work is taken, turns get their time, streams are told, then it ends.
    """

    settings: Settings
    runtime: AgentFactory | None = None
    signals: bool = False
    patience: float = 0.0
    """Seconds for which a store that cannot be used is waited for at the start."""
    clock: Clock = field(factory=SystemClock)
    _container: Container | None = field(default=None, init=False)
    _app: Any = field(default=None, init=False)

    async def __call__(self, scope: server.Scope, receive: server.Receive, send: server.Send) -> None:
        """Answer one request, or live."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)

    async def _live(self, receive: server.Receive, send: server.Send) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                self._container = await self._assembled(stack)
                self._app = self._container.app()
            except Exception as error:  # noqa: BLE001 - whatever it was, the server is told
                _log.critical("the service cannot start: %s", error, exc_info=not isinstance(error, SettingsError))
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            if self.signals:  # the process is ours
                server.on_term(self.drain, self.settings.server.port)
                server.on_hup(self._container.credentials().reload)
                server.settle_memory()
            await send({"type": "lifespan.startup.complete"})
            if self.signals:
                await stack.enter_async_context(Supervisor.of(self.settings.environment).told())
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _assembled(self, stack: AsyncExitStack) -> Container:
        """Put the service together; a store that is away may be about to come back."""
        give_up = self.clock.monotonic() + self.patience
        while True:
            try:
                return await stack.enter_async_context(assemble(self.settings, self.runtime))
            except JournalUnavailable as away:
                if self.clock.monotonic() >= give_up:
                    raise
                _log.warning("the service waits for its store: %s", away)
                await self.clock.sleep(_AGAIN_SECONDS)

    async def drain(self) -> None:
        """Take no new work, give turns their time, then tell the streams."""
        if self._container is None:
            return
        turns, drain, clock = self._container.turns(), self._container.drain(), self._container.clock()
        if not await turns.drain(self.settings.server.drain):
            _log.warning("%d turns go on without us; the next start takes them up", turns.active)
        turns.stopping = True
        if not turns.active:
            await _streams_ended(drain, clock, _LAST_WORDS_SECONDS)
        drain.begin()
        # Whoever does not read is cut off afterwards: both at once has stopped Granian 2.8 for ever, one waiting for the other.
        await _streams_ended(drain, clock, _ENDING_SECONDS)


async def _streams_ended(drain: Drain, clock: Clock, seconds: float) -> None:
    """Wait until no stream is open, not for longer than this."""
    last = clock.monotonic() + seconds
    while drain.listening and clock.monotonic() < last:
        await clock.sleep(_LOOK_SECONDS)


def serve(settings: Settings, configure_logging: Callable[[], None]) -> None:
    """
    Serve until SIGTERM or SIGINT.

    Raises:
        SystemExit: It could not start.

    """
    clock = SystemClock()
    began = clock.monotonic()

    def load() -> server.Asgi:
        configure_logging()
        # Two that die one after the other at once are taken for a loop, and end the service with all its workers.
        again = clock.monotonic() - began > _FIRST_SECONDS
        return Application(settings, signals=True, patience=_RETURN_SECONDS if again else 0.0)

    certificate, key = certificate_and_key(settings)
    listener = server.Listener(
        settings.server.host,
        settings.server.port,
        patience=settings.server.drain + _EXIT_SECONDS,
        workers=settings.server.workers,
        certificate=certificate,
        key=key,
    )
    server.run(listener, load)
