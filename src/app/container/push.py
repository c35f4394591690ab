"""Push notifications: who wants them, and how they get there."""

from __future__ import annotations

import random
from contextlib import AbstractAsyncContextManager

from dependency_injector import providers

from opencode_a2a_server.adapters.inbound.a2a.notifications import Notifications
from opencode_a2a_server.adapters.inbound.a2a.push import PushServices
from opencode_a2a_server.adapters.outbound.push.guard import Guard, system_resolve
from opencode_a2a_server.adapters.outbound.push.webhook import Proof, Sign, Webhook
from opencode_a2a_server.app.usecases.anywhere import NotifyAnywhere, NotifyNoMoreAnywhere
from opencode_a2a_server.app.usecases.deliver_updates import DeliverUpdates, PushPace
from opencode_a2a_server.app.usecases.get_push_config import GetPushConfig
from opencode_a2a_server.app.usecases.list_push_configs import ListPushConfigs

from .given import Given
from .tasks import Tasks


class Push(Tasks):
    """From an update to the webhooks that are to hear of it."""

    deliver = providers.Singleton(
        DeliverUpdates,
        journal=Given.journal,
        configs=Given.push_configs,
        notifier=Given.notifier,
        wording=providers.Singleton(Notifications),
        clock=Given.clock,
        spread=providers.Object(random.random),
        pace=providers.Singleton(
            PushPace,
            timeout=Given.settings.provided.push.timeout,
            attempts=Given.settings.provided.push.attempts,
            bytes_most=Given.settings.provided.push.bytes_most,
        ),
        meter=Given.meter,
        tracer=Given.tracer,
    )
    create_push_config = providers.Singleton(
        NotifyAnywhere,
        errands=Given.errands,
        journal=Given.journal,
        configs=Given.push_configs,
        notifier=Given.notifier,
        deliver=deliver,
        ids=Given.ids,
        clock=Given.clock,
        most=Given.settings.provided.push.most,
    )
    delete_push_config = providers.Singleton(
        NotifyNoMoreAnywhere,
        errands=Given.errands,
        journal=Given.journal,
        configs=Given.push_configs,
        deliver=deliver,
    )
    push = providers.Singleton(
        PushServices,
        create=create_push_config,
        get=providers.Singleton(GetPushConfig, journal=Given.journal, configs=Given.push_configs),
        list=providers.Singleton(ListPushConfigs, journal=Given.journal, configs=Given.push_configs),
        delete=delete_push_config,
    )


def webhook(given: Given, sign: Sign | None) -> AbstractAsyncContextManager[Webhook]:
    """Give what posts notifications, with a proof of this kind that they are ours."""
    settings, clock = given.settings(), given.clock()
    return Webhook.open(
        Guard.of(system_resolve, settings.push.hosts),
        clock,
        patience=settings.push.timeout,
        proof=Proof(settings.push.secret, sign),
        tracer=given.tracer(),
    )
