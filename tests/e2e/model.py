"""
A language model which says what the conversation tells it to, behind the API which OpenCode's provider speaks.

`ScriptedModel` serves it on the loopback interface, from a thread of this process; `python -m tests.e2e.model --port N`
serves it alone. `tests.e2e.script` tells what it says.
"""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Literal

import anyio
from anyio.abc import SocketAttribute
from anyio.from_thread import start_blocking_portal
from attrs import Factory, define, field

from tests.e2e.answer import MODEL, Answer, fault, read_request, whole_answer
from tests.e2e.script import CallTool, Conversation, Drop, Finish, Gate, Hang, Refuse, Say, ScriptError, next_actions
from tests.e2e.until import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

    from anyio.abc import ByteStream, SocketStream, TaskStatus

    from tests.e2e.answer import Request
    from tests.e2e.script import Action, Json

TITLE = "A scripted session"
SUMMARY = "A summary of the conversation."
_LOOK = 0.01
"""Seconds between two looks at a gate; a test opens it from a thread of its own."""

Kind = Literal["turn", "title", "summary"]
Ending = Literal["open", "finished", "refused", "dropped", "hung up"]

# How the calls which OpenCode makes on its own account begin.
_OWN_ACCOUNT: dict[str, Kind] = {
    "You are a title generator": "title",
    "You are a context summarization agent": "summary",
}
_FIXED: dict[Kind, str] = {"title": TITLE, "summary": SUMMARY}


@define
class Call:
    """One model call, as the model saw it."""

    headers: dict[str, str] = field(repr=False)
    body: Json = field(repr=False)
    conversation: Conversation
    kind: Kind
    started: float = Factory(time.monotonic)
    begun: bool = False
    ending: Ending = "open"
    ended: float | None = None

    @property
    def session(self) -> str:
        """The OpenCode session which called."""
        return self.headers.get("x-session-id", "")

    @property
    def said(self) -> str:
        """The user message which the call answers."""
        return self.conversation.said

    @property
    def place(self) -> str:
        """Where in the session it stands: which of the user's messages, and how many rounds of tools after it."""
        return f"call_{len(self.conversation.users)}_{self.conversation.round}"

    @property
    def hung_up(self) -> bool:
        """Whether the caller went away before the answer was complete."""
        return self.ending == "hung up"

    def end(self, ending: Ending) -> None:
        """Note how the call ended; what is noted first counts."""
        if self.ending == "open":
            self.ending, self.ended = ending, time.monotonic()


class ScriptedModel:
    """
    The model server, as a context manager; its methods may be used from any thread.

    Every call is recorded. The calls for titles and summaries, which OpenCode makes on its own account, get a fixed
    answer and are kept apart from the calls of the turns.
    """

    def __init__(self, port: int = 0) -> None:
        """Serve on this port, or on a free one."""
        self._port = port
        self._requests: list[Call] = []
        self._failures: Counter[tuple[str, str, str, int]] = Counter()
        self._open_gates: set[str] = set()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start to serve."""
        portal = self._stack.enter_context(start_blocking_portal())
        job, self._port = portal.start_task(self._serve)
        self._stack.callback(_end, job)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut every connection and stop."""
        self._stack.close()

    @property
    def url(self) -> str:
        """The base URL which a provider is configured with."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def requests(self) -> list[Call]:
        """Every call so far, of every kind, in order of arrival."""
        return list(self._requests)

    @property
    def calls(self) -> list[Call]:
        """The calls which were made for turns."""
        return [call for call in self.requests if call.kind == "turn"]

    def calls_of(self, session: str) -> list[Call]:
        """The calls which were made for turns of one session."""
        return [call for call in self.calls if call.session == session]

    def wait_for_call(self, session: str, number: int = 1, *, within: float = 20.0) -> Call:
        """Return the session's n-th call, counted from one, once its answer has begun."""

        def begun() -> Sequence[Call]:
            return [call for call in self.calls_of(session)[number - 1 : number] if call.begun or call.ended]

        return until(begun, within=within, what=f"model call {number} of {session}")[0]

    def wait_for_ending(self, call: Call, *, within: float = 10.0) -> Ending:
        """Return how the call ended, once it has."""
        until(lambda: call.ended is not None, within=within, what=f"the end of {call}")
        return call.ending

    def open_gate(self, name: str) -> None:
        """Let those go on who wait at a gate, and who come to it later."""
        self._open_gates.add(name)

    def forget(self) -> None:
        """Drop the record."""
        self._requests.clear()
        self._failures.clear()

    async def _serve(self, *, task_status: TaskStatus[int]) -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self._port)
        async with listener:
            task_status.started(listener.extra(SocketAttribute.local_port))  # noqa: S610 (not Django's)
            await listener.serve(self._connection)

    async def _connection(self, stream: SocketStream) -> None:
        """Serve one request. Connections are not kept, so that a caller's going away is seen at once."""
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.IncompleteRead, anyio.DelimiterNotFound):
            async with stream:
                request = await read_request(stream)
                if request.line == "POST /v1/chat/completions":
                    await self._complete(request, stream)
                elif request.line == "GET /v1/models":
                    await stream.send(whole_answer(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]}))
                else:
                    await stream.send(whole_answer(404, fault(f"no such route: {request.line}")))

    async def _complete(self, request: Request, stream: ByteStream) -> None:
        try:
            call = self._record(request)
            actions = self._due(call)
        except (ScriptError, LookupError, TypeError, ValueError) as error:  # whatever it is, the next caller is served
            await stream.send(whole_answer(400, fault(f"{type(error).__name__}: {error}")))
            return

        async with anyio.create_task_group() as jobs:
            jobs.start_soon(_watch, call, stream, jobs.cancel_scope)
            with suppress(anyio.BrokenResourceError):  # the watch sees it too, and notes it
                await _play(actions, call, stream, self._open_gates)
                jobs.cancel_scope.cancel()

    def _record(self, request: Request) -> Call:
        body = json.loads(request.body)
        conversation = Conversation(body["messages"])
        call = Call(request.headers, body, conversation, _kind(conversation))
        self._requests.append(call)
        return call

    def _due(self, call: Call) -> list[Action]:
        """Take what the script says, without the failures which have happened as often as it wants them."""
        if call.kind != "turn":
            return [Say((_FIXED[call.kind],))]

        try:
            actions = next_actions(call.conversation)
        except ScriptError:
            call.end("refused")
            raise

        due: list[Action] = []
        for number, action in enumerate(actions):
            if isinstance(action, Refuse | Drop):
                failure = (call.session, call.said, call.place, number)
                if self._failures[failure] >= (math.inf if action.times is None else action.times):
                    continue

                self._failures[failure] += 1
                return [*due, action]

            due.append(action)

        return due


def _end(job: Future[None]) -> None:
    if not job.cancel():
        job.result()  # it had ended before: let its error be seen


def _kind(conversation: Conversation) -> Kind:
    for beginning, kind in _OWN_ACCOUNT.items():
        if conversation.system.startswith(beginning):
            return kind

    return "turn"


async def _watch(call: Call, stream: ByteStream, scope: anyio.CancelScope) -> None:
    """Note when the caller goes away; nothing else is heard from it once its request is complete."""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        await stream.receive()

    call.end("hung up")
    scope.cancel()


async def _play(actions: Sequence[Action], call: Call, stream: ByteStream, gates: set[str]) -> None:
    if actions and isinstance(refusal := actions[-1], Refuse):
        later = {} if refusal.after is None else {"retry-after-ms": f"{refusal.after * 1000:.0f}"}
        call.end("refused")
        await stream.send(whole_answer(refusal.status, fault(f"scripted error {refusal.status}"), later))
        return

    answer = Answer(stream)
    await answer.begin()
    call.begun = True
    for number, action in enumerate(actions):
        match action:
            case Say():
                await answer.say(action)
            case CallTool():
                await answer.call_tool(action, f"{call.place}_{number}")
            case Hang(seconds):
                await anyio.sleep(seconds)
            case Gate(name):
                while name not in gates:  # noqa: ASYNC110 - it is opened by another thread
                    await anyio.sleep(_LOOK)
            case Finish(reason):
                answer.finish = reason
            case Drop() | Refuse():
                call.end("dropped")
                return

    await answer.end(with_usage=bool((call.body.get("stream_options") or {}).get("include_usage")))
    call.end("finished")


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Serve the scripted model on the loopback interface.")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: a free one)")
    with ScriptedModel(parser.parse_args().port) as model:
        print(model.url, flush=True)  # noqa: T201
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
