"""
What never stands in a log line: secrets.

Two ways lead to that. Every secret that was configured is known by its value, and masked wherever it stands, however it
is written there: a message, a value, a traceback. Of those we cannot know, such as what clients send, the value is
masked behind a name that says what it is: `token`, `password`, `Authorization: Bearer ...`.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Final, Self
from urllib.parse import quote

from attrs import frozen

MASK: Final = "****"

_SHORTEST: Final = 4
"""Characters of a secret that is masked by its value; what is shorter would be found in every line."""
_LINE: Final = 16
"""Characters of a line of a secret of several lines, such as a key, that is masked by itself."""

_SECRETIVE: Final = (
    r"[\w.-]*(?:token|secret|passw(?:or)?d|api[_-]?key|apikey|authorization|cookie|credentials?|private[_-]?key)"
)
_VALUE: Final = r"""
    (?P<quote>\\*["'])            # a string of JSON or Python, perhaps inside another one: up to the same quote
        (?:(?!(?P=quote)).)*
    (?P=quote)?
  | (?:(?:bearer|basic|digest)\s+)?[^\s"'\\,;&)}\]]+
"""
_BY_NAME: Final = re.compile(
    rf"""
    (?P<name>(?<![\w.-]){_SECRETIVE})
    (?P<between>\\*["']?\s*[:=]\s*(?:b(?=["']))?|\\*["']\s*,\s*b?(?=\\*["']))  # "name": and ('name', b'value')
    (?:{_VALUE})
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BY_SCHEME: Final = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_IN_URL: Final = re.compile(r"(?<=://)([^/\s:@'\"]*):[^/\s@'\"]+(?=@)")
_JWT: Final = re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*")
_NOT_SECRET: Final = re.compile(r"[\w.-]*tokens$|^(?:max|input|output|total)_?tokens?", re.IGNORECASE)
"""Numbers of tokens are none."""


@frozen
class Redaction:
    """Masks secrets in a text."""

    _known: re.Pattern[str] | None

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Self:
        """Know these secrets."""
        written = {form for secret in secrets for form in _forms(secret)}
        longest_first = sorted(written, key=len, reverse=True)
        return cls(re.compile("|".join(map(re.escape, longest_first))) if longest_first else None)

    def __call__(self, text: str) -> str:
        """Give the text without them."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        text = _BY_NAME.sub(_masked, text)
        text = _BY_SCHEME.sub(rf"\1 {MASK}", text)
        text = _JWT.sub(MASK, text)
        return _IN_URL.sub(rf"\1:{MASK}", text)


def _masked(found: re.Match[str]) -> str:
    if _NOT_SECRET.search(found["name"]):
        return found[0]
    quote_mark = found["quote"] or ""
    return f"{found['name']}{found['between']}{quote_mark}{MASK}{quote_mark}"


def _forms(secret: str) -> Iterator[str]:
    """Give the ways in which a secret may be written."""
    lines = [line.strip() for line in secret.splitlines()]
    for part in (secret.strip(), *(line for line in lines if len(lines) > 1 and len(line) >= _LINE)):
        if len(part) < _SHORTEST or (part.startswith("-----") and part.endswith("-----") and "\n" not in part):
            continue
        yield part
        yield json.dumps(part)[1:-1]
        yield json.dumps(json.dumps(part)[1:-1])[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        yield repr(part)[1:-1]
        yield quote(part, safe="")
        yield b64encode(part.encode()).decode().rstrip("=")
