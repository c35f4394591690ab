"""Messages of clients, as OpenCode takes them: a prompt of parts."""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import unquote

import msgspec

from opencode_a2a_server.domain.errors import ContentTypeNotSupported, InvalidRequest
from opencode_a2a_server.domain.message import DataPart, Json, Message, Part, RawPart, TextPart, UrlPart

from .data_urls import open_data_url

_Body: TypeAlias = Mapping[str, Json]

_TAKEN = "text, JSON and other textual data, images and PDF"
_UNKNOWN = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""Media types which say nothing."""
_TEXTUAL = re.compile(
    r"text/.*|.*\+(json|xml|yaml)|application/(x-)?(json|jsonl|json-lines|ndjson|json-seq|xml|xml-dtd|yaml|toml|csv|sql"
    r"|graphql|javascript|ecmascript|typescript|sh|shellscript|httpd-php|python|perl|ruby|tex|latex|patch|diff|subrip"
    r"|www-form-urlencoded)"
)
_PASSED = re.compile(r"image/.+|application/pdf")
_GUESSES = mimetypes.MimeTypes()  # its own tables only, not those of the machine


def encode_parts(message: Message) -> Sequence[_Body]:
    """
    Give the parts of a prompt.

    OpenCode's sessions are poisoned for ever by a file of a type its model library does not know: files are passed as
    images, PDF or plain text, or not at all. Its server reads any `file:` URL for whoever asks: which ones may be named
    is not decided here (see `CheckPlace.files`).

    Raises:
        ContentTypeNotSupported: A part is nothing of that.
        InvalidRequest: A `data:` URL is none.

    """
    return [encode_part(part, f"parts[{index}]") for index, part in enumerate(message.parts)]


def encode_part(part: Part, where: str) -> _Body:
    """Give one part of a prompt, as `encode_parts` does; `where` is what an error calls its place."""
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case RawPart(raw, media_type, filename):
            return _encode_file(raw, media_type, filename)
        case DataPart(data, _, filename):
            readable = msgspec.json.format(msgspec.json.encode(data), indent=2)
            return _inline("text/plain", readable, filename or "data.json")
        case UrlPart():
            return _encode_reference(part, where)


def _encode_reference(part: UrlPart, where: str) -> _Body:
    scheme = part.url.partition(":")[0].lower()
    if scheme == "data":
        try:
            media_type, raw = open_data_url(part.url)
        except ValueError as error:
            raise InvalidRequest(f"this data: URL cannot be read ({error})", where) from error
        return _encode_file(raw, part.media_type or media_type, part.filename)
    if scheme == "https":
        about = ", ".join(word for word in (part.filename, part.media_type) if word)
        return {"type": "text", "text": f"Attached by reference{f' ({about})' if about else ''}: {part.url}"}
    if scheme == "file":
        return _encode_own_file(part)
    raise ContentTypeNotSupported(f"a file by a {scheme}: URL is not taken; send it inline, or by an https: URL")


def _encode_own_file(part: UrlPart) -> _Body:
    """Name a file of OpenCode's disk: what is no picture or PDF is read as text, since no other type is taken."""
    name = part.url.partition("?")[0].rpartition("/")[2]
    media_type = part.media_type.partition(";")[0].strip().lower()
    if media_type in _UNKNOWN:
        media_type = _GUESSES.guess_type(name)[0] or ""
    mime = media_type if _PASSED.fullmatch(media_type) else "text/plain"
    return {"type": "file", "mime": mime, "filename": part.filename or unquote(name) or "workspace", "url": part.url}


def _encode_file(raw: bytes, declared: str, filename: str) -> _Body:
    media_type = declared.partition(";")[0].strip().lower()
    if media_type in _UNKNOWN:
        media_type = _guess(raw, filename)
    if _TEXTUAL.fullmatch(media_type):
        return _inline("text/plain", raw, filename)  # no other type of text is read for the model
    if _PASSED.fullmatch(media_type):
        return _inline(media_type, raw, filename)
    what = " ".join(word for word in (declared or "a file of unknown type", filename and f"({filename})") if word)
    raise ContentTypeNotSupported(f"{what} is not taken; what is: {_TAKEN}")


def _inline(media_type: str, raw: bytes, filename: str) -> _Body:
    url = f"data:{media_type};base64,{base64.b64encode(raw).decode()}"
    return {"type": "file", "mime": media_type, "filename": filename or "attachment", "url": url}


def _guess(raw: bytes, filename: str) -> str:
    """Tell the type of a file of which only name and content are known: what is not named a picture may be text."""
    by_name = _GUESSES.guess_type(filename)[0] or ""
    if _PASSED.fullmatch(by_name):
        return by_name
    try:
        return by_name if "\0" in raw.decode() else "text/plain"
    except UnicodeDecodeError:
        return by_name
