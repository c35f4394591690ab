"""Environment files, the taking over of release 0.2, and what systemd is told."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.systemd.environment import read_environment, write_environment
from opencode_a2a_server.adapters.outbound.systemd.notify import Supervisor
from opencode_a2a_server.adapters.outbound.systemd.release_0_2 import read_0_2
from opencode_a2a_server.domain.instance import Refused


@pytest.mark.parametrize("value", ["plain", 'with "quotes"', "back\\slash", "$HOME `id`", "a=b # c", " spaced ", "'x'"])
def test_what_is_written_is_read(tmp_path: Path, value: str) -> None:
    path = tmp_path / "env"
    path.write_text(write_environment({"NAME": value, "EMPTY": ""}))

    assert read_environment(path) == {"NAME": value}


def test_files_are_read_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("# a comment\n\n; another\nexport A=1\nB='two words'\nC=\n  D = x\n".replace("  D = x\n", ""))

    assert read_environment(path) == {"A": "1", "B": "two words", "C": ""}


def test_a_line_that_is_none_is_named_but_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("A=1\nsecret\n")

    with pytest.raises(Refused, match="line 2") as refused:
        read_environment(path)
    assert "secret" not in str(refused.value)


def test_a_value_of_two_lines_is_refused() -> None:
    with pytest.raises(Refused, match="A: a value of one line"):
        write_environment({"A": "x\nB=y"})


def test_an_instance_of_0_2_is_read(tmp_path: Path) -> None:
    config = tmp_path / "alpha" / "config"
    config.mkdir(parents=True)
    (config / "a2a.env").write_text(
        "A2A_HOST=127.0.0.1\nA2A_PORT=8123\nA2A_STREAMING=true\nOPENCODE_BASE_URL=http://127.0.0.1:8124\n"
        "OPENCODE_DIRECTORY=/data/alpha/workspace\nOTEL_INSTRUMENTATION_A2A_SDK_ENABLED=false\n"
    )
    (config / "a2a.secret.env").write_text("A2A_BEARER_TOKEN=old-token\n")
    (config / "opencode.env").write_text("OPENCODE_BIND_PORT=8124\nGIT_AUTHOR_NAME='Al Pha'\nGIT_ASKPASS=/data/x.sh\n")
    (config / "opencode.auth.env").write_text("GH_TOKEN=gh\n")
    (config / "opencode.secret.env").write_text("ANTHROPIC_API_KEY=key\n")

    old = read_0_2(tmp_path / "alpha")

    assert old.service == {
        "A2A_HOST": "127.0.0.1", "A2A_PORT": "8123", "A2A_STREAMING": "true", "A2A_BEARER_TOKEN": "old-token",
    }  # fmt: skip
    assert old.opencode["GIT_AUTHOR_NAME"] == "Al Pha"
    assert "credential.https://github.com.helper" in old.opencode.values()
    assert old.opencode_secrets == {"GH_TOKEN": "gh", "ANTHROPIC_API_KEY": "key"}
    assert old.workspace == Path("/data/alpha/workspace")
    assert [note.split()[0] for note in old.notes] == [
        "GIT_ASKPASS", "OPENCODE_BIND_PORT", "OTEL_INSTRUMENTATION_A2A_SDK_ENABLED",
    ]  # fmt: skip


def test_what_is_no_instance_of_0_2_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no instance of release 0\.2"):
        read_0_2(tmp_path)


def test_the_supervisor_is_told_of_start_life_and_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        supervisor = Supervisor.of({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000"})

        async def live() -> list[bytes]:
            async with supervisor.told():
                return [await asyncio.to_thread(listening.recv, 64) for _ in range(3)]

        heard = asyncio.run(live())
        while (last := listening.recv(64)) == b"WATCHDOG=1":
            pass

    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    assert last == b"STOPPING=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere"}, {"NOTIFY_SOCKET": "@no-such-socket"}])
def test_without_a_supervisor_nothing_is_said(environment: dict[str, str]) -> None:
    async def live() -> None:
        async with Supervisor.of({"WATCHDOG_USEC": "0", **environment}).told():
            pass

    asyncio.run(live())
