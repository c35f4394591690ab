"""`opencode-a2a-server db`: the store, besides serving from it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from .exits import FAILED, UNREACHABLE, USAGE, leave
from .serve import load

if TYPE_CHECKING:
    from opencode_a2a_server.adapters.outbound.stores.care import Care
    from opencode_a2a_server.app.ports.retention import Swept

_T = TypeVar("_T")

_FILE = click.Path(dir_okay=False, path_type=Path)
_url = click.option("--url", help="The store. Default: A2A_TASK_STORE_DATABASE_URL, or what `serve` takes without it.")
_output = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)


@click.group()
def db() -> None:
    """
    Look after the store of a service.

    Exit status: 0 done, 1 refused or not as it should be, 2 wrong usage or settings, 3 the store cannot be reached.
    """


@db.command()
@_url
@_output
def check(url: str | None, output: str) -> None:
    """Say which schema the store has and which this release wants; changes nothing. 1 if they differ."""
    schema = _run(_care(url).look)
    if output == "json":
        click.echo(json.dumps({"current": schema.current, "wanted": schema.head, "ready": schema.ready}))
    elif schema.current is None:
        click.echo(f"there are no tables yet; the first start makes them (schema {schema.head})")
    else:
        click.echo(f"schema {schema.current}, this release wants {schema.head}")
    if schema.current is not None and not schema.ready:
        sys.exit(FAILED)


@db.command()
@_url
def upgrade(url: str | None) -> None:
    """Bring the store to this release's schema, as the next start would; make a backup before."""
    care = _care(url)
    _run(care.upgrade)
    click.echo(f"schema {_run(care.look).current}")


@db.command()
@click.argument("into", type=_FILE)
@_url
def backup(into: Path, url: str | None) -> None:
    """Copy the store to a new file, while the service serves."""
    with _bar("copying") as progress:
        _run(lambda: _care(url).back_up(into, progress))
    click.echo(f"{into} ({into.stat().st_size} bytes)")


@db.command()
@click.argument("backup", type=_FILE)
@click.option("--replace", is_flag=True, help="Replace what is in the store now.")
@_url
def restore(backup: Path, *, replace: bool, url: str | None) -> None:
    """Put a backup in the place of the store; stop the service before."""
    _run(lambda: _care(url).restore(backup, replace=replace))
    click.echo("restored")


@db.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--stream-hours", type=float, help="Instead of A2A_RETENTION_STREAM_HOURS.")
@click.option("--days", type=float, help="Instead of A2A_RETENTION_DAYS.")
@click.option("--tasks", type=int, help="Instead of A2A_RETENTION_TASKS.")
@click.option("--bytes", "size", type=int, help="Instead of A2A_RETENTION_BYTES.")
@click.option("--vacuum", is_flag=True, help="Give the freed room of a SQLite file back; writers wait meanwhile.")
@_url
@_output
def gc(  # noqa: PLR0913 - one for each option
    *,
    dry_run: bool,
    stream_hours: float | None,
    days: float | None,
    tasks: int | None,
    size: int | None,
    vacuum: bool,
    url: str | None,
    output: str,
) -> None:
    """Fold and remove ended tasks by the rules of retention, now; the service may serve meanwhile."""
    from attrs import asdict

    from opencode_a2a_server.app.ports.retention import Keeping

    rules = load().store.keeping
    rules = Keeping(
        rules.stream_seconds if stream_hours is None else stream_hours * 3600,
        rules.seconds if days is None else days * 86_400,
        rules.tasks if tasks is None else tasks,
        rules.size if size is None else size,
    )
    care = _care(url)
    swept = _run(lambda: care.sweep(rules, time.time(), dry=dry_run))
    if vacuum and not dry_run:
        _run(care.vacuum)
    click.echo(json.dumps(asdict(swept)) if output == "json" else _worded(swept, dry=dry_run))


def _worded(swept: Swept, *, dry: bool) -> str:
    would = "would be " if dry else ""
    return (
        f"{swept.folded} tasks {would}folded, {swept.removed} {would}removed, {swept.freed} bytes {would}freed, "
        f"{swept.bindings} unused contexts {would}forgotten"
    )


def _care(url: str | None) -> Care:
    from opencode_a2a_server.adapters.outbound.stores.care import Care
    from opencode_a2a_server.adapters.outbound.system.clock import SystemClock

    named = url or load().database_url
    if named is None:
        leave("a store in memory has nothing to take care of", USAGE)
    return Care(named, SystemClock())


def _run(make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    from opencode_a2a_server.adapters.outbound.stores.errors import StoreUnusable
    from opencode_a2a_server.domain.errors import JournalUnavailable

    try:
        return asyncio.run(make())
    except StoreUnusable as error:
        leave(str(error), FAILED)
    except JournalUnavailable as error:
        leave(str(error), UNREACHABLE)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far it is, to a person at a terminal."""
    from rich.progress import Progress

    with Progress(disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda left, total: progress.update(task, total=total, completed=total - left)
