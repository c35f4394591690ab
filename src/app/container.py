"""
The composition root: which adapter stands behind which port, and in which order they begin and end.

What opens connections is opened here by `assemble`, in one coroutine and in order; the container gets finished
objects and wires the rest.
"""

from __future__ import annotations

import difflib
import logging
import random
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import define, field
from dependency_injector import containers, providers

from opencode_a2a_server.adapters.inbound import server
from opencode_a2a_server.adapters.inbound.a2a import rpc
from opencode_a2a_server.adapters.inbound.a2a.app import create_app
from opencode_a2a_server.adapters.inbound.a2a.auth import BearerTokens, Callers
from opencode_a2a_server.adapters.inbound.a2a.card.document import CardInfo
from opencode_a2a_server.adapters.inbound.a2a.card.extensions import extensions
from opencode_a2a_server.adapters.inbound.a2a.card.public_url import PublicUrl
from opencode_a2a_server.adapters.inbound.a2a.card.security import Provider, Security
from opencode_a2a_server.adapters.inbound.a2a.card.signing import CardKey, CardSigner
from opencode_a2a_server.adapters.inbound.a2a.drain import Drain
from opencode_a2a_server.adapters.inbound.a2a.front import Manners
from opencode_a2a_server.adapters.inbound.a2a.jwks import NO_KEYS
from opencode_a2a_server.adapters.inbound.a2a.methods.row import InterruptServices, MethodServices
from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE
from opencode_a2a_server.adapters.inbound.a2a.notifications import Notifications
from opencode_a2a_server.adapters.inbound.a2a.offering import offer
from opencode_a2a_server.adapters.inbound.a2a.operations import Services
from opencode_a2a_server.adapters.inbound.a2a.push import PushServices
from opencode_a2a_server.adapters.inbound.a2a.watch import Watch
from opencode_a2a_server.adapters.inbound.a2a.watched import Payloads
from opencode_a2a_server.adapters.inbound.admin import listener as admin
from opencode_a2a_server.adapters.outbound.access.live import LiveCredentials
from opencode_a2a_server.adapters.outbound.access.oidc import ALGORITHMS, OidcTokens, Trust
from opencode_a2a_server.adapters.outbound.access.reading import RegistryUnusable, read_registry
from opencode_a2a_server.adapters.outbound.access.registry import Registry
from opencode_a2a_server.adapters.outbound.access.static import read_static
from opencode_a2a_server.adapters.outbound.audit import open_audit
from opencode_a2a_server.adapters.outbound.opencode.agent import OpenCode
from opencode_a2a_server.adapters.outbound.opencode.client import Address
from opencode_a2a_server.adapters.outbound.opencode.instances import Keep
from opencode_a2a_server.adapters.outbound.opencode.watch import Watch as OpenCodeWatch
from opencode_a2a_server.adapters.outbound.policy import PolicyError, read_policy
from opencode_a2a_server.adapters.outbound.prometheus import Gauges, PrometheusMeter
from opencode_a2a_server.adapters.outbound.push.guard import Guard, system_resolve
from opencode_a2a_server.adapters.outbound.push.webhook import Proof, Webhook
from opencode_a2a_server.adapters.outbound.scripted.agent import factory as scripted
from opencode_a2a_server.adapters.outbound.signing.keys import KeyUnusable, SigningKeys
from opencode_a2a_server.adapters.outbound.signing.notifications import NotificationTokens
from opencode_a2a_server.adapters.outbound.stores.care import Care
from opencode_a2a_server.adapters.outbound.stores.opening import Stores, open_stores
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.adapters.outbound.system.ids import RandomIds
from opencode_a2a_server.adapters.outbound.system.paths import HostPaths, UnseenPaths
from opencode_a2a_server.adapters.outbound.systemd.notify import Supervisor
from opencode_a2a_server.app.ports.access import Credentials
from opencode_a2a_server.app.ports.agent import Agent, AgentFactory, Readiness, Surroundings
from opencode_a2a_server.app.ports.audit import Audit
from opencode_a2a_server.app.ports.offers import Offers, offers_of
from opencode_a2a_server.app.ports.paths import Paths
from opencode_a2a_server.app.ports.tracer import UNTRACED, Tracer
from opencode_a2a_server.app.settings import AuthSettings, InterruptSettings, Settings, SettingsError, listed
from opencode_a2a_server.app.usecases.anywhere import (
    AcceptAnywhere,
    AnswerAnywhere,
    CancelAnywhere,
    NotifyAnywhere,
    NotifyNoMoreAnywhere,
)
from opencode_a2a_server.app.usecases.audit_access import AuditAccess
from opencode_a2a_server.app.usecases.bind_session import BindSession
from opencode_a2a_server.app.usecases.change_sessions import ChangeSessions
from opencode_a2a_server.app.usecases.check_capability import CheckCapability
from opencode_a2a_server.app.usecases.check_choice import CheckChoice
from opencode_a2a_server.app.usecases.check_place import CheckPlace
from opencode_a2a_server.app.usecases.check_readiness import CheckReadiness
from opencode_a2a_server.app.usecases.check_wishes import CheckWishes
from opencode_a2a_server.app.usecases.choose_directory import ChooseDirectory, ReachSession
from opencode_a2a_server.app.usecases.deliver_updates import DeliverUpdates, PushPace
from opencode_a2a_server.app.usecases.get_push_config import GetPushConfig
from opencode_a2a_server.app.usecases.get_task import GetTask
from opencode_a2a_server.app.usecases.job import Pace
from opencode_a2a_server.app.usecases.keep_quotas import KeepQuotas
from opencode_a2a_server.app.usecases.limit_requests import LimitAttempts, LimitRequests
from opencode_a2a_server.app.usecases.list_interrupts import ListInterrupts
from opencode_a2a_server.app.usecases.list_push_configs import ListPushConfigs
from opencode_a2a_server.app.usecases.list_tasks import ListTasks
from opencode_a2a_server.app.usecases.look_around import LookAround
from opencode_a2a_server.app.usecases.read_files import ReadFiles
from opencode_a2a_server.app.usecases.read_sessions import ReadSessions
from opencode_a2a_server.app.usecases.recover import Recover
from opencode_a2a_server.app.usecases.retain import Retain
from opencode_a2a_server.app.usecases.run_errands import RunErrands
from opencode_a2a_server.app.usecases.run_turns import RunTurns
from opencode_a2a_server.app.usecases.send_message import SendMessage
from opencode_a2a_server.app.usecases.share_requests import ShareRequests
from opencode_a2a_server.app.usecases.stream_message import StreamMessage
from opencode_a2a_server.app.usecases.subscribe import Subscribe
from opencode_a2a_server.app.usecases.take_over import TakeOver
from opencode_a2a_server.app.usecases.tend_workspaces import TendWorkspaces
from opencode_a2a_server.app.usecases.use_session import UseSession
from opencode_a2a_server.app.usecases.watch_agent import WatchAgent
from opencode_a2a_server.app.usecases.work_in_session import WorkInSession
from opencode_a2a_server.domain.access import READ, WRITE, Capability, is_scope
from opencode_a2a_server.domain.terms import Terms

_log = logging.getLogger(__name__)

VERSION = metadata.version("opencode-a2a-server")

OPERATIONS = (*rpc.METHODS, *(method.name for method in TABLE))
"""What scopes can name."""

_CAPABILITIES = tuple(capability.value for capability in Capability)

_EXIT_SECONDS = 5.0
"""What the end may take besides draining, before the worker is killed."""

_NO_OTEL = "OpenTelemetry is not installed; pip install 'opencode-a2a-server[otel]'"

_LAST_WORDS_SECONDS = 1.0
"""For streams to tell the end of the last turns, before those that are still open are told to come back."""


def _paths(settings: Settings) -> Paths:
    """Give the disk that the runtime works on: ours, unless it is an OpenCode on another machine."""
    remote = settings.runtime.runtime == "opencode" and not settings.opencode.local
    return UnseenPaths() if remote else HostPaths()


def _methods(  # noqa: PLR0913 - what the use cases are made of, each by its name
    *,
    offers: Offers,
    reach: ReachSession,
    turns: RunTurns,
    check: CheckCapability,
    work: Callable[[], WorkInSession],
    interrupts: InterruptServices,
) -> MethodServices:
    """Make the use cases for what the runtime offers."""
    sessions, catalog, workspaces, files = offers.sessions, offers.catalog, offers.workspaces, offers.files
    choose = reach.choose
    return MethodServices(
        sessions=None if sessions is None else ReadSessions(sessions.read, reach),
        changes=None if sessions is None else ChangeSessions(sessions.edit, reach, turns, check),
        work=None if sessions is None else work(),
        around=None if catalog is None else LookAround(catalog, choose),
        workspaces=None if workspaces is None else TendWorkspaces(workspaces, choose, check),
        files=None if files is None else ReadFiles(files, choose),
        interrupts=interrupts,
        enabled=check.enabled,
    )


def _unshared(settings: Settings) -> Iterator[str]:
    """Say why several processes cannot serve together."""
    if settings.server.workers == 1:
        return
    if settings.database_url is None:
        yield (
            f"A2A_WORKERS: {settings.server.workers} processes cannot share a store in memory; serve with one, or give "
            "them a PostgreSQL by A2A_TASK_STORE_DATABASE_URL"
        )
    elif not settings.on_postgres:
        yield (
            f"A2A_WORKERS: {settings.server.workers} processes cannot share a SQLite file: only one at a time may write "
            "a task, and they could not agree on which; serve with one, or give them a PostgreSQL by "
            "A2A_TASK_STORE_DATABASE_URL"
        )
    if settings.runtime.runtime == "scripted":
        yield "A2A_WORKERS: the scripted runtime lives in its process, which others cannot reach; serve with one"


def _signing_keys(settings: Settings) -> SigningKeys | None:
    return SigningKeys.read(settings.signing.key) if settings.signing.key else None


def _card_signer(settings: Settings) -> CardSigner | None:
    keys = _signing_keys(settings)
    if keys is None:
        return None
    return CardSigner(tuple(CardKey(key.id, key.algorithm, key.private) for key in keys.signers))


def _tokens(settings: Settings) -> tuple[str, ...]:
    return () if settings.auth.bearer_token is None else (settings.auth.bearer_token,)


def _known(settings: Settings, credentials: LiveCredentials, clock: SystemClock) -> tuple[Credentials, ...]:
    """Give all that know callers: those that need nobody else first."""
    trust = _trust(settings.auth)
    provider = () if trust is None else (OidcTokens.of(trust, clock),)
    return (BearerTokens.of(_tokens(settings)), credentials, *provider)


def _trust(auth: AuthSettings) -> Trust | None:
    if auth.issuer is None:
        return None
    return Trust(
        auth.issuer,
        listed(auth.audience),
        listed(auth.algorithms),
        auth.skew,
        auth.jwks_url or "",
        auth.metadata_url or "",
        auth.principal_claim,
        auth.scope_claim,
        auth.scopes,
    )


def _security(settings: Settings) -> Security:
    auth, trust = settings.auth, _trust(settings.auth)
    provider = None
    if trust is not None:
        scopes = listed(auth.oauth_scopes)
        provider = Provider(trust.metadata, auth.authorization_url or "", auth.token_url or "", scopes)
    configured = bool(auth.credentials or auth.static)
    return Security(tokens=configured or auth.bearer_token is not None, passwords=configured, provider=provider)


def _schemes(settings: Settings) -> tuple[str, ...]:
    """Give the schemes by which anybody can say who it is."""
    return ("Bearer", "Basic") if settings.auth.credentials or settings.auth.static else ("Bearer",)


class Container(containers.DeclarativeContainer):
    """One service: what it is made of."""

    settings = providers.Dependency(instance_of=Settings)
    clock = providers.Singleton(SystemClock)
    ids = providers.Singleton(RandomIds)
    meter = providers.Singleton(PrometheusMeter, clock, VERSION)
    tracer: providers.Object[Tracer] = providers.Object(UNTRACED)
    agent: providers.Dependency[Agent] = providers.Dependency()
    terms = providers.Dependency(instance_of=Terms)
    audit: providers.Dependency[Any] = providers.Dependency()
    credentials: providers.Dependency[LiveCredentials] = providers.Dependency()
    ledger: providers.Dependency[Any] = providers.Dependency()
    journal: providers.Dependency[Any] = providers.Dependency()
    holds: providers.Dependency[Any] = providers.Dependency()
    replicas: providers.Dependency[Any] = providers.Dependency()
    errands: providers.Dependency[Any] = providers.Dependency()
    interrupts: providers.Dependency[Any] = providers.Dependency()
    bindings: providers.Dependency[Any] = providers.Dependency()
    owners: providers.Dependency[Any] = providers.Dependency()
    push_configs: providers.Dependency[Any] = providers.Dependency()
    notifier: providers.Dependency[Any] = providers.Dependency()
    jwks: providers.Object[Any] = providers.Object(NO_KEYS)

    places = providers.Singleton(
        CheckPlace,
        agent=agent,
        paths=providers.Callable(_paths, settings),
        override=settings.provided.session.directory_override,
        reach_of=credentials.provided.reach,
    )
    sessions = providers.Singleton(
        UseSession,
        agent=agent,
        owners=owners,
        places=places,
        clock=clock,
        ids=ids,
        claim_seconds=settings.provided.session.claim_seconds,
        claimable=settings.provided.session.claimable,
    )
    bind = providers.Singleton(BindSession, agent=agent, bindings=bindings, sessions=sessions, places=places)
    choice = providers.Singleton(
        CheckChoice,
        choosing=providers.Callable(lambda agent: offers_of(agent).choices, agent),
        clock=clock,
        options=settings.provided.opencode.options,
        reach_of=credentials.provided.reach,
    )
    pace = providers.Singleton(Pace, abort=settings.provided.opencode.abort_timeout)
    quotas = providers.Singleton(
        KeepQuotas,
        ledger=ledger,
        journal=journal,
        clock=clock,
        reach_of=credentials.provided.reach,
        shared=settings.provided.on_postgres,
    )
    turns = providers.Singleton(
        RunTurns,
        agent=agent,
        journal=journal,
        bind=bind,
        holds=holds,
        clock=clock,
        audit=audit,
        terms=terms,
        options=settings.provided.opencode.options,
        limits=settings.provided.turn.limits,
        pace=pace,
        patch_most=settings.provided.turn.changes_bytes,
        prompt_again=settings.provided.turn.reprompt,
        meter=meter,
        tracer=tracer,
        charge=quotas.provided.charge,
    )
    answer = providers.Singleton(
        AnswerAnywhere,
        errands=errands,
        journal=journal,
        interrupts=interrupts,
        turns=turns,
        clock=clock,
        audit=audit,
        places=places,
        tombstones=settings.provided.interrupts.tombstone,
    )
    accept = providers.Singleton(
        AcceptAnywhere,
        errands=errands,
        agent=agent,
        journal=journal,
        turns=turns,
        answer=answer,
        wishes=providers.Singleton(
            CheckWishes, bindings=bindings, sessions=sessions, places=places, bind=bind, choice=choice
        ),
        ids=ids,
        to_working=settings.provided.turn.to_working,
        quotas=quotas,
    )
    subscribe = providers.Singleton(Subscribe, journal=journal, meter=meter)
    recover = providers.Singleton(Recover, journal=journal, turns=turns, replicas=replicas)
    watch = providers.Singleton(WatchAgent, agent=agent, clock=clock)
    readiness = providers.Singleton(CheckReadiness, watch=watch, journal=journal, turns=turns, clock=clock)
    drain = providers.Singleton(Drain)

    deliver = providers.Singleton(
        DeliverUpdates,
        journal=journal,
        configs=push_configs,
        notifier=notifier,
        wording=providers.Singleton(Notifications),
        clock=clock,
        spread=providers.Object(random.random),
        pace=providers.Singleton(
            PushPace,
            timeout=settings.provided.push.timeout,
            attempts=settings.provided.push.attempts,
            bytes_most=settings.provided.push.bytes_most,
        ),
        meter=meter,
        tracer=tracer,
    )
    create_push_config = providers.Singleton(
        NotifyAnywhere,
        errands=errands,
        journal=journal,
        configs=push_configs,
        notifier=notifier,
        deliver=deliver,
        ids=ids,
        clock=clock,
        most=settings.provided.push.most,
    )
    take_over = providers.Singleton(
        TakeOver,
        replicas=replicas,
        recover=recover,
        turns=turns,
        deliver=providers.Callable(
            lambda wanted, deliver: deliver if wanted else None, settings.provided.push.enabled, deliver
        ),
        clock=clock,
    )
    cancel = providers.Singleton(CancelAnywhere, errands=errands, journal=journal, turns=turns)
    delete_push_config = providers.Singleton(
        NotifyNoMoreAnywhere, errands=errands, journal=journal, configs=push_configs, deliver=deliver
    )
    run_errands = providers.Singleton(
        RunErrands,
        errands=errands,
        replicas=replicas,
        journal=journal,
        accept=accept,
        answer=answer,
        cancel=cancel,
        notify=create_push_config,
        notify_no_more=delete_push_config,
        clock=clock,
    )
    push = providers.Singleton(
        PushServices,
        create=create_push_config,
        get=providers.Singleton(GetPushConfig, journal=journal, configs=push_configs),
        list=providers.Singleton(ListPushConfigs, journal=journal, configs=push_configs),
        delete=providers.Singleton(
            NotifyNoMoreAnywhere, errands=errands, journal=journal, configs=push_configs, deliver=deliver
        ),
    )
    offers = providers.Singleton(offers_of, agent)
    choose = providers.Singleton(ChooseDirectory, check=places)
    reach = providers.Singleton(ReachSession, use=sessions, choose=choose)
    check_capability = providers.Singleton(
        CheckCapability,
        enabled=settings.provided.methods.capabilities,
        may=credentials.provided.may,
        switches=settings.provided.methods.switches,
    )
    work = providers.Singleton(
        WorkInSession,
        quotas=quotas,
        agent=agent,
        sessions=offers.provided.sessions,
        reach=reach,
        turns=turns,
        check=check_capability,
        audit=audit,
        clock=clock,
        most=settings.provided.turn.limits.seconds,
    )
    methods = providers.Singleton(
        _methods,
        offers=offers,
        reach=reach,
        turns=turns,
        check=check_capability,
        work=work.provider,
        interrupts=providers.Singleton(
            InterruptServices,
            answer=answer,
            list=providers.Singleton(ListInterrupts, journal=journal, interrupts=interrupts),
        ),
    )
    limit_requests = providers.Singleton(
        LimitRequests,
        clock=clock,
        seconds=settings.provided.limits.seconds,
        most=providers.Callable(
            lambda on, most: most if on else 0, settings.provided.limits.enabled, settings.provided.limits.requests
        ),
        reach_of=credentials.provided.reach,
    )
    authenticate = providers.Singleton(
        Callers,
        credentials=providers.Singleton(_known, settings, credentials, clock),
        schemes=providers.Callable(_schemes, settings),
        attempts=providers.Singleton(
            LimitAttempts,
            clock=clock,
            audit=audit,
            seconds=settings.provided.limits.seconds,
            most=settings.provided.limits.failures,
        ),
        requests=limit_requests,
    )
    services = providers.Singleton(
        Services,
        send_message=providers.Singleton(SendMessage, accept=accept, notify=create_push_config),
        stream_message=providers.Singleton(
            StreamMessage, accept=accept, journal=journal, subscribe=subscribe, notify=create_push_config
        ),
        get_task=providers.Singleton(GetTask, journal=journal),
        list_tasks=providers.Singleton(ListTasks, journal=journal),
        cancel_task=cancel,
        subscribe=subscribe,
        methods=methods,
        record=providers.Singleton(AuditAccess, audit=audit, clock=clock),
        push=providers.Callable(lambda wanted, push: push if wanted else None, settings.provided.push.enabled, push),
    )
    card = providers.Singleton(
        CardInfo,
        title=settings.provided.card.title,
        description=settings.provided.card.about,
        version=providers.Callable(lambda chosen: chosen or VERSION, settings.provided.card.version),
        public_url=settings.provided.server.url,
        documentation_url=settings.provided.card.documentation_url,
        extensions=providers.Callable(
            extensions,
            to_working=settings.provided.turn.to_working.value,
            directory_override=settings.provided.session.directory_override,
        ),
        required=settings.provided.card.required,
        security=providers.Callable(_security, settings),
        unasked=settings.provided.card.unasked,
        extended=settings.provided.card.extended,
        push=settings.provided.push.enabled,
        grpc_address=settings.provided.grpc_public_address,
        modified=providers.Callable(lambda clock: clock.now(), clock),
    )
    operations = providers.Singleton(
        offer,
        services,
        card,
        versions=settings.provided.server.versions,
        at=providers.Singleton(PublicUrl.behind, settings.provided.server.url, settings.provided.server.proxies),
        signer=providers.Callable(_card_signer, settings),
    )
    requests = providers.Singleton(Watch, clock, meter, tracer)
    app = providers.Singleton(
        create_app,
        operations,
        authenticate=authenticate,
        drain=drain,
        body_limit=settings.provided.server.max_body,
        keep_alive=settings.provided.server.keep_alive,
        manners=providers.Singleton(
            Manners,
            origins=settings.provided.http.origins,
            hosts=settings.provided.http.hosts,
            compressed_from=settings.provided.http.gzip_minimum,
        ),
        keys=jwks,
        watch=requests,
        payloads=providers.Callable(
            lambda wanted, limit: Payloads(limit) if wanted else None,
            settings.provided.log.payloads,
            settings.provided.log.body_limit,
        ),
    )


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
    container = Container(settings=settings, terms=_terms(settings.interrupts))
    if (keys := _signing_keys(settings)) is not None:
        container.jwks.override(providers.Object(keys.jwks))
    make = runtime or _find_runtime(settings)
    async with AsyncExitStack() as stack:
        if tracer is None:
            tracer = stack.enter_context(_tracing()) if settings.traced else UNTRACED
        container.tracer.override(providers.Object(tracer))
        meter = container.meter()
        surroundings = Surroundings(container.clock(), container.ids(), settings.environment, meter, tracer)
        stores = await stack.enter_async_context(open_stores(settings.database_url, container.clock(), meter=meter))
        _have(container, stores)
        audit = await stack.enter_async_context(open_audit(settings.interrupts.audit))
        container.audit.override(providers.Object(audit))
        credentials = await stack.enter_async_context(_credentials(settings, container.clock(), audit))
        container.credentials.override(providers.Object(credentials))
        push = settings.push
        guard, clock = Guard.of(system_resolve, push.hosts), container.clock()
        sign = None if keys is None else NotificationTokens(keys, settings.server.url, clock)
        webhook = Webhook.open(guard, clock, patience=push.timeout, proof=Proof(push.secret, sign), tracer=tracer)
        container.notifier.override(providers.Object(await stack.enter_async_context(webhook)))
        agent = await stack.enter_async_context(make(surroundings))
        container.agent.override(providers.Object(agent))
        try:
            container.operations().cards.public()  # written before anybody waits for it
        except ValueError as error:  # what a runtime does not have cannot be required
            raise SettingsError([f"A2A_REQUIRED_EXTENSIONS: {error}"]) from error
        await stack.enter_async_context(container.watch())
        await stack.enter_async_context(Retain(stores.retention, clock, settings.store.keeping))
        if push.enabled:
            await stack.enter_async_context(container.deliver())
        turns = await stack.enter_async_context(container.turns())
        if container.offers().sessions is not None:
            await stack.enter_async_context(container.work())
        await _count(stack, container, settings)
        await stores.interrupts.forget(container.clock().now() - settings.interrupts.tombstone)
        if unfinished := await container.recover()():
            _log.info("%d unfinished tasks are taken up", unfinished)
        await stack.enter_async_context(container.take_over())
        await stack.enter_async_context(container.run_errands())
        if settings.grpc_address:
            await _listen_to_grpc(stack, container, settings)
        meter.show(_gauges(container, stores.backlog))
        if settings.admin.port:
            await _listen_to_operators(stack, container, settings)
        yield container
        turns.draining = True


def _have(container: Container, stores: Stores) -> None:
    container.journal.override(providers.Object(stores.journal))
    container.bindings.override(providers.Object(stores.bindings))
    container.owners.override(providers.Object(stores.owners))
    container.push_configs.override(providers.Object(stores.push_configs))
    container.interrupts.override(providers.Object(stores.interrupts))
    container.holds.override(providers.Object(stores.holds))
    container.replicas.override(providers.Object(stores.replicas))
    container.errands.override(providers.Object(stores.errands))
    container.ledger.override(providers.Object(stores.ledger))


async def _count(stack: AsyncExitStack, container: Container, settings: Settings) -> None:
    """Begin to count what principals use."""
    await container.quotas().forget()
    if settings.on_postgres:
        await stack.enter_async_context(ShareRequests(container.limit_requests(), container.ledger()))


def missing_extras(settings: Settings, find: Callable[[str], object] = find_spec) -> list[str]:
    """Name what the settings ask for and this installation does not have, with the remedy."""
    missing = []
    if settings.grpc.port and not (find("grpc") and find("grpc_health")):
        missing.append(
            "A2A_GRPC_PORT: gRPC is not installed; pip install 'opencode-a2a-server[grpc]', or leave the port out"
        )
    if settings.tracing.wanted and not _has_otel(find):
        missing.append(f"A2A_TRACING: {_NO_OTEL}")
    return missing


def _has_otel(find: Callable[[str], object]) -> bool:
    try:
        return bool(find("opentelemetry.sdk") and find("opentelemetry.exporter.otlp.proto.http"))
    except ModuleNotFoundError:  # of what stands before the dot
        return False


async def _listen_to_grpc(stack: AsyncExitStack, container: Container, settings: Settings) -> None:
    from opencode_a2a_server.adapters.inbound.a2a.grpc.server import PortTaken, serving

    server = serving(
        container.operations(),
        settings.grpc_address,
        authenticate=container.authenticate(),
        drain=container.drain(),
        body_limit=settings.server.max_body,
        shared=settings.server.workers > 1,
        tls=_tls(settings),
        watch=container.requests(),
    )
    try:
        await stack.enter_async_context(server)
    except PortTaken as taken:
        raise SettingsError([f"A2A_GRPC_PORT: {taken}"]) from taken


def _fixed(settings: Settings) -> Registry:
    """
    Read what credentials the settings themselves hold, besides the bearer token.

    Raises:
        SettingsError: They cannot be used.

    """
    try:
        return Registry() if settings.auth.static is None else read_static(settings.auth.static)
    except RegistryUnusable as unusable:
        raise SettingsError([f"A2A_STATIC_AUTH_CREDENTIALS: {problem}" for problem in unusable.problems]) from unusable


def _credentials(settings: Settings, clock: SystemClock, audit: Audit) -> LiveCredentials:
    path = None if settings.auth.credentials is None else Path(settings.auth.credentials)
    return LiveCredentials.open(_fixed(settings), path, OPERATIONS, clock, audit)


def _path(named: str | None) -> Path | None:
    return None if named is None else Path(named).absolute()


def _tls(settings: Settings) -> tuple[bytes, bytes] | None:
    certificate, key = _path(settings.server.certificate), _path(settings.server.key)
    return None if certificate is None or key is None else (key.read_bytes(), certificate.read_bytes())


def _tls_problems(settings: Settings) -> Iterator[str]:
    certificate, key = settings.server.certificate, settings.server.key
    if certificate is None or key is None:
        if certificate != key:
            yield "A2A_TLS_CERT_FILE and A2A_TLS_KEY_FILE go together: give both or none"
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        yield f"A2A_TLS_CERT_FILE, A2A_TLS_KEY_FILE: they cannot be used together ({error})"


def _gauges(container: Container, backlog: Callable[[], float]) -> Gauges:
    turns, watch = container.turns(), container.watch()
    return Gauges(
        streams=lambda: container.drain().listening,
        turns=lambda: turns.active,
        interrupts=lambda: turns.waiting,
        deliveries=lambda: container.deliver().active,
        backlog=backlog,
        ready=lambda: watch.readiness.ready,
        draining=lambda: turns.draining,
    )


async def _listen_to_operators(stack: AsyncExitStack, container: Container, settings: Settings) -> None:
    """Listen at the port, or if other workers of ours have it, at one of those that follow: each has its own metrics."""
    ready = await stack.enter_async_context(container.readiness())
    told = admin.Admin(ready, container.meter().expose)
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
def _tracing() -> Iterator[Tracer]:
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


def _terms(settings: InterruptSettings) -> Terms:
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


def _problems_of_access(settings: Settings) -> Iterator[str]:
    if not settings.auth.anybody:
        yield (
            "A2A_BEARER_TOKEN: required; give a long random string, or A2A_BEARER_TOKEN_FILE, or name a file of "
            "credentials by A2A_CREDENTIALS_FILE, or a provider by A2A_OIDC_ISSUER"
        )
    try:
        _fixed(settings)
    except SettingsError as error:
        yield from error.problems
    for name in listed(settings.auth.algorithms):
        if name not in ALGORITHMS:
            yield f"A2A_OIDC_ALGORITHMS: {name} is not taken; there are {', '.join(ALGORITHMS)}"
    for theirs, ours in settings.auth.scopes.items():
        if ours not in _CAPABILITIES and not is_scope(ours, OPERATIONS):
            near = difflib.get_close_matches(ours, [*_CAPABILITIES, READ, WRITE, *OPERATIONS], 1, 0)[0]
            yield f"A2A_OIDC_SCOPE_MAP: {theirs}={ours} names no operation or capability; did you mean {near}?"
    try:
        if settings.auth.credentials is not None:
            read_registry(Path(settings.auth.credentials), OPERATIONS)
    except RegistryUnusable as unusable:
        yield from (f"A2A_CREDENTIALS_FILE: {problem}" for problem in unusable.problems)


def problems_of(settings: Settings) -> Iterator[str]:
    """Say why the service cannot start with these settings, as far as they alone and the files they name show it."""
    yield from _problems_of_access(settings)
    yield from _tls_problems(settings)
    known = [extension.uri for extension in extensions()]
    for uri in settings.card.required:
        if uri not in known:
            nearest = difflib.get_close_matches(uri, known, 1, 0)
            yield f"A2A_REQUIRED_EXTENSIONS: there is no extension {uri}; did you mean {nearest[0]}?"
    yield from missing_extras(settings)
    yield from _unshared(settings)
    try:
        _signing_keys(settings)
    except KeyUnusable as unusable:
        yield f"A2A_SIGNING_KEY: {unusable}"


def _find_runtime(settings: Settings) -> AgentFactory:
    name = settings.runtime.runtime
    if name == "opencode":
        return partial(_opencode, settings)
    if name == "scripted":
        return partial(scripted, script=None if settings.runtime.script is None else Path(settings.runtime.script))
    module, colon, attribute = name.partition(":")
    if not colon:
        raise SettingsError([f"A2A_RUNTIME: {name!r} is neither opencode, scripted nor package.module:factory"])
    try:
        factory: AgentFactory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingsError([f"A2A_RUNTIME: {name} cannot be imported ({error})"]) from error
    return factory


def _opencode(settings: Settings, surroundings: Surroundings) -> AbstractAsyncContextManager[Agent]:
    opencode = settings.opencode
    address = Address(opencode.url, opencode.username, opencode.password, opencode.root, timeout=opencode.timeout)
    return OpenCode.at(
        address,
        surroundings.clock,
        default=opencode.options.model,
        keep=Keep(opencode.open_directories, opencode.directory_idle),
        watch=OpenCodeWatch(surroundings.clock, surroundings.meter, surroundings.tracer),
    )


@define(eq=False)
class Application:
    """
    The service as an ASGI application: its life is the server's lifespan.

    With `signals`, SIGTERM drains it: no new work is taken, turns get their time, streams are told, then it ends.
    """

    settings: Settings
    runtime: AgentFactory | None = None
    signals: bool = False
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
                self._container = await stack.enter_async_context(assemble(self.settings, self.runtime))
                self._app = self._container.app()
            except Exception as error:  # noqa: BLE001 - whatever it was, the server is told
                _log.critical("the service cannot start: %s", error, exc_info=not isinstance(error, SettingsError))
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            if self.signals:  # the process is ours
                server.on_term(self.drain)
                server.on_hup(self._container.credentials().reload)
                server.settle_memory()
            await send({"type": "lifespan.startup.complete"})
            if self.signals:
                await stack.enter_async_context(Supervisor.of(self.settings.environment).told())
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def drain(self) -> None:
        """Take no new work, give turns their time, then tell the streams."""
        if self._container is None:
            return
        turns, drain, clock = self._container.turns(), self._container.drain(), self._container.clock()
        if not await turns.drain(self.settings.server.drain):
            _log.warning("%d turns go on without us; the next start takes them up", turns.active)
        turns.stopping = True
        last = clock.monotonic() + (_LAST_WORDS_SECONDS if not turns.active else 0)
        while drain.listening and clock.monotonic() < last:
            await clock.sleep(_LAST_WORDS_SECONDS / 20)
        drain.begin()


def serve(settings: Settings, configure_logging: Callable[[], None]) -> None:
    """
    Serve until SIGTERM or SIGINT.

    Raises:
        SystemExit: It could not start.

    """

    def load() -> server.Asgi:
        configure_logging()
        return Application(settings, signals=True)

    listener = server.Listener(
        settings.server.host,
        settings.server.port,
        patience=settings.server.drain + _EXIT_SECONDS,
        workers=settings.server.workers,
        certificate=_path(settings.server.certificate),
        key=_path(settings.server.key),
    )
    server.run(listener, load)


async def probe(settings: Settings) -> Readiness:
    """Look whether the runtime can be worked with."""
    surroundings = Surroundings(SystemClock(), RandomIds(), settings.environment)
    async with _find_runtime(settings)(surroundings) as agent:
        return await agent.probe()


async def check(settings: Settings) -> list[str]:
    """Look at the store and the runtime without serving; gives what is wrong, with the remedy."""
    problems = list(problems_of(settings))
    _terms(settings.interrupts)
    readiness = await probe(settings)
    if not readiness.ready:
        problems.append(readiness.remedy)
    try:
        if settings.database_url is not None:
            await Care(settings.database_url, SystemClock()).look()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        problems.append(f"store: {error}")
    return problems


__all__ = [
    "VERSION",
    "Application",
    "Container",
    "assemble",
    "check",
    "missing_extras",
    "probe",
    "problems_of",
    "serve",
]
