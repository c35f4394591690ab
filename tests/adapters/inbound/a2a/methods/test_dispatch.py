"""However a method of an extension is called, it is answered in words its caller knows."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field

from opencode_a2a_server.adapters.inbound.a2a.methods.row import MethodServices
from opencode_a2a_server.app.ports.sessions import SessionDetails
from opencode_a2a_server.app.usecases.read_sessions import ReadSessions
from opencode_a2a_server.domain.errors import AgentFault, AgentRefused, AgentUnreachable
from opencode_a2a_server.domain.ids import SessionId
from opencode_a2a_server.domain.session import Directory
from tests.adapters.inbound.a2a.stage import HEADERS, Stage
from tests.fakes.clock import TurnedClock
from tests.fakes.sessions import FakeReader, FakeSessions

pytestmark = pytest.mark.anyio

AS_0_2 = {name: value for name, value in HEADERS.items() if name != "a2a-version"}
ONE = SessionDetails(SessionId("ses_1"), Directory("/w"), "One", created=1_700_000_000.0, updated=1_700_000_001.5)


@define(eq=False)
class Caller:
    """A client of a service whose runtime has sessions."""

    runtime: FakeSessions = field(factory=FakeSessions)
    stage: Stage = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reader.add(ONE)
        reach = self.runtime.reach(TurnedClock())
        self.stage = Stage(methods=MethodServices(sessions=ReadSessions(self.reader, reach)))

    @property
    def reader(self) -> FakeReader:
        """What is read."""
        return self.runtime.reader

    async def __call__(self, method: str, headers: dict[str, str], **params: object) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.stage.client(headers) as client:
            told: dict[str, Any] = (await client.post("/", json=body)).json()
        return told


@pytest.fixture
def caller() -> Caller:
    return Caller()


async def test_a_client_of_1_0_gets_tasks_of_1_0(caller: Caller) -> None:
    told = await caller("opencode.sessions.list", HEADERS)

    (task,) = told["result"]["items"]
    assert task["status"] == {"state": "TASK_STATE_COMPLETED", "timestamp": "2023-11-14T22:13:21.500Z"}
    assert "kind" not in task


@pytest.mark.parametrize("headers", [AS_0_2, AS_0_2 | {"a2a-version": "0.3"}])
async def test_a_client_of_0_3_gets_tasks_of_0_3(caller: Caller, headers: dict[str, str]) -> None:
    told = await caller("opencode.sessions.list", headers)

    (task,) = told["result"]["items"]
    assert (task["kind"], task["id"], task["contextId"]) == ("task", "ses_1", "ctx:opencode-session:ses_1")
    assert task["status"]["state"] == "completed"
    assert task["metadata"]["shared"]["session"] == {"id": "ses_1", "title": "One"}


async def test_a_client_of_1_0_finds_an_errors_type_in_its_error_info(caller: Caller) -> None:
    error = (await caller("opencode.sessions.get", HEADERS, session_id="ses_2"))["error"]

    info = error["data"][0]
    assert (error["code"], info["reason"]) == (-32054, "SESSION_NOT_FOUND")
    assert info["metadata"] == {"method": "opencode.sessions.get", "session_id": "ses_2"}


async def test_a_client_of_0_2_finds_an_errors_type_where_it_was(caller: Caller) -> None:
    error = (await caller("opencode.sessions.get", AS_0_2, session_id="ses_2"))["error"]

    assert error["data"]["type"] == "SESSION_NOT_FOUND"
    assert error["data"]["session_id"] == "ses_2"


@pytest.mark.parametrize(
    ("raised", "code", "kind"),
    [
        (AgentUnreachable("gone"), -32052, "UPSTREAM_UNREACHABLE"),
        (AgentRefused("no", 502), -32065, "UPSTREAM_HTTP_ERROR"),
        (AgentFault("nonsense"), -32066, "UPSTREAM_PAYLOAD_ERROR"),
    ],
)
async def test_a_fault_of_the_runtime_has_the_name_it_had_in_0_2(
    caller: Caller, raised: Exception, code: int, kind: str
) -> None:
    caller.reader.raises = raised

    old = (await caller("opencode.sessions.list", AS_0_2))["error"]
    new = (await caller("opencode.sessions.list", HEADERS))["error"]

    assert (old["code"], old["data"]["type"]) == (new["code"], new["data"][0]["reason"]) == (code, kind)
    if kind == "UPSTREAM_HTTP_ERROR":
        assert old["data"]["upstream_status"] == 502


@pytest.mark.parametrize(
    ("params", "field", "kind"),
    [
        ({}, "session_id", "MISSING_FIELD"),
        ({"session_id": 1}, "session_id", "INVALID_FIELD"),
        ({"session_id": ""}, "session_id", "INVALID_FIELD"),
        ({"session_id": "ses_1", "colour": "red"}, "colour", "INVALID_FIELD"),
        (
            {"session_id": "ses_1", "metadata": {"opencode": {"directory": 1}}},
            "metadata.opencode.directory",
            "INVALID_FIELD",
        ),
    ],
)
async def test_what_is_wrong_with_the_parameters_is_named(
    caller: Caller, params: dict[str, Any], field: str, kind: str
) -> None:
    old = (await caller("opencode.sessions.get", AS_0_2, **params))["error"]
    new = (await caller("opencode.sessions.get", HEADERS, **params))["error"]

    assert old["code"] == new["code"] == -32602
    assert (old["data"]["type"], old["data"]["field"]) == (kind, field)
    assert new["data"][0]["metadata"]["type"] == kind
    assert new["data"][1]["fieldViolations"][0]["field"] == field


@pytest.mark.parametrize("session", ["ses_1/shell?", "../global/dispose?", "ses_1?", "ses_1%2Fshell", "ses_1\n"])
async def test_an_id_that_means_something_in_a_path_gets_nowhere(caller: Caller, session: str) -> None:
    error = (await caller("opencode.sessions.get", AS_0_2, session_id=session))["error"]

    assert (error["code"], error["data"]["field"]) == (-32602, "session_id")
    assert "digits" in error["message"]


async def test_a_method_the_runtime_has_nothing_for_says_so(caller: Caller) -> None:
    error = (await caller("opencode.models.list", AS_0_2))["error"]

    assert (error["code"], error["data"]["type"]) == (-32004, "METHOD_NOT_SUPPORTED")


async def test_a_notification_is_answered_with_nothing_also_when_it_fails(caller: Caller) -> None:
    async with caller.stage.client(AS_0_2) as client:
        answers = [
            await client.post("/", json={"jsonrpc": "2.0", "method": "opencode.sessions.get", "params": params})
            for params in ({"session_id": "ses_1"}, {"session_id": "ses_2"})
        ]

    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 2


@pytest.mark.parametrize(
    ("params", "limit"),
    [
        ({}, 20),
        ({"limit": 1}, 1),
        ({"limit": 100}, 100),
        ({"query": {"limit": 7}}, 7),
        ({"limit": 7, "query": {"limit": 7, "x": 1}}, 7),
    ],
)
async def test_a_list_is_as_long_as_wanted(caller: Caller, params: dict[str, Any], limit: int) -> None:
    await caller("opencode.sessions.list", AS_0_2, **params)

    assert [asked.limit for asked in caller.reader.asked] == [limit]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"query": {"limit": 101}}, "query.limit"),
        ({"query": {"limit": "many"}}, "query.limit"),
        ({"limit": 1, "query": {"limit": 2}}, "limit"),
        ({"query": []}, "query"),
        ({"cursor": "x"}, "cursor"),
    ],
)
async def test_a_list_that_cannot_be_had_is_refused(caller: Caller, params: dict[str, Any], field: str) -> None:
    error = (await caller("opencode.sessions.list", AS_0_2, **params))["error"]

    assert (error["code"], error["data"]["field"]) == (-32602, field)
