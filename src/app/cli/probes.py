"""What a running agent shows of A2A's demands: a table, each row with its clause, what it demands, and how it is asked."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import uuid4

import httpx
from attrs import define, field, frozen

JSONRPC: Final = "JSONRPC"
REST: Final = "HTTP+JSON"
GRPC: Final = "GRPC"
V1: Final = "1.0"
V03: Final = "0.3"

_NOT_FOUND: Final = -32001
_PUSH: Final = -32003
_UNSUPPORTED: Final = -32004
_VERSION: Final = -32009
_REASONS: Final = {
    _NOT_FOUND: "TASK_NOT_FOUND",
    _PUSH: "PUSH_NOTIFICATION_NOT_SUPPORTED",
    _UNSUPPORTED: "UNSUPPORTED_OPERATION",
    _VERSION: "VERSION_NOT_SUPPORTED",
}
_ENDS: Final = ("COMPLETED", "FAILED", "CANCELED", "REJECTED", "INPUT_REQUIRED", "AUTH_REQUIRED")

_OPERATIONS: Final[Mapping[str, tuple[str, str, str, str, str]]] = {
    "send": ("SendMessage", "POST", "/message:send", "message/send", "/v1/message:send"),
    "stream": ("SendStreamingMessage", "POST", "/message:stream", "message/stream", "/v1/message:stream"),
    "get": ("GetTask", "GET", "/tasks/{id}", "tasks/get", "/v1/tasks/{id}"),
    "list": ("ListTasks", "GET", "/tasks", "", ""),
    "cancel": ("CancelTask", "POST", "/tasks/{id}:cancel", "tasks/cancel", "/v1/tasks/{id}:cancel"),
    "push": (
        "ListTaskPushNotificationConfigs",
        "GET",
        "/tasks/{id}/pushNotificationConfigs",
        "tasks/pushNotificationConfig/list",
        "/v1/tasks/{id}/pushNotificationConfigs",
    ),
    "card": ("GetExtendedAgentCard", "GET", "/extendedAgentCard", "agent/getAuthenticatedExtendedCard", "/v1/card"),
}
"""Each operation: as a method of 1.0, its verb and path, as a method of 0.3, and its path there."""


class Broken(Exception):
    """A demand is not met; how that showed."""


class NotAsked(Exception):
    """A demand cannot be asked here; why."""


@define(eq=False)
class Interface:
    """One interface of an agent, as its card promises it."""

    url: str
    binding: str
    version: str
    card: Mapping[str, Any]
    http: httpx.AsyncClient
    message: str
    """What is said to have it work; empty to have it do nothing."""
    task: Mapping[str, Any] = field(factory=dict, init=False)
    """The task that came of it."""

    async def ask(self, operation: str, params: Mapping[str, Any], **headers: str) -> httpx.Response:
        """Ask for an operation as binding and version have it."""
        method, verb, path, old_method, old_path = _OPERATIONS[operation]
        sent = {"a2a-version": self.version, **headers}
        if self.binding == JSONRPC:
            name = method if self.version == V1 else old_method
            return await self.http.post(
                self.url, headers=sent, json={"jsonrpc": "2.0", "id": "ask-1", "method": name, "params": params}
            )
        given = dict(params)
        where = self.url.rstrip("/") + (path if self.version == V1 else old_path).format(id=given.pop("id", ""))
        if verb == "GET":
            return await self.http.get(where, headers=sent, params=given)
        return await self.http.post(where, headers=sent, json=given)

    def said(self, text: str, **more: str) -> dict[str, Any]:
        """Make the parameters of a message."""
        if self.version == V1:
            part, role = {"text": text}, "ROLE_USER"
        elif self.binding != JSONRPC:
            return {"message": {"messageId": str(uuid4()), "role": "ROLE_USER", "content": [{"text": text}], **more}}
        else:
            part, role = {"kind": "text", "text": text}, "user"
        return {"message": {"messageId": str(uuid4()), "role": role, "parts": [part], **more}}


@frozen
class Probe:
    """One demand."""

    clause: str
    demands: str
    ask: Callable[[Interface], Awaitable[None]]
    versions: tuple[str, ...] = (V1, V03)
    bindings: tuple[str, ...] = (JSONRPC, REST, GRPC)


def _told(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        raise Broken(f"answered {answer.status_code} with what is no JSON") from None


def _result(interface: Interface, answer: httpx.Response) -> Mapping[str, Any]:
    told = _told(answer)
    result = told.get("result") if interface.binding == JSONRPC and isinstance(told, dict) else told
    if not answer.is_success or not isinstance(result, dict) or "error" in told:
        raise Broken(f"answered {answer.status_code}: {answer.text[:200]}")
    return result


def _refused(interface: Interface, answer: httpx.Response, code: int) -> None:
    told = _told(answer)
    error = told.get("error") if isinstance(told, dict) else None
    if interface.binding == JSONRPC:
        if not isinstance(error, dict) or error.get("code") != code:
            raise Broken(f"expected error {code}: {answer.status_code} {answer.text[:200]}")
        return
    if answer.is_success or (interface.version == V1 and _REASONS[code] not in answer.text):
        raise Broken(f"expected {_REASONS[code]}: {answer.status_code} {answer.text[:200]}")


async def _work(interface: Interface) -> Mapping[str, Any]:
    """Have it work once, and keep what came of it."""
    if not interface.message:
        raise NotAsked("would have the agent work")
    if not interface.task:
        wait = {} if interface.version == V1 else {"configuration": {"blocking": True}}
        result = _result(interface, await interface.ask("send", interface.said(interface.message) | wait))
        found = result.get("task", result)
        if "message" in result or "msg" in result or found.get("kind") == "message":
            raise NotAsked("the agent answers with messages")
        interface.task = found
    return interface.task


async def _card_is_whole(interface: Interface) -> None:
    needed = ["name", "description", "version", "capabilities", "defaultInputModes", "defaultOutputModes", "skills"]
    needed.append("supportedInterfaces" if interface.version == V1 else "url")
    if missing := [name for name in needed if name not in interface.card]:
        raise Broken(f"the card has no {', '.join(missing)}")


async def _nobody_gets_in(interface: Interface) -> None:
    if not (interface.card.get("securityRequirements") or interface.card.get("security")):
        raise NotAsked("the card asks for no credentials")
    answer = await interface.ask("get", {"id": "none"}, authorization="Bearer wrong")
    if answer.status_code not in (401, 403):
        raise Broken(f"wrong credentials are answered with {answer.status_code}")


async def _send(interface: Interface) -> None:
    task = await _work(interface)
    if not task.get("id") or not task.get("contextId") or not task.get("status", {}).get("state"):
        raise Broken(f"the task lacks id, contextId or state: {json.dumps(task)[:200]}")


async def _waits(interface: Interface) -> None:
    state = str((await _work(interface))["status"]["state"])
    if state.upper().replace("-", "_").removeprefix("TASK_STATE_") not in _ENDS:
        raise Broken(f"who waits got the task as {state}")


async def _get(interface: Interface) -> None:
    task = await _work(interface)
    found = _result(interface, await interface.ask("get", {"id": task["id"]}))
    if (found.get("id"), found.get("contextId")) != (task["id"], task["contextId"]):
        raise Broken("another task was given than the one asked for")


async def _list(interface: Interface) -> None:
    task = await _work(interface)
    found = _result(interface, await interface.ask("list", {"contextId": task["contextId"], "pageSize": 1}))
    ids = [one.get("id") for one in found.get("tasks", ())]
    if ids != [task["id"]] or not {"nextPageToken", "pageSize", "totalSize"} <= set(found):
        raise Broken(f"the list of the task's context is {json.dumps(found)[:200]}")
    if any("artifacts" in one for one in found["tasks"]):
        raise Broken("artifacts are listed though nobody asked for them")


async def _stream(interface: Interface) -> None:
    if not interface.card.get("capabilities", {}).get("streaming"):
        raise NotAsked("the card promises no streams")
    if not interface.message:
        raise NotAsked("would have the agent work")
    answer = await interface.ask("stream", interface.said(interface.message), accept="text/event-stream")
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        raise Broken(f"answered with {answer.headers.get('content-type')}")
    try:
        frames = [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]
    except (ValueError, RecursionError):
        raise Broken("an event of the stream is no JSON") from None
    told = [one.get("result", one) for one in frames] if interface.binding == JSONRPC else frames
    if not told or not ({"task", "message", "msg"} & set(told[0]) or told[0].get("kind") in ("task", "message")):
        raise Broken("the first event is neither a task nor a message")
    text = json.dumps(told[-1]).upper().replace("-", "_")
    if "task" in json.dumps(told[0]) and not any(f'{end}"' in text for end in _ENDS):
        raise Broken(f"the stream closed before its task ended or waited: {json.dumps(told[-1])[:200]}")


async def _not_found(interface: Interface) -> None:
    _refused(interface, await interface.ask("get", {"id": "there-is-none"}), _NOT_FOUND)


async def _not_cancelable(interface: Interface) -> None:
    _refused(interface, await interface.ask("cancel", {"id": "there-is-none"}), _NOT_FOUND)


async def _no_task_made(interface: Interface) -> None:
    params = interface.said("nothing to do", taskId="there-is-none")
    _refused(interface, await interface.ask("send", params), _NOT_FOUND)


async def _no_push(interface: Interface) -> None:
    if interface.card.get("capabilities", {}).get("pushNotifications"):
        raise NotAsked("the card promises push notifications")
    _refused(interface, await interface.ask("push", {"id": "none", "taskId": "none"}), _PUSH)


async def _no_extended_card(interface: Interface) -> None:
    if interface.card.get("capabilities", {}).get("extendedAgentCard"):
        result = _result(interface, await interface.ask("card", {}))
        if "name" not in result:
            raise Broken("the extended card has no name")
        return
    _refused(interface, await interface.ask("card", {}), _UNSUPPORTED)


async def _no_such_version(interface: Interface) -> None:
    _refused(interface, await interface.ask("get", {"id": "none"}, **{"a2a-version": "99.0"}), _VERSION)


async def _no_such_method(interface: Interface) -> None:
    body = {"jsonrpc": "2.0", "id": 7, "method": "NoSuchMethod", "params": {}}
    answer = await interface.http.post(interface.url, json=body, headers={"a2a-version": interface.version})
    _refused(interface, answer, -32601)
    if _told(answer).get("id") != 7:  # noqa: PLR2004 - as it was sent
        raise Broken("the answer has not the id of its call")


async def _no_json(interface: Interface) -> None:
    headers = {"content-type": "application/json", "a2a-version": interface.version}
    _refused(interface, await interface.http.post(interface.url, content=b'{"jsonrpc"', headers=headers), -32700)


async def _no_parts(interface: Interface) -> None:
    params = interface.said("x")
    params["message"].pop("parts", None)
    params["message"].pop("content", None)
    answer = await interface.ask("send", params)
    if interface.binding == JSONRPC:
        _refused(interface, answer, -32602)
    elif answer.status_code != httpx.codes.BAD_REQUEST:
        raise Broken(f"answered {answer.status_code}")


TABLE: Final[tuple[Probe, ...]] = (
    Probe("8.2", "The card has everything that a card must have.", _card_is_whole),
    Probe("7.4", "Nobody gets in with wrong credentials where the card asks for some.", _nobody_gets_in),
    Probe("3.1.1", "A message is answered with a task or a message; a task has id, context and state.", _send),
    Probe("3.2.2", "Who waits gets the task where it ended or halts.", _waits),
    Probe("3.1.3", "A task is given to who asks for it by its id.", _get),
    Probe("3.1.4", "Tasks are listed by context, in pages, without artifacts.", _list, versions=(V1,)),
    Probe("3.1.2", "A stream begins with the task or message and closes when the task ends or halts.", _stream),
    Probe("3.3.2", "A task that is not there is refused as such.", _not_found),
    Probe("3.1.5", "A task that is not there cannot be canceled.", _not_cancelable),
    Probe("3.4.2", "A message to a task that is not there makes none.", _no_task_made),
    Probe("3.3.4", "Without push notifications their operations are refused.", _no_push, versions=(V1,)),
    Probe(
        "3.1.11", "The extended card is given where it is declared, and only there.", _no_extended_card, versions=(V1,)
    ),
    Probe("3.6.2", "A version that is not served is refused as such.", _no_such_version, versions=(V1,)),
    Probe(
        "9.5",
        "A method that is not there is refused as such, with the id of its call.",
        _no_such_method,
        bindings=(JSONRPC,),
    ),
    Probe("9.3", "What is no JSON is refused as such.", _no_json, bindings=(JSONRPC,)),
    Probe("4.1.4", "A message without parts is refused.", _no_parts),
)
"""Numbers of 1.0; 0.3 demands the same in other places."""
