"""Environment files, as systemd reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from opencode_a2a_server.domain.instance import Refused

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPED = re.compile(r'\\(["\\`$])')


def read_environment(path: Path) -> dict[str, str]:
    """
    Read a file of NAME=VALUE lines; a value may be quoted.

    Raises:
        Refused: It cannot be read, or a line is none.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read ({error})") from error
    given: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        name, equals, value = stripped.removeprefix("export ").partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise Refused(f"{path}, line {number}: NAME=VALUE is wanted")  # never the line: it may hold a secret
        given[name] = _unquoted(value)
    return given


def write_environment(given: Mapping[str, str]) -> str:
    """
    Give the text of such a file; what is empty is left out.

    Raises:
        Refused: A value has more than one line.

    """
    lines = []
    for name, value in sorted(given.items()):
        if any(ord(letter) < ord(" ") for letter in value):
            raise Refused(f"{name}: a value of one line is wanted")
        if value:
            quoted = re.sub(r'(["\\`$])', r"\\\1", value)
            lines.append(f'{name}="{quoted}"\n')
    return "".join(lines)


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return _ESCAPED.sub(r"\1", value[1:-1])
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1]
    return value
