"""Settings of sessions and directories, and that they have their effect."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from opencode_a2a_server.app.container import assemble
from opencode_a2a_server.app.settings import SettingsError, load_settings

SCRIPTED = {"A2A_BEARER_TOKEN": "secret", "A2A_RUNTIME": "scripted", "A2A_TASK_STORE_BACKEND": "memory"}
HEADERS = {"authorization": "Bearer secret", "a2a-version": "1.0"}


def test_clients_may_choose_and_claim_unless_told_otherwise() -> None:
    session = load_settings({}).session

    assert (session.directory_override, session.claimable, session.claim_seconds) == (True, True, 30.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A2A_ALLOW_DIRECTORY_OVERRIDE", "perhaps"),
        ("A2A_ALLOW_SESSION_CLAIMS", "2"),
        ("A2A_PENDING_SESSION_CLAIM_TTL_SECONDS", "0"),
    ],
)
def test_what_makes_no_sense_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value})


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:4096", True),
        ("http://127.8.0.1", True),
        ("http://[::1]:4096", True),
        ("http://localhost:4096", True),
        ("http://opencode:4096", False),
        ("http://192.168.0.7:4096", False),
        ("https://localhost.example", False),
    ],
)
def test_only_what_listens_on_loopback_has_our_disk(url: str, local: bool) -> None:  # noqa: FBT001 - the answer
    assert load_settings({"OPENCODE_BASE_URL": url}).opencode.local is local


def test_the_workspace_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert load_settings({"OPENCODE_WORKSPACE_ROOT": "work"}).opencode.root == os.path.join(os.getcwd(), "work")  # noqa: PTH109, PTH118
    assert load_settings({"OPENCODE_DIRECTORY": "/srv/work"}).opencode.root == "/srv/work"
    assert load_settings({}).opencode.root is None


@pytest.mark.anyio
@pytest.mark.parametrize(("setting", "status"), [("true", 200), ("false", 400)])
async def test_the_override_of_directories_can_be_switched_off(tmp_path: Path, setting: str, status: int) -> None:
    settings = load_settings(SCRIPTED | {"A2A_ALLOW_DIRECTORY_OVERRIDE": setting})
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]}
    wish = {"opencode": {"directory": str(tmp_path)}}
    async with assemble(settings) as service:
        transport = httpx.ASGITransport(cast("Any", service.app()))
        async with httpx.AsyncClient(transport=transport, base_url="http://agent", headers=HEADERS) as client:
            answer = await client.post("/message:send", json={"message": message, "metadata": wish})
            card = (await client.get("/.well-known/agent-card.json")).json()

    assert answer.status_code == status
    told = {extension["uri"]: extension["params"] for extension in card["capabilities"]["extensions"]}
    assert told["urn:a2a:session-binding/v1"]["directory_override_enabled"] is (setting == "true")
    assert told["urn:a2a:model-selection/v1"]["metadata_field"] == "metadata.shared.model"
