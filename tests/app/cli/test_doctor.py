"""`opencode-a2a-server doctor`."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from click.testing import CliRunner, Result

from opencode_a2a_server.adapters.outbound.stores.opening import open_stores
from opencode_a2a_server.app.cli import main
from opencode_a2a_server.app.cli.doctor import files, places, rounds, upstream
from opencode_a2a_server.app.cli.doctor.finding import Finding, Level
from opencode_a2a_server.app.settings import Settings, load_settings
from tests.e2e.service import free_port
from tests.fakes.clock import TurnedClock

TOKEN = "m4Xq-8sTz_2LwPn6RbVd0KfGh3JyUc5A"  # noqa: S105 - made up


@define(eq=False)
class Web:
    """Answers to paths: a status, a body, headers; with a password, only to who gives it."""

    answers: dict[str, Any] = field(factory=dict)
    secured: bool = False
    status: int = 200
    date: float | None = None
    url: str = ""


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers["content-length"] or 0))
            allowed = not web.secured or "authorization" in self.headers or "card" in self.path
            body = json.dumps(web.answers.get(self.path, {})).encode()
            self.send_response_only((web.status if self.path == "/" else 200) if allowed else 401)
            self.send_header("date", formatdate(web.date, usegmt=True))
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        web.url = f"http://127.0.0.1:{http.server_address[1]}"
        web.answers["/path"] = {"directory": "/work", "worktree": "/"}
        web.answers["/global/health"] = {"healthy": True, "version": "1.18.0"}
        web.answers["/.well-known/agent-card.json"] = {
            "supportedInterfaces": [{"url": web.url, "protocolBinding": "JSONRPC"}]
        }
        yield web
        http.shutdown()


def settings(**given: str) -> Settings:
    return load_settings({"A2A_BEARER_TOKEN": TOKEN, "A2A_RUNTIME": "scripted", **given})


def doctor(*arguments: str, **given: str) -> Result:
    environment = {"A2A_BEARER_TOKEN": TOKEN, "A2A_RUNTIME": "scripted", "A2A_PORT": str(free_port()), **given}
    return CliRunner().invoke(main, ["doctor", *arguments], env=environment)


def levels(findings: object) -> list[tuple[str, Level]]:
    assert isinstance(findings, list | tuple)
    return [(finding.name, finding.level) for finding in findings]


def test_all_is_well_and_exits_0(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    done = doctor(A2A_TASK_STORE_DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/tasks.db")

    assert done.exit_code == 0, done.output
    assert all(line.startswith("ok ") for line in done.output.splitlines())
    assert list(tmp_path.iterdir()) == []
    assert TOKEN not in done.output


def test_a_warning_exits_1_and_says_what_to_do() -> None:
    done = doctor(A2A_TASK_STORE_BACKEND="memory")

    assert done.exit_code == 1
    assert "warn  store        tasks are in memory only: a restart loses them\n" in done.output
    assert "leave A2A_TASK_STORE_BACKEND out" in done.output


def test_wrong_settings_exit_2_and_are_json_too() -> None:
    done = doctor("--json", A2A_PORT="many")

    assert done.exit_code == 2
    told = json.loads(done.output)
    assert told["level"] == "fail"
    assert [(one["name"], one["says"]) for one in told["findings"]] == [
        ("settings", "A2A_PORT: 'many' is not a whole number")
    ]


def test_what_serve_would_refuse_fails_with_the_remedy() -> None:
    done = doctor("-o", "json", A2A_BEARER_TOKEN="")

    (finding,) = [one for one in json.loads(done.output)["findings"] if one["name"] == "settings"]
    assert (done.exit_code, finding["level"]) == (2, "fail")
    assert "A2A_BEARER_TOKEN" in finding["says"]
    assert finding["remedy"]


@pytest.mark.anyio
async def test_secrets_that_others_can_read_are_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for name in ("token", "tasks.db"):
        (tmp_path / name).write_text(TOKEN)
        (tmp_path / name).chmod(0o644)
    given = load_settings(
        {
            "A2A_BEARER_TOKEN_FILE": str(tmp_path / "token"),
            "A2A_TASK_STORE_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/tasks.db",
        }
    )

    open_ones = await files.modes(given)
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "tasks.db").chmod(0o600)

    assert [finding.remedy for finding in open_ones] == [
        f"chmod 600 {tmp_path}/token",
        f"chmod 600 {tmp_path}/tasks.db",
    ]
    assert levels(await files.modes(given)) == [("files", Level.OK)]


@pytest.mark.anyio
async def test_a_file_in_a_folder_that_nobody_else_enters_is_well_kept(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "tasks.db").touch(0o644)

    given = settings(A2A_TASK_STORE_DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/tasks.db")

    assert levels(await files.modes(given)) == [("files", Level.OK)]


@pytest.mark.parametrize(
    ("token", "level"),
    [
        ("shrt", Level.FAIL),
        ("a" * 64, Level.FAIL),
        ("my-secret-token-1234", Level.FAIL),
        ("m4Xq-8sTz_2LwPn6RbVd", Level.WARN),
        (TOKEN, Level.OK),
    ],
)
@pytest.mark.anyio
async def test_what_can_be_guessed_is_told_but_not_shown(token: str, level: Level) -> None:
    (finding,) = await files.strength(settings(A2A_BEARER_TOKEN=token))

    assert finding.level is level
    assert token not in finding.says + finding.remedy


@pytest.mark.anyio
async def test_the_store_is_as_this_release_wants_it(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/tasks.db"
    async with open_stores(url, TurnedClock()):
        pass

    assert levels(await files.store(settings(A2A_TASK_STORE_DATABASE_URL=url))) == [("store", Level.OK)]


@pytest.mark.anyio
async def test_what_is_no_store_fails(tmp_path: Path) -> None:
    (tmp_path / "tasks.db").write_text("no database at all, whatever its name says" * 100)

    given = settings(A2A_TASK_STORE_DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/tasks.db")

    assert levels(await files.store(given)) == [("store", Level.FAIL)]


@pytest.mark.parametrize(
    ("free", "level"), [(50 * 2**20, Level.FAIL), (500 * 2**20, Level.WARN), (5 * 2**30, Level.OK)]
)
def test_a_disk_that_runs_full_is_told_before(free: int, level: Level) -> None:
    assert files.room(free, Path("/var")).level is level


@pytest.mark.anyio
async def test_a_place_that_cannot_be_written_fails() -> None:
    given = settings(A2A_TASK_STORE_DATABASE_URL="sqlite+aiosqlite:////proc/tasks.db")

    assert levels(await files.disk(given)) == [("disk", Level.FAIL)]


def at(web: Web, **given: str) -> Settings:
    return settings(A2A_PORT=web.url.rpartition(":")[2], A2A_PUBLIC_URL=web.url, **given)


@pytest.mark.anyio
async def test_a_service_that_runs_is_ours_by_our_token(web: Web) -> None:
    assert levels(await places.service(at(web))) == [("port", Level.OK), ("card", Level.OK)]


@pytest.mark.anyio
async def test_a_service_that_does_not_take_our_token_is_another_one(web: Web) -> None:
    web.status = 401

    found = await places.service(at(web))

    assert levels(found) == [("port", Level.FAIL), ("card", Level.OK)]


@pytest.mark.anyio
async def test_a_service_that_fails_is_told(web: Web) -> None:
    web.status = 500

    assert levels(await places.service(at(web)))[0] == ("port", Level.FAIL)


@pytest.mark.anyio
async def test_a_program_that_is_no_service_has_the_port(web: Web) -> None:
    web.answers.clear()

    (finding,) = await places.service(at(web))

    assert finding.level is Level.FAIL
    assert "A2A_PORT" in finding.remedy


@pytest.mark.anyio
async def test_a_card_that_sends_clients_elsewhere_is_told(web: Web) -> None:
    web.answers["/.well-known/agent-card.json"]["supportedInterfaces"][0]["url"] = "http://10.0.0.1:8000"

    found = await places.service(at(web))

    assert levels(found) == [("port", Level.OK), ("card", Level.WARN)]
    assert "http://10.0.0.1:8000" in found[1].says


@pytest.mark.anyio
async def test_a_card_that_cannot_be_reached_fails(web: Web) -> None:
    port = web.url.rpartition(":")[2]
    given = settings(A2A_PORT=port, A2A_PUBLIC_URL=f"http://127.0.0.1:{free_port()}")

    assert levels(await places.service(given)) == [("port", Level.OK), ("card", Level.FAIL)]


@pytest.mark.anyio
async def test_an_address_that_is_not_of_this_machine_cannot_be_listened_on() -> None:
    found = await places.service(settings(A2A_HOST="192.0.2.1", A2A_PORT=str(free_port())))

    assert levels(found)[0] == ("port", Level.FAIL)


def before(web: Web, **given: str) -> Settings:
    return settings(A2A_RUNTIME="opencode", OPENCODE_BASE_URL=web.url, **given)


@pytest.mark.anyio
async def test_an_opencode_that_answers_is_told_with_its_version(web: Web) -> None:
    (finding,) = await upstream.runtime(before(web))

    assert finding.level is Level.OK
    assert finding.says.startswith("opencode 1.18.0 answers within ")


@pytest.mark.parametrize(
    ("version", "secured", "remedy"),
    [("2.0.0", False, "1.x is needed"), ("1.18.0", True, "OPENCODE_AUTH_PASSWORD")],
)
@pytest.mark.anyio
async def test_an_opencode_that_cannot_be_worked_with_fails(
    web: Web, version: str, *, secured: bool, remedy: str
) -> None:
    web.answers["/global/health"]["version"] = version
    web.secured = secured

    (finding,) = await upstream.runtime(before(web))

    assert finding.level is Level.FAIL
    assert remedy in finding.remedy


@pytest.mark.anyio
async def test_an_opencode_that_is_not_there_fails_with_its_url() -> None:
    gone = settings(A2A_RUNTIME="opencode", OPENCODE_BASE_URL=f"http://127.0.0.1:{free_port()}")

    (finding,) = await upstream.runtime(gone)

    assert finding.level is Level.FAIL
    assert "OPENCODE_BASE_URL" in finding.remedy
    assert levels(await upstream.exposure(gone)) == [("exposure", Level.OK)]
    assert levels(await upstream.clock(gone)) == [("clock", Level.OK)]


@pytest.mark.anyio
async def test_an_opencode_without_a_password_is_open_to_this_machine(web: Web) -> None:
    (finding,) = await upstream.exposure(before(web))

    assert finding.level is Level.WARN
    assert "OPENCODE_SERVER_PASSWORD" in finding.remedy


@pytest.mark.anyio
async def test_an_opencode_with_a_password_is_not(web: Web) -> None:
    web.secured = True

    assert levels(await upstream.exposure(before(web))) == [("exposure", Level.OK)]


@pytest.mark.parametrize(
    ("url", "open_to_all", "level"),
    [
        ("http://10.0.0.1:4096", True, Level.FAIL),
        ("http://10.0.0.1:4096", False, Level.WARN),
        ("https://10.0.0.1:4096", False, Level.OK),
        ("http://127.0.0.1:4096", True, Level.WARN),
    ],
)
def test_an_opencode_on_the_network_is_looked_at_more_strictly(url: str, *, open_to_all: bool, level: Level) -> None:
    found = upstream.exposed(settings(A2A_RUNTIME="opencode", OPENCODE_BASE_URL=url).opencode, open_to_all=open_to_all)

    assert found.level is level


@pytest.mark.anyio
async def test_a_clock_that_goes_wrong_is_told(web: Web) -> None:
    web.date = 1_000_000_000.0
    (wrong,) = await upstream.clock(before(web))
    web.date = None
    (right,) = await upstream.clock(before(web))

    assert (wrong.level, right.level) == (Level.WARN, Level.OK)


@pytest.mark.anyio
async def test_an_examination_that_hangs_or_breaks_is_a_finding_of_its_own() -> None:
    async def hang() -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def breaks() -> list[Finding]:
        raise RuntimeError("oh")

    (hung,) = await rounds.within("disk", hang(), seconds=0.01)
    (broken,) = await rounds.within("disk", breaks(), seconds=1)

    assert (hung.level, broken.level) == (Level.FAIL, Level.FAIL)
    assert "RuntimeError: oh" in broken.says
