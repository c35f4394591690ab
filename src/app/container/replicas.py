"""Replicas: what several processes on one store do for each other, and when they cannot."""

from __future__ import annotations

from collections.abc import Iterator

from dependency_injector import providers

from opencode_a2a_server.app.settings import Settings
from opencode_a2a_server.app.usecases.run_errands import RunErrands
from opencode_a2a_server.app.usecases.take_over import TakeOver

from .given import Given
from .interrupts import Interrupts
from .push import Push
from .tasks import Tasks
from .turns import Turns


class Replicas(Push):
    """What is done for those which died, and for those which do not own the task they are asked about."""

    take_over = providers.Singleton(
        TakeOver,
        replicas=Given.replicas,
        recover=Tasks.recover,
        turns=Turns.turns,
        deliver=providers.Callable(
            lambda wanted, deliver: deliver if wanted else None, Given.settings.provided.push.enabled, Push.deliver
        ),
        clock=Given.clock,
    )
    run_errands = providers.Singleton(
        RunErrands,
        errands=Given.errands,
        replicas=Given.replicas,
        journal=Given.journal,
        accept=Tasks.accept,
        answer=Interrupts.answer,
        cancel=Tasks.cancel,
        notify=Push.create_push_config,
        notify_no_more=Push.delete_push_config,
        clock=Given.clock,
    )


def problems_of_sharing(settings: Settings) -> Iterator[str]:
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
