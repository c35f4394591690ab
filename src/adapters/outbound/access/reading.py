"""
Read a registry of credentials from TOML, or from JSON of the same shape.

    [[principal]]
    name = "ci"
    directories = ["projects/ci"]
    models = ["anthropic/*"]
    tokens_per_day = 2_000_000

    [[principal.credential]]
    id = "ci-2026"
    token = "sha256:…"
    scopes = ["read", "write"]
    expires = 2027-01-01T00:00:00Z

Nothing is guessed: what is unknown, misspelt or without effect is a problem, named with its place.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from opencode_a2a_server.domain.access import EVERYTHING, Caller, Capability, Grant, Quota, Reach, is_scope
from opencode_a2a_server.domain.ids import Principal

from .hashes import HashUnusable, PasswordHash, TokenHash
from .registry import Credential, Registry, Rule


class RegistryUnusable(Exception):
    """The registry cannot be used; each problem names its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def read_registry(path: Path, operations: Collection[str]) -> Registry:
    """
    Read a file; one whose name ends with `.json` is JSON.

    Args:
        path: The file.
        operations: The names that patterns among the scopes must fit at least one of.

    Raises:
        RegistryUnusable: With all problems at once.

    """
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise RegistryUnusable([f"{path} cannot be read ({error})"]) from error
    reader = _Reader(operations)
    registry = reader.registry(document)
    if reader.problems:
        raise RegistryUnusable([f"{path}: {problem}" for problem in reader.problems])
    return registry


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_switch(value: object) -> bool:
    return isinstance(value, bool)


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


_Check = tuple[Callable[[object], bool], str]
_TEXT: Final[_Check] = (_is_text, "a text")
_TEXTS: Final[_Check] = (_is_texts, "a list of texts")
_TABLES: Final[_Check] = (_is_tables, "written as [[...]] tables")
_COUNT: Final[_Check] = (_is_count, "a whole number greater than 0")

_DOCUMENT: Final = {"principal": _TABLES}
_PRINCIPAL: Final = {
    "name": _TEXT,
    "directories": _TEXTS,
    "models": _TEXTS,
    "requests": _COUNT,
    "turns": _COUNT,
    "tokens_per_day": _COUNT,
    "cost_per_day": (_is_amount, "a number greater than 0"),
    "credential": _TABLES,
}
_CREDENTIAL: Final = {
    "id": _TEXT,
    "token": _TEXT,
    "password": _TEXT,
    "user": _TEXT,
    "scopes": _TEXTS,
    "capabilities": _TEXTS,
    "expires": (_is_moment, "a date and time with a time zone, as 2027-01-01T00:00:00Z"),
    "enabled": (_is_switch, "true or false"),
}


@define
class _Reader:
    """Reads one document, and notes what is wrong with it."""

    operations: Collection[str]
    problems: list[str] = field(factory=list)
    _seen: dict[object, str] = field(factory=dict)

    def registry(self, document: object) -> Registry:
        if not isinstance(document, dict):
            self.problems.append("it must have [[principal]] tables")
            return Registry()
        listed = self._checked(document, _DOCUMENT, "top level").get("principal", [])
        credentials: list[Credential] = []
        rules: list[Rule] = []
        for number, table in enumerate(listed, 1):
            name = table.get("name")
            place = f"principal {number}" + (f" ({name})" if _is_text(name) else "")
            given = self._checked(table, _PRINCIPAL, place)
            if "name" not in given:
                self.problems.append(f"{place}: name is missing")
                continue
            rules.append(Rule(given["name"], self._reach(given, place)))
            self._once(("principal", given["name"]), place, f"there is another principal {given['name']}")
            credentials += self._credentials(given, place)
        return Registry(tuple(credentials), tuple(rules))

    def _reach(self, given: Mapping[str, Any], place: str) -> Reach:
        for pattern in given.get("directories", ()):
            segments = pattern.split("/")
            if pattern.startswith("/") or ".." in segments or "**" in segments[:-1]:
                self.problems.append(
                    f"{place}: directories: {pattern} must be relative to the workspace, without .., and with ** at the "
                    "end only"
                )
        quota = Quota(given.get("requests"), given.get("turns"), given.get("tokens_per_day"), given.get("cost_per_day"))
        return Reach(tuple(given.get("directories", ())), tuple(given.get("models", ())), quota)

    def _credentials(self, principal: Mapping[str, Any], at: str) -> Iterator[Credential]:
        name = principal["name"]
        if principal.get("credential") and any(sign in name for sign in "*?["):
            self.problems.append(f"{at}: a pattern of names can have no credentials of its own")
        for number, table in enumerate(principal.get("credential", ()), 1):
            place = f"{at}: credential {number}"
            given = self._checked(dict(_dated(table)), _CREDENTIAL, place)
            secret = self._secret(given, place)
            grant = self._grant(given, place)
            user = given.get("user", name) if isinstance(secret, PasswordHash) else ""
            if secret is None or not given.get("enabled", True):
                continue
            key = ("user", user, str(secret)) if user else ("token", str(secret))
            self._once(key, place, "another credential has the same secret")
            identity = given.get("id", f"{name}#{number}")
            self._once(("id", identity), place, f"another credential has the id {identity}")
            expires = given["expires"].timestamp() if "expires" in given else None
            yield Credential(Caller(Principal(name), identity, grant), secret, user, expires)

    def _secret(self, given: Mapping[str, Any], place: str) -> TokenHash | PasswordHash | None:
        kinds = [kind for kind in ("token", "password") if kind in given]
        if len(kinds) != 1:
            self.problems.append(f"{place}: give either token or password, as a hash")
            return None
        if kinds == ["token"] and "user" in given:
            self.problems.append(f"{place}: user goes with password only")
        if ":" in given.get("user", ""):
            self.problems.append(f"{place}: user must not have a colon: no client could send it")
        try:
            return TokenHash.read(given["token"]) if kinds == ["token"] else PasswordHash.read(given["password"])
        except HashUnusable as unusable:
            self.problems.append(f"{place}: {kinds[0]}: {unusable}")
            return None

    def _grant(self, given: Mapping[str, Any], place: str) -> Grant:
        scopes = tuple(given.get("scopes", (EVERYTHING,)))
        for scope in scopes:
            if not is_scope(scope, self.operations):
                words = ["read", "write", EVERYTHING, *self.operations]
                nearest = difflib.get_close_matches(scope, words, 1, 0)[0]
                self.problems.append(f"{place}: scopes: {scope} names no operation; did you mean {nearest}?")
        return Grant(scopes, self._capabilities(given.get("capabilities", ()), place))

    def _capabilities(self, named: Sequence[str], place: str) -> frozenset[Capability]:
        known = {capability.value: capability for capability in Capability}
        for name in named:
            if name not in known:
                nearest = difflib.get_close_matches(name, known, 1, 0)[0]
                self.problems.append(f"{place}: capabilities: there is no {name}; did you mean {nearest}?")
        return frozenset(known[name] for name in named if name in known)

    def _checked(self, table: Mapping[str, Any], known: Mapping[str, _Check], place: str) -> dict[str, Any]:
        given = {}
        for key, value in table.items():
            if key not in known:
                nearest = difflib.get_close_matches(key, known, 1, 0)[0]
                self.problems.append(f"{place}: there is no {key!r}; did you mean {nearest!r}?")
                continue
            fits, wanted = known[key]
            if fits(value):
                given[key] = value
            else:
                self.problems.append(f"{place}: {key} must be {wanted}")
        return given

    def _once(self, key: object, place: str, otherwise: str) -> None:
        if key in self._seen:
            self.problems.append(f"{place}: {otherwise} ({self._seen[key]})")
        self._seen[key] = place


def _dated(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Read what JSON has as a text and TOML as a time."""
    for key, value in table.items():
        if key == "expires" and isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                yield key, value
                continue
            yield key, moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        else:
            yield key, value
