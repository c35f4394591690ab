"""Whether an instance is ready."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from attrs import define, field

from opencode_a2a_server.adapters.outbound.systemd import probe
from opencode_a2a_server.domain.instance import Instance


@define(eq=False)
class Halves:
    """Both halves and the admin listener, on one port: what each path is answered with."""

    answers: dict[str, tuple[int, str]] = field(
        factory=lambda: {
            "/global/health": (200, '{"healthy": true}'),
            "/.well-known/agent-card.json": (200, "{}"),
            "/tasks?pageSize=1": (200, "{}"),
            "/readyz": (200, "{}"),
        }
    )
    port: int = 0
    instance: Instance = field(init=False)

    def complaint(self, token: str = "token", password: str = "password") -> str:  # noqa: S107 - of this test
        return probe.complaint(self.instance, self.instance.url, token, password)


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> Iterator[Halves]:
    halves = Halves()
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # an administrator may have one; it is not for us

    class Handler(BaseHTTPRequestHandler):
        serving: ClassVar[Halves] = halves

        def do_GET(self) -> None:
            given = self.headers.get("authorization", "")
            basic = f"Basic {base64.b64encode(b'opencode:password').decode()}"
            wanted = {"/global/health": basic, "/tasks?pageSize=1": "Bearer token"}.get(self.path, given)
            status, text = self.serving.answers[self.path] if given == wanted else (401, "")
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        port = http.server_address[1]
        monkeypatch.setattr("opencode_a2a_server.domain.instance.OPENCODE_PORT", port)
        halves.instance = Instance("one", "r", "127.0.0.1", port, "127.0.0.1", "/work")
        yield halves
        http.shutdown()


def test_what_answers_with_its_credentials_is_ready(halves: Halves) -> None:
    assert halves.complaint() == ""


def test_wrong_credentials_are_not_ready_and_are_not_told(halves: Halves) -> None:
    assert halves.complaint(password="wrong").startswith("OpenCode does not take its password")  # noqa: S106
    assert halves.complaint(token="wrong").startswith("the service does not take its token")  # noqa: S106


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/global/health", "OpenCode answers with status 503"),
        ("/tasks?pageSize=1", "the service answers /tasks?pageSize=1 with status 503"),
        ("/readyz", "the service is not ready: the reason"),
    ],
)
def test_what_is_wrong_is_told(halves: Halves, path: str, words: str) -> None:
    halves.answers[path] = (503, "the reason")

    assert halves.complaint() == words


def test_who_does_not_answer_is_told_with_the_address() -> None:
    nobody = Instance("one", "r", "127.0.0.1", 1, "127.254.254.254", "/work")

    assert "OpenCode does not answer at http://127.254.254.254:" in probe.complaint(nobody, nobody.url, "t", "p")
