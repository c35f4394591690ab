"""Which session works for whom, where and with which model: two clients and a real OpenCode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import field, frozen

from tests.e2e.model import ScriptedModel
from tests.e2e.opencode import OTHER_MODEL, PROVIDER, RealOpenCode
from tests.e2e.service import RunningService

Json = dict[str, Any]


@pytest.fixture(scope="module")
def service(opencode: RealOpenCode) -> Iterator[RunningService]:
    with RunningService(
        {"OPENCODE_BASE_URL": opencode.url, "OPENCODE_DIRECTORY": str(opencode.workspace)},
    ) as service:
        yield service


@pytest.fixture(scope="module")
def places(opencode: RealOpenCode) -> Path:
    """Directories of the workspace, a link out of it, and files."""
    workspace = opencode.workspace
    for name in ("one", "two"):
        (workspace / name).mkdir()
    (workspace / "one" / "word.txt").write_text("first\nplover\nlast\n")
    (opencode.root / "secret.txt").write_text("xyzzy\n")
    (workspace / "out").symlink_to(opencode.root)
    return workspace


@frozen
class Client:
    """One client, by JSON over HTTP."""

    service: RunningService
    token: str = field(repr=False)

    def send(self, text: str, *parts: Json, metadata: Json | None = None, **more: str) -> Json:
        """Send a message; gives the task, or the error."""
        message = {"messageId": text, "role": "ROLE_USER", "parts": [{"text": text}, *parts], **more}
        answer = self._post("/message:send", {"message": message, "metadata": metadata or {}})
        told: Json = answer.json()
        return told["task"] if "task" in told else told["error"] | {"http": answer.status_code}  # type: ignore[no-any-return]

    def _post(self, path: str, body: Json) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}", "a2a-version": "1.0"}
        return httpx.post(f"{self.service.url}{path}", json=body, headers=headers, timeout=60, trust_env=False)


@pytest.fixture
def alice(service: RunningService) -> Client:
    return Client(service, service.token)


def bound(session: str) -> Json:
    return {"shared": {"session": {"id": session}}}


def within(directory: object) -> Json:
    return {"opencode": {"directory": str(directory)}}


def session_of(task: Json) -> str:
    found: str = task["metadata"]["shared"]["session"]["id"]
    return found


def text_of(task: Json) -> str:
    return "".join(part.get("text", "") for artifact in task["artifacts"] for part in artifact["parts"])


def ended(task: Json) -> str:
    found: str = task.get("status", {}).get("state", "") if isinstance(task.get("status"), dict) else str(task)
    return found


COMPLETED = "TASK_STATE_COMPLETED"


def test_two_directories_are_two_sessions_each_in_its_own(alice: Client, opencode: RealOpenCode, places: Path) -> None:
    tasks = [alice.send("[[bash pwd]]", metadata=within(place), contextId=f"in-{place}") for place in ("one", "two")]

    assert [ended(task) for task in tasks] == [COMPLETED] * 2
    assert [str(places / place) in text_of(task) for task, place in zip(tasks, ("one", "two"), strict=True)] == [
        True
    ] * 2
    with opencode.client() as client:
        for task, place in zip(tasks, ("one", "two"), strict=True):
            assert client.get(f"/session/{session_of(task)}").json()["directory"] == str(places / place)


def test_a_context_stays_in_its_directory(alice: Client, places: Path) -> None:
    first = alice.send("[[say hello]] the name is Ada", metadata=within("one"), contextId="stays")
    again = alice.send("[[bash pwd]]", contextId="stays")
    same = alice.send("[[say hello]]", metadata=within(places / "two" / ".." / "one"), contextId="stays")
    other = alice.send("[[say hello]]", metadata=within("two"), contextId="stays")

    assert session_of(first) == session_of(again) == session_of(same)
    assert str(places / "one") in text_of(again)
    assert (other["http"], other["status"]) == (400, "INVALID_ARGUMENT")
    assert str(places) not in other["message"]


@pytest.mark.parametrize("where", ["..", "/etc", "out", "out/home", "one/../../..", "none"])
def test_nobody_gets_out_of_the_workspace(alice: Client, places: Path, where: str) -> None:
    refused = alice.send("[[say never]]", metadata=within(where))

    assert (refused["http"], refused["status"]) == (400, "INVALID_ARGUMENT")
    assert "metadata.opencode.directory" in str(refused["details"])
    assert str(places.parent) not in refused["message"]


def test_a_file_of_the_workspace_is_read(alice: Client, places: Path) -> None:
    whole = alice.send("[[repeat-input]]", {"url": f"file://{places}/one/word.txt"})
    lines = alice.send("[[repeat-input]]", {"url": f"file://{places}/one/word.txt?start=2&end=2"})
    listed = alice.send("[[repeat-input]]", {"url": f"file://{places}/one"})

    assert all(word in text_of(whole) for word in ("first", "plover", "last"))
    assert "plover" in text_of(lines)
    assert "first" not in text_of(lines)
    assert "word.txt" in text_of(listed)


@pytest.mark.parametrize("name", ["../secret.txt", "out/secret.txt", "%2e%2e/secret.txt", "none.txt"])
def test_a_file_outside_is_not_read(alice: Client, places: Path, name: str) -> None:
    refused = alice.send("[[repeat-input]]", {"url": f"file://{places}/{name}"})

    assert refused["http"] == 400
    assert "xyzzy" not in str(refused)


def test_an_existing_session_is_bound_by_its_id_and_keeps_its_title(alice: Client, opencode: RealOpenCode) -> None:
    with opencode.client() as client:
        session = client.post(
            "/session", params={"directory": str(opencode.workspace)}, json={"title": "begun in the terminal"}
        ).json()["id"]
        client.post(f"/session/{session}/message", json={"parts": [{"type": "text", "text": "[[say yes]] I am Grace"}]})

        task = alice.send("[[recall]]", metadata=bound(session), contextId="bound")
        again = alice.send("[[recall]]", contextId="bound")

        assert "I am Grace" in text_of(task)
        assert session_of(task) == session_of(again) == session
        assert client.get(f"/session/{session}").json()["title"] == "begun in the terminal"


def test_a_new_session_is_titled_by_its_first_message(alice: Client, opencode: RealOpenCode) -> None:
    task = alice.send("[[say one]] Sort the books")
    alice.send("[[say two]] Count them", contextId=task["contextId"])

    with opencode.client() as client:
        assert client.get(f"/session/{session_of(task)}").json()["title"] == "[[say one]] Sort the books"


def test_a_session_deleted_in_opencode_is_replaced_with_a_notice(alice: Client, opencode: RealOpenCode) -> None:
    first = alice.send("[[say hello]]", metadata=within("one"), contextId="replaced")
    with opencode.client() as client:
        assert client.delete(f"/session/{session_of(first)}").json() is True

    second = alice.send("[[bash pwd]]", contextId="replaced")
    third = alice.send("[[say on]]", contextId="replaced")

    assert [ended(task) for task in (second, third)] == [COMPLETED] * 2
    assert session_of(first) != session_of(second) == session_of(third)
    assert f"{opencode.workspace}/one" in text_of(second)
    said = [part["text"] for message in second["history"] for part in message["parts"]]
    assert any("does not remember" in text for text in said)
    assert not any("does not remember" in str(message) for message in third["history"])


def test_an_unknown_model_or_agent_is_refused_and_near_ones_are_named(alice: Client, model: ScriptedModel) -> None:
    calls = len(model.calls)
    unknown = alice.send(
        "[[say never]]", metadata={"shared": {"model": {"providerID": PROVIDER, "modelID": "scriptd-other"}}}
    )
    nobody = alice.send("[[say never]]", metadata={"opencode": {"agent": "paln"}})
    variant = alice.send(
        "[[say never]]",
        metadata={
            "shared": {"model": {"providerID": PROVIDER, "modelID": OTHER_MODEL}},
            "opencode": {"variant": "hihg"},
        },
    )

    assert [refused["http"] for refused in (unknown, nobody, variant)] == [400] * 3
    assert f"{PROVIDER}/{OTHER_MODEL}" in unknown["message"]
    assert "plan" in nobody["message"]
    assert "high" in variant["message"]
    assert len(model.calls) == calls


def test_model_agent_and_variant_reach_the_model(alice: Client, opencode: RealOpenCode, model: ScriptedModel) -> None:
    wanted = {
        "shared": {"model": {"providerID": PROVIDER, "modelID": OTHER_MODEL}},
        "opencode": {"agent": "plan", "variant": "high"},
    }
    task = alice.send("[[say hello]]", metadata=wanted, contextId="chosen")

    turn = next(call for call in model.calls_of(session_of(task)) if call.kind == "turn")
    assert turn.body["model"] == OTHER_MODEL
    assert turn.body["reasoning_effort"] == "high"
    with opencode.client() as client:
        told = client.get(f"/session/{session_of(task)}/message").json()
    assert {message["info"]["agent"] for message in told} == {"plan"}
