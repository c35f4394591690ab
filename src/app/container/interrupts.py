"""Interrupts: the terms they stand under, and who answers them."""

from __future__ import annotations

from pathlib import Path

from dependency_injector import providers

from opencode_a2a_server.adapters.inbound.a2a.methods.row import InterruptServices
from opencode_a2a_server.adapters.outbound.policy import PolicyError, read_policy
from opencode_a2a_server.app.settings import InterruptSettings, SettingsError
from opencode_a2a_server.app.usecases.anywhere import AnswerAnywhere
from opencode_a2a_server.app.usecases.list_interrupts import ListInterrupts
from opencode_a2a_server.domain.terms import Terms

from .given import Given
from .turns import Turns


class Interrupts(Turns):
    """From an answer to the turn that waits for it."""

    answer = providers.Singleton(
        AnswerAnywhere,
        errands=Given.errands,
        journal=Given.journal,
        interrupts=Given.interrupts,
        turns=Turns.turns,
        clock=Given.clock,
        audit=Given.audit,
        places=Turns.places,
        tombstones=Given.settings.provided.interrupts.tombstone,
    )
    interrupt_services = providers.Singleton(
        InterruptServices,
        answer=answer,
        list=providers.Singleton(ListInterrupts, journal=Given.journal, interrupts=Given.interrupts),
    )


def terms_of(settings: InterruptSettings) -> Terms:
    """
    Read the terms of interrupts.

    Raises:
        SettingsError: The policy file cannot be used.

    """
    try:
        rules = () if settings.policy is None else read_policy(Path(settings.policy))
    except PolicyError as error:
        raise SettingsError([f"A2A_INTERRUPT_POLICY_FILE: {problem}" for problem in error.problems]) from error
    return Terms(rules, settings.ttl or None, settings.permission, settings.question)
