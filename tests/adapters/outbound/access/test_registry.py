"""Registries of credentials: how they are read, and who is known by them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.access.hashes import HashUnusable, PasswordHash, TokenHash, new_token
from opencode_a2a_server.adapters.outbound.access.live import LiveCredentials
from opencode_a2a_server.adapters.outbound.access.reading import RegistryUnusable, read_registry
from opencode_a2a_server.adapters.outbound.access.registry import Registry, Roll
from opencode_a2a_server.adapters.outbound.access.static import read_static
from opencode_a2a_server.domain.access import Capability, Quota
from opencode_a2a_server.domain.ids import Principal
from tests.fakes.audit import FakeAudit
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio

OPERATIONS = ("SendMessage", "GetTask", "opencode.sessions.list")
TOKEN, OTHER = TokenHash.of(b"first"), TokenHash.of(b"second")
PASSWORD = PasswordHash.of(b"geheim")
CI = f"""
[[principal]]
name = "ci"
directories = ["projects/ci"]
models = ["anthropic/*"]
requests = 10
turns = 2
tokens_per_day = 1000
cost_per_day = 2.5

[[principal.credential]]
id = "ci-token"
token = "{TOKEN}"
scopes = ["read", "Send*"]
capabilities = ["session_shell"]
expires = 2030-01-01T00:00:00Z

[[principal.credential]]
id = "ci-password"
password = "{PASSWORD}"

[[principal.credential]]
token = "{OTHER}"
enabled = false

[[principal]]
name = "oidc:*"
models = ["cheap/*"]
"""


def written(tmp_path: Path, text: str, name: str = "credentials.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def roll(tmp_path: Path, text: str = CI) -> Roll:
    return Roll(read_registry(written(tmp_path, text), OPERATIONS), TurnedClock())


async def test_a_token_and_a_password_of_one_principal_are_known_each_with_its_own_rights(tmp_path: Path) -> None:
    known = roll(tmp_path)

    by_token, by_password = await known.bearer(b"first"), await known.basic("ci", b"geheim")

    assert by_token is not None
    assert by_password is not None
    assert by_token.principal == by_password.principal == "ci"
    assert (by_token.credential, by_password.credential) == ("ci-token", "ci-password")
    assert by_token.grant.scopes == ("read", "Send*")
    assert by_token.grant.capabilities == {Capability.SESSION_SHELL}
    assert by_password.grant.capabilities == frozenset()


async def test_anything_else_is_nobody(tmp_path: Path) -> None:
    known = roll(tmp_path)

    assert await known.bearer(b"second") is None  # it is not enabled
    assert await known.bearer(b"") is None
    assert await known.bearer(b"\xff") is None
    assert await known.basic("ci", b"falsch") is None
    assert await known.basic("nobody", b"geheim") is None
    assert await known.basic("ci", b"first") is None


async def test_a_credential_ends_when_it_expires_even_if_it_was_right_before(tmp_path: Path) -> None:
    text = CI.replace(f'password = "{PASSWORD}"', f'password = "{PASSWORD}"\nexpires = 2023-11-14T22:14:00Z')
    known = roll(tmp_path, text)
    clock = known.clock
    assert isinstance(clock, TurnedClock)
    assert await known.basic("ci", b"geheim") is not None

    await clock.turn(60)

    assert await known.basic("ci", b"geheim") is None
    assert await known.bearer(b"first") is not None


async def test_a_rule_is_a_principals_or_those_whose_names_fit(tmp_path: Path) -> None:
    known = roll(tmp_path)

    assert known.reach(Principal("ci")).directories == ("projects/ci",)
    assert known.reach(Principal("ci")).quota == Quota(10, 2, 1000, 2.5)
    assert known.reach(Principal("oidc:alice")).models == ("cheap/*",)
    assert known.reach(Principal("bearer:123")).models == ()
    assert known.may(Principal("ci"), Capability.SESSION_SHELL)
    assert not known.may(Principal("ci"), Capability.SESSION_DELETE)
    assert known.may(Principal("bearer:123"), Capability.SESSION_DELETE)


async def test_json_says_the_same(tmp_path: Path) -> None:
    credential = {"token": str(TOKEN), "expires": "2030-01-01T00:00:00Z", "scopes": ["read"]}
    text = json.dumps({"principal": [{"name": "ci", "credential": [credential]}]})

    known = Roll(read_registry(written(tmp_path, text, "credentials.json"), OPERATIONS), TurnedClock())

    found = await known.bearer(b"first")
    assert found is not None
    assert found.credential == "ci#1"


WRONG = [
    ('[[principals]]\nname = "x"', "top level: there is no 'principals'; did you mean 'principal'?"),
    ('[[principal]]\nmodels = ["a/b"]', "principal 1: name is missing"),
    ('[[principal]]\nname = "x"\nmodel = ["a/b"]', "principal 1 (x): there is no 'model'; did you mean 'models'?"),
    ('[[principal]]\nname = "x"\nturns = 0', "principal 1 (x): turns must be a whole number greater than 0"),
    ('[[principal]]\nname = "x"\nturns = true', "principal 1 (x): turns must be a whole number greater than 0"),
    ('[[principal]]\nname = "x"\ndirectories = ["/etc"]', "principal 1 (x): directories: /etc must be relative"),
    ('[[principal]]\nname = "x"\ndirectories = ["a/../b"]', "principal 1 (x): directories: a/../b must be relative"),
    ('[[principal]]\nname = "x"\ncredential = 1', "principal 1 (x): credential must be written as [[...]] tables"),
    ('principal = "x"', "top level: principal must be written as [[...]] tables"),
    ('[[principal]]\nname = "x"\n[[principal]]\nname = "x"', "principal 2 (x): there is another principal x"),
]
WRONG_CREDENTIALS = [
    ("", "give either token or password, as a hash"),
    ('token = "plain"', "token: a token's hash is sha256: and 64 hexadecimal digits"),
    ('token = "sha256:00"', "token: a token's hash is"),
    ('password = "scrypt:1,1,1$a$b"', "password: a password's hash begins with scrypt:"),
    ('password = "scrypt:1073741824,8,1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA"', "password: a password's hash begins"),
    (f'token = "{TOKEN}"\nuser = "me"', "user goes with password only"),
    (f'password = "{PASSWORD}"\nuser = "a:b"', "user must not have a colon"),
    (f'token = "{TOKEN}"\nscopes = ["reed"]', "scopes: reed names no operation; did you mean read?"),
    (f'token = "{TOKEN}"\nscopes = ["opencode.session.*"]', "did you mean opencode.sessions.list?"),
    (f'token = "{TOKEN}"\ncapabilities = ["shell"]', "there is no shell; did you mean session_shell?"),
    (f'token = "{TOKEN}"\nexpires = "soon"', "expires must be a date and time with a time zone"),
    (f'token = "{TOKEN}"\nexpires = 2030-01-01T00:00:00', "expires must be a date and time with a time zone"),
    (f'token = "{TOKEN}"\n[[principal.credential]]\ntoken = "{TOKEN}"', "another credential has the same secret"),
    (
        f'token = "{TOKEN}"\nid = "a"\n[[principal.credential]]\ntoken = "{OTHER}"\nid = "a"',
        "another credential has the id a",
    ),
]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *WRONG,
        *((f'[[principal]]\nname = "x"\n[[principal.credential]]\n{text}', said) for text, said in WRONG_CREDENTIALS),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(RegistryUnusable) as refused:
        read_registry(path, OPERATIONS)

    assert any(problem in one for one in refused.value.problems), refused.value.problems
    assert all(one.startswith(f"{path}: ") for one in refused.value.problems)


@pytest.mark.parametrize("text", ["[[", "\x00", "a = "])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RegistryUnusable, match="cannot be read"):
        read_registry(written(tmp_path, text), OPERATIONS)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnusable, match="cannot be read"):
        read_registry(tmp_path / "none.toml", OPERATIONS)


def test_a_pattern_of_names_has_no_credentials(tmp_path: Path) -> None:
    text = f'[[principal]]\nname = "x*"\n[[principal.credential]]\ntoken = "{TOKEN}"'

    with pytest.raises(RegistryUnusable, match="can have no credentials"):
        read_registry(written(tmp_path, text), OPERATIONS)


def test_hashes_are_read_as_they_are_written_and_give_nothing_away() -> None:
    token = new_token()

    assert TokenHash.read(str(TokenHash.of(token.encode()))) == TokenHash.of(token.encode())
    assert PasswordHash.read(str(PASSWORD)).fits(b"geheim")
    assert token not in repr(TokenHash.of(token.encode()))
    assert str(PasswordHash.of(b"x")) != str(PasswordHash.of(b"x"))
    with pytest.raises(HashUnusable):
        TokenHash.read(str(PASSWORD))


# A2A_STATIC_AUTH_CREDENTIALS


async def test_credentials_of_1_4_mean_what_they_did() -> None:
    listed = [
        {"scheme": "bearer", "principal": "hub", "token": "t1", "capabilities": ["session_shell"]},
        {"credential_id": "ops", "scheme": "basic", "username": "ops", "password": "p", "capabilities": []},
        {"scheme": "bearer", "principal": "off", "token": "t2", "enabled": False},
    ]
    known = Roll(read_static(json.dumps(listed)), TurnedClock())

    hub, ops = await known.bearer(b"t1"), await known.basic("ops", b"p")

    assert hub is not None
    assert hub.principal == "hub"
    assert hub.grant.capabilities == {Capability.SESSION_SHELL}
    assert ops is not None
    assert ops.principal == "ops"
    assert ops.grant.capabilities == {Capability.SESSION_SHELL, Capability.WORKSPACE_MUTATION}
    assert ops.credential == "ops"
    assert await known.bearer(b"t2") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no", "no JSON"),
        ("{}", "JSON array"),
        ("[1]", "JSON array"),
        ("[]", "at least one credential must be enabled"),
        ('[{"scheme": "bearer", "principal": "x", "token": "t", "enabled": false}]', "at least one"),
        ('[{"scheme": "digest"}]', "credential 1: scheme must be bearer or basic"),
        ('[{"scheme": "bearer", "token": "t"}]', "credential 1: bearer needs principal"),
        (
            '[{"scheme": "basic", "username": "u", "password": "p", "principal": "x"}]',
            "principal does not go with basic",
        ),
        ('[{"scheme": "bearer", "principal": "x", "token": "t", "tokn": 1}]', "did you mean 'token'?"),
        ('[{"scheme": "bearer", "principal": "x", "token": 1}]', "token must be a text"),
        ('[{"scheme": "bearer", "principal": "x", "token": "t", "capabilities": ["all"]}]', "capabilities must be"),
        ('[{"scheme": "bearer", "principal": "x", "token": "t", "enabled": "no"}]', "enabled must be"),
    ],
)
def test_credentials_of_1_4_are_read_strictly(text: str, problem: str) -> None:
    with pytest.raises(RegistryUnusable, match=problem):
        read_static(text)


# Without a restart


async def test_who_is_taken_out_of_the_file_is_nobody_within_a_second(tmp_path: Path) -> None:
    path, clock, audit = written(tmp_path, CI), TurnedClock(), FakeAudit()
    live = LiveCredentials.open(Registry(), path, OPERATIONS, clock, audit)

    async with live:
        assert await live.bearer(b"first") is not None
        written(tmp_path, f'[[principal]]\nname = "new"\n[[principal.credential]]\ntoken = "{OTHER}"')
        await live.reload()

        assert await live.bearer(b"first") is None
        found = await live.bearer(b"second")

    assert found is not None
    assert found.principal == "new"
    record = audit.records[0]
    assert (record.action, record.outcome) == ("credentials.reload", "reloaded")
    assert record.details["removed"] == ["ci"]
    assert record.details["added"] == ["new"]


async def test_a_file_that_cannot_be_used_changes_nothing_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, audit = written(tmp_path, CI), FakeAudit()
    live = LiveCredentials.open(Registry(), path, OPERATIONS, TurnedClock(), audit)
    written(tmp_path, "[[principle]]")

    await live.reload()

    assert await live.bearer(b"first") is not None
    assert audit.records[0].outcome == "refused"
    assert "the credentials stay as they were" in caplog.text
