"""`opencode-a2a-server up`, without processes; tests/e2e/test_run.py has the real ones."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from attrs import define, field
from click.testing import CliRunner

from opencode_a2a_server.app.cli import main, up
from opencode_a2a_server.app.cli.installing import InstallError, cache_of, install, usable
from opencode_a2a_server.app.cli.processes import LIVES, Pair, Time, UpError, free_port, start, stop, wait_until_up


@define(eq=False)
class FakeProcess:
    """A process that ends when it is told to."""

    name: str
    log: list[str]
    returncode: int | None = None
    deaf: bool = False

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.name, timeout or 0)
        return self.returncode

    def terminate(self) -> None:
        self.log.append(f"terminate {self.name}")
        if not self.deaf:
            self.returncode = 0

    def kill(self) -> None:
        self.log.append(f"kill {self.name}")
        self.returncode = -9


@define(eq=False)
class FakeTime:
    """Time that passes by waiting; something may happen meanwhile."""

    at: float = 0.0
    events: list[tuple[float, Callable[[], None]]] = field(factory=list)

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        while self.events and self.events[0][0] <= self.at:
            _, happen = self.events.pop(0)
            happen()

    @property
    def port(self) -> Time:
        return Time(lambda: self.at, self.sleep)


@define(eq=False)
class Stand:
    """A pair of fakes."""

    time: FakeTime = field(factory=FakeTime)
    log: list[str] = field(factory=list)
    started: list[FakeProcess] = field(factory=list)
    pair: Pair = field(init=False)
    service: FakeProcess = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.pair = Pair(self._start, self.log.append, self.time.port)
        self.pair.opencode = self._start()
        self.pair.service = self.service = FakeProcess("service", self.log)

    def _start(self) -> FakeProcess:
        self.started.append(FakeProcess("opencode", self.log))
        return self.started[-1]

    def end_opencode(self) -> None:
        self.started[-1].returncode = 7

    def end_service(self) -> None:
        self.service.returncode = 3


def test_an_opencode_that_ends_is_started_again() -> None:
    stand = Stand()
    stand.time.events = [(10, stand.end_opencode), (20, stand.end_service)]

    with pytest.raises(UpError, match=r"the service ended \(exit status 3\)"):
        stand.pair.keep()

    assert len(stand.started) == 2
    assert stand.log == ["OpenCode ended (exit status 7); starting it again ..."]


def test_an_opencode_that_ends_again_and_again_is_given_up() -> None:
    stand = Stand()
    stand.time.events = [(second, stand.end_opencode) for second in range(1, 100)]

    with pytest.raises(UpError, match="OpenCode ended 6 times within 120 seconds"):
        stand.pair.keep()

    assert len(stand.started) == 1 + LIVES


def test_an_opencode_that_ends_now_and_then_is_started_for_ever() -> None:
    stand = Stand()
    stand.time.events = [(60.0 * minute, stand.end_opencode) for minute in range(1, 50)] + [(3000.0, stand.end_service)]

    with pytest.raises(UpError, match="the service ended"):
        stand.pair.keep()

    assert len(stand.started) == 50


def test_the_service_is_ended_first_and_who_does_not_listen_is_killed() -> None:
    stand = Stand()
    stand.started[0].deaf = True

    stand.pair.stop()

    assert stand.log == ["terminate service", "terminate opencode", "kill opencode"]


def test_what_has_ended_is_left_alone() -> None:
    log: list[str] = []

    stop(FakeProcess("it", log, returncode=0))

    assert log == []


@pytest.fixture
def health() -> Iterator[str]:
    """Something that wants a password and answers with JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers["authorization"] == "Basic b3BlbmNvZGU6c2VjcmV0"
            told = json.dumps({"healthy": True}).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}/global/health"
        http.shutdown()


def test_it_is_up_when_it_answers_whatever_proxy_there_is(health: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    wait_until_up(FakeProcess("it", []), health, "OpenCode", FakeTime().port, "opencode:secret")


def test_what_never_answers_rightly_is_not_up(health: str) -> None:
    with pytest.raises(UpError, match=f"OpenCode did not answer within 60 seconds at {health}"):
        wait_until_up(FakeProcess("it", []), health, "OpenCode", FakeTime().port, "opencode:wrong")


def test_what_ends_at_once_is_told_with_its_status() -> None:
    with pytest.raises(UpError, match=r"the service ended at once \(exit status 2\)"):
        wait_until_up(FakeProcess("it", [], returncode=2), "http://127.0.0.1:9", "the service", FakeTime().port)


def test_what_cannot_be_started_is_told() -> None:
    with pytest.raises(UpError, match="/no/such/program cannot be started"):
        start(["/no/such/program"], {})


def test_a_port_that_is_taken_is_not_given(health: str) -> None:
    taken = int(health.split(":")[2].split("/", maxsplit=1)[0])

    assert free_port(taken) != taken


def test_opencode_gets_none_of_the_services_secrets() -> None:
    environment = {
        "HOME": "/home/me",
        "A2A_BEARER_TOKEN": "token",
        "A2A_SIGNING_KEY_FILE": "/keys",
        "OPENCODE_AUTH_PASSWORD": "old",
        "OPENCODE_CONFIG": "/config",
    }

    assert up.agents(environment, "made") == {
        "HOME": "/home/me",
        "OPENCODE_CONFIG": "/config",
        "OPENCODE_SERVER_PASSWORD": "made",
    }


def test_what_is_made_here_is_not_given_twice() -> None:
    environment = {"OPENCODE_AUTH_PASSWORD_FILE": "/old", "A2A_PORT_FILE": "/port", "A2A_LOG_LEVEL": "DEBUG"}

    told = up.services(environment, {"OPENCODE_AUTH_PASSWORD": "made"})

    assert told == {"A2A_LOG_LEVEL": "DEBUG", "OPENCODE_AUTH_PASSWORD": "made"}


def test_a_token_that_is_made_is_in_a_file_for_its_owner_while_the_service_runs(tmp_path: Path) -> None:
    with up.token_for({"XDG_STATE_HOME": str(tmp_path)}, 8000) as bearer:
        path = Path(bearer.setting["A2A_BEARER_TOKEN_FILE"])
        token = path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        said = up.announcement("http://127.0.0.1:8000", 8000, bearer)
        assert f"Bearer $(cat {path})" in said
        assert token not in said

    assert len(token) >= 32
    assert not path.exists()


@pytest.mark.parametrize(
    ("environment", "shell"),
    [
        ({"A2A_BEARER_TOKEN": "mine"}, "$A2A_BEARER_TOKEN"),
        ({"A2A_BEARER_TOKEN_FILE": "/my files/token"}, "$(cat '/my files/token')"),
    ],
)
def test_an_operators_own_token_is_used_and_not_shown(environment: dict[str, str], shell: str) -> None:
    with up.token_for(environment, 8000) as bearer:
        said = up.announcement("http://127.0.0.1:8000", 8000, bearer)

    assert f'"Authorization: Bearer {shell}"' in said
    assert "mine" not in said


def test_wrong_settings_exit_2_and_start_nothing() -> None:
    done = CliRunner().invoke(main, ["up"], env={"A2A_PROT": "8000"})

    assert done.exit_code == 2
    assert "did you mean A2A_PORT?" in done.output


@pytest.mark.parametrize(
    ("says", "problem"), [("2.0.0", "OpenCode 1.x is needed"), ("", "is version unknown"), (None, "cannot be run")]
)
def test_an_opencode_that_we_cannot_work_with_exits_1(tmp_path: Path, says: str | None, problem: str) -> None:
    binary = tmp_path / "opencode"
    if says is not None:
        binary.write_text(f"#!{sys.executable}\nprint({says!r})\n")
        binary.chmod(0o755)

    done = CliRunner().invoke(main, ["up"], env={"OPENCODE_BIN": str(binary), "XDG_STATE_HOME": str(tmp_path)})

    assert done.exit_code == 1
    assert problem in done.output


def test_an_opencode_of_1_x_is_usable(tmp_path: Path) -> None:
    binary = tmp_path / "opencode"
    binary.write_text("#!/bin/sh\necho 1.18.0\n")
    binary.chmod(0o755)

    assert usable(str(binary)) == "1.18.0"


@pytest.mark.parametrize(
    ("environment", "cache"),
    [
        ({"OPENCODE_A2A_CACHE": "/cache"}, "/cache"),
        ({"XDG_CACHE_HOME": "/home/me/caches"}, "/home/me/caches/opencode-a2a-server"),
        ({}, str(Path.home() / ".cache" / "opencode-a2a-server")),
    ],
)
def test_the_cache_is_where_users_have_theirs(environment: dict[str, str], cache: str) -> None:
    assert cache_of(environment) == Path(cache)


def fake_npm(folder: Path, brings: str) -> None:
    """Put an npm on a path that brings an OpenCode saying a version, or fails."""
    folder.mkdir()
    npm = folder / "npm"
    npm.write_text(
        f"""#!{sys.executable}
import json, pathlib, sys
if {brings!r} == "nothing":
    sys.exit("no network")
modules = pathlib.Path(sys.argv[sys.argv.index("--prefix") + 1]) / "node_modules"
binary = modules / "opencode-here" / "bin" / "opencode"
binary.parent.mkdir(parents=True)
binary.write_text("#!/bin/sh\\necho {brings}\\n")
binary.chmod(0o755)
(modules / "opencode-ai").mkdir()
(modules / "opencode-ai" / "package.json").write_text(
    json.dumps({{"optionalDependencies": {{"opencode-there": "1", "opencode-here": "1"}}}})
)
"""
    )
    npm.chmod(0o755)


def test_the_one_that_npm_brings_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path / "bin", "1.2.3")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")

    binary = install(tmp_path / "cache", "1.2.3")
    (tmp_path / "bin" / "npm").unlink()

    assert usable(str(binary)) == "1.2.3"
    assert install(tmp_path / "cache", "1.2.3") == binary


@pytest.mark.parametrize(("brings", "problem"), [("nothing", "no network"), ("9.9.9", "no binary of opencode-ai")])
def test_what_npm_does_not_bring_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brings: str, problem: str
) -> None:
    fake_npm(tmp_path / "bin", brings)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")

    with pytest.raises(InstallError, match=problem):
        install(tmp_path / "cache", "1.2.3")
