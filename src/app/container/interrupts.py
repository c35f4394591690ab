"""Interrupts: the terms they stand under, and who answers them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dependency_injector import providers

from opencode_a2a_server.adapters.inbound.a2a.methods.row import InterruptServices
from opencode_a2a_server.adapters.outbound.policy import PolicyError, read_policy
from opencode_a2a_server.app.ports.offers import Offers
from opencode_a2a_server.app.settings import InterruptSettings, SettingsError
from opencode_a2a_server.app.usecases.answer_work import AnswerWork
from opencode_a2a_server.app.usecases.anywhere import AnswerAnywhere
from opencode_a2a_server.app.usecases.follow_work import FollowWork
from opencode_a2a_server.app.usecases.list_interrupts import ListInterrupts
from opencode_a2a_server.domain.terms import Terms

from .given import Given
from .turns import Turns


def _answer_work(offers: Offers, follow: Callable[[], FollowWork]) -> AnswerWork | None:
    """Make what answers in sessions that work without a task, if the runtime shows sessions."""
    return None if offers.sessions is None else AnswerWork(follow())


class Interrupts(Turns):
    """From an answer to the turn that waits for it."""

    follow_work = providers.Singleton(
        FollowWork,
        agent=Given.agent,
        reader=Turns.offers.provided.sessions.read,
        works=Given.works,
        clock=Given.clock,
        audit=Given.audit,
        terms=Given.terms,
        quotas=Turns.quotas,
        turns_of=Turns.turns.provided.working_for,
    )
    answer_work = providers.Callable(_answer_work, Turns.offers, follow_work.provider)
    answer = providers.Singleton(
        AnswerAnywhere,
        work=answer_work,
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
        list=providers.Singleton(ListInterrupts, journal=Given.journal, interrupts=Given.interrupts, work=answer_work),
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
