"""`opencode-a2a-server doctor` where TLS is served, and whom commands trust."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from opencode_a2a_server.app.cli import main
from opencode_a2a_server.app.cli.doctor import places
from opencode_a2a_server.app.cli.doctor.finding import Level
from opencode_a2a_server.app.cli.trust import NoAuthority, authorities, roots
from opencode_a2a_server.app.settings import Settings, load_settings
from tests.app.cli.agents import FakeAgent, card, running, status, task
from tests.app.cli.grpc_agents import GrpcAgent, offering, speaking
from tests.certificates import self_signed

TOKEN = "m4Xq-8sTz_2LwPn6RbVd0KfGh3JyUc5A"  # noqa: S105 - made up
CARD = "/.well-known/agent-card.json"

Serve = Callable[[tuple[Path, Path]], str]


@contextmanager
def encrypted(pair: tuple[Path, Path], inner: FakeAgent | None = None) -> Iterator[str]:
    """Serve a card over TLS; gives the URL."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers["content-length"] or 0))
            told = {"supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC"}], "result": {}}
            body = json.dumps(told if inner is None else inner.pages[CARD]).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.handle_error = lambda *_: None  # type: ignore[method-assign] # clients that do not trust it hang up
        http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
        url = f"https://127.0.0.1:{http.server_address[1]}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield url
        http.shutdown()


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda pair: stack.enter_context(encrypted(pair))


def settings(pair: tuple[Path, Path], url: str, **more: str) -> Settings:
    chain, key = map(str, pair)
    given = {"A2A_TLS_CERT_FILE": chain, "A2A_TLS_KEY_FILE": key, "A2A_PORT": url.rpartition(":")[2]}
    return load_settings({"A2A_BEARER_TOKEN": TOKEN, "A2A_RUNTIME": "scripted"} | given | more)


@pytest.mark.anyio
async def test_a_service_that_runs_with_tls_is_ours_by_its_certificate(serve: Serve, tmp_path: Path) -> None:
    pair = self_signed(tmp_path)
    url = serve(pair)

    found = await places.service(settings(pair, url, A2A_CLIENT_CA_FILE=str(pair[0])))

    assert [(one.name, one.level) for one in found] == [("port", Level.OK), ("card", Level.OK)], found


@pytest.mark.anyio
async def test_clients_who_do_not_know_the_authority_are_told_of(serve: Serve, tmp_path: Path) -> None:
    pair = self_signed(tmp_path)

    port, card = await places.service(settings(pair, serve(pair)))

    assert (port.level, card.level) == (Level.OK, Level.FAIL)
    assert "CERTIFICATE_VERIFY_FAILED" in card.says
    assert "--ca-file" in card.remedy


@pytest.mark.anyio
async def test_a_service_with_another_certificate_is_another_service(serve: Serve, tmp_path: Path) -> None:
    ours, theirs = self_signed(tmp_path), self_signed(tmp_path, "other")

    (finding,) = await places.service(settings(ours, serve(theirs)))

    assert (finding.name, finding.level) == ("port", Level.FAIL)
    assert "something else than this service listens" in finding.says


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("begins", "ends", "level", "says"),
    [
        (timedelta(minutes=-1), timedelta(days=90), Level.OK, "is good until"),
        (timedelta(minutes=-1), timedelta(days=13), Level.WARN, "UTC only"),
        (timedelta(days=-9), timedelta(days=-1), Level.FAIL, "is good from"),
        (timedelta(days=1), timedelta(days=9), Level.FAIL, "is good from"),
    ],
)
async def test_a_certificate_that_ends_is_told_of(
    tmp_path: Path, begins: timedelta, ends: timedelta, level: Level, says: str
) -> None:
    pair = self_signed(tmp_path, begins=begins, ends=ends)

    (finding,) = await places.certificate(settings(pair, ":1"))

    assert (finding.level, says in finding.says) == (level, True)


@pytest.mark.anyio
async def test_a_certificate_that_is_none_fails(tmp_path: Path) -> None:
    chain, key = self_signed(tmp_path)
    chain.write_text("nothing")

    (finding,) = await places.certificate(settings((chain, key), ":1"))

    assert (finding.level, finding.remedy) == (Level.FAIL, "correct A2A_TLS_CERT_FILE")


def test_the_option_takes_precedence_over_the_setting(tmp_path: Path) -> None:
    (chain, key), (other, _) = self_signed(tmp_path), self_signed(tmp_path, "other")
    with encrypted((chain, key)) as url:
        environment = {
            "A2A_BEARER_TOKEN": TOKEN,
            "A2A_RUNTIME": "scripted",
            "A2A_TLS_CERT_FILE": str(chain),
            "A2A_TLS_KEY_FILE": str(key),
            "A2A_PORT": url.rpartition(":")[2],
            "A2A_CLIENT_CA_FILE": str(other),
        }
        told = [
            json.loads(CliRunner().invoke(main, ["doctor", "--json", *arguments], env=environment).stdout)
            for arguments in ((), ("--ca-file", str(chain)))
        ]

    levels = [one["level"] for findings in told for one in findings["findings"] if one["name"] == "card"]
    assert levels == ["fail", "ok"]


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    wrong = load_settings({"A2A_CLIENT_CA_FILE": str(tmp_path / "ca.pem")})
    missing = load_settings({"A2A_CLIENT_CA_FILE": str(tmp_path / "none.pem")})

    for given in (wrong, missing):
        with pytest.raises(NoAuthority, match="A2A_CLIENT_CA_FILE"):
            authorities(given)
    done = CliRunner().invoke(main, ["call", "https://127.0.0.1:9", "hi", "--ca-file", str(tmp_path / "ca.pem")])
    assert (done.exit_code, "has no certificates that can be read" in done.stderr) == (2, True)


def test_grpc_trusts_whom_https_trusts(tmp_path: Path) -> None:
    chain, _ = self_signed(tmp_path)

    trusted = roots(load_settings({"A2A_CLIENT_CA_FILE": str(chain)}))

    assert trusted.endswith(chain.read_bytes())
    assert trusted.count(b"BEGIN CERTIFICATE") > 50


@pytest.mark.parametrize(("trusts", "exit_code"), [(True, 0), (False, 3)])
def test_grpc_goes_by_tls_where_the_agents_url_does(tmp_path: Path, *, trusts: bool, exit_code: int) -> None:
    web_pair, grpc_pair = self_signed(tmp_path, "web"), self_signed(tmp_path, "grpc")
    page, known = FakeAgent(), tmp_path / "known.pem"
    chain, key = grpc_pair
    known.write_bytes(web_pair[0].read_bytes() + (chain.read_bytes() if trusts else b""))
    with speaking(GrpcAgent(), (key.read_bytes(), chain.read_bytes())) as agent, encrypted(web_pair, page) as url:
        agent.results["SendStreamingMessage"] = [{"task": task("WORKING")}, status("COMPLETED")]
        page.pages[CARD] = offering(card(url), [("GRPC", f"127.0.0.1:{agent.port}")])
        done = CliRunner().invoke(main, ["call", url, "hi", "--ca-file", str(known)])

    assert done.exit_code == exit_code, done.output
    assert ("State: COMPLETED" in done.output) is trusts


def test_grpc_to_an_agent_without_tls_has_none() -> None:
    with running(FakeAgent()) as web, speaking(GrpcAgent()) as agent:
        agent.results["SendStreamingMessage"] = [{"task": task("COMPLETED")}]
        web.pages[CARD] = offering(card(web.url), [("GRPC", f"127.0.0.1:{agent.port}")])
        done = CliRunner().invoke(main, ["call", web.url, "hi"])

    assert done.exit_code == 0, done.output
