"""
Requests to the service, each with something wrong: in its body, its headers, its path or its query.

What is right stands here; `mutation` says what becomes of it. Ids of tasks and the like are written as `$name` and filled
in by who sends the request: a service makes its own.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from opencode_a2a_server.adapters.inbound.a2a.methods.table import TABLE
from ops.fuzzing.mutation import Chance, spoil, spoil_bytes, written

Told = dict[str, Any]
Header = tuple[bytes, bytes]

ALICE: Final = b"Bearer fuzz-secret-token-of-alice"
BOB: Final = b"Bearer fuzz-secret-token-of-bob"


@frozen
class Request:
    """One request as it comes from the network."""

    number: int
    method: str
    path: bytes
    query: bytes
    headers: tuple[Header, ...]
    pieces: tuple[bytes, ...]
    """The body, as it arrives."""
    breaks_off: bool = False
    """Whether the client leaves in the middle of its body."""

    @property
    def told(self) -> Told:
        """Show it."""
        return {
            "number": self.number,
            "method": self.method,
            "path": self.path.decode("latin-1"),
            "query": self.query.decode("latin-1"),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers],
            "body": b64encode(b"".join(self.pieces)).decode(),
            "breaks_off": self.breaks_off,
        }


# What is right

_PARTS_1_0: Final = [
    {"text": "look at it", "metadata": {"a": 1}},
    {"data": {"number": 1, "list": [1, 2]}},
    {"url": "https://files.example/a.txt", "mediaType": "text/plain", "filename": "a.txt"},
    {"url": "file:///workspace/main/a.txt"},
    {"raw": "aGVsbG8=", "mediaType": "text/plain", "filename": "b.txt"},
]
_PARTS_0_3: Final = [
    {"kind": "text", "text": "look at it", "metadata": {"a": 1}},
    {"kind": "data", "data": {"number": 1}},
    {"kind": "file", "file": {"uri": "https://files.example/a.txt", "mimeType": "text/plain", "name": "a.txt"}},
    {"kind": "file", "file": {"bytes": "aGVsbG8=", "mimeType": "text/plain"}},
]
_METADATA: Final = {
    "shared": {
        "model": {"providerID": "anthropic", "modelID": "claude"},
        "session": {"id": "$session"},
        "agent": "build",
        "variant": "high",
    },
    "opencode": {"directory": "."},
    "trace": {"a": "b"},
}
_PUSH_1_0: Final = {
    "id": "mine",
    "url": "https://push.example/hook",
    "token": "t",
    "authentication": {"scheme": "Bearer", "credentials": "c"},
}
_PUSH_0_3: Final = {
    "id": "mine",
    "url": "https://push.example/hook",
    "token": "t",
    "authentication": {"schemes": ["Bearer"], "credentials": "c"},
}


def _message_1_0(**fields: Any) -> Told:
    return {
        "messageId": "$new",
        "role": "ROLE_USER",
        "parts": [{"text": "hello"}],
        "metadata": _METADATA,
        "extensions": ["urn:opencode-a2a:extension:shared-session-binding:v1"],
        "referenceTaskIds": ["$completed"],
        **fields,
    }


def _message_0_3(**fields: Any) -> Told:
    return {
        "kind": "message",
        "messageId": "$new",
        "role": "user",
        "parts": [{"kind": "text", "text": "hello"}],
        "metadata": _METADATA,
        **fields,
    }


_SEND_1_0: Final = {
    "message": _message_1_0(),
    "configuration": {
        "acceptedOutputModes": ["text/plain"],
        "historyLength": 3,
        "returnImmediately": True,
        "taskPushNotificationConfig": _PUSH_1_0,
    },
    "metadata": {"shared": {"model": {"providerID": "anthropic", "modelID": "claude"}}},
}
_SEND_0_3: Final = {
    "message": _message_0_3(),
    "configuration": {"acceptedOutputModes": ["text/plain"], "historyLength": 3, "blocking": False},
    "metadata": {},
}

RIGHT: Final[tuple[tuple[str, Any], ...]] = (
    ("SendMessage", _SEND_1_0),
    ("SendMessage", {"message": _message_1_0(parts=_PARTS_1_0)}),
    ("SendMessage", {"message": _message_1_0(taskId="$asking", parts=[{"text": "yes"}])}),
    ("SendMessage", {"message": _message_1_0(contextId="$context")}),
    ("SendStreamingMessage", {"message": _message_1_0()}),
    ("GetTask", {"id": "$completed", "historyLength": 2}),
    ("ListTasks", {"contextId": "$context", "status": "TASK_STATE_COMPLETED", "pageSize": 5, "pageToken": "",
                   "historyLength": 0, "statusTimestampAfter": "2026-01-01T00:00:00Z", "includeArtifacts": True}),
    ("ListTasks", {"pageToken": "WzE3MDAwMDAwMDAuMCwidCJd"}),
    ("CancelTask", {"id": "$asking", "metadata": {"why": "so"}}),
    ("SubscribeToTask", {"id": "$asking"}),
    ("CreateTaskPushNotificationConfig", {"taskId": "$asking", **_PUSH_1_0}),
    ("GetTaskPushNotificationConfig", {"taskId": "$asking", "id": "$config"}),
    ("ListTaskPushNotificationConfigs", {"taskId": "$asking", "pageSize": 2, "pageToken": ""}),
    ("DeleteTaskPushNotificationConfig", {"taskId": "$asking", "id": "$config"}),
    ("GetExtendedAgentCard", {}),
    ("message/send", _SEND_0_3),
    ("message/send", {"message": _message_0_3(parts=_PARTS_0_3)}),
    ("message/stream", {"message": _message_0_3()}),
    ("tasks/get", {"id": "$completed", "historyLength": 1}),
    ("tasks/cancel", {"id": "$asking"}),
    ("tasks/resubscribe", {"id": "$asking"}),
    ("tasks/pushNotificationConfig/set", {"taskId": "$asking", "pushNotificationConfig": _PUSH_0_3}),
    ("tasks/pushNotificationConfig/get", {"id": "$asking", "pushNotificationConfigId": "$config"}),
    ("tasks/pushNotificationConfig/list", {"id": "$asking"}),
    ("tasks/pushNotificationConfig/delete", {"id": "$asking", "pushNotificationConfigId": "$config"}),
    ("agent/getAuthenticatedExtendedCard", {}),
)  # fmt: skip
"""Calls of both protocol versions that would be taken."""

_OF_METHODS: Final[Told] = {
    "session_id": "$session",
    "message_id": "msg_1",
    "request_id": "$permission",
    "workspace_id": "wrk_1",
    "parent_id": "$session",
    "provider_id": "anthropic",
    "metadata": {"opencode": {"directory": "."}},
    "directory": ".",
    "limit": 5,
    "before": "1",
    "roots": True,
    "start": 0,
    "search": "x",
    "query": {"limit": 2},
    "title": "t",
    "reply": "once",
    "message": "because",
    "answers": [["S"]],
    "path": "a.txt",
    "pattern": "x",
    "type": "file",
    "mode": "git",
}
"""What extension methods are asked with, by the names of their fields."""
_REQUESTS: Final[tuple[Told, ...]] = (
    {"parts": [{"type": "text", "text": "hi"}], "noReply": True},
    {"parts": [{"type": "file", "url": "file:///workspace/main/a.txt", "mime": "text/plain"}], "model": {}},
    {"parts": [{"type": "text", "text": "hi"}], "schema": {"type": "object"}, "retryCount": 2},
    {"command": "init", "arguments": "", "model": {"providerID": "a", "modelID": "b"}},
    {"agent": "build", "command": "true"},
    {"providerID": "anthropic", "modelID": "claude", "auto": True},
    {"messageID": "msg_1", "partID": "prt_1"},
    {"directory": "other", "name": "n", "branch": "b", "type": "t", "extra": None},
)
_REST_BODIES: Final = {
    "/message:send": _SEND_1_0,
    "/message:stream": _SEND_1_0,
    "/tasks/$asking:cancel": {"metadata": {}},
    "/tasks/$asking:subscribe": {},
    "/tasks/$asking/pushNotificationConfigs": _PUSH_1_0,
    "/v1/message:send": {"request": {"messageId": "$new", "role": "ROLE_USER", "content": [{"text": "hi"}]}},
    "/v1/message:stream": _SEND_0_3,
    "/v1/tasks/$asking:cancel": {},
    "/v1/tasks/$asking/pushNotificationConfigs": {"config": _PUSH_0_3},
}
_REST_READS: Final = (
    "/tasks",
    "/tasks/$completed",
    "/tasks/$asking:subscribe",
    "/tasks/$asking/pushNotificationConfigs",
    "/tasks/$asking/pushNotificationConfigs/$config",
    "/extendedAgentCard",
    "/.well-known/agent-card.json",
    "/.well-known/jwks.json",
    "/health",
    "/openapi.json",
    "/extensions/session-binding/v1",
    "/v1/card",
    "/v1/tasks/$completed",
    "/v1/tasks/$asking/pushNotificationConfigs/$config",
    "/",
    "*",
)
_QUERIES: Final = (
    b"",
    b"historyLength=1",
    b"pageSize=3&pageToken=WzE3MDAwMDAwMDAuMCwidCJd&contextId=c&status=TASK_STATE_WORKING",
    b"includeArtifacts=true&statusTimestampAfter=2026-01-01T00:00:00Z",
    b"A2A-Version=1.0",
    b"a2a-version=0.3&tenant=x",
)
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "FOO", "get")


# What goes wrong


def made(seed: int, number: int) -> Request:
    """Make the request of a number."""
    chance = Chance.of(seed, number)
    if chance.happens(0.6):
        method, path, query, body = _call(chance)
    else:
        method, path, query, body = _rest(chance)
    breaks_off = bool(body) and chance.happens(0.02)
    return Request(number, method, path, query, _headers(chance, body), _pieces(chance, body), breaks_off)


def _call(chance: Chance) -> tuple[str, bytes, bytes, bytes]:
    if chance.happens(0.35):
        name, params = _extension(chance)
    else:
        name, params = chance.one_of(RIGHT)
    call: Any = {"jsonrpc": "2.0", "id": chance.one_of((1, "one", None, 1.5)), "method": name, "params": params}
    if chance.happens(0.1):
        call = [call, call] if chance.happens(0.5) else [call]
    body = _body(chance, call)
    return "POST", b"/", chance.one_of(_QUERIES) if chance.happens(0.05) else b"", body


def _extension(chance: Chance) -> tuple[str, Any]:
    method = chance.one_of(TABLE)
    fields = method.params.__struct_fields__
    params: Told = {name: _OF_METHODS[name] for name in fields if name in _OF_METHODS and chance.happens(0.8)}
    if "request" in fields:
        params["request"] = chance.one_of(_REQUESTS)
    return method.name, params


def _rest(chance: Chance) -> tuple[str, bytes, bytes, bytes]:
    if chance.happens(0.5):
        path, told = chance.one_of(list(_REST_BODIES.items()))
        method, body = "POST", _body(chance, told)
    else:
        path, method, body = chance.one_of(_REST_READS), "GET", b""
    raw, query = path.encode(), chance.one_of(_QUERIES)
    if chance.happens(0.3):
        raw = _spoil_path(chance, raw)
    if chance.happens(0.3):
        query = spoil_bytes(chance, query)
    if chance.happens(0.15):
        method = chance.one_of(_METHODS)
    return method, raw, query, body


def _spoil_path(chance: Chance, raw: bytes) -> bytes:
    match chance.randrange(6):
        case 0:
            return raw + chance.one_of((b"/", b"//", b"/..", b":", b":cancel", b"%00", b"%2f", b"%ff", b"?", b";a=b"))
        case 1:
            return b"/" + chance.one_of((b"tenant", b"v1", b"..", b"%2e%2e", b"%ED%A0%80", b"")) + raw
        case 2:
            return b"/" + chance.some_bytes(80).replace(b"?", b"")
        case 3:
            return raw.replace(b"$asking", chance.one_of((b"%F0%9F%98%80", b"a" * 3000, b" ", b"%0a", b"-", b"\xff")))
        case 4:
            return raw.upper()
    return spoil_bytes(chance, raw)


def _body(chance: Chance, told: Any) -> bytes:
    """Spoil it as a value, as bytes, or both; a few stay right, so that later ones find something."""
    if chance.happens(0.9):
        for _ in range(chance.randrange(1, 3)):
            told = spoil(chance, told)
    body = written(chance, told)
    return spoil_bytes(chance, body) if chance.happens(0.4) else body


def _headers(chance: Chance, body: bytes) -> tuple[Header, ...]:
    headers: list[Header] = [(b"host", b"agent.example")]
    if chance.happens(0.97):
        headers.append((b"authorization", _authorization(chance)))
    if body or chance.happens(0.1):
        headers.append((b"content-type", b"application/json"))
        headers.append((b"content-length", str(len(body)).encode()))
    headers.append((b"a2a-version", chance.one_of((b"1.0", b"0.3", b"", b"1.0.3"))))
    for name, values in _ODD_HEADERS.items():
        if chance.happens(0.04):
            value = chance.one_of(values)
            value = spoil_bytes(chance, value)[:4000] if chance.happens(0.3) else value
            headers = [header for header in headers if header[0] != name or chance.happens(0.3)]
            headers.append((name, value.replace(b"\r", b"").replace(b"\n", b"")))
    return tuple(headers)


def _authorization(chance: Chance) -> bytes:
    if chance.happens(0.95):
        return ALICE if chance.happens(0.5) else BOB
    return chance.one_of(_CREDENTIALS) if chance.happens(0.5) else spoil_bytes(chance, chance.one_of(_CREDENTIALS))


def _jwt(header: bytes, claims: bytes) -> bytes:
    encoded = (b64encode(part).rstrip(b"=") for part in (header, claims, b"signature"))
    return b"Bearer " + b".".join(encoded)


_CREDENTIALS: Final = (
    b"Bearer",
    b"Bearer nobody",
    b"Basic " + b64encode(b"alice:guess"),
    b"Basic " + b64encode(b"\xff\xfe:\x00"),
    b"Basic ====",
    b"Digest username=x",
    b"\xff",
    _jwt(b'{"alg":"none","typ":"at+jwt","kid":"first"}', b'{"iss":"http://127.0.0.1:9","sub":"alice"}'),
    _jwt(b'{"alg":"ES256","typ":"at+jwt","kid":1}', b'{"iss":"http://127.0.0.1:9"}'),
    _jwt(b'{"alg":"ES256","typ":"at+jwt","kid":"first"}', b"[" * 2000),
    _jwt(b'{"a":' * 2000, b"{}"),
    _jwt(b'{"alg":["ES256"],"kid":{}}', b"[1]"),
)
_ODD_HEADERS: Final[Mapping[bytes, Sequence[bytes]]] = {
    b"content-type": (
        b"",
        b"text/plain",
        b"application/json; charset=utf-16",
        b"application/a2a+json",
        b"multipart/form-data; boundary=x",
        b"application/x-www-form-urlencoded",
        b"application/x-msgpack",
        b"\xff/\xfe",
        b";",
    ),
    b"content-encoding": (b"gzip", b"identity", b"br, gzip", b"\xff"),
    b"content-length": (b"-1", b"0", b"99999999999999999999", b"abc", b"1, 2"),
    b"transfer-encoding": (b"chunked", b"gzip, chunked"),
    b"a2a-version": (b"9.9", b"1", b"v1.0", b"1.0.0.0", b"\xff", b"1" * 5000, b"0.3, 1.0"),
    b"a2a-extensions": (b"urn:none", b",,,", b"\xff" * 50, b"a," * 2000),
    b"last-event-id": (b"$completed:1", b"$asking:0", b"x:-1", b"x:" + b"9" * 5000, b":", b"\xff"),
    b"origin": (b"null", b"https://evil.example", b"http://[::1", b"https://agent.example:99999", b"\xff"),
    b"host": (b"", b"evil.example", b"[::1", b"agent.example:port", b"\xff", b"a" * 3000),
    b"accept": (b"text/event-stream", b"\xff", b"*/*;q=x"),
    b"accept-encoding": (b"gzip", b"gzip;q=nan", b"gzip;q=1e999", b";;,,q=", b"\xff"),
    b"if-none-match": (b"*", b'W/"', b"\xff", b'"a",' * 500),
    b"if-modified-since": (b"Sat, 99 Foo 99999 99:99:99 GMT", b"0", b"Thu, 01 Jan 1970 00:00:00 +9999", b"\xff"),
    b"forwarded": (b'for="[::1', b'for=1.2.3.4;host="a\\"b";proto=x', b'"' * 2000, b"for=,for=;,;", b"\xff"),
    b"x-forwarded-for": (b"1.2.3.4", b"unknown", b"1.2.3.4, ::ffff:1.2.3.4, x", b"," * 2000, b"\xff"),
    b"x-forwarded-host": (b"evil.example", b"a b", b"[", b"\xff"),
    b"x-forwarded-proto": (b"https", b"javascript", b""),
    b"x-forwarded-port": (b"99999999", b"-1", "²".encode("latin-1")),
    b"x-forwarded-prefix": (b"/../..", b"//evil.example", b"/a b"),
    b"traceparent": (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"00-0-0-0", b"ff-", b"\xff"),
    b"tracestate": (b"a=b", b"=" * 600, b"\xff"),
    b"x-request-id": (b"mine", b"a b\x00", b"x" * 3000, b"\xff"),
    b"access-control-request-method": (b"POST", b"\xff"),
    b"expect": (b"100-continue",),
    b"cookie": (b"a=b; c", b"\xff"),
    b"range": (b"bytes=0-1", b"bytes=-"),
    b"": (b"nameless",),
}


def _pieces(chance: Chance, body: bytes) -> tuple[bytes, ...]:
    """Cut a body as a network may."""
    if len(body) < 2 or chance.happens(0.8):  # noqa: PLR2004 - nothing to cut
        return (body,)
    cuts = sorted(chance.sample(range(1, len(body)), min(chance.randrange(1, 4), len(body) - 1)))
    return tuple(body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True))


def shown(request: Request) -> str:
    """Write a request down."""
    return json.dumps(request.told, indent=1)
