"""
Where a setting may come from: the environment, credentials of systemd, one TOML file; the first that has it counts.

The file has a table for each group of settings, with their names in the classes as keys:

    [server]
    port = 8000

    [auth]
    bearer_token_file = "/run/secrets/token"
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from .values import Secret, SettingsError

CONFIG: Final = "A2A_CONFIG_FILE"
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""What systemd calls the directory of what LoadCredential= names."""

_FILE: Final = "_FILE"


@frozen
class Given:
    """A value as it was given, by what it is called there, and where that is."""

    text: str
    name: str
    origin: str


@frozen
class ConfigFile:
    """The TOML file."""

    path: Path
    text: str = field(repr=False)
    tables: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> ConfigFile:
        """
        Read it.

        Raises:
            SettingsError: It cannot be read.

        """
        try:
            text = path.read_text(encoding="utf-8")
            return cls(path, text, tomllib.loads(text))
        except (OSError, ValueError, RecursionError) as error:
            raise SettingsError([f"{CONFIG}: {path} cannot be read ({error})"]) from error

    def find(self, group: str, key: str) -> Given | None:
        """
        Give what the file has for a setting.

        Raises:
            SettingsError: It is of no kind that a setting can have, or the file that it names cannot be read.

        """
        table = self.tables.get(group)
        if not isinstance(table, dict):
            return None
        in_file = f"{key}_file"
        if key in table and in_file in table:
            raise SettingsError([f"{self._place(group, key)}: given twice, also as {in_file}; drop one"])
        if in_file in table:
            return self._given(_read_file(table[in_file], self._place(group, in_file)), group, in_file)
        return None if key not in table else self._given(_text(table[key], self._place(group, key)), group, key)

    def unknown(self, known: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Name what no setting is called."""
        for group, table in self.tables.items():
            if group not in known:
                near = difflib.get_close_matches(group, known, 1, 0)[0]
                yield f"{self._place('', group)}: there is no table [{group}]; did you mean [{near}]?"
            elif not isinstance(table, dict):
                yield f"{self._place('', group)}: it must be the table [{group}]"
            else:
                names = [*known[group], *(f"{name}_file" for name in known[group])]
                for key in table:
                    if key not in names:
                        near = difflib.get_close_matches(key, names, 1, 0)[0]
                        yield f"{self._place(group, key)}: there is no such setting; did you mean {near}?"

    def _given(self, text: str, group: str, key: str) -> Given | None:
        place = self._place(group, key)
        return Given(text, place, place) if text else None

    def _place(self, group: str, key: str) -> str:
        """Name a key by its line, as well as that can be found."""
        header, inside = re.compile(r"\s*\[+\s*([^\]]*?)\s*\]+"), ""
        for number, line in enumerate(self.text.splitlines(), 1):
            if found := header.match(line):
                inside = found[1].strip("\"'")
                if not group and inside == key:
                    return f"{self.path}, line {number}"
            elif inside == group and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
                return f"{self.path}, line {number}: {f'[{group}] ' if group else ''}{key}"
        return f"{self.path}: {f'[{group}] ' if group else ''}{key}"


@frozen
class Sources:
    """All of them."""

    environment: Mapping[str, str]
    file: ConfigFile | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Sources:
        """
        Open those that an environment names.

        Raises:
            SettingsError: The file cannot be read.

        """
        named = environment.get(CONFIG)
        return cls(environment, ConfigFile.read(Path(named)) if named else None)

    def find(self, group: str, key: str, names: Sequence[str], *, secret: bool) -> Given | None:
        """
        Give what there is for a setting, None if its default counts.

        Raises:
            SettingsError: It was given in a way that cannot be used.

        """
        for name in names:
            if (text := read_text(name, self.environment)) is not None:
                return Given(text, name, f"environment, {name}")
        if secret and (given := self._credential(names)) is not None:
            return given
        return None if self.file is None else self.file.find(group, key)

    def _credential(self, names: Sequence[str]) -> Given | None:
        folder = self.environment.get(CREDENTIALS)
        for name in names if folder else ():
            for called in (name, name.lower()):
                path = Path(folder or "") / called
                if path.is_file():
                    return Given(_read_file(str(path), called), called, f"credential, {called}")
        return None


def read_text(name: str, environment: Mapping[str, str]) -> str | None:
    """Give the value of a variable or of the file it names; empty is not given."""
    path = environment.get(name + _FILE)
    if path:
        if environment.get(name):
            raise SettingsError([f"{name}: given twice, also as {name}{_FILE}; drop one"])
        return _read_file(path, name + _FILE) or None
    return environment.get(name, "").strip() or None


def is_secret(kind: object) -> bool:
    """Whether a setting of this type must not be shown."""
    return Secret in (kind, *getattr(kind, "__args__", ()))


def _read_file(path: object, name: str) -> str:
    try:
        return Path(str(path)).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{name}: {path} cannot be read ({error})"]) from error


def _text(value: object, place: str) -> str:
    """Write a value of TOML as the environment would have it."""
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value).strip()
        case list() if all(isinstance(one, str) for one in value):
            return ",".join(value)
    raise SettingsError([f"{place}: must be a text, a number, true or false, or a list of texts"])
