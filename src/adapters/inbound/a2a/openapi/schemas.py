"""
JSON Schemas of the SDK's types, collected as components of the document.

A protobuf message has two: what is *told* is ProtoJSON as we write it, what is *read* is all that ProtoJSON lets a
client write. Read are null for what is not given, whole numbers as text, and enums by their numbers; unknown fields are
ignored in both. What we refuse beyond that is added here by hand, and held true by the fuzzing tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias, cast

from attrs import define, field, frozen
from google.api import field_behavior_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message as ProtobufMessage

Schema: TypeAlias = dict[str, Any]
Make: TypeAlias = "Callable[[Schemas], Schema]"
"""A schema that is made when the document is: what it refers to becomes a component then."""

REF: Final = "#/components/schemas/"
_BOUND: Final = 256
_ID: Final[Schema] = {"maxLength": _BOUND}
_NEEDED: Final[Schema] = {"minLength": 1}

_FREE: Final[Mapping[str, Schema]] = {
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
}
"""Messages of protobuf's own which JSON has other words for."""

_SCALARS: Final[Mapping[int, Schema]] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
}

_REFUSED: Final[Mapping[str, Mapping[str, Schema]]] = {
    "lf.a2a.v1.Message": {
        "message_id": _ID | _NEEDED,
        "context_id": _ID,
        "task_id": _ID,
        "parts": {"minItems": 1},
    },
    "lf.a2a.v1.GetTaskRequest": {"id": _NEEDED},
    "lf.a2a.v1.CancelTaskRequest": {"id": _NEEDED},
    "lf.a2a.v1.SubscribeToTaskRequest": {"id": _NEEDED},
    "lf.a2a.v1.ListTasksRequest": {"context_id": _ID, "page_size": {"minimum": 1, "maximum": 100}},
    "lf.a2a.v1.ListTaskPushNotificationConfigsRequest": {"page_size": {"minimum": 0, "maximum": 100}},
    "lf.a2a.v1.TaskPushNotificationConfig": {"url": _NEEDED, "id": _ID},
}
"""What we refuse though the type would take it."""

_TAKEN: Final[Mapping[str, frozenset[str]]] = {
    "lf.a2a.v1.AuthenticationInfo": frozenset({"scheme"}),
}
"""What we take without, though the type wants it."""


class Model(Protocol):
    """A type of the SDK for 0.3, which makes its own schema."""

    @classmethod
    def model_json_schema(cls, by_alias: bool = ..., ref_template: str = ...) -> dict[str, Any]:  # noqa: FBT001 - theirs
        """Make it."""
        ...


ProtobufType: TypeAlias = type[ProtobufMessage]


@frozen
class _Family:
    """Which of a message's schemas is meant, and how that is named."""

    prefix: str = ""
    read: bool = False

    def name(self, descriptor: Descriptor | EnumDescriptor) -> str:
        """Name the component: what is read is so named if it is not only ever read."""
        suffix = "Input" if self.read and not descriptor.name.endswith("Request") else ""
        return f"{self.prefix}{descriptor.name}{suffix}"


@define(eq=False)
class Schemas:
    """The components so far."""

    named: dict[str, Schema] = field(factory=dict)

    def told(self, message: ProtobufType, prefix: str = "") -> Schema:
        """Refer to a message as we write it."""
        return self._message(_descriptor(message), _Family(prefix))

    def read(self, message: ProtobufType, prefix: str = "") -> Schema:
        """Refer to a message as we read it."""
        return self._message(_descriptor(message), _Family(prefix, read=True))

    def query(self, message: ProtobufType) -> Mapping[str, Schema]:
        """Give the fields of a request as parameters of a query: text has but one way to write a value."""
        descriptor = _descriptor(message)
        bounds = _REFUSED.get(descriptor.full_name, {})
        return {
            part.json_name: {**self._one(part, _Family()), **bounds.get(part.name, {})} for part in descriptor.fields
        }

    def model(self, model: type[Model], prefix: str) -> Schema:
        """Refer to a type which makes its own schema."""
        name = prefix + model.__name__
        if name not in self.named:
            made = model.model_json_schema(by_alias=True, ref_template=f"{REF}{prefix}{{model}}")
            for part, schema in made.pop("$defs", {}).items():
                self.named.setdefault(prefix + part, schema)
            self.named[name] = made
        return {"$ref": REF + name}

    def component(self, name: str, schema: Schema) -> Schema:
        """Keep a schema under a name; gives the reference to it."""
        self.named.setdefault(name, schema)
        return {"$ref": REF + name}

    def _message(self, descriptor: Descriptor, family: _Family) -> Schema:
        if descriptor.full_name in _FREE:
            return dict(_FREE[descriptor.full_name])
        name = family.name(descriptor)
        if name not in self.named:
            self.named[name] = {}  # it may refer to itself
            self.named[name] = self._object(descriptor, family)
        return {"$ref": REF + name}

    def _object(self, descriptor: Descriptor, family: _Family) -> Schema:
        bounds = _REFUSED.get(descriptor.full_name, {}) if family.read else {}
        needed = [part for part in descriptor.fields if _is_needed(part, family)]
        made: Schema = {
            "type": "object",
            "properties": {
                part.json_name: self._field(part, family, bounds.get(part.name, {}), needed=part in needed)
                for part in descriptor.fields
            },
        }
        if needed:
            made["required"] = [part.json_name for part in needed]
        for choice in descriptor.oneofs:
            if not choice.name.startswith("_"):  # those are how protobuf knows whether an optional field is there
                made["oneOf"] = [_chosen(part, family) for part in choice.fields]
        return made

    def _field(self, part: FieldDescriptor, family: _Family, bounds: Schema, *, needed: bool) -> Schema:
        made = self._many(part, family)
        if not family.read:
            return made
        if "$ref" not in made:
            made = {**made, **bounds}
        return made if needed else _or_null(made)

    def _many(self, part: FieldDescriptor, family: _Family) -> Schema:
        if part.message_type is not None and part.message_type.GetOptions().map_entry:
            value = part.message_type.fields_by_name["value"]
            return {"type": "object", "additionalProperties": self._one(value, family)}
        one = self._one(part, family)
        return {"type": "array", "items": one} if part.is_repeated else one

    def _one(self, part: FieldDescriptor, family: _Family) -> Schema:
        if part.message_type is not None:
            return self._message(part.message_type, family)
        if part.enum_type is not None:
            return self.component(family.name(part.enum_type), _enum(part.enum_type, family))
        made = dict(_SCALARS[part.type])
        if family.read and made["type"] == "integer":
            return {**made, "type": ["integer", "string"], "pattern": "^[0-9]{1,9}$"}
        return made


def told(message: ProtobufType, prefix: str = "") -> Make:
    """See `Schemas.told`."""
    return lambda schemas: schemas.told(message, prefix)


def read(message: ProtobufType, prefix: str = "") -> Make:
    """See `Schemas.read`."""
    return lambda schemas: schemas.read(message, prefix)


def model(of: type[Model], prefix: str) -> Make:
    """See `Schemas.model`."""
    return lambda schemas: schemas.model(of, prefix)


def any_of(*makes: Make) -> Make:
    """Give a schema which one of these fits."""
    return lambda schemas: {"anyOf": [make(schemas) for make in makes]}


def _descriptor(message: ProtobufType) -> Descriptor:
    return cast("Descriptor", message.DESCRIPTOR)  # typed as either implementation's


def _is_needed(part: FieldDescriptor, family: _Family) -> bool:
    behaviors = part.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    if field_behavior_pb2.REQUIRED not in behaviors:
        return False
    owner = cast("Descriptor", part.containing_type)
    return not (family.read and part.name in _TAKEN.get(owner.full_name, ()))


def _chosen(part: FieldDescriptor, family: _Family) -> Schema:
    """Give what holds if this field of a oneof is the one; null is no choice, but for a value that may be null."""
    chosen: Schema = {"required": [part.json_name]}
    free = part.message_type is not None and part.message_type.full_name == "google.protobuf.Value"
    if family.read and not free:
        chosen["properties"] = {part.json_name: {"not": {"type": "null"}}}
    return chosen


def _enum(descriptor: EnumDescriptor, family: _Family) -> Schema:
    """List the values; the first one is protobuf's word for none."""
    values = descriptor.values[1:]
    names: list[str | int] = [value.name for value in values]
    if family.read:
        return {"enum": [*names, *(value.number for value in values)]}
    return {"type": "string", "enum": names}


def _or_null(made: Schema) -> Schema:
    if not made:
        return made
    if "type" not in made:
        return {"anyOf": [made, {"type": "null"}]}
    kinds = made["type"] if isinstance(made["type"], list) else [made["type"]]
    return {**made, "type": [*kinds, "null"]}
