"""
How classes of facts are written as JSON and read back: small shapes, put together in tables.

A `Record` is an object of its class's fields with defaults left out, so a field that a later release adds (with a
default) is absent from older rows and reads as that default. A `Tagged` union says which of its records follows.
"""

from __future__ import annotations

import enum
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Protocol

import attrs
from attrs import Factory, define, field, frozen


class Shape(Protocol):
    """One kind of value: to what JSON can carry, and back."""

    def dump(self, value: Any) -> Any:
        """Give the value as JSON can carry it."""
        ...

    def load(self, raw: Any) -> Any:
        """Give the value which `dump` wrote."""
        ...


@frozen
class Plain:
    """Strings, numbers, JSON itself: written as they are."""

    def dump(self, value: Any) -> Any:
        """Write it as it is."""
        return value

    def load(self, raw: Any) -> Any:
        """Read it as it is."""
        return raw


@frozen
class Bytes:
    """Bytes; the JSON encoder writes them as base64."""

    def dump(self, value: bytes) -> bytes:
        """Leave them to the encoder."""
        return value

    def load(self, raw: str) -> bytes:
        """Read base64."""
        return b64decode(raw)


@frozen
class Choice:
    """A member of an enumeration, by its value."""

    kind: type[enum.Enum]

    def dump(self, value: enum.Enum) -> Any:
        """Write the value."""
        return value.value

    def load(self, raw: Any) -> enum.Enum:
        """Read the member."""
        return self.kind(raw)


@frozen
class Perhaps:
    """A value or None."""

    shape: Shape

    def dump(self, value: Any) -> Any:
        """Write the value if there is one."""
        return None if value is None else self.shape.dump(value)

    def load(self, raw: Any) -> Any:
        """Read the value if there is one."""
        return None if raw is None else self.shape.load(raw)


@frozen
class Each:
    """Several values of one shape, in the collection the class wants."""

    shape: Shape
    into: Callable[[Iterable[Any]], Any] = tuple

    def dump(self, value: Iterable[Any]) -> list[Any]:
        """Write a list."""
        return [self.shape.dump(one) for one in value]

    def load(self, raw: list[Any]) -> Any:
        """Read the collection."""
        return self.into(self.shape.load(one) for one in raw)


@frozen
class ById:
    """A dictionary of values which know their own key, in order."""

    shape: Shape
    key: str

    def dump(self, value: Mapping[Any, Any]) -> list[Any]:
        """Write the values."""
        return [self.shape.dump(one) for one in value.values()]

    def load(self, raw: list[Any]) -> dict[Any, Any]:
        """Read the values and key them."""
        values = [self.shape.load(one) for one in raw]
        return {getattr(one, self.key): one for one in values}


@define
class Record:
    """An object of one class, field by field, by the names its constructor has. Other fields than named are plain."""

    kind: type[Any]
    shapes: Mapping[str, Shape]
    _fields: tuple[tuple[str, Callable[[Any], Any], Shape, Any], ...] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        plain = Plain()
        self._fields = tuple(
            (known.alias, attrgetter(known.alias), self.shapes.get(known.alias, plain), known.default)
            for known in attrs.fields(self.kind)
            if hasattr(self.kind, known.alias)
        )

    def dump(self, value: Any) -> dict[str, Any]:
        """Write the fields that are not at their default."""
        return {
            name: shape.dump(own) for name, get, shape, default in self._fields if (own := get(value)) != _made(default)
        }

    def load(self, raw: Mapping[str, Any]) -> Any:
        """Read an object; names which a later release might have added are left alone."""
        return self.kind(**{name: shape.load(raw[name]) for name, _, shape, _ in self._fields if name in raw})


def record(kind: type[Any], /, **shapes: Shape) -> Record:
    """Describe a class: `record(Message, role=Choice(Role))`."""
    return Record(kind, shapes)


@define
class Tagged:
    """One of several records; `t` names which."""

    records: Mapping[str, Record]
    _tags: Mapping[type[Any], str] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._tags = {known.kind: tag for tag, known in self.records.items()}

    def dump(self, value: Any) -> dict[str, Any]:
        """Write the tag and the record."""
        tag = self._tags[type(value)]
        return {"t": tag, **self.records[tag].dump(value)}

    def load(self, raw: Mapping[str, Any]) -> Any:
        """Read the record its tag names."""
        return self.records[raw["t"]].load(raw)


def tagged(**records: Record) -> Tagged:
    """Describe a union: `tagged(text=record(TextPart), raw=record(RawPart, raw=Bytes()))`."""
    return Tagged(records)


def _made(default: Any) -> Any:
    return default.factory() if isinstance(default, Factory) else default  # type: ignore[arg-type]
