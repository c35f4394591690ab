"""
Read rules from TOML.

    [[rule]]
    permission = "bash"
    pattern = "git status*"
    action = "allow-once"
    reason = "Looking is free."

Nothing is guessed: what is unknown, misspelt or without effect is a problem, named with its rule and line.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from opencode_a2a_server.domain.interrupt import Action, Kind
from opencode_a2a_server.domain.terms import Rule

_KEYS = tuple(known.name for known in attrs.fields(Rule))
_HEADER = re.compile(r"^\s*\[\[\s*(?:rule|\"rule\"|'rule')\s*\]\]")


class PolicyError(Exception):
    """The rules cannot be used; each problem names its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def read_policy(path: Path) -> tuple[Rule, ...]:
    """
    Read the rules of a file.

    Raises:
        PolicyError: With all problems at once.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError([f"{path} cannot be read ({error})"]) from error
    return parse_policy(text, str(path))


def parse_policy(text: str, name: str = "policy") -> tuple[Rule, ...]:
    """
    Read rules.

    Raises:
        PolicyError: With all problems at once.

    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyError([f"{name}: {error}"]) from error
    rules: list[Rule] = []
    problems = [f"{name}: there is no {key!r} here, only [[rule]]" for key in document if key != "rule"]
    listed = document.get("rule", [])
    if not isinstance(listed, list) or not all(isinstance(table, dict) for table in listed):
        raise PolicyError([*problems, f"{name}: rules are written as [[rule]] tables"])
    for place, table in zip(_places(text, len(listed)), listed, strict=True):
        wrong = list(_problems(table))
        problems += [f"{name}: {place}: {problem}" for problem in wrong]
        if not wrong:
            rules.append(_rule(table))
    if problems:
        raise PolicyError(problems)
    return tuple(rules)


def _places(text: str, count: int) -> Iterator[str]:
    """Name the rules, with the lines of their headers where they have headers."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if _HEADER.match(line)]
    for number in range(1, count + 1):
        yield f"rule {number} (line {lines[number - 1]})" if len(lines) == count else f"rule {number}"


def _problems(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1, 0)[0]
            yield f"there is no {key!r}; did you mean {near!r}?"
        elif not isinstance(value, str):
            yield f"{key} must be a text, not {value!r}"
        elif key != "reason" and not value:
            yield f"{key} is empty; leave it out to mean any"
    yield from _choice(table, "action", [action.value for action in Action], needed=True)
    yield from _choice(table, "kind", [kind.value for kind in Kind])
    if table.get("kind") == Kind.QUESTION.value:
        if table.get("action") == Action.ALLOW_ONCE.value:
            yield "a question cannot be allowed; action must be ask or reject"
        if "permission" in table:
            yield "a question has no permission; use pattern, which is held against its words"


def _choice(table: Mapping[str, Any], key: str, choices: Sequence[str], *, needed: bool = False) -> Iterator[str]:
    if key not in table:
        if needed:
            yield f"{key} is missing; it must be one of {', '.join(choices)}"
    elif isinstance(table[key], str) and table[key] not in choices:
        yield f"{key} must be one of {', '.join(choices)}, not {table[key]!r}"


def _rule(table: Mapping[str, str]) -> Rule:
    given = dict(table)
    action, kind = Action(given.pop("action")), Kind(given.pop("kind", Kind.PERMISSION.value))
    return Rule(action, kind=kind, **given)
