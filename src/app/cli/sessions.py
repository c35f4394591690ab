"""`opencode-a2a-server sessions`: OpenCode's sessions, as a running service shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import rich_click as click

from .asking import ask_service, token_file_option, url_option
from .live import clean
from .tables import table


@click.command()
@click.option("--directory", help="Those of a directory of the workspace.")
@click.option("--search", help="Those whose title has these words.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many at most.")
@url_option
@token_file_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def sessions(  # noqa: PLR0913 - one for each option
    *,
    directory: str | None,
    search: str | None,
    limit: int,
    url: str | None,
    token_file: str | None,
    output: str,
) -> None:
    """List the sessions of OpenCode that you may use, those that changed last first."""
    given = {"limit": limit, "directory": directory, "search": search}
    params = {name: value for name, value in given.items() if value is not None}
    items = ask_service(lambda service: service.call("opencode.sessions.list", params)["items"], url, token_file)
    if output == "json":
        click.echo(json.dumps({"items": items}, ensure_ascii=False))
        return
    for line in table([("SESSION", "CHANGED", "CONTEXT", "TITLE"), *map(_cells, items)]):
        click.echo(line)


def _cells(item: Mapping[str, Any]) -> tuple[str, ...]:
    title = item.get("metadata", {}).get("shared", {}).get("session", {}).get("title", "")
    changed = item.get("status", {}).get("timestamp", "")[:19].replace("T", " ")
    return item["id"], changed, item.get("contextId", ""), clean(title)
