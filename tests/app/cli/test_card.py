"""`opencode-a2a-server card` and `completion`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from a2a import types as a2a
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.json_format import MessageToDict, ParseDict
from jwt.algorithms import OKPAlgorithm

from opencode_a2a_server.adapters.inbound.a2a.card.signing import CardKey, CardSigner
from opencode_a2a_server.app.cli import main
from tests.app.cli.agents import FakeAgent, card, running
from tests.conformance.clauses import clause

CARD = "/.well-known/agent-card.json"
KEYS = "/.well-known/jwks.json"


def signed(told: dict[str, Any], jku: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sign a card with a new key; gives both."""
    private = Ed25519PrivateKey.generate()
    made = ParseDict(told, a2a.AgentCard())
    signatures = CardSigner((CardKey("key-1", "EdDSA", private),)).sign(made, jku)
    public = json.loads(OKPAlgorithm.to_jwk(private.public_key())) | {"kid": "key-1", "alg": "EdDSA"}
    return MessageToDict(made) | {"signatures": signatures}, {"keys": [public]}


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    with running(FakeAgent()) as agent:
        agent.pages[CARD], agent.pages[KEYS] = signed(card(agent.url), agent.url + KEYS)
        yield agent


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["card", *arguments], env={"A2A_CLIENT_BEARER_TOKEN": "s3cr3t"})


def test_a_card_is_shown(agent: FakeAgent) -> None:
    told = run("get", agent.url).output

    assert "Name: Fake\n" in told
    assert f"Interface: {agent.url} JSONRPC 1.0\n" in told
    assert "Capabilities: streaming\n" in told
    assert json.loads(run("get", agent.url, "-o", "json").output)["name"] == "Fake"


@clause("8.4.3")
def test_a_right_signature_is_found_right(agent: FakeAgent) -> None:
    done = run("verify", agent.url)

    assert (done.exit_code, done.output) == (0, "right  EdDSA   key-1  signed this card\n")


@clause("8.4.3")
def test_a_card_that_was_changed_is_found_wrong(agent: FakeAgent) -> None:
    agent.pages[CARD]["name"] = "Another"

    done = run("verify", agent.url, "-o", "json")

    assert done.exit_code == 1
    assert json.loads(done.stdout)["verified"] is False


def test_a_card_without_signatures_is_not_verified(agent: FakeAgent) -> None:
    agent.pages[CARD] = card(agent.url)

    done = run("verify", agent.url)

    assert (done.exit_code, done.output) == (1, "the card is not signed\n")


@clause("8.4.3")
def test_keys_of_a_stranger_are_not_trusted(agent: FakeAgent) -> None:
    with running(FakeAgent()) as stranger:
        agent.pages[CARD], stranger.pages[KEYS] = signed(card(agent.url), stranger.url + KEYS)

        untold = run("verify", agent.url)
        told = run("verify", agent.url, "--jwks", stranger.url + KEYS)

    assert untold.exit_code == 1
    assert "--jwks" in untold.output
    assert told.exit_code == 0
    assert all("authorization" not in headers for headers in stranger.headers)


def test_keys_may_be_in_a_file_and_must_be_the_right_ones(agent: FakeAgent, tmp_path: Path) -> None:
    (tmp_path / "right.json").write_text(json.dumps(agent.pages[KEYS]))
    (tmp_path / "other.json").write_text(json.dumps(signed(card(agent.url), "x")[1]))
    (tmp_path / "none.json").write_text("{}")

    codes = [
        run("verify", agent.url, "--jwks", str(tmp_path / f"{name}.json")).exit_code
        for name in ("right", "other", "none", "gone")
    ]

    assert codes == [0, 1, 2, 2]


@clause("8.4.3")
def test_keys_that_are_gone_are_told(agent: FakeAgent) -> None:
    del agent.pages[KEYS]

    done = run("verify", agent.url)

    assert done.exit_code == 1
    assert "cannot be had" in done.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_told_how_to_complete(shell: str) -> None:
    assert "_OPENCODE_A2A_SERVER_COMPLETE" in CliRunner().invoke(main, ["completion", shell]).output


def test_commands_are_completed() -> None:
    environment = {
        "_OPENCODE_A2A_SERVER_COMPLETE": "bash_complete",
        "COMP_WORDS": "opencode-a2a-server ta",
        "COMP_CWORD": "1",
    }

    done = CliRunner().invoke(main, [], env=environment, prog_name="opencode-a2a-server")

    assert done.output == "plain,tasks\n"
