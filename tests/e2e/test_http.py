"""HTTP as the real server speaks it, in front of the scripted runtime."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.service import RunningService

pytestmark = pytest.mark.e2e

PAGE = "https://app.example"


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    settings = {
        "A2A_RUNTIME": "scripted",
        "A2A_ALLOWED_ORIGINS": PAGE,
        "A2A_MAX_REQUEST_BODY_BYTES": "100000",
        "A2A_HTTP_GZIP_MINIMUM_SIZE": "1000",
    }
    with RunningService(settings) as service:
        yield service


def raw(service: RunningService, request: bytes) -> bytes:
    """Send bytes, and give what comes back until the server closes or says no more for a while."""
    heard = b""
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as line:
        line.sendall(request)
        try:
            while piece := line.recv(65536):
                heard += piece
        except (TimeoutError, ConnectionResetError):
            pass
    return heard


def headers_of(answer: bytes) -> list[bytes]:
    lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return sorted(line for line in lines if not line.startswith((b"date:", b"x-request-id:")))  # of each answer alone


def head(service: RunningService, *lines: str) -> bytes:
    """Write a request that these lines begin."""
    given = [*lines, f"Host: 127.0.0.1:{service.port}", f"Authorization: Bearer {service.token}", "Connection: close"]
    return ("\r\n".join(given) + "\r\n\r\n").encode()


def test_head_says_what_get_would(service: RunningService) -> None:
    path = "/.well-known/agent-card.json"
    got = raw(service, head(service, f"GET {path} HTTP/1.1"))
    seen = raw(service, head(service, f"HEAD {path} HTTP/1.1"))

    assert headers_of(got) == headers_of(seen)
    assert got.partition(b"\r\n\r\n")[2].startswith(b"{")
    assert seen.partition(b"\r\n\r\n")[2] == b""


def test_a_connection_goes_on_after_head(service: RunningService) -> None:
    with httpx.Client(base_url=service.url, headers=service.headers, trust_env=False) as client:
        answers = [client.head("/openapi.json"), client.get("/health"), client.head("/tasks"), client.get("/health")]

    assert [answer.status_code for answer in answers] == [200] * 4


def test_a_chunked_body_is_cut_where_the_limit_is(service: RunningService) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(50):
            yield b" " * 10_000

    answer = httpx.post(
        f"{service.url}/",
        content=chunks(),
        headers=service.headers | {"content-type": "application/json"},
        trust_env=False,
    )

    assert answer.status_code == 413
    assert "100000" in answer.json()["error"]["message"]


def test_a_large_answer_comes_compressed_and_whole(service: RunningService) -> None:
    answer = httpx.get(f"{service.url}/openapi.json", headers=service.headers, trust_env=False)

    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(answer.content) / 5
    assert answer.json()["openapi"] == "3.1.0"


def test_a_page_may_ask_call_and_listen(service: RunningService) -> None:
    body = {"message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hello"}]}}
    asking = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        allowed = client.options("/message:stream", headers=asking)
        with client.stream("POST", "/message:stream", headers=service.headers | {"origin": PAGE}, json=body) as stream:
            told = stream.read().decode()
        foreign = client.post(
            "/message:stream", headers=service.headers | {"origin": "https://evil.example"}, json=body
        )

    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, PAGE)
    assert stream.headers["access-control-allow-origin"] == PAGE
    assert "content-encoding" not in stream.headers
    assert "TASK_STATE_COMPLETED" in told
    assert foreign.status_code == 403


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("GET /tasks?pageToken=" + "x" * 70_000 + " HTTP/1.1",), 414),
        (("GET /health HTTP/1.1", "X-Long: " + "x" * 1_000_000), 431),
        (("GET /health HTTP/1.1", *(f"X-{number}: y" for number in range(150))), 431),
        (("GET /health HTTP/1.1", "Content-Length: many"), 400),
        (("OPTIONS * HTTP/1.1",), 204),
        (("TRACE /health HTTP/1.1",), 405),
        (("FOO /health HTTP/1.1",), 405),
    ],
)
def test_the_server_bounds_what_comes_before_a_body(
    service: RunningService, lines: tuple[str, ...], status: int
) -> None:
    assert raw(service, head(service, *lines)).startswith(b"HTTP/1.1 %d " % status)


def test_a_request_without_a_host_is_answered(service: RunningService) -> None:
    assert raw(service, b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 401 ")
