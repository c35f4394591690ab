"""`opencode-a2a-server explain`: how one task went."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import rich_click as click

from .asking import ask_service, client_settings, token_file_option, url_option
from .exits import FAILED, UNREACHABLE, USAGE, leave
from .tables import table

if TYPE_CHECKING:
    from .client import Service
    from .timeline import Happening


@click.command()
@click.argument("task_id", metavar="TASK")
@click.option("--store", help="The store to look in. Default: A2A_TASK_STORE_DATABASE_URL, or what `serve` takes.")
@url_option
@token_file_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def explain(task_id: str, store: str | None, url: str | None, token_file: str | None, output: str) -> None:
    """
    Tell how a task went: messages, turns, questions and who answered them, tools, retries, cost, deliveries.

    Its journal is read from the store, while the service runs or not. With --url, a running service is asked instead,
    which shows what A2A shows: no deliveries, no names, and times of statuses only.
    """
    told = _asked(task_id, url, token_file) if url is not None else _kept(task_id, store)
    if output == "json":
        items = [{"at": one.at, "what": one.what, "says": one.says} for one in told]
        click.echo(json.dumps({"task": task_id, "timeline": items}, ensure_ascii=False, indent=2))
        return
    for line in table([(_time(one.at), one.what, one.says) for one in told]):
        click.echo(line)


def _kept(task_id: str, store: str | None) -> list[Happening]:
    from opencode_a2a_server.adapters.outbound.stores.care import Care
    from opencode_a2a_server.adapters.outbound.stores.errors import StoreUnusable
    from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
    from opencode_a2a_server.domain.errors import JournalUnavailable
    from opencode_a2a_server.domain.ids import TaskId

    from .timeline import tell

    named = store or client_settings().database_url
    if named is None:
        leave("a store in memory cannot be read from outside: ask the service, with --url", USAGE)
    try:
        kept = asyncio.run(Care(named, SystemClock()).read(TaskId(task_id)))
    except StoreUnusable as error:
        leave(str(error), FAILED)
    except JournalUnavailable as error:
        leave(str(error), UNREACHABLE)
    if kept is None:
        leave(f"there is no task {task_id} in this store; `opencode-a2a-server tasks list` names them", FAILED)
    return tell(kept)


def _asked(task_id: str, url: str, token_file: str | None) -> list[Happening]:
    from .timeline import tell_remote

    def ask(service: Service) -> list[Happening]:
        task = service.call("GetTask", {"id": task_id})
        cursor = task.get("metadata", {}).get("shared", {}).get("stream", {}).get("cursor", "")
        frames = []
        with service.follow(task_id, f"{task_id}:1") as stream:
            for frame in stream:
                frames.append(frame.body)
                if _place(frame.id) >= _place(cursor):
                    break
        return tell_remote(task, frames)

    return ask_service(ask, url, token_file)


def _place(event: str) -> int:
    number = event.rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def _time(at: float | None) -> str:
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
