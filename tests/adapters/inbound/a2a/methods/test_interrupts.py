"""The methods that answer permissions and questions, and list them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import define, field

from opencode_a2a_server.adapters.inbound.a2a.methods.row import InterruptServices, MethodServices
from opencode_a2a_server.adapters.outbound.scripted import AskPermission, AskQuestion, Hang, Say
from opencode_a2a_server.domain.ids import Principal
from opencode_a2a_server.domain.interrupt import Action, Inquiry, Option, Verdict
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.task import Task
from opencode_a2a_server.domain.terms import Terms
from tests.adapters.inbound.a2a.stage import HEADERS, PRINCIPAL, Stage
from tests.app.house import House, living, text_of
from tests.app.house import Stage as Backstage

pytestmark = pytest.mark.anyio

AS_0_2 = {name: value for name, value in HEADERS.items() if name != "a2a-version"}
PERMISSION = AskPermission(
    "bash", ("rm *",), {Verdict.ONCE: (Say("once"),), Verdict.ALWAYS: (Say("always"),), Verdict.REJECT: (Say("no"),)}
)
QUESTION = AskQuestion((Inquiry("Which size?", "Size", (Option("S"), Option("M")), multiple=True, custom=False),))


@define(eq=False)
class Caller:
    """A client of a service that works."""

    house: House
    stage: Stage = field(init=False)

    def __attrs_post_init__(self) -> None:
        services = InterruptServices(self.house.answer, self.house.waiting)
        self.stage = Stage(methods=MethodServices(interrupts=services))

    async def __call__(self, method: str, headers: dict[str, str] | None = None, **params: object) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.stage.client(headers or HEADERS) as client:
            told: dict[str, Any] = (await client.post("/", json=body)).json()
        await self.house.clock.turn()
        return told

    async def begin(self, *steps: Any, by: Principal = PRINCIPAL) -> tuple[Task, str]:
        task = await self.house.begin(*steps, by=by, context=None)
        return task, next(iter(task.pending))


@pytest.fixture
async def caller(anyio_backend: str) -> AsyncIterator[Caller]:
    stage = Backstage()
    terms = Terms(seconds=60.0, permission=Action.REJECT)
    async with stage.scripted, living(stage, terms=terms) as house:
        yield Caller(house)


@pytest.mark.parametrize(
    ("reply", "text"), [("once", "once"), ("ALWAYS", "always"), (" Reject ", "no"), ("reject", "no")]
)
@pytest.mark.parametrize("headers", [HEADERS, AS_0_2])
async def test_a_permission_is_answered(caller: Caller, headers: dict[str, str], reply: str, text: str) -> None:
    task, request = await caller.begin(PERMISSION)

    told = await caller("a2a.interrupt.permission.reply", headers, request_id=request, reply=reply)

    assert told["result"] == {"ok": True, "request_id": request}
    assert (text_of(task), task.state) == (text, TaskState.COMPLETED)


async def test_a_rejection_may_have_words(caller: Caller) -> None:
    task, request = await caller.begin(AskPermission("bash"), Say("then not"))

    await caller("a2a.interrupt.permission.reply", request_id=request, reply="reject", message="use git")

    assert text_of(task) == "then not"


async def test_a_question_is_answered(caller: Caller) -> None:
    task, request = await caller.begin(QUESTION)

    told = await caller("a2a.interrupt.question.reply", request_id=request, answers=[["S", "", "M"]])

    assert told["result"] == {"ok": True, "request_id": request}
    assert text_of(task) == "S, M"


async def test_a_question_is_dismissed(caller: Caller) -> None:
    task, request = await caller.begin(QUESTION)

    told = await caller("a2a.interrupt.question.reject", request_id=request)

    assert told["result"] == {"ok": True, "request_id": request}
    assert [settled.resolution for settled in task.resolved.values()] == ["rejected"]


async def test_the_same_answer_again_is_the_same_result_and_another_one_is_refused(caller: Caller) -> None:
    _, request = await caller.begin(PERMISSION, Hang())
    await caller("a2a.interrupt.permission.reply", request_id=request, reply="once")

    again = await caller("a2a.interrupt.permission.reply", request_id=request, reply="once")
    other = await caller("a2a.interrupt.permission.reply", request_id=request, reply="reject")

    assert again["result"] == {"ok": True, "request_id": request}
    assert other["error"]["code"] == -32055
    assert other["error"]["data"][0]["reason"] == "ALREADY_ANSWERED"
    assert f"by {PRINCIPAL}: once" in other["error"]["message"]


@pytest.mark.parametrize(
    ("method", "params", "code", "kind"),
    [
        ("a2a.interrupt.permission.reply", {"request_id": "unknown", "reply": "once"}, -32070, "NOT_FOUND"),
        ("a2a.interrupt.question.reject", {"request_id": "unknown"}, -32070, "NOT_FOUND"),
        ("a2a.interrupt.question.reject", {"request_id": "PERMISSION"}, -32072, "MISMATCH"),
        ("a2a.interrupt.question.reply", {"request_id": "PERMISSION", "answers": [["a"]]}, -32072, "MISMATCH"),
        ("a2a.interrupt.permission.reply", {"request_id": "PERMISSION", "reply": "yes"}, -32602, "INVALID_FIELD"),
        ("a2a.interrupt.permission.reply", {"request_id": "PERMISSION"}, -32602, "MISSING_FIELD"),
        ("a2a.interrupt.permission.reply", {"reply": "once"}, -32602, "MISSING_FIELD"),
        ("a2a.interrupt.question.reply", {"request_id": "x", "answers": "a"}, -32602, "INVALID_FIELD"),
        ("a2a.interrupt.question.reply", {"request_id": "x", "answers": ["a"]}, -32602, "INVALID_FIELD"),
        ("opencode.permissions.list", {"limit": 1}, -32602, "INVALID_FIELD"),
    ],
)
async def test_what_does_not_fit_is_refused_by_the_names_of_0_2(
    caller: Caller, method: str, params: dict[str, object], code: int, kind: str
) -> None:
    task, request = await caller.begin(PERMISSION)
    named = params | ({"request_id": request} if params.get("request_id") == "PERMISSION" else {})

    error = (await caller(method, AS_0_2, **named))["error"]

    assert error["code"] == code
    assert error["data"]["type"].endswith(kind)
    assert task.state is TaskState.INPUT_REQUIRED


async def test_what_is_over_is_expired(caller: Caller) -> None:
    _, request = await caller.begin(PERMISSION, Hang())
    await caller.house.clock.turn(61)

    error = (await caller("a2a.interrupt.permission.reply", AS_0_2, request_id=request, reply="once"))["error"]

    assert (error["code"], error["data"]["type"]) == (-32071, "INTERRUPT_REQUEST_EXPIRED")
    assert error["data"]["request_id"] == request


async def test_anothers_interrupt_is_not_found(caller: Caller) -> None:
    _, request = await caller.begin(PERMISSION, by=Principal("somebody else"))

    error = (await caller("a2a.interrupt.permission.reply", AS_0_2, request_id=request, reply="once"))["error"]

    assert error["data"]["type"] == "INTERRUPT_REQUEST_NOT_FOUND"
    assert (await caller("opencode.permissions.list"))["result"] == {"items": []}


async def test_a_draining_service_takes_no_answers(caller: Caller) -> None:
    _, request = await caller.begin(PERMISSION)
    caller.house.turns.draining = True

    error = (await caller("a2a.interrupt.permission.reply", request_id=request, reply="once"))["error"]

    assert error["data"][0]["reason"] == "SERVICE_DRAINING"


async def test_what_waits_is_listed(caller: Caller) -> None:
    permitted, permission = await caller.begin(PERMISSION)
    questioned, question = await caller.begin(QUESTION)

    permissions = (await caller("opencode.permissions.list"))["result"]["items"]
    questions = (await caller("opencode.questions.list"))["result"]["items"]

    assert permitted.session is not None
    assert permissions == [
        {
            "request_id": permission,
            "session_id": permitted.session.id,
            "interrupt_type": "permission",
            "task_id": permitted.id,
            "context_id": permitted.context_id,
            "details": {"permission": "bash", "patterns": ["rm *"], "always": ["rm *"], "metadata": {}},
            "expires_at": caller.house.clock.now() + 60,
        }
    ]
    (one,) = questions
    assert (one["request_id"], one["task_id"], one["expires_at"]) == (question, questioned.id, None)
    (inquiry,) = one["details"]["questions"]
    assert (inquiry["multiple"], inquiry["custom"], len(inquiry["options"])) == (True, False, 2)


@pytest.mark.parametrize("directory", ["/w/sub", "../outside"])
async def test_a_directory_that_is_named_is_held_to_the_rules(caller: Caller, directory: str) -> None:
    from attrs import evolve

    from opencode_a2a_server.domain.errors import InvalidRequest

    class Places:
        async def __call__(self, given: str, field: str = "metadata.opencode.directory") -> str:
            if given.startswith(".."):
                raise InvalidRequest(f"{field}: outside", field)
            return given

        async def reached(self, principal: str, directory: str, field: str = "") -> None:
            """Everybody may work anywhere."""

    services = InterruptServices(evolve(caller.house.answer, places=Places()), caller.house.waiting)  # type: ignore[arg-type]
    caller.stage = Stage(methods=MethodServices(interrupts=services))
    task, request = await caller.begin(PERMISSION)
    metadata = {"opencode": {"directory": directory}}

    told = await caller("a2a.interrupt.permission.reply", request_id=request, reply="once", metadata=metadata)

    assert ("result" in told) == (task.state is TaskState.COMPLETED) == (not directory.startswith(".."))
