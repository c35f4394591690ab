"""What clients meet: the operations, the cards that tell of them, and the application that serves them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from dependency_injector import providers

from opencode_a2a_server.adapters.inbound.a2a.app import create_app
from opencode_a2a_server.adapters.inbound.a2a.card.document import CardInfo
from opencode_a2a_server.adapters.inbound.a2a.card.extensions import extensions
from opencode_a2a_server.adapters.inbound.a2a.card.public_url import PublicUrl
from opencode_a2a_server.adapters.inbound.a2a.front import Manners
from opencode_a2a_server.adapters.inbound.a2a.offering import offer
from opencode_a2a_server.adapters.inbound.a2a.operations import Services
from opencode_a2a_server.adapters.inbound.a2a.watched import Payloads
from opencode_a2a_server.app.settings import Settings
from opencode_a2a_server.app.usecases.audit_access import AuditAccess
from opencode_a2a_server.app.usecases.get_task import GetTask
from opencode_a2a_server.app.usecases.list_tasks import ListTasks
from opencode_a2a_server.app.usecases.send_message import SendMessage
from opencode_a2a_server.app.usecases.stream_message import StreamMessage

from .access import Access, security_of
from .given import VERSION, Given
from .methods import Methods
from .observed import Observed
from .push import Push
from .signing import card_signer
from .tasks import Tasks


class Container(Observed):
    """One service, whole."""

    services = providers.Singleton(
        Services,
        send_message=providers.Singleton(SendMessage, accept=Tasks.accept, notify=Push.create_push_config),
        stream_message=providers.Singleton(
            StreamMessage,
            accept=Tasks.accept,
            journal=Given.journal,
            subscribe=Tasks.subscribe,
            notify=Push.create_push_config,
        ),
        get_task=providers.Singleton(GetTask, journal=Given.journal),
        list_tasks=providers.Singleton(ListTasks, journal=Given.journal),
        cancel_task=Tasks.cancel,
        subscribe=Tasks.subscribe,
        methods=Methods.methods,
        record=providers.Singleton(AuditAccess, audit=Given.audit, clock=Given.clock),
        push=providers.Callable(
            lambda wanted, push: push if wanted else None, Given.settings.provided.push.enabled, Push.push
        ),
    )
    card = providers.Singleton(
        CardInfo,
        title=Given.settings.provided.card.title,
        description=Given.settings.provided.card.about,
        version=providers.Callable(lambda chosen: chosen or VERSION, Given.settings.provided.card.version),
        public_url=Given.settings.provided.server.url,
        documentation_url=Given.settings.provided.card.documentation_url,
        extensions=providers.Callable(
            extensions,
            to_working=Given.settings.provided.turn.to_working.value,
            directory_override=Given.settings.provided.session.directory_override,
        ),
        required=Given.settings.provided.card.required,
        security=providers.Callable(security_of, Given.settings),
        unasked=Given.settings.provided.card.shared_metadata.value,
        extended=Given.settings.provided.card.extended,
        push=Given.settings.provided.push.enabled,
        grpc_address=Given.settings.provided.grpc_public_address,
        modified=providers.Callable(lambda clock: clock.now(), Given.clock),
    )
    operations = providers.Singleton(
        offer,
        services,
        card,
        versions=Given.settings.provided.server.versions,
        at=providers.Singleton(
            PublicUrl.behind, Given.settings.provided.server.url, Given.settings.provided.server.proxies_for_url
        ),
        signer=providers.Callable(card_signer, Given.settings),
    )
    app = providers.Singleton(
        create_app,
        operations,
        authenticate=Access.authenticate,
        drain=Observed.drain,
        body_limit=Given.settings.provided.server.max_body,
        keep_alive=Given.settings.provided.server.keep_alive,
        manners=providers.Singleton(
            Manners,
            origins=Given.settings.provided.http.origins,
            hosts=Given.settings.provided.http.hosts,
            compressed_from=Given.settings.provided.http.gzip_minimum,
        ),
        keys=Given.jwks,
        watch=Observed.requests,
        payloads=providers.Callable(
            lambda wanted, limit: Payloads(limit) if wanted else None,
            Given.settings.provided.log.payloads,
            Given.settings.provided.log.body_limit,
        ),
    )


def problems_of_extensions(settings: Settings) -> Iterator[str]:
    """Say which extensions are required that there are not."""
    known = [extension.uri for extension in extensions()]
    for uri in settings.card.required:
        if uri not in known:
            nearest = difflib.get_close_matches(uri, known, 1, 0)
            yield f"A2A_REQUIRED_EXTENSIONS: there is no extension {uri}; did you mean {nearest[0]}?"
