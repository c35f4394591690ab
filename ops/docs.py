"""
Writes into the documentation what the code knows best: settings, states, errors; and what the tests do: conformance.

`python ops/docs.py` writes; `python ops/docs.py --check` says whether anything would change (a test calls it so).
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

import attrs
import click

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file, from anywhere

from opencode_a2a_server.adapters.inbound.a2a import errors
from opencode_a2a_server.adapters.inbound.a2a.card.contracts import ALIASES
from opencode_a2a_server.adapters.inbound.a2a.methods import contracts
from opencode_a2a_server.adapters.inbound.a2a.methods.read import fields_of
from opencode_a2a_server.adapters.inbound.a2a.methods.row import ExtensionMethod
from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE
from opencode_a2a_server.adapters.outbound.prometheus import Gauges, PrometheusMeter
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.app.cli import main as main_command
from opencode_a2a_server.app.cli.exits import MEANINGS
from opencode_a2a_server.app.settings import WITHOUT_EFFECT, every_setting, keys
from opencode_a2a_server.domain.state import INTERRUPTED, TERMINAL, TRANSITIONS, TaskState
from ops.conformance.verdict import known_wrong
from tests.conformance.clauses import Clause, editions, marked_tests

DOCS = Path(__file__).resolve().parents[1] / "docs"


def settings() -> str:
    """List each setting with its default."""
    lines: list[str] = []
    group: type | None = None
    tables = keys()
    for owner, setting in every_setting():
        if owner is not group:
            group = owner
            lines += ["", f"## {(owner.__doc__ or '').strip().splitlines()[0]}", ""]
            lines += [f"Table `[{tables[owner]}]` of the file.", ""]
            lines += ["| name | key | default | meaning |", "|---|---|---|---|"]
        name, *also = setting.metadata["names"]
        doc = setting.metadata["doc"].replace("|", "\\|")
        doc += f" Also `{'`, `'.join(also)}`." if also else ""
        lines.append(f"| `{name}` | `{setting.name}` | {_default(setting.default)} | {doc} |")
    lines += ["", "## Names of opencode-a2a-server 0.2 without effect", ""]
    lines += ["They are taken, and named when the service starts.", "", "| name | why |", "|---|---|"]
    lines += [f"| `{name}` | {why} |" for name, why in WITHOUT_EFFECT.items()]
    return "\n".join(lines).strip()


def _default(value: object) -> str:
    if value in (None, ""):
        return ""
    return f"`{value.value if isinstance(value, Enum) else value}`"


def states() -> str:
    """Draw the state machine."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> submitted"]
    lines += [
        f"    {_node(state)} --> {_node(following)}"
        for state in TaskState
        for following in TaskState
        if following in TRANSITIONS[state] and following is not state
    ]
    lines += [f"    {_node(state)} --> [*]" for state in TaskState if state in TERMINAL]
    lines += [
        "```",
        "",
        f"Terminal, and final: {_names(TERMINAL)}. Interrupted, waiting for somebody: {_names(INTERRUPTED)}.",
    ]
    return "\n".join(lines)


def _node(state: TaskState) -> str:
    return state.value.replace("-", "_")


def _names(states_: frozenset[TaskState]) -> str:
    return ", ".join(state.value for state in TaskState if state in states_)


def error_table() -> str:
    """List what each refusal is on the wire."""
    lines = ["| reason | JSON-RPC | HTTP | status | meaning |", "|---|---|---|---|---|"]
    for refusal, row in sorted(errors.TABLE.items(), key=lambda item: -item[1].code):
        meaning = (refusal.__doc__ or "").strip().splitlines()[0]
        lines.append(f"| `{row.reason}` | {row.code} | {row.http} | `{row.status}` | {meaning} |")
    return "\n".join(lines)


def clauses() -> str:
    """List what the specifications demand, and which tests hold us to it."""
    lines: list[str] = []
    found = marked_tests()
    for edition in editions():
        lines += ["", f"## {edition.title}", "", "| clause | what it demands | tested by |", "|---|---|---|"]
        lines += [
            f"| {one.number} | {one.demands} | {_tested(one, found.get(one.number, ()))} |" for one in edition.clauses
        ]
    return "\n".join(lines).strip()


def _tested(clause: Clause, tests: Sequence[str]) -> str:
    if clause.no_test:
        return f"*none*: {clause.no_test}"
    names = ", ".join(f"[{name}](../../{path})" for path, name in (test.split("::") for test in tests))
    return f"{names} ({clause.note})" if clause.note else names


def wrong_checks() -> str:
    """List the checks of the official suite that are wrong."""
    lines = ["| edition | check | over | why it is wrong | the SDK's server |", "|---|---|---|---|---|"]
    lines += [
        f"| {wrong.edition} | {wrong.check} | {', '.join(wrong.bindings) or 'all'} | {wrong.reason} "
        f"| {'fails it, too' if wrong.reference else ''} |"
        for wrong in known_wrong()
    ]
    return "\n".join(lines)


def methods() -> str:
    """List the extension methods, by extension."""
    lines: list[str] = []
    for uri in dict.fromkeys(method.extension for method in TABLE):
        lines += ["", f"## `{uri}`", ""]
        if others := ALIASES.get(uri):
            lines += [f"Also known as `{'`, `'.join(others)}`.", ""]
        lines += ["| method | parameters | gives | risk | since | |", "|---|---|---|---|---|---|"]
        for method in TABLE:
            if method.extension == uri:
                lines.append(_method(method))
    return "\n".join(lines).strip()


def _method(method: ExtensionMethod) -> str:
    named = [
        f"**`{name}`**" if needed else f"`{name}`"
        for name, needed in sorted(fields_of(method.params), key=lambda field: not field[1])
    ]
    gives = ", ".join(f"`{name}`" for name in method.answer.fields)
    gives += f" ({method.answer.items_type or method.answer.type})" if method.answer.type else ""
    summary = method.summary.replace("|", "\\|") + (f" Needs `{method.setting}=true`." if method.setting else "")
    return f"| `{method.name}` | {', '.join(named)} | {gives} | {method.risk.value} | {method.since} | {summary} |"


def method_errors() -> str:
    """List the errors of extension methods that have names of their own."""
    codes = contracts.business_codes(TABLE)
    lines = ["| type | code |", "|---|---|"]
    lines += [f"| `{name}` | {code} |" for name, code in sorted(codes.items(), key=lambda item: -item[1])]
    return "\n".join(lines)


def metrics() -> str:
    """List the metrics."""
    meter = PrometheusMeter(SystemClock())
    meter.show(Gauges(*[int] * len(attrs.fields(Gauges))))
    lines = ["| metric | kind | labels | what |", "|---|---|---|---|"]
    for told in sorted(meter.described, key=lambda one: one.name):
        labels = ", ".join(f"`{label}`" for label in told.labels)
        lines.append(f"| `{told.name}` | {told.kind} | {labels} | {told.doc} |")
    return "\n".join(lines)


def commands() -> str:
    """List the commands with their arguments and options, as click has them."""
    lines: list[str] = []
    _describe(main_command, click.Context(main_command, info_name="opencode-a2a-server"), lines)
    return "\n".join(lines).strip()


def _describe(command: click.Command, context: click.Context, lines: list[str]) -> None:
    if context.parent is not None:
        lines += ["", f"## `{context.command_path}`", ""]
        words = " ".join([context.command_path, *command.collect_usage_pieces(context)])
        lines += ["```", words, "```", "", inspect.cleandoc(command.help or "").replace("\b\n", "")]
        if options := [one for one in command.params if isinstance(one, click.Option) and not one.hidden]:
            lines += ["", "| option | |", "|---|---|"]
            lines += [_option(one, context) for one in options]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                _describe(inner, click.Context(inner, info_name=name, parent=context), lines)


def _option(option: click.Option, context: click.Context) -> str:
    names, says = option.get_help_record(context) or ("", "")
    names, says = (" ".join(text.split()).replace("|", "\\|") for text in (names, says))
    return f"| `{names}` | {says} |"


def exits() -> str:
    """List the exit statuses."""
    lines = ["| status | meaning |", "|---|---|"]
    return "\n".join(lines + [f"| {status} | {meaning} |" for status, meaning in MEANINGS.items()])


SECTIONS = {
    "how-to/observe.md": {"metrics": metrics},
    "reference/cli.md": {"exits": exits, "commands": commands},
    "reference/methods.md": {"methods": methods, "method errors": method_errors},
    "how-to/conformance.md": {"wrong": wrong_checks},
    "reference/conformance.md": {"clauses": clauses},
    "reference/settings.md": {"settings": settings},
    "reference/protocol.md": {"errors": error_table},
    "why/architecture.md": {"states": states},
}


def main() -> int:
    """Write, or check."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, sections in SECTIONS.items():
        path = DOCS / name
        text = written = path.read_text(encoding="utf-8")
        for section, make in sections.items():
            begin, end = f"<!-- begin: {section} -->", f"<!-- end: {section} -->"
            body = f"{begin}\n\n{make()}\n\n{end}"
            written = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: body, written, flags=re.DOTALL)  # noqa: B023
        if written != text:
            stale.append(name)
            if not check:
                path.write_text(written, encoding="utf-8")
    if check and stale:
        print(f"out of date, run `python ops/docs.py`: {', '.join(stale)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
