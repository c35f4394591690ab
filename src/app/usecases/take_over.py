"""Take over what other replicas leave, as long as the service lives."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Self

from attrs import define, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.replicas import Replicas
from opencode_a2a_server.app.usecases.beside import Beside
from opencode_a2a_server.app.usecases.deliver_updates import DeliverUpdates
from opencode_a2a_server.app.usecases.recover import Recover
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.domain.errors import JournalUnavailable

_log = logging.getLogger(__name__)

_RETRY = 1.0


@define(eq=False)
class TakeOver:
    """
    Look after what is left whenever a replica goes; a context manager while which it does.

    When this replica itself is taken for dead its turns are let go of: they are run by others, or taken up again here
    under a new number.
    """

    replicas: Replicas
    recover: Recover
    turns: RunTurns
    deliver: DeliverUpdates | None
    """Who delivers push notifications, if anybody does."""
    clock: Clock
    others: list[Callable[[], Awaitable[object]]] = field(factory=list)
    """What else is taken up then."""
    _beside: Beside = field(factory=Beside, init=False)

    def __attrs_post_init__(self) -> None:
        self.replicas.when_lost(self._let_go)

    async def __aenter__(self) -> Self:
        if self.deliver is not None:
            await self.deliver.take_up()  # of what was recovered
        self._beside.begin(self._run(), "take over")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._beside.end()

    async def _run(self) -> None:
        while True:
            await self.replicas.changed()
            try:
                if taken := await self.recover():
                    _log.info("%d tasks of a replica that is gone are taken up", taken)
                if self.deliver is not None:
                    await self.deliver.take_up()
                for take_up in self.others:
                    await take_up()
            except JournalUnavailable as error:
                _log.warning("what other replicas left cannot be taken up yet: %s", error)
                await self.clock.sleep(_RETRY)
            except Exception:  # noqa: BLE001 - whatever it was, the next look tries again
                _log.exception("taking over broke")
                await self.clock.sleep(_RETRY)

    def _let_go(self) -> None:
        self.recover.let_go()
        self.turns.let_go()
        if self.deliver is not None:
            self.deliver.let_go()
