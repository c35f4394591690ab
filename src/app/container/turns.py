"""Turns: the sessions they run in, what they may use, and what runs them."""

from __future__ import annotations

from dependency_injector import providers

from opencode_a2a_server.app.ports.offers import offers_of
from opencode_a2a_server.app.usecases.bind_session import BindSession
from opencode_a2a_server.app.usecases.check_choice import CheckChoice
from opencode_a2a_server.app.usecases.check_place import CheckPlace
from opencode_a2a_server.app.usecases.job import Pace
from opencode_a2a_server.app.usecases.keep_quotas import KeepQuotas
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.use_session import UseSession

from .given import Given
from .runtime import paths_of


class Turns(Given):
    """From a session to the turn that runs in it."""

    places = providers.Singleton(
        CheckPlace,
        agent=Given.agent,
        paths=providers.Callable(paths_of, Given.settings),
        override=Given.settings.provided.session.directory_override,
        reach_of=Given.credentials.provided.reach,
    )
    sessions = providers.Singleton(
        UseSession,
        agent=Given.agent,
        owners=Given.owners,
        places=places,
        clock=Given.clock,
        ids=Given.ids,
        claim_seconds=Given.settings.provided.session.claim_seconds,
        claimable=Given.settings.provided.session.claimable,
    )
    bind = providers.Singleton(
        BindSession, agent=Given.agent, bindings=Given.bindings, sessions=sessions, places=places
    )
    choice = providers.Singleton(
        CheckChoice,
        choosing=providers.Callable(lambda agent: offers_of(agent).choices, Given.agent),
        clock=Given.clock,
        options=Given.settings.provided.opencode.options,
        reach_of=Given.credentials.provided.reach,
    )
    offers = providers.Singleton(offers_of, Given.agent)
    quotas = providers.Singleton(
        KeepQuotas,
        works=Given.works,
        ledger=Given.ledger,
        journal=Given.journal,
        clock=Given.clock,
        reach_of=Given.credentials.provided.reach,
        shared=providers.Callable(
            lambda others, holds: holds if others else None, Given.settings.provided.on_postgres, Given.holds
        ),
    )
    turns = providers.Singleton(
        RunTurns,
        agent=Given.agent,
        journal=Given.journal,
        bind=bind,
        holds=Given.holds,
        clock=Given.clock,
        audit=Given.audit,
        terms=Given.terms,
        options=Given.settings.provided.opencode.options,
        limits=Given.settings.provided.turn.limits,
        pace=providers.Singleton(Pace, abort=Given.settings.provided.opencode.abort_timeout),
        patch_most=Given.settings.provided.turn.changes_bytes,
        prompt_again=Given.settings.provided.turn.reprompt,
        meter=Given.meter,
        tracer=Given.tracer,
        be_sure=Given.replicas.provided.be_sure,
        charge=quotas.provided.charge,
    )
