"""`data:` URLs, by which OpenCode passes files."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes


def open_data_url(url: str) -> tuple[str, bytes]:
    """
    Take a `data:` URL apart (RFC 2397).

    Raises:
        ValueError: It is none.

    """
    head, comma, data = url.partition(",")
    if not comma or head[:5].lower() != "data:":
        raise ValueError("it has no data")
    media_type, _, parameters = head[5:].partition(";")
    raw = unquote_to_bytes(data)
    if parameters.rpartition(";")[2].strip().lower() == "base64":
        try:
            raw = base64.b64decode(b"".join(raw.split()), validate=True)
        except binascii.Error as error:
            raise ValueError(f"its base64 is broken: {error}") from error
    return media_type or "text/plain", raw
