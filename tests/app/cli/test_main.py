"""The command itself: what is there, and that it is there at once."""

from __future__ import annotations

import subprocess
import sys

import pytest
import rich_click as click
from click.testing import CliRunner

from opencode_a2a_server.app.cli import main
from opencode_a2a_server.app.cli.exits import USAGE
from opencode_a2a_server.app.cli.main import COMMANDS, Commands

HEAVY = ("a2a", "litestar", "sqlalchemy", "httpx", "cattrs", "granian", "dependency_injector", "structlog", "pydantic")


def loaded_by(*arguments: str) -> set[str]:
    """Name the packages that a command has imported when it ends."""
    program = f"""
import sys
from opencode_a2a_server.app.cli import main
try:
    main({[*arguments]!r}, prog_name="opencode-a2a-server")
finally:
    print("loaded", *sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), *((name, "--help") for name in COMMANDS)])
def test_nothing_heavy_is_loaded_to_give_help(arguments: tuple[str, ...]) -> None:
    assert loaded_by(*arguments).isdisjoint(HEAVY)


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
