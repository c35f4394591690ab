"""`opencode-a2a-server tasks`: the tasks of a running service."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from .asking import ask_service, token_file_option, url_option
from .live import Live, clean, short
from .tables import table

if TYPE_CHECKING:
    from .client import Frame, Service

_COLUMNS: Final = ("TASK", "STATE", "SINCE", "CONTEXT", "SAID")
_STATES: Final = (
    "submitted",
    "working",
    "input-required",
    "auth-required",
    "completed",
    "failed",
    "canceled",
    "rejected",
)
_PAGE: Final = 100
_LONG: Final = 60
_TRIES: Final = 8
_LONGEST_WAIT: Final = 10.0

_output = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)


@click.group()
def tasks() -> None:
    """See and cancel the tasks of a running service: those of the principal whose token you have."""


@tasks.command("list")
@click.option("--context", default="", metavar="ID", help="Those of one context.")
@click.option("--state", type=click.Choice(_STATES), help="Those in one state.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most.")
@url_option
@token_file_option
@click.option("-o", "--output", type=click.Choice(["text", "json", "jsonl"]), default="text", show_default=True)
def list_tasks(  # noqa: PLR0913 - one for each option
    *, context: str, state: str | None, limit: int, url: str | None, token_file: str | None, output: str
) -> None:
    """List tasks, those whose status changed last first."""
    wanted: dict[str, Any] = {"contextId": context} if context else {}
    if state is not None:
        wanted["status"] = "TASK_STATE_" + state.upper().replace("-", "_")
    found = ask_service(lambda service: list(_pages(service, wanted, limit)), url, token_file)
    if output == "json":
        click.echo(json.dumps({"tasks": found}, ensure_ascii=False))
    elif output == "jsonl":
        for task in found:
            click.echo(json.dumps(task, ensure_ascii=False))
    else:
        for line in table([_COLUMNS, *map(_cells, found)]):
            click.echo(line)


@tasks.command()
@click.argument("task_id", metavar="TASK")
@url_option
@token_file_option
@_output
def show(task_id: str, url: str | None, token_file: str | None, output: str) -> None:
    """Show a task: what was said, what was made, and where it stands."""
    task = ask_service(lambda service: service.call("GetTask", {"id": task_id}), url, token_file)
    if output == "json":
        click.echo(json.dumps(task, ensure_ascii=False, indent=2))
        return
    for message in task.get("history", ()):
        click.echo(click.style(f"{_who(message)}: {_said(message)}", bold=True))
    live = Live(lambda text: click.echo(text, nl=False))
    live.show({"task": task})
    live.end()
    shared = task.get("metadata", {}).get("shared", {})
    if usage := shared.get("usage"):
        click.echo(f"Usage: {usage.get('total_tokens', 0)} tokens, cost {usage.get('cost', 0)}")
    if session := shared.get("session", {}).get("id"):
        click.echo(f"Session: {session}")


@tasks.command()
@click.argument("task_id", metavar="TASK")
@click.option("--from", "from_", default="", metavar="EVENT", help="Read on behind an event, which was seen before.")
@url_option
@token_file_option
@click.option("-o", "--output", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
def watch(task_id: str, from_: str, url: str | None, token_file: str | None, output: str) -> None:
    """
    Follow a task until it ends or waits for somebody.

    A connection that breaks is made again, and read on where it broke: nothing is missing and nothing comes twice. A
    task that has ended is shown from its start.
    """
    live = Live(lambda text: click.echo(text, nl=False) if output == "text" else None)

    def show_frame(frame: Frame) -> None:
        live.show(frame.body)
        if output == "jsonl":
            click.echo(json.dumps({"id": frame.id, **frame.body}, ensure_ascii=False))

    ask_service(lambda service: follow(service, task_id, from_, show_frame, time.sleep), url, token_file)
    live.end()


@tasks.command()
@click.argument("task_id", metavar="TASK")
@url_option
@token_file_option
@_output
def cancel(task_id: str, url: str | None, token_file: str | None, output: str) -> None:
    """Cancel a task."""
    task = ask_service(lambda service: service.call("CancelTask", {"id": task_id}), url, token_file)
    click.echo(json.dumps(task, ensure_ascii=False) if output == "json" else f"{task['id']} {_state(task)}")


def follow(
    service: Service, task_id: str, last: str, show: Callable[[Frame], None], pause: Callable[[float], object]
) -> None:
    """
    Give the frames of a task, over as many connections as it takes, each read on where the one before broke.

    Raises:
        Unreachable: There is no connection for some time.
        Refused: The service says no.

    """
    from .client import Refused, Unreachable

    last, tries = last or f"{task_id}:0", 0
    while True:
        try:
            with service.follow(task_id, last) as frames:
                for frame in frames:
                    tries, last = 0, frame.id or last
                    show(frame)
                    if _ended(frame.body) and _at_the_end(service, task_id, last):
                        return
            if _at_the_end(service, task_id, last):
                return
        except Refused:
            raise
        except Unreachable:
            if tries >= _TRIES:
                raise
        tries += 1
        pause(min(2.0 ** (tries - 1) / 4, _LONGEST_WAIT))


def _ended(body: Mapping[str, Any]) -> bool:
    live = Live(lambda _: None)
    live.show(body)
    return live.ended


def _at_the_end(service: Service, task_id: str, last: str) -> bool:
    """Say whether nothing more comes of a task: a question that was answered long ago is not its end."""
    task = service.call("GetTask", {"id": task_id, "historyLength": 0})
    cursor = task.get("metadata", {}).get("shared", {}).get("stream", {}).get("cursor", "")
    return _ended({"task": task}) and _place(cursor) <= _place(last)


def _place(event: str) -> int:
    number = event.rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def _pages(service: Service, wanted: Mapping[str, Any], limit: int) -> Iterator[Mapping[str, Any]]:
    token, left = "", limit
    while left > 0:
        page = service.call("ListTasks", {**wanted, "pageSize": min(left, _PAGE), "pageToken": token})
        found = page.get("tasks", [])
        yield from found[:left]
        left -= len(found)
        token = page.get("nextPageToken", "")
        if not token or not found:
            return


def _cells(task: Mapping[str, Any]) -> tuple[str, ...]:
    said = next((_said(one) for one in task.get("history", ()) if one.get("role") == "ROLE_USER"), "")
    since = task.get("status", {}).get("timestamp", "")[:19].replace("T", " ")
    return task["id"], _state(task), since, task.get("contextId", ""), said[:_LONG]


def _state(task: Mapping[str, Any]) -> str:
    return short(task.get("status", {}).get("state", ""))


def _who(message: Mapping[str, Any]) -> str:
    return "agent" if message.get("role") == "ROLE_AGENT" else "user"


def _said(message: Mapping[str, Any]) -> str:
    return " ".join(clean(" ".join(part.get("text", "") for part in message.get("parts", ()))).split())
