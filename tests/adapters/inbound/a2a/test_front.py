"""HTTP as browsers, proxies and caches know it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import httpx
import pytest
from litestar.types import Scope

from opencode_a2a_server.adapters.inbound.a2a.front import Manners, takes_gzip
from opencode_a2a_server.adapters.inbound.a2a.openapi import paths
from opencode_a2a_server.adapters.inbound.a2a.reply import Content, Terms, settle
from opencode_a2a_server.domain.message import TextPart
from tests.adapters.inbound.a2a.keys import KEYS
from tests.adapters.inbound.a2a.listener import Listener
from tests.adapters.inbound.a2a.stage import CARD, HEADERS, Stage, message_json, untouched
from tests.adapters.inbound.a2a.updates import COMPLETED, STARTED, told

pytestmark = pytest.mark.anyio

PAGE = "https://app.example"
ALLOWING = Manners(origins=[PAGE])
ASKING = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,a2a-version"}
NAMED = {"id": "task-1", "task": "task-1", "config": "x", "name": "stream-hints"}
GETS = sorted(path for method, path in {*paths.DESCRIBED, *paths.REFUSED} if method == "GET")


async def asked(
    stage: Stage, method: str, path: str, headers: Mapping[str, str] | None = None, *, token: bool = True
) -> httpx.Response:
    async with stage.client(HEADERS if token else {}) as client:
        return await client.request(method, path, headers=headers)


# Origins


async def test_who_is_no_browser_is_told_nothing_of_origins() -> None:
    answer = await asked(untouched(), "GET", "/health")

    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["vary"] == "Accept-Encoding, Origin"


@pytest.mark.parametrize("listed", [PAGE, "https://App.example:443/", "HTTPS://app.example", "*"])
async def test_a_page_of_an_origin_that_is_allowed_may_call(listed: str) -> None:
    answer = await asked(Stage(manners=Manners(origins=[listed])), "GET", "/health", {"origin": PAGE})

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ("*" if listed == "*" else PAGE)
    assert "access-control-allow-credentials" not in answer.headers


async def test_pages_of_the_service_itself_may_always_call() -> None:
    answer = await asked(untouched(), "GET", "/health", {"origin": CARD.public_url})

    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, CARD.public_url)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil", "http://app.example"])
async def test_a_foreign_page_may_not_call(origin: str) -> None:
    stage = Stage(manners=ALLOWING)

    answer = await asked(stage, "POST", "/message:send", {"origin": origin})

    assert answer.status_code == 403
    assert answer.json()["error"]["details"][0]["reason"] == "ORIGIN_NOT_ALLOWED"
    assert "A2A_ALLOWED_ORIGINS" in answer.json()["error"]["message"]
    assert "access-control-allow-origin" not in answer.headers
    assert stage.accept.heard == []


async def test_who_speaks_0_3_is_refused_in_its_words() -> None:
    answer = await asked(untouched(), "GET", "/v1/tasks/x", {"origin": "https://evil.example"})

    assert (answer.status_code, answer.json()["code"]) == (403, -32061)


@pytest.mark.parametrize("path", ["/", "/message:send", "/tasks/x:cancel", "/v1/message:stream"])
async def test_a_browser_may_ask_without_credentials_what_a_page_may_do(path: str) -> None:
    answer = await asked(Stage(manners=ALLOWING), "OPTIONS", path, {"origin": PAGE, **ASKING}, token=False)

    taken = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "OPTIONS, POST"
    assert answer.headers["access-control-max-age"] == "7200"
    assert {"authorization", "content-type", "a2a-version", "a2a-extensions", "x-a2a-extensions", "last-event-id"} <= {
        *taken
    }


async def test_a_browser_is_told_that_a_foreign_page_may_not() -> None:
    answer = await asked(untouched(), "OPTIONS", "/", {"origin": PAGE, **ASKING}, token=False)

    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/tasks/x", 401), ("GET", "/nothing", 404), ("PUT", "/tasks", 405), ("OPTIONS", "/nothing", 404)],
)
async def test_a_page_can_read_refusals_too(method: str, path: str, status: int) -> None:
    answer = await asked(Stage(manners=ALLOWING), method, path, {"origin": PAGE}, token=False)

    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PAGE)
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert {"www-authenticate", "allow", "retry-after", "a2a-extensions", "etag", "location"} <= {*exposed}


async def test_a_page_can_read_a_stream() -> None:
    stage = Stage(manners=ALLOWING)
    await stage.begin()

    listener = await Listener.rest(stage.app, "/tasks/task-1:subscribe", headers={"origin": PAGE})

    assert (listener.status, listener.answer_headers["access-control-allow-origin"]) == (200, PAGE)
    assert listener.answer_headers["x-content-type-options"] == "nosniff"
    assert len(listener.frames) == 1


# Hosts


@pytest.mark.parametrize(
    ("named", "host", "status"),
    [
        ([], "anything", 200),
        (["agent.example"], "agent.example", 200),
        (["agent.example"], "AGENT.example:8443", 200),
        (["agent.example"], "evil.example", 403),
        (["agent.example"], "agent.example.evil", 403),
        (["agent.example:8000"], "agent.example:8000", 200),
        (["agent.example:8000"], "agent.example:9000", 403),
        (["agent.example:8000"], "agent.example", 403),
        (["*.example"], "agent.example", 200),
        (["*.example"], "a.b.example:80", 200),
        (["*.example"], "example", 403),
        (["*.example"], "evilexample", 403),
        (["[::1]"], "[::1]:8000", 200),
        (["[::1]"], "[::1]", 200),
        (["[::1]"], "[::2]:8000", 403),
    ],
)
async def test_the_service_is_called_by_the_names_that_it_has(named: list[str], host: str, status: int) -> None:
    answer = await asked(Stage(manners=Manners(hosts=named)), "GET", "/health", {"host": host})

    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["details"][0]["reason"] == "HOST_NOT_ALLOWED"
        assert "A2A_ALLOWED_HOSTS" in answer.json()["error"]["message"]


# HEAD and OPTIONS


@pytest.mark.parametrize("path", GETS)
async def test_head_is_get_without_its_body(path: str) -> None:
    stage = Stage(pushes=True)
    log = await stage.begin()
    log.append([STARTED, COMPLETED])
    await log.durable()
    concrete = path.format(**NAMED)
    version = {"a2a-version": "0.3" if path.startswith("/v1") else "1.0"}

    got = await asked(stage, "GET", concrete, version)
    seen = await asked(stage, "HEAD", concrete, version)

    assert (seen.status_code, seen.content) == (got.status_code, b"")
    assert dict(seen.headers) == dict(got.headers)


async def test_head_opens_no_stream() -> None:
    stage = Stage()
    await stage.begin()

    listener = await Listener(stage.app, "HEAD", "/tasks/task-1:subscribe").begin()

    assert listener.ended
    assert (listener.status, listener.pieces) == (200, [])
    assert listener.answer_headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stage.drain.listening == 0


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"host": "evil.example"}])
async def test_head_that_is_refused_has_no_body(headers: dict[str, str]) -> None:
    stage = Stage(manners=Manners(hosts=["agent.example"]))
    listener = await Listener(stage.app, "HEAD", "/health", headers={"host": "agent.example", **headers}).begin()

    assert (listener.status, listener.pieces, listener.ended) == (403, [], True)
    assert int(listener.answer_headers["content-length"]) > 0


@pytest.mark.parametrize(("path", "allow"), [("/", "OPTIONS, POST"), ("/message:send", "OPTIONS, POST")])
async def test_there_is_no_head_where_there_is_no_get(path: str, allow: str) -> None:
    answer = await asked(untouched(), "HEAD", path)

    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, allow, b"")


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/", "OPTIONS, POST"),
        ("/tasks", "GET, HEAD, OPTIONS"),
        ("/tasks/", "GET, HEAD, OPTIONS"),
        ("/tasks/x", "GET, HEAD, OPTIONS"),
        ("/tasks/x:cancel", "OPTIONS, POST"),
        ("/tasks/x:subscribe", "GET, HEAD, OPTIONS, POST"),
        ("/tasks/x/pushNotificationConfigs", "GET, HEAD, OPTIONS, POST"),
        ("/tasks/x/pushNotificationConfigs/y", "DELETE, GET, HEAD, OPTIONS"),
        ("/.well-known/agent-card.json", "GET, HEAD, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_name_what_a_path_takes(path: str, allow: str) -> None:
    answer = await asked(untouched(), "OPTIONS", path, token=False)

    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allow, b"")


async def test_options_of_nothing_in_particular_are_all() -> None:
    listener = await Listener(untouched().app, "OPTIONS", "*").begin()

    assert (listener.status, listener.pieces) == (204, [])
    assert listener.answer_headers["allow"] == "DELETE, GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("path", ["/nothing", "/tasks/x:nothing"])
async def test_there_are_no_options_where_there_is_nothing(path: str) -> None:
    assert (await asked(untouched(), "OPTIONS", path)).status_code == 404


# Compression


SMALL = Manners(compressed_from=256)


@pytest.mark.parametrize("size", [1_000, 200_000])
async def test_a_large_answer_is_compressed(size: int) -> None:
    stage = Stage(manners=SMALL)
    log = await stage.begin()
    log.append([STARTED, told("prt_1", TextPart("abc " * (size // 4))), COMPLETED])

    plain = await asked(stage, "GET", "/tasks/task-1", {"accept-encoding": "identity"})
    squeezed = await asked(stage, "GET", "/tasks/task-1", {"accept-encoding": "br, gzip"})

    assert "content-encoding" not in plain.headers
    assert squeezed.headers["content-encoding"] == "gzip"
    assert int(squeezed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert squeezed.json() == plain.json()
    assert "Accept-Encoding" in plain.headers["vary"]
    assert "Accept-Encoding" in squeezed.headers["vary"]


async def test_a_small_answer_is_not_compressed() -> None:
    assert "content-encoding" not in (await asked(untouched(), "GET", "/health", {"accept-encoding": "gzip"})).headers


async def sent(body: bytes) -> tuple[bytes, bool]:
    """Send a body to who takes gzip; gives what was sent, and whether that was done without letting anybody else run."""
    scope: dict[str, Any] = {}
    settle(cast("Scope", scope), Terms(compressed_from=256))
    told_: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        told_.append(message)

    async def receive() -> Any: ...

    sending = asyncio.ensure_future(Content(body)(cast("Scope", scope), receive, send))
    await asyncio.sleep(0)
    at_once = sending.done()
    await sending
    return told_[1]["body"], at_once


@pytest.mark.parametrize("body", [b"", b"x" * 255])
async def test_an_answer_is_not_compressed_below_so_many_bytes(body: bytes) -> None:
    assert await sent(body) == (body, True)


@pytest.mark.parametrize(("body", "at_once"), [(b"x" * 256, True), (b"x" * 65_537, False)])
async def test_others_run_while_much_is_compressed(body: bytes, *, at_once: bool) -> None:
    squeezed, was_at_once = await sent(body)

    assert (gzip.decompress(squeezed), was_at_once) == (body, at_once)


async def test_a_stream_is_never_compressed() -> None:
    stage = Stage(manners=Manners(compressed_from=0))
    log = await stage.begin()
    log.append([STARTED, told("prt_1", TextPart("abc " * 1000))])
    await log.durable()

    listener = await Listener.rest(stage.app, "/tasks/task-1:subscribe", headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in listener.answer_headers
    assert listener.frames[0].result["task"]["id"] == "task-1"


async def test_a_compressed_answer_has_a_weak_tag_which_is_known_again() -> None:
    stage = Stage(manners=SMALL)
    path = "/.well-known/agent-card.json"

    plain = await asked(stage, "GET", path, {"accept-encoding": "identity"})
    squeezed = await asked(stage, "GET", path, {"accept-encoding": "gzip"})
    known = [
        await asked(stage, "GET", path, {"accept-encoding": "gzip", "if-none-match": answer.headers["etag"]})
        for answer in (plain, squeezed)
    ]

    assert squeezed.headers["etag"].removeprefix("W/") == plain.headers["etag"].removeprefix("W/")
    assert squeezed.headers["etag"].startswith("W/")
    assert [answer.status_code for answer in known] == [304, 304]
    assert all("Accept-Encoding" in answer.headers["vary"] for answer in known)


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        (b"gzip", True),
        (b"GZIP", True),
        (b"deflate, gzip;q=1.0, *;q=0.5", True),
        (b"x-gzip", True),
        (b"*", True),
        (b"br;q=1, *;q=0.1", True),
        (b"gzip;q=0.001", True),
        (b"gzip;q=0", False),
        (b"gzip;q=0.000", False),
        (b"gzip; q=0", False),
        (b"*, gzip;q=0", False),
        (b"*;q=0", False),
        (b"gzip;q=nonsense", False),
        (b"identity", False),
        (b"br, deflate", False),
        (b"", False),
        (b",,;", False),
        (b"gzip," * 100, False),
    ],
)
def test_a_client_says_whether_it_takes_gzip(accepted: bytes, *, takes: bool) -> None:
    assert takes_gzip(accepted) is takes


# Headers of every answer


@pytest.mark.parametrize(("method", "path"), sorted({*paths.DESCRIBED, *paths.REFUSED, paths.RPC}))
@pytest.mark.parametrize("token", [True, False])
async def test_no_answer_is_sniffed_or_kept_unless_it_says_so(method: str, path: str, *, token: bool) -> None:
    stage = Stage(pushes=True, signed_with=KEYS)
    log = await stage.begin()
    log.append([STARTED, COMPLETED])
    await log.durable()
    concrete = path.format(**NAMED)

    answer = await asked(stage, method, concrete, token=token)

    assert answer.headers["x-content-type-options"] == "nosniff"
    operation = paths.DESCRIBED.get((method, path))
    known = operation is not None and operation.tagged and answer.status_code == 200
    assert ("max-age=" in answer.headers["cache-control"]) is known
    assert (answer.headers["cache-control"] == "no-store") is not known
    assert answer.headers["vary"].endswith("Accept-Encoding, Origin")


# Bodies


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(100):
        yield b" " * 100


@pytest.mark.parametrize(
    "path",
    ["/", "/message:send", "/message:stream", "/tasks/x:cancel", "/v1/message:send", "/v1/message:stream"],
)
@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_refused_with_the_limit_and_who_sets_it(
    path: str, *, announced: bool
) -> None:
    stage = Stage()
    async with stage.client({"authorization": HEADERS["authorization"]}) as client:
        body = b" " * 10_000 if announced else chunks()
        answer = await client.post(path, content=body, headers={"content-type": "application/json"})

    error = answer.json() if path.startswith("/v1") else answer.json()["error"]
    assert answer.status_code == 413
    assert ("content-length" in answer.request.headers) is announced
    assert "4096 bytes" in error["message"]
    assert "A2A_MAX_REQUEST_BODY_BYTES" in error["message"]
    assert (error.get("data") or error.get("details"))[0]["reason"] == "REQUEST_BODY_TOO_LARGE"


@pytest.mark.parametrize("path", ["/", "/message:send", "/v1/message:send"])
async def test_a_client_that_leaves_in_the_middle_of_its_body_breaks_nothing(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage()
    listener = Listener(stage.app, "POST", path, body=b"{", whole=False)
    listener._left.set()
    await listener.begin()

    assert listener.running.done()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert stage.accept.heard == []


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/message:send", 400), ("/v1/message:send", 400)])
async def test_a_body_in_some_coding_is_refused(path: str, status: int) -> None:
    async with untouched().client({"authorization": HEADERS["authorization"]}) as client:
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        body = gzip.compress(json.dumps({"message": message_json()}).encode())
        answer = await client.post(path, content=body, headers=headers)

    assert answer.status_code == status
    assert "gzip" in answer.text
