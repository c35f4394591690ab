"""The specification's demands on a server, by number: `clauses.toml` has them, tests name them."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest
from attrs import frozen

TESTS = Path(__file__).parents[1]
LIST = Path(__file__).with_name("clauses.toml")


@frozen
class Clause:
    """One demand."""

    number: str
    demands: str
    no_test: str = ""
    """Why none can have a test."""
    note: str = ""


@frozen
class Edition:
    """A version of the specification."""

    version: str
    title: str
    clauses: tuple[Clause, ...]


@cache
def editions() -> Sequence[Edition]:
    """Read the list."""
    read = tomllib.loads(LIST.read_text(encoding="utf-8"))["edition"]
    return [Edition(one["version"], one["title"], tuple(Clause(**clause) for clause in one["clauses"])) for one in read]


def known() -> frozenset[str]:
    """Give all numbers."""
    return frozenset(clause.number for edition in editions() for clause in edition.clauses)


def clause(*numbers: str) -> pytest.MarkDecorator:
    """
    Mark a test as one of a demand, or of several.

    Raises:
        LookupError: There is no demand of that number.

    """
    if missing := set(numbers) - known():
        raise LookupError(f"clauses.toml has no {', '.join(sorted(missing))}")
    return pytest.mark.clause(*numbers)


def marked_tests() -> Mapping[str, Sequence[str]]:
    """Find the tests that are marked, as `path::name`, by number; nothing is imported."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for number, name in _marked(path):
            found.setdefault(number, []).append(f"{path.relative_to(TESTS.parent).as_posix()}::{name}")
    return found


def _marked(path: Path) -> Iterator[tuple[str, str]]:
    source = path.read_text(encoding="utf-8")
    if "clause(" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "clause":
                    yield from ((str(ast.literal_eval(number)), node.name) for number in mark.args)
