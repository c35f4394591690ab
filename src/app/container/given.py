"""What the service is given: its settings, its clock, and what `assemble` opens for it."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from dependency_injector import containers, providers

from opencode_a2a_server.adapters.inbound.a2a.jwks import NO_KEYS
from opencode_a2a_server.adapters.outbound.access.live import LiveCredentials
from opencode_a2a_server.adapters.outbound.prometheus import PrometheusMeter
from opencode_a2a_server.adapters.outbound.stores.opening import Stores
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.adapters.outbound.system.ids import RandomIds
from opencode_a2a_server.app.ports.agent import Agent
from opencode_a2a_server.app.ports.tracer import UNTRACED, Tracer
from opencode_a2a_server.app.settings import Settings
from opencode_a2a_server.domain.terms import Terms

VERSION = metadata.version("opencode-a2a-server")


class Given(containers.DeclarativeContainer):
    """What everything else is made from."""

    settings = providers.Dependency(instance_of=Settings)
    clock = providers.Singleton(SystemClock)
    ids = providers.Singleton(RandomIds)
    meter = providers.Singleton(PrometheusMeter, clock, VERSION)
    tracer: providers.Object[Tracer] = providers.Object(UNTRACED)
    agent: providers.Dependency[Agent] = providers.Dependency()
    terms = providers.Dependency(instance_of=Terms)
    audit: providers.Dependency[Any] = providers.Dependency()
    credentials: providers.Dependency[LiveCredentials] = providers.Dependency()
    notifier: providers.Dependency[Any] = providers.Dependency()
    jwks: providers.Object[Any] = providers.Object(NO_KEYS)

    journal: providers.Dependency[Any] = providers.Dependency()
    bindings: providers.Dependency[Any] = providers.Dependency()
    owners: providers.Dependency[Any] = providers.Dependency()
    push_configs: providers.Dependency[Any] = providers.Dependency()
    interrupts: providers.Dependency[Any] = providers.Dependency()
    holds: providers.Dependency[Any] = providers.Dependency()
    replicas: providers.Dependency[Any] = providers.Dependency()
    errands: providers.Dependency[Any] = providers.Dependency()
    ledger: providers.Dependency[Any] = providers.Dependency()
    works: providers.Dependency[Any] = providers.Dependency()


def give_stores(given: Given, stores: Stores) -> None:
    """Put the stores behind their ports."""
    given.journal.override(providers.Object(stores.journal))
    given.bindings.override(providers.Object(stores.bindings))
    given.owners.override(providers.Object(stores.owners))
    given.push_configs.override(providers.Object(stores.push_configs))
    given.interrupts.override(providers.Object(stores.interrupts))
    given.holds.override(providers.Object(stores.holds))
    given.replicas.override(providers.Object(stores.replicas))
    given.errands.override(providers.Object(stores.errands))
    given.ledger.override(providers.Object(stores.ledger))
    given.works.override(providers.Object(stores.works))
