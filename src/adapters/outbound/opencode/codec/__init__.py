"""OpenCode's JSON to domain values and back. The only place that knows the names of its events."""

from opencode_a2a_server.adapters.outbound.opencode.wire import Malformed

from .answers import (
    decode_changes,
    decode_children,
    decode_found,
    decode_json,
    decode_messages,
    decode_path,
    decode_permissions,
    decode_questions,
    decode_session,
    decode_statuses,
    split_array,
)
from .data_urls import open_data_url
from .frames import Frame, decode_frame
from .interrupts import encode_answer
from .prompts import encode_part, encode_parts

__all__ = [
    "Frame",
    "Malformed",
    "decode_changes",
    "decode_children",
    "decode_found",
    "decode_frame",
    "decode_json",
    "decode_messages",
    "decode_path",
    "decode_permissions",
    "decode_questions",
    "decode_session",
    "decode_statuses",
    "encode_answer",
    "encode_part",
    "encode_parts",
    "open_data_url",
    "split_array",
]
