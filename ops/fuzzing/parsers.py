"""
What reads bytes or texts of others, and what it may do with those that are wrong: refuse them, in its own words.

Each parser is fed by `run`; whatever it raises there besides its own refusals is a finding, as is a promise that it breaks.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from attrs import frozen

from opencode_a2a_server.adapters.inbound.a2a import codec as messages
from opencode_a2a_server.adapters.inbound.a2a.auth import BearerTokens, Callers
from opencode_a2a_server.adapters.inbound.a2a.card.public_url import PublicUrl
from opencode_a2a_server.adapters.inbound.a2a.encode import to_json
from opencode_a2a_server.adapters.inbound.a2a.front import _Hosts, takes_gzip
from opencode_a2a_server.adapters.inbound.a2a.page_token import push_token_in, token_in, token_out
from opencode_a2a_server.adapters.inbound.a2a.parameters import check_version, read_cursor
from opencode_a2a_server.adapters.inbound.a2a.proxies import Proxies
from opencode_a2a_server.adapters.inbound.a2a.requests import read_json, read_list, read_send
from opencode_a2a_server.adapters.inbound.a2a.v03.push import object_in
from opencode_a2a_server.adapters.inbound.a2a.v03.requests import read_send_0_3
from opencode_a2a_server.adapters.inbound.a2a.wishes import wishes_in
from opencode_a2a_server.adapters.outbound.access.oidc import HttpFetch, OidcTokens
from opencode_a2a_server.adapters.outbound.access.reading import RegistryUnusable, read_registry
from opencode_a2a_server.adapters.outbound.access.static import read_static
from opencode_a2a_server.adapters.outbound.access.trust import Trust
from opencode_a2a_server.adapters.outbound.audit.chain import Link, verify
from opencode_a2a_server.adapters.outbound.opencode import codec as opencode
from opencode_a2a_server.adapters.outbound.opencode.history import decode_history, decode_spoken
from opencode_a2a_server.adapters.outbound.opencode.sse import SseParser
from opencode_a2a_server.adapters.outbound.policy.policy import PolicyError, parse_policy
from opencode_a2a_server.adapters.outbound.push.guard import Guard
from opencode_a2a_server.adapters.outbound.scripted.directives import ScriptError, read_directives
from opencode_a2a_server.adapters.outbound.signing.keys import KeyUnusable, SigningKeys
from opencode_a2a_server.app.cli.calling import CallFailed
from opencode_a2a_server.app.cli.verifying import judge
from opencode_a2a_server.app.settings import SettingsError, load_settings
from opencode_a2a_server.domain.errors import AgentFault, AmbiguousAnswer, Refusal
from opencode_a2a_server.domain.ids import RequestId, SessionId
from opencode_a2a_server.domain.interrupt import Inquiry, Option, Permission, Question, read_answer
from ops.fuzzing.calls import RIGHT
from tests.fakes.clock import TurnedClock

_T = TypeVar("_T")

_ROOT: Final = Path(__file__).parents[2]
_LOOP: Final[list[asyncio.AbstractEventLoop]] = []


@frozen
class Parser:
    """One parser."""

    name: str
    run: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]
    """What is right."""

    def __call__(self, data: bytes) -> None:
        """Feed it; what it refuses is well."""
        try:
            self.run(data)
        except self.refusals:
            return


def _await(awaitable: Awaitable[_T]) -> _T:
    if not _LOOP:
        _LOOP.append(asyncio.new_event_loop())
    return _LOOP[0].run_until_complete(_whole(awaitable))


async def _whole(awaitable: Awaitable[_T]) -> _T:
    return await awaitable


def _hold(promise: object, otherwise: str) -> None:
    if not promise:
        raise AssertionError(otherwise)


def closed() -> None:
    """Let go of what the parsers needed."""
    while _LOOP:
        _LOOP.pop().close()


# OpenCode's words


def _sse(data: bytes) -> None:
    """However a stream is cut, the same events come of it."""
    cut, stream = (data[0], data[1:]) if data else (1, b"")
    whole, pieces = SseParser(largest=4096), SseParser(largest=4096)
    at_once = whole.feed(stream)
    step = cut % 7 + 1
    one_by_one = [event for at in range(0, len(stream), step) for event in pieces.feed(stream[at : at + step])]
    _hold(one_by_one == at_once, f"{one_by_one!r} is not {at_once!r}")
    _hold(whole.dropped == pieces.dropped, "not the same events were dropped")


def _frame(data: bytes) -> None:
    opencode.decode_frame(data)


_ANSWERS: Final[tuple[Callable[[bytes], object], ...]] = (
    opencode.decode_json,
    opencode.split_array,
    opencode.decode_session,
    opencode.decode_found,
    opencode.decode_path,
    opencode.decode_children,
    opencode.decode_messages,
    opencode.decode_permissions,
    opencode.decode_questions,
    opencode.decode_statuses,
    opencode.decode_changes,
    decode_history,
    decode_spoken,
)


def _answers(data: bytes) -> None:
    """Any of the answers may be any JSON, or none."""
    for decode in _ANSWERS:
        try:
            decode(data)
        except AgentFault:
            continue


def _data_url(data: bytes) -> None:
    opencode.open_data_url(data.decode("latin-1"))


# What clients send


def _message(data: bytes) -> None:
    request = read_send(read_json(data))
    _retold(request.message)


def _message_0_3(data: bytes) -> None:
    _retold(read_send_0_3(object_in(read_json(data))).message)


def _retold(message: Any) -> None:
    """Whatever is taken can be told again, and to OpenCode."""
    told = to_json(messages.message_out(message))
    json.loads(told.decode())
    try:
        opencode.encode_parts(message)
        wishes_in(message.metadata, {})
    except Refusal:
        return


def _lists(data: bytes) -> None:
    read_list(read_json(data))


def _cursors(data: bytes) -> None:
    text = data.decode("latin-1")
    read_cursor(text)
    for read in (push_token_in, check_version):
        try:
            read(text)
        except Refusal:
            continue
    place = token_in(text)
    _hold(token_in(token_out(place)) == place, f"{place} is told otherwise than it is read")


def _headers(data: bytes) -> None:
    pieces = [*data.split(b"\n"), b"", b"", b"", b""]
    headers = list(zip((b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"host"), pieces, strict=False))
    _HOSTS.allow(pieces[3])
    takes_gzip(pieces[0])
    told = _PROXIES.client("10.0.0.1", headers)
    _hold(Proxies.at([told]).trust(told), f"{told} is no address")
    url = _BEHIND.of({"type": "http", "client": ("10.0.0.1", 1), "headers": headers})  # type: ignore[arg-type] # no more is looked at
    _hold(bool(httpx.URL(url).host), f"{url} is no URL")


_HOSTS: Final = _Hosts.of(["agent.example", "*.agents.example"])
_PROXIES: Final = Proxies.at(["10.0.0.0/8"])
_BEHIND: Final = PublicUrl.behind("http://127.0.0.1:8000", ["10.0.0.0/8"])


def _authorization(data: bytes) -> None:
    known = Callers((BearerTokens.of(["right"]), _OIDC), ("Bearer", "Basic"))
    _await(known([(b"authorization", data)], "127.0.0.1"))


def _key_set(data: bytes) -> None:
    """A provider may publish anything."""
    published = httpx.MockTransport(lambda _: httpx.Response(200, content=data))
    _await(OidcTokens.of(_TRUST, TurnedClock(), HttpFetch(published)).bearer(_TOKEN))


def _jwt(header: bytes, claims: bytes) -> bytes:
    parts = (header, claims, b"signature" * 8)
    return b".".join(b64encode(part, b"-_").rstrip(b"=") for part in parts)


_TRUST: Final = Trust("https://issuer.example", ("opencode",), jwks_url="https://issuer.example/jwks")
_TOKEN: Final = _jwt(b'{"alg":"ES256","typ":"at+jwt","kid":"first"}', b'{"iss":"https://issuer.example","sub":"a"}')
_KEY_SET: Final = (
    b'{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"first",'
    b'"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}'
)
_OIDC: Final = OidcTokens.of(
    _TRUST, TurnedClock(), HttpFetch(httpx.MockTransport(lambda _: httpx.Response(200, content=_KEY_SET)))
)


def _words(data: bytes) -> None:
    """A person's words may mean nothing, never break anything."""
    text = data.decode("utf-8", "replace")
    for interrupt in (_PERMISSION, _QUESTION):
        try:
            read_answer(interrupt, text)
        except AmbiguousAnswer:
            continue
    read_directives(text)


_NESTED: Final = b"[[delegate " * 400 + b'[[data {"a":[1]}]]' + b"]]" * 400
_PERMISSION: Final = Permission(RequestId("per_1"), SessionId("ses_1"), "bash", ("rm *",), ("rm *",))
_QUESTION: Final = Question(
    RequestId("que_1"),
    SessionId("ses_1"),
    (Inquiry("Which?", "", (Option("S"), Option("M")), multiple=True), Inquiry("Why?")),
)


def _push_url(data: bytes) -> None:
    Guard.of(_nobody, ["push.example"]).target(data.decode("latin-1"))


async def _nobody(_host: str, _port: int) -> Sequence[str]:
    return ()


# What operators write


def _within(data: bytes, name: str, read: Callable[[Path], object]) -> None:
    path = _FOLDER / name
    path.write_bytes(data)
    read(path)


_FOLDER: Final = Path(tempfile.mkdtemp(prefix="fuzz-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


def _registry(data: bytes) -> None:
    for name in ("credentials.toml", "credentials.json"):
        try:
            _within(data, name, lambda path: read_registry(path, ("SendMessage", "opencode.files.read")))
        except RegistryUnusable:
            continue
    read_static(data.decode("latin-1"))


def _config(data: bytes) -> None:
    _within(data, "config.toml", lambda path: load_settings({"A2A_CONFIG_FILE": str(path)}))


def _policy(data: bytes) -> None:
    parse_policy(data.decode("latin-1"))


def _signing_keys(data: bytes) -> None:
    SigningKeys.read(data.decode("latin-1"))


def _audit(data: bytes) -> None:
    _within(data, "audit.jsonl", lambda path: verify([path]))
    Link.after(data)


# What other agents publish


def _card(data: bytes) -> None:
    """Whatever a server gives for its card and its keys, there is a verdict or a word."""
    card, _, keys = data.partition(b"\n\n")

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=keys if "jwks" in request.url.path else card)

    async def verdict() -> object:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            return await judge(http, "https://agent.example", _SETTINGS, None)

    _await(verdict())


_SETTINGS: Final = load_settings({})


# All of them


def _seeds(methods: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(json.dumps(params).encode() for name, params in RIGHT if name in methods)


def _recorded() -> Iterator[bytes]:
    """Give what OpenCode said once, a few of each kind."""
    seen: dict[bytes, int] = {}
    for path in sorted((_ROOT / "tests" / "data" / "opencode").glob("*/*.sse")):
        for event in SseParser().feed(path.read_bytes() + b"\n\n"):
            kind = event.partition(b'"type":"')[2].partition(b'"')[0]
            seen[kind] = seen.get(kind, 0) + 1
            if seen[kind] <= 3 and len(event) < 4000:  # noqa: PLR2004 - a few
                yield event


_SIGNED: Final[Mapping[str, Any]] = {
    "name": "a",
    "description": "b",
    "version": "1",
    "supportedInterfaces": [
        {"url": "https://agent.example", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
    ],
    "capabilities": {"streaming": True},
    "defaultInputModes": ["text/plain"],
    "defaultOutputModes": ["text/plain"],
    "skills": [],
    "signatures": [
        {
            "protected": b64encode(
                b'{"alg":"ES256","kid":"first","typ":"JOSE","jku":"https://agent.example/.well-known/jwks.json"}'
            ).decode(),
            "signature": b64encode(b"s" * 64).decode().rstrip("="),
        }
    ],
}
_CREDENTIALS: Final = (
    b'[[principal]]\nname = "ci"\ndirectories = ["projects/ci"]\nmodels = ["anthropic/*"]\nrequests = 60\n'
    b"turns = 2\ntokens_per_day = 2_000_000\ncost_per_day = 10.0\n[[principal.credential]]\nid = 'a'\n"
    b'token = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"\n'
    b'scopes = ["read", "SendMessage"]\nexpires = 2027-01-01T00:00:00Z\n'
)

PARSERS: Final[tuple[Parser, ...]] = (
    Parser(
        "opencode-sse",
        _sse,
        (),
        (b"\x02data: a\n\ndata: b\r\ndata: c\r\r:x\n\nid: 1\n\n", b"\x00\xef\xbb\xbfdata:x\n\n"),
    ),
    Parser("opencode-events", _frame, (AgentFault,), tuple(_recorded())),
    Parser(
        "opencode-answers",
        _answers,
        (),
        (
            b'[{"info":{"id":"msg_1","role":"user","sessionID":"ses_1","time":{"created":1}},"parts":[{"type":"file",'
            b'"id":"p","messageID":"m","sessionID":"s","mime":"text/plain","url":"data:text/plain;base64,aGk="}]}]',
            b'{"id":"ses_1","directory":"/w","title":"t","time":{"created":1,"updated":2},"parentID":"ses_0"}',
            b'[{"id":"per_1","sessionID":"ses_1","permission":"bash","patterns":["rm *"],"always":[],"metadata":{}}]',
            b'[{"id":"que_1","sessionID":"ses_1","questions":[{"question":"q","header":"h","options":[{"label":"S"}]}]}]',
            b'{"ses_1":{"type":"busy"}}',
        ),
    ),
    Parser("data-urls", _data_url, (ValueError,), (b"data:text/plain;base64,aGk=", b"data:,a%20b", b"data:;x=y,z")),
    Parser("messages-1.0", _message, (Refusal,), _seeds(("SendMessage", "SendStreamingMessage"))),
    Parser("messages-0.3", _message_0_3, (Refusal,), _seeds(("message/send", "message/stream"))),
    Parser("lists", _lists, (Refusal,), _seeds(("ListTasks",))),
    Parser("cursors", _cursors, (Refusal,), (b"WzE3MDAwMDAwMDAuMCwidCJd", b"task-1:7", b"1.0", b"0.3.0", b"WzEsIiJd")),
    Parser(
        "headers",
        _headers,
        (),
        (
            b'for="[2001:db8::7]:4711";proto=https;host="a.example:8443"\n203.0.113.7, 10.0.0.2\na.example\nagent.example',
            b"gzip;q=0.5, *;q=0\n1.2.3.4\n[::1]:80\n[::1]:80",
        ),
    ),
    Parser("authorization", _authorization, (Refusal,), (b"Bearer right", b"Basic b3BzOnA=", b"Bearer " + _TOKEN)),
    Parser("key-sets", _key_set, (Refusal,), (_KEY_SET,)),
    Parser(
        "words",
        _words,
        (ScriptError,),
        (b"no: because", b"1, S\nwhy", b"[[delegate [[say hi]]]] [[tool bash {} = a]]", _NESTED),
    ),
    Parser(
        "push-urls", _push_url, (Refusal,), (b"https://push.example:8443/a?b#c", b"http://[::1]/", b"https://u:p@h/")
    ),
    Parser(
        "credentials",
        _registry,
        (RegistryUnusable,),
        (_CREDENTIALS, b'[{"scheme":"bearer","principal":"a","token":"t"}]', b'{"principal":[{"name":"a"}]}'),
    ),
    Parser(
        "settings",
        _config,
        (SettingsError,),
        (b'[server]\nport = 8000\n[auth]\nbearer_token = "t"\n', b"[log]\nlevel='x'"),
    ),
    Parser(
        "policies",
        _policy,
        (PolicyError,),
        (b'[[rule]]\npermission = "bash"\npattern = "git *"\naction = "allow-once"\nreason = "r"\n',),
    ),
    Parser(
        "signing-keys",
        _signing_keys,
        (KeyUnusable,),
        (b"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n",),
    ),
    Parser("audits", _audit, (ValueError,), (b'{"at":1,"action":"a","seq":1,"prev":"%s"}\n' % (b"0" * 64),)),
    Parser("cards", _card, (CallFailed,), (json.dumps(_SIGNED).encode() + b"\n\n" + _KEY_SET,)),
)
