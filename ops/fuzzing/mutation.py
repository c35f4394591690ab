"""What is done to something right to make it wrong: always the same for the same seed and number."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

DEEP: Final = 3000
"""Brackets in each other; the interpreter gives up at a thousand."""

ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**31,
    2**63,
    -(2**63) - 1,
    10**400,
    10**4000,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    " ",
    "0",
    "null",
    "\x00",
    "\ud800",
    "\udfff\ud800",
    "\N{ZERO WIDTH JOINER}\N{RIGHT-TO-LEFT OVERRIDE}",
    "\U0010ffff",
    "x" * 5000,
    "../../etc/passwd",
    "/etc/passwd",
    "file:///etc/passwd",
    "file://\x00",
    "http://[::1",
    "http://169.254.169.254/latest",
    "https://user:pass@push.example/",
    "https://\N{LATIN SMALL LETTER SHARP S}.example:99999999/",
    "data:;base64,%%%",
    "data:text/plain;base64,aGk",
    "data:,",
    "%s%n{}{0}${x}",
    "1e999",
    "2026-13-45T99:99:99Z",
    "-0001-01-01T00:00:00Z",
    "ROLE_UNSPECIFIED",
    "TASK_STATE_WORKING",
    [],
    {},
    [[]],
    [None],
    [{}],
    {"": {}},
    {"__proto__": {"a": 1}},
    {"$ref": "#/"},
)


class Chance(random.Random):
    """What happens to one input."""

    @classmethod
    def of(cls, seed: int, number: int, purpose: str = "") -> Chance:
        """Give that of an input by its number."""
        return cls(f"{seed}:{number}:{purpose}")

    def happens(self, share: float) -> bool:
        """Say whether something happens that does in this share of cases."""
        return self.random() < share

    def one_of(self, choices: Sequence[_T]) -> _T:
        """Choose."""
        return self.choice(choices)

    def some_bytes(self, most: int = 64) -> bytes:
        """Make up bytes, of few kinds so that they meet."""
        alphabet = (
            b"\x00\x01\x7f\x80\xc3\xed\xa0\xff \t\r\n\"'\\/:,;=%[]{}()<>01aZ"
            if self.happens(0.5)
            else bytes(range(256))
        )
        return bytes(self.choices(alphabet, k=self.randrange(most)))


# Values


def spoil(chance: Chance, value: Any) -> Any:
    """Give a value with something wrong somewhere in it, the deeper the likelier."""
    if isinstance(value, dict) and value and chance.happens(0.85):
        return _spoil_object(chance, value)
    if isinstance(value, list) and value and chance.happens(0.85):
        place = chance.randrange(len(value))
        spoilt = [spoil(chance, item) if index == place else item for index, item in enumerate(value)]
        return [*spoilt, *spoilt] if chance.happens(0.1) else spoilt
    return _instead(chance, value)


def _spoil_object(chance: Chance, value: Mapping[str, Any]) -> Any:
    key = chance.one_of(list(value))
    rest = {name: item for name, item in value.items() if name != key}
    other = chance.one_of(list(value))
    changed: tuple[Any, ...] = (
        rest,
        {**value, chance.one_of(_NAMES): chance.one_of(ODD)},
        {**rest, chance.one_of((key.upper(), key + " ", "", "\ud800", snake(key))): value[key]},
        {**rest, key: [value[key]]},
        {**rest, key: {key: value[key]}},
        {**rest, key: value[other], other: value[key]},
    )
    which = chance.randrange(2 * len(changed))
    return changed[which] if which < len(changed) else {**rest, key: spoil(chance, value[key])}


def _instead(chance: Chance, value: Any) -> Any:
    match chance.randrange(8):
        case 0 if isinstance(value, str) and value:
            cut = chance.randrange(len(value))
            return value[:cut] + chance.one_of(("\x00", "\ud83d", "\n", "/", "..", "%")) + value[cut:]
        case 1 if isinstance(value, str):
            return value * chance.randrange(2, 40)
        case 2:
            return str(value)
        case 3:
            return nested(chance, value)
    return chance.one_of(ODD)


def nested(chance: Chance, value: Any) -> Any:
    """Wrap a value, as deep as Python itself can still write it."""
    for _ in range(chance.randrange(1, 300)):
        value = [value] if chance.happens(0.5) else {"a": value}
    return value


def snake(name: str) -> str:
    """Write a name as protobuf has it."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


_NAMES: Final = (
    "tenant",
    "id",
    "kind",
    "@type",
    "metadata",
    "params",
    "x",
    "",
    "a.b",
    "__class__",
    "taskId",
    "task_id",
)


# Bytes


def written(chance: Chance, value: Any) -> bytes:
    """Write JSON, now and then as nobody should."""
    text = json.dumps(value, ensure_ascii=chance.happens(0.5), separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def spoil_bytes(chance: Chance, data: bytes) -> bytes:
    """Give bytes with something wrong in them."""
    return chance.one_of(_SPOILERS)(chance, data)


def _cut(chance: Chance, data: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _flip(chance: Chance, data: bytes) -> bytes:
    changed = bytearray(data or b"{")
    for _ in range(chance.randrange(1, 4)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _put_in(chance: Chance, data: bytes) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.some_bytes(16) + data[place:]


def _repeat(chance: Chance, data: bytes) -> bytes:
    begin = chance.randrange(len(data) + 1)
    piece = data[begin : begin + chance.randrange(1, 40)]
    return data[:begin] + piece * chance.randrange(2, 60) + data[begin:]


def _twice_named(chance: Chance, data: bytes) -> bytes:
    """Name a key twice."""
    head, brace, rest = data.partition(b"{")
    key = chance.one_of((b'"id":1,', b'"method":"GetTask",', b'"params":{},', b'"jsonrpc":"1.0",', b'"message":null,'))
    return head + brace + key * chance.randrange(1, 3) + rest


def _deepen(chance: Chance, data: bytes) -> bytes:
    opening = chance.one_of((b"[", b'{"a":', b'[{"a":'))
    return opening * chance.randrange(1, DEEP) + data


def _number(chance: Chance, data: bytes) -> bytes:
    digits = chance.one_of((b"NaN", b"-Infinity", b"1e400", b"-0", b"01", b"1" * 5000, b"0." + b"9" * 400, b"1e-999"))
    place = data.find(b":", chance.randrange(len(data) + 1)) + 1
    return data[:place] + digits + b"," + data[place:] if place else digits


def _other_text(chance: Chance, data: bytes) -> bytes:
    return chance.one_of(
        (
            b"\xef\xbb\xbf" + data,
            data.decode("utf-8", "replace").encode("utf-16"),
            data.replace(b'"', b"'"),
            data.replace(b"e", b"\\u0065").replace(b"a", b"\\ud800"),
            data.replace(b"a", b"\xc0\x80"),
            data + data,
            b"",
            chance.some_bytes(200),
        )
    )


_SPOILERS: Final[tuple[Callable[[Chance, bytes], bytes], ...]] = (
    _cut,
    _flip,
    _put_in,
    _repeat,
    _twice_named,
    _deepen,
    _number,
    _other_text,
)
