"""`opencode-a2a-server interrupts`: what waits for an answer, and answering it, in a running service."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import rich_click as click

from .asking import ask_service, token_file_option, url_option
from .tables import table

_COLUMNS = ("REQUEST", "KIND", "TASK", "UNTIL", "ASKS")

_output = click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)


@click.group()
def interrupts() -> None:
    """See and answer the permissions and questions of a running service."""


@interrupts.command("list")
@url_option
@token_file_option
@_output
def list_interrupts(url: str | None, token_file: str | None, output: str) -> None:
    """List what waits for an answer."""
    from .inbox import waiting

    items = ask_service(waiting, url, token_file)
    if output == "json":
        click.echo(json.dumps({"items": items}, ensure_ascii=False))
        return
    for line in table([_COLUMNS, *map(_cells, items)]):
        click.echo(line)


@interrupts.command("answer")
@click.argument("request_id", metavar="ID")
@click.argument("answer", nargs=-1, required=True)
@url_option
@token_file_option
@_output
def answer_interrupt(
    request_id: str, answer: Sequence[str], url: str | None, token_file: str | None, output: str
) -> None:
    """
    Answer the permission or question ID.

    ANSWER is what a person would answer: yes, always, no or "no: reason" to a permission; a number, a label or own
    words to a question, one ANSWER for each if it asks several, or no to dismiss it.
    """
    from .inbox import give_answer

    told = ask_service(lambda service: give_answer(service, request_id, "\n".join(answer)), url, token_file)
    click.echo(json.dumps(told) if output == "json" else f"answered {told['request_id']}")


def _cells(item: Mapping[str, Any]) -> Sequence[str]:
    from .inbox import asks, until

    work = item["task_id"] or f"({item['session_id']})"  # a session may work for no task
    return item["request_id"], item["interrupt_type"], work, until(item), asks(item)
