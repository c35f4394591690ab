"""`opencode-a2a-server interrupts`: what waits for an answer, and answering it, in a running service."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import rich_click as click

from opencode_a2a_server.app.settings import SettingsError, load_settings
from opencode_a2a_server.domain.errors import AmbiguousAnswer
from opencode_a2a_server.domain.ids import RequestId, SessionId
from opencode_a2a_server.domain.interrupt import (
    Inquiry,
    Interrupt,
    Option,
    Permission,
    PermissionAnswer,
    Question,
    QuestionAnswer,
    QuestionDismissed,
    moment,
    read_answer,
)

from .client import Refused, Service, Unreachable, token_in

_T = TypeVar("_T")

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3

_COLUMNS = ("REQUEST", "KIND", "TASK", "UNTIL", "ASKS")

_url = click.option("--url", help="Where the service listens. Default: A2A_PUBLIC_URL, else A2A_HOST and A2A_PORT.")
_token_file = click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False),
    help="File with the token. Default: A2A_BEARER_TOKEN, or A2A_BEARER_TOKEN_FILE.",
)
_output = click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)


@click.group()
def interrupts() -> None:
    """
    See and answer the permissions and questions of a running service.

    Exit status: 0 done, 1 refused, 2 wrong usage or settings, 3 the service cannot be reached.
    """


@interrupts.command("list")
@_url
@_token_file
@_output
def list_interrupts(url: str | None, token_file: str | None, output: str) -> None:
    """List what waits for an answer."""
    items = _asked(_waiting, url, token_file)
    if output == "json":
        click.echo(json.dumps({"items": items}, ensure_ascii=False))
        return
    for line in _table([_COLUMNS, *map(_cells, items)]):
        click.echo(line)


@interrupts.command("answer")
@click.argument("request_id", metavar="ID")
@click.argument("answer", nargs=-1, required=True)
@_url
@_token_file
@_output
def answer_interrupt(
    request_id: str, answer: Sequence[str], url: str | None, token_file: str | None, output: str
) -> None:
    """
    Answer the permission or question ID.

    ANSWER is what a person would answer: yes, always, no or "no: reason" to a permission; a number, a label or own
    words to a question, one ANSWER for each if it asks several, or no to dismiss it.
    """
    told = _asked(lambda service: _answer(service, request_id, "\n".join(answer)), url, token_file)
    click.echo(json.dumps(told) if output == "json" else f"answered {told['request_id']}")


def _asked(ask: Callable[[Service], _T], url: str | None, token_file: str | None) -> _T:
    """Ask the service, and leave with the exit status that fits if that fails."""
    service = _service(url, token_file)
    try:
        with service:
            return ask(service)
    except (Refused, AmbiguousAnswer) as refused:
        _leave(str(refused), EXIT_REFUSED)
    except Unreachable as gone:
        _leave(str(gone), EXIT_UNREACHABLE)


def _service(url: str | None, token_file: str | None) -> Service:
    try:
        settings = load_settings(os.environ)
        token = token_in(token_file) if token_file is not None else settings.auth.bearer_token
    except (SettingsError, OSError, UnicodeDecodeError) as error:
        _leave(str(error), EXIT_USAGE)
    if not token:
        _leave("no token: give A2A_BEARER_TOKEN, A2A_BEARER_TOKEN_FILE or --token-file", EXIT_USAGE)
    return Service(url or settings.server.url, token)


def _leave(message: str, status: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)


# What waits


def _waiting(service: Service) -> list[Mapping[str, Any]]:
    methods = ("opencode.permissions.list", "opencode.questions.list")
    return [item for method in methods for item in service.call(method)["items"]]


def _cells(item: Mapping[str, Any]) -> Sequence[str]:
    until = "" if item["expires_at"] is None else moment(item["expires_at"])
    asks = _interrupt(item).prompt.splitlines()[0]
    return item["request_id"], item["interrupt_type"], item["task_id"], until, asks


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _interrupt(item: Mapping[str, Any]) -> Interrupt:
    """Read an item back as what is asked."""
    request, session, details = RequestId(item["request_id"]), SessionId(item["session_id"]), item["details"]
    if item["interrupt_type"] == "permission":
        return Permission(
            request, session, details["permission"], tuple(details["patterns"]), details=details["metadata"]
        )
    return Question(request, session, tuple(map(_inquiry, details["questions"])))


def _inquiry(told: Mapping[str, Any]) -> Inquiry:
    options = tuple(Option(option["label"], option["description"]) for option in told["options"])
    return Inquiry(told["question"], told["header"], options, told["multiple"], told["custom"])


# Answering


def _answer(service: Service, request_id: str, text: str) -> Mapping[str, Any]:
    """
    Answer as text is read everywhere; what no longer waits is told as a permission's verdict, for the service to judge.

    Raises:
        AmbiguousAnswer: The text does not say clearly what is meant.
        Refused, Unreachable: As the service answers.

    """
    asked = next((item for item in _waiting(service) if item["request_id"] == request_id), None)
    gone = Permission(RequestId(request_id), SessionId(""), "") if asked is None else None
    match read_answer(gone or _interrupt(asked or {}), text):
        case PermissionAnswer(verdict, reason):
            said = {"reply": verdict.value, **({"message": reason} if reason else {})}
            return service.call("a2a.interrupt.permission.reply", {"request_id": request_id, **said})
        case QuestionAnswer(answers):
            told = {"request_id": request_id, "answers": [list(labels) for labels in answers]}
            return service.call("a2a.interrupt.question.reply", told)
        case QuestionDismissed():  # pragma: no branch - the last kind
            return service.call("a2a.interrupt.question.reject", {"request_id": request_id})
