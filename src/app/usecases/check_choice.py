"""Check the model, the agent and the variant that a message names, before its turn."""

from __future__ import annotations

import logging
from collections import OrderedDict

from attrs import define, field

from opencode_a2a_server.app.ports.access import Reaches, unbounded
from opencode_a2a_server.app.ports.choices import Choosing
from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.domain.choice import Choices
from opencode_a2a_server.domain.errors import AgentFault, AgentUnreachable, Forbidden, InvalidRequest
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.session import Directory, ModelChoice, PromptOptions, Wishes

_log = logging.getLogger(__name__)

_FRESH_SECONDS = 60.0
_NEW_SECONDS = 2.0
"""So long after it was asked, nothing else is to be expected from asking again."""
_PATIENCE = 5.0
_DIRECTORIES = 64


@define(eq=False)
class CheckChoice:
    """
    Refuse what a principal may not use, and what the runtime does not have.

    OpenCode would take it, and fail later or do something else.

    What it has is asked for once a minute and directory, and again before something is refused. Where it cannot be
    known, nothing is refused.

    Raises:
        Forbidden: The model that would be used, chosen or not, is not among the principal's.
        InvalidRequest: There is no such model, agent or variant; the nearest ones are named.

    """

    choosing: Choosing | None
    clock: Clock
    options: PromptOptions = field(factory=PromptOptions)
    reach_of: Reaches = unbounded
    """Which models are whose."""
    _known: OrderedDict[Directory | None, tuple[float, Choices]] = field(factory=OrderedDict, init=False)

    def model(self, principal: Principal, model: ModelChoice | None) -> None:
        """Refuse a model that is not among the principal's; None is the one that is used where nobody chooses."""
        reach = self.reach_of(principal)
        if not reach.fits(model or self.options.model):
            raise Forbidden(f"you may use the models {', '.join(reach.models)}; name one (metadata.shared.model)")

    async def __call__(self, principal: Principal, wishes: Wishes, directory: Directory | None) -> None:
        """Check what a message wishes, to be worked on in a directory."""
        self.model(principal, wishes.model)
        if wishes.model is None and wishes.agent is None and wishes.variant is None:
            return
        at, known = self._known.get(directory, (0.0, None))
        age = self.clock.monotonic() - at
        if known is None or age > _FRESH_SECONDS:
            self._check(wishes, await self._ask(directory))
            return
        try:
            self._check(wishes, known)
        except InvalidRequest:
            if age < _NEW_SECONDS:
                raise
            self._check(wishes, await self._ask(directory))

    def _check(self, wishes: Wishes, known: Choices | None) -> None:
        if known is None:
            return
        if wishes.model is not None:
            known.check_model(wishes.model)
        if wishes.agent is not None:
            known.check_agent(wishes.agent)
        if wishes.variant is not None:
            known.check_variant(self.options.with_wishes(wishes).model, wishes.variant)

    async def _ask(self, directory: Directory | None) -> Choices | None:
        self._known.pop(directory, None)
        if self.choosing is None:
            return None
        try:
            known = await self.clock.within(_PATIENCE, self.choosing.choices(directory))
        except (AgentUnreachable, AgentFault, TimeoutError) as error:
            _log.warning("what can be chosen is not known, so nothing is refused: %s", error)
            return None
        self._known[directory] = (self.clock.monotonic(), known)
        if len(self._known) > _DIRECTORIES:
            self._known.popitem(last=False)
        return known
