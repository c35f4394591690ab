"""The command itself: what is there, and that it is there at once."""

from __future__ import annotations

import json
import subprocess
import sys

import rich_click as click
from click.testing import CliRunner

from opencode_a2a_server.app.cli import main
from opencode_a2a_server.app.cli.exits import USAGE
from opencode_a2a_server.app.cli.main import COMMANDS, Commands

HEAVY = ("a2a", "litestar", "sqlalchemy", "httpx", "cattrs", "granian", "dependency_injector", "structlog", "pydantic")


def heavy_after_each(*commands: tuple[str, ...]) -> dict[str, list[str]]:
    """Call commands one after the other in a process of their own; says which packages were heavy that each imported."""
    program = f"""
import json, sys
from opencode_a2a_server.app.cli import main
told = {{}}
for arguments in {commands!r}:
    before = set(sys.modules)
    try:
        main(arguments, prog_name="opencode-a2a-server")
    except SystemExit as left:
        assert not left.code
    told[" ".join(arguments)] = [name for name in {HEAVY!r} if name in sys.modules and name not in before]
print(json.dumps(told), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    told: dict[str, list[str]] = json.loads(done.stderr.splitlines()[-1])
    return told


def test_nothing_heavy_is_loaded_to_give_help() -> None:
    told = heavy_after_each(("--version",), ("--help",), *((name, "--help") for name in COMMANDS))

    assert len(told) == len(COMMANDS) + 2
    assert {command: heavy for command, heavy in told.items() if heavy} == {}


def test_what_is_heavy_would_be_seen() -> None:
    (heavy,) = heavy_after_each(("config", "show")).values()

    assert "cattrs" in heavy


def test_each_command_is_there_under_its_name_and_says_what_it_is_for() -> None:
    assert isinstance(main, Commands)
    context = click.Context(main)

    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(200).endswith(".")


def test_what_is_no_command_exits_2() -> None:
    done = CliRunner().invoke(main, ["server"])

    assert done.exit_code == 2
    assert "server" in done.output


def test_without_a_command_it_serves() -> None:
    done = CliRunner().invoke(main, [], env={"A2A_PORT": "many"})

    assert done.exit_code == 2
    assert "A2A_PORT: 'many' is not a whole number" in done.output


def test_several_workers_are_refused_where_the_store_cannot_be_shared() -> None:
    environment = {"A2A_BEARER_TOKEN": "secret", "A2A_TASK_STORE_BACKEND": "memory"}

    done = CliRunner().invoke(main, ["serve", "--workers", "2"], env=environment)

    assert done.exit_code == USAGE
    assert "A2A_WORKERS: 2 processes cannot share a store in memory" in done.stderr
