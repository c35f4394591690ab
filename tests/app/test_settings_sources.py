"""Where settings come from: the environment, credentials of systemd, a file; and which of them counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from opencode_a2a_server.app.cli import main
from opencode_a2a_server.app.settings import LogLevel, SettingsError, every_setting, load_settings, shown

CONFIG = """
[server]
port = 9000
v03 = false
keep_alive = 2.5

[auth]
bearer_token = "from the file"

[http]
allowed_hosts = ["a.example", "b.example"]

[log]
level = "info"
"""


def written(tmp_path: Path, text: str = CONFIG) -> dict[str, str]:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return {"A2A_CONFIG_FILE": str(path)}


def problems(environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load_settings(environment)
    return refused.value.problems


def test_a_file_has_a_table_for_each_group(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, CONFIG.replace("from the file", "token")))

    assert (settings.server.port, settings.server.v03, settings.server.keep_alive) == (9000, False, 2.5)
    assert settings.http.hosts == ("a.example", "b.example")
    assert settings.log.level is LogLevel.INFO
    assert settings.auth.bearer_token == "token"  # noqa: S105 - a test's


def test_the_environment_wins_over_the_file_and_each_value_says_where_it_is_from(tmp_path: Path) -> None:
    environment = written(tmp_path, CONFIG.replace("from the file", "token")) | {"A2A_PORT": "9001"}

    settings = load_settings(environment)

    assert settings.server.port == 9001
    told = {name: (value, origin) for name, value, origin in shown(settings)}
    assert told["A2A_PORT"] == ("9001", "environment, A2A_PORT")
    assert told["A2A_ENABLE_V03"] == ("false", f"{tmp_path}/config.toml, line 4: [server] v03")
    assert told["A2A_HOST"] == ("127.0.0.1", "default")
    assert told["A2A_BEARER_TOKEN"][0] == "****"


def test_a_secret_may_be_a_credential_of_systemd(tmp_path: Path) -> None:
    (tmp_path / "a2a_bearer_token").write_text("secret\n")
    (tmp_path / "OPENCODE_AUTH_PASSWORD").write_text("other\n")
    (tmp_path / "a2a_port").write_text("1")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}

    settings = load_settings(environment)

    assert (settings.auth.bearer_token, settings.opencode.password) == ("secret", "other")
    assert settings.server.port == 8000  # it is no secret
    assert load_settings(environment | {"A2A_BEARER_TOKEN": "mine"}).auth.bearer_token == "mine"  # noqa: S105
    assert settings.origins["A2A_BEARER_TOKEN"] == "credential, a2a_bearer_token"  # noqa: S105


def test_a_key_may_name_a_file_that_has_its_value(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("kept apart\n".replace(" ", "-"))

    settings = load_settings(written(tmp_path, f'[auth]\nbearer_token_file = "{tmp_path}/token"'))

    assert settings.auth.bearer_token == "kept-apart"  # noqa: S105


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[sever]\nport = 1", "line 1: there is no table [sever]; did you mean [server]?"),
        ("[server]\n\nprot = 1", "line 3: [server] prot: there is no such setting; did you mean port?"),
        ("port = 1", "line 1: port: there is no table [port]"),
        ("server = 1", "line 1: server: it must be the table [server]"),
        ("[server]\nport = 70000", "line 2: [server] port: must be a port, 0 to 65535"),
        ('[server]\nport = "many"', "line 2: [server] port: 'many' is not a whole number"),
        ("[server]\nport = [1]", "line 2: [server] port: must be a text, a number, true or false, or a list of texts"),
        ('[auth]\nbearer_token = "a"\nbearer_token_file = "b"', "line 2: [auth] bearer_token: given twice"),
        ('[auth]\nbearer_token_file = "/nowhere"', "line 2: [auth] bearer_token_file: /nowhere cannot be read"),
        ("[server", "cannot be read"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_by_its_line(tmp_path: Path, text: str, problem: str) -> None:
    found = problems(written(tmp_path, text))

    assert any(problem in one for one in found), found


def test_a_file_that_is_not_there_is_named() -> None:
    assert problems({"A2A_CONFIG_FILE": "/nowhere.toml"})[0].startswith("A2A_CONFIG_FILE: /nowhere.toml cannot be read")


def test_every_setting_can_be_given_in_the_file() -> None:
    names = [setting.name for _, setting in every_setting()]

    assert all(not name.endswith("_file") for name in names)  # else it could be taken for the path of another's value


# The commands


def test_the_settings_are_shown_with_their_origins_and_without_secrets(tmp_path: Path) -> None:
    environment = {"A2A_BEARER_TOKEN": "plover", "A2A_TASK_STORE_DATABASE_URL": "postgresql://me:plover@db/x"}
    config = tmp_path / "config.toml"
    config.write_text("[server]\nport = 9000")

    told = CliRunner(env=environment).invoke(main, ["--config", str(config), "config", "show"])
    whole = CliRunner(env=environment).invoke(main, ["--config", str(config), "config", "show", "--all", "-o", "json"])

    assert told.exit_code == 0
    assert f"A2A_PORT=9000  # {config}, line 2: [server] port" in told.output.splitlines()
    assert "A2A_BEARER_TOKEN=****  # environment, A2A_BEARER_TOKEN" in told.output
    assert "plover" not in told.output + whole.output
    assert {"name": "A2A_HOST", "value": "127.0.0.1", "origin": "default"} in json.loads(whole.output)


@pytest.mark.parametrize(
    ("environment", "status", "said"),
    [
        ({"A2A_BEARER_TOKEN": "t"}, 0, "the settings are good"),
        ({}, 2, "A2A_BEARER_TOKEN: required"),
        ({"A2A_BEARER_TOKEN": "t", "A2A_PROT": "1"}, 2, "A2A_PROT: there is no such setting; did you mean A2A_PORT?"),
        ({"A2A_BEARER_TOKEN": "t", "A2A_TLS_CERT_FILE": "x"}, 2, "A2A_TLS_CERT_FILE and A2A_TLS_KEY_FILE go together"),
        (
            {"A2A_BEARER_TOKEN": "t", "A2A_TLS_CERT_FILE": "/x", "A2A_TLS_KEY_FILE": "/y"},
            2,
            "A2A_TLS_CERT_FILE, A2A_TLS_KEY_FILE: they cannot be used together",
        ),
    ],
)
def test_the_settings_are_checked(environment: dict[str, str], status: int, said: str) -> None:
    told = CliRunner(env=environment).invoke(main, ["config", "check"])

    assert told.exit_code == status
    assert said in told.output
