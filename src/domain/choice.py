"""Which model, which agent, which variant: what a message names must be something the runtime has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from attrs import frozen

from .errors import InvalidRequest
from .session import ModelChoice

_NEAR = 0.5
_NAMED = 5
"""How many near ones, or else any, a refusal names."""

MODEL_FIELD = "metadata.shared.model"
AGENT_FIELD = "metadata.opencode.agent"
VARIANT_FIELD = "metadata.opencode.variant"


@frozen
class Choices:
    """What the runtime has: the variants of each model, and agents."""

    models: Mapping[ModelChoice, tuple[str, ...]]
    agents: tuple[str, ...]

    def check_model(self, model: ModelChoice) -> None:
        """
        Refuse a model that there is not.

        Raises:
            InvalidRequest: With the nearest ones that there are.

        """
        if model not in self.models:
            known = [_name(one) for one in self.models]
            raise InvalidRequest(f"there is no model {_name(model)}{_instead(_name(model), known)}", MODEL_FIELD)

    def check_agent(self, agent: str) -> None:
        """
        Refuse an agent that there is not.

        Raises:
            InvalidRequest: With those that there are.

        """
        if agent not in self.agents:
            raise InvalidRequest(f"there is no agent {agent}{_instead(agent, self.agents)}", AGENT_FIELD)

    def check_variant(self, model: ModelChoice | None, variant: str) -> None:
        """
        Refuse a variant that the model does not have; if it is not known which one will work, that none has.

        Raises:
            InvalidRequest: With those it has.

        """
        if model is None:
            known, whose = {one for variants in self.models.values() for one in variants}, "no model has the variant"
        elif model in self.models:
            known, whose = set(self.models[model]), f"the model {_name(model)} has no variant"
        else:
            return
        if variant not in known:
            raise InvalidRequest(f"{whose} {variant}{_instead(variant, known)}", VARIANT_FIELD)


def _name(model: ModelChoice) -> str:
    return f"{model.provider_id}/{model.model_id}"


def _instead(name: str, known: Iterable[str]) -> str:
    every = sorted(known)
    if near := get_close_matches(name, every, _NAMED, _NEAR):
        return f"; near ones are {', '.join(near)}"
    if not every:
        return "; there is none at all"
    more = ", ..." if len(every) > _NAMED else ""
    return f"; there are {', '.join(every[:_NAMED])}{more}"
