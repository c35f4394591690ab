"""Updates as the messages of a stream: made once for all readers, of what JSON tells."""

from __future__ import annotations

from typing import Any, Final, Self, TypeVar

import msgspec
from attrs import define, field, frozen
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from opencode_a2a_server.adapters.inbound.a2a import shared
from opencode_a2a_server.adapters.inbound.a2a.encode import Encoder
from opencode_a2a_server.adapters.inbound.a2a.shared import Telling
from opencode_a2a_server.domain.ids import ArtifactId, Seq
from opencode_a2a_server.domain.updates import ArtifactTold, Entry, TextAppended

_M = TypeVar("_M", bound=Message)

_decode: Final = msgspec.json.Decoder().decode


def read(told: bytes, message: _M) -> _M:
    """Read what JSON tells into a message; what the message has no field for is left out."""
    return ParseDict(_decode(told), message, ignore_unknown_fields=True)


@define(eq=False)
class Frames:
    """
    One task's updates as the StreamResponses of one version, encoded.

    A reader has its own, but what one has made stays with the entry, and the others take it from there.
    """

    encoder: Encoder
    response: type[Message]
    _name: str = field(init=False)
    """By which an entry keeps what is made of it."""
    _moulds: dict[ArtifactId, _Mould] = field(factory=dict, init=False)

    @_name.default
    def _named(self) -> str:
        return f"{self.encoder.shape.version}, gRPC"

    def __call__(self, entry: Entry) -> bytes:
        """Encode an entry; empty for one which clients are not told of."""
        update = entry.update
        if type(update) is ArtifactTold:  # it may be told as another kind of block now
            self._moulds.pop(update.artifact, None)
        made: bytes | None = entry.encodings.get(self._name)
        if made is None:
            made = self._text(update, entry) if type(update) is TextAppended else self._read(entry)
            entry.encodings[self._name] = made
        return made

    def _read(self, entry: Entry) -> bytes:
        told = self.encoder(entry)
        return read(told, self.response()).SerializeToString() if told else b""

    def _text(self, update: TextAppended, entry: Entry) -> bytes:
        if self.encoder.shape.telling is Telling.NOTHING:
            return self._read(entry)
        mould = self._moulds.get(update.artifact)
        if mould is None:
            mould = self._moulds[update.artifact] = _Mould.of(read(self.encoder(entry), self.response()))
        try:
            return mould.cast(update, shared.cursor(self.encoder.task.id, entry.seq), entry.seq)
        except UnicodeEncodeError:  # half a surrogate pair; JSON has put it right
            return self._read(entry)


@frozen
class _Mould:
    """
    A response with a piece of text, for all pieces of its artifact.

    Filling in what differs costs a twentieth of making it: nearly all of a piece is metadata, which stays the same.
    """

    response: Any
    part: Any
    event_id: Any
    sequence: Any

    @classmethod
    def of(cls, response: Any) -> Self:
        artifact = response.artifact_update.artifact
        stream = artifact.metadata["shared"]["stream"].fields
        return cls(response, artifact.parts[0], stream["event_id"], stream["sequence"])

    def cast(self, update: TextAppended, event_id: str, seq: Seq) -> bytes:
        self.part.text = update.text
        self.event_id.string_value = event_id
        self.sequence.number_value = seq
        self.response.artifact_update.last_chunk = update.last
        made: bytes = self.response.SerializeToString()
        return made
