"""
Sessions and turns of the fake OpenCode: what they put on the feed, and what they show when read.

Shapes and order are those of OpenCode 1.18.33, as recorded in `tests/data/opencode`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from anyio.lowlevel import checkpoint
from attrs import define, field

from tests.fakes.acts import Act, AskPermission, AskQuestion, Delegate, Fail, Hang, Reason, RunTool, Say

Json: TypeAlias = dict[str, Any]

VERSION = "1.18.33"
PROJECT = "48727e2fbbd2c68695cea855b7cd78f2c7b388f7"
_SNAPSHOT = "e23649446d5b2baa9e07b34848d83919fe29ebf8"
_MODEL = {"providerID": "fake", "modelID": "fake-model"}
_ABORTED: Json = {"name": "MessageAbortedError", "data": {"message": "Aborted"}}
_ENDED = ("completed", "error")


@define(eq=False)
class Backstage:
    """What sessions need of their server."""

    tell: Callable[[str, str, Json], None]
    """Put an event on the feed: the directory, its kind, what it says."""
    record: Callable[[str, str, Json], None]
    """Put a durable one on it."""
    new_id: Callable[[str], str]
    now: Callable[[], int]
    ask: Callable[[str, Json], asyncio.Future[Json]]
    """List a permission or a question; the future is for its answer."""
    adopt: Callable[[FakeSession], None]
    """Take in a sub-agent's session."""
    idle: Callable[[], str]
    """Say how a good turn's idle comes: once, twice, early, late or never."""


@define(eq=False)
class FakeMessage:
    """A message and its parts, as the HTTP interface shows them."""

    info: Json
    parts: dict[str, Json] = field(factory=dict)

    @property
    def json(self) -> Json:
        """All of it; a text that is not whole is shown empty."""
        return {"info": self.info, "parts": [_as_stored(part) for part in self.parts.values()]}


def _as_stored(part: Json) -> Json:
    if part["type"] in ("text", "reasoning") and "time" in part and "end" not in part["time"]:
        return {**part, "text": ""}
    return part


@define(eq=False)
class FakeSession:
    """A session, its messages and its turns."""

    stage: Backstage
    id: str
    directory: str
    title: str = ""
    parent: FakeSession | None = None
    messages: list[FakeMessage] = field(factory=list)
    busy: bool = False
    children: list[FakeSession] = field(factory=list)
    owed: list[Callable[[], None]] = field(factory=list)
    """Idles that come late."""
    created: int = field(init=False)
    job: asyncio.Task[None] | None = field(default=None, init=False)
    _queue: list[tuple[str, Sequence[Act]]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.created = self.stage.now()

    @property
    def json(self) -> Json:
        """The session as the HTTP interface shows it."""
        parent = {} if self.parent is None else {"parentID": self.parent.id}
        tokens = {"input": 0, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}}
        return {
            "id": self.id,
            "slug": "lucky-moon",
            "projectID": PROJECT,
            "directory": self.directory,
            "path": "",
            **parent,
            "cost": 0,
            "tokens": tokens,
            "title": self.title or "New session - 2026-11-22T11:23:43.854Z",
            "version": VERSION,
            "time": {"created": self.created, "updated": self.stage.now()},
        }

    def find(self, message: str) -> FakeMessage | None:
        """Give a message by its id."""
        return next((known for known in self.messages if known.info["id"] == message), None)

    # The feed

    def say(self, kind: str, **properties: object) -> None:
        """Tell something that is not kept."""
        self.stage.tell(self.directory, kind, {"sessionID": self.id, **properties})

    def record(self, kind: str, **properties: object) -> None:
        """Tell something that is kept: its twin follows."""
        self.stage.record(self.directory, kind, {"sessionID": self.id, **properties})

    def say_busy(self) -> None:
        """Tell that it works."""
        self.say("session.status", status={"type": "busy"})

    def say_idle(self) -> None:
        """Tell that it rests."""
        self.say("session.status", status={"type": "idle"})
        self.say("session.idle")

    def update(self) -> None:
        """Tell the session's own state."""
        self.record("session.updated", info=self.json)

    def settle(self) -> None:
        """Tell what follows any change: noise."""
        self.update()
        self.say("session.diff", diff=[])

    # Prompts

    def prompt(self, message: str, parts: Sequence[Json], acts: Sequence[Act]) -> None:
        """
        Take a prompt and begin to work, or go on.

        One that came before gets its parts once more, but no second answer. One that comes while another one is
        worked on waits; of several that wait, the last one alone is answered.
        """
        known = self.find(message)
        self.take(message, parts)
        if self.busy:
            if known is None:
                self._queue.append((message, acts))
        elif known is not None and any(other.info.get("parentID") == message for other in self.messages):
            self.say_busy()
            self.say_idle()
        else:
            self.begin(message, acts)

    def take(self, message: str, parts: Sequence[Json]) -> None:
        """Keep a message of the user's."""
        user = self.find(message)
        info = self._user_info(message)
        if user is None:
            user = FakeMessage(info)
            self.messages.append(user)
        self.update()
        self.record("message.updated", info=info)
        for told in parts:
            part = {**told, "messageID": message, "sessionID": self.id, "id": self.stage.new_id("prt")}
            user.parts[part["id"]] = part
            self.record("message.part.updated", part=part, time=self.stage.now())
        self.update()

    def _user_info(self, message: str) -> Json:
        return {
            "id": message,
            "role": "user",
            "sessionID": self.id,
            "time": {"created": self.stage.now()},
            "agent": "build",
            "model": _MODEL,
        }

    def begin(self, message: str, acts: Sequence[Act]) -> None:
        """Work on a prompt."""
        self.busy = True
        self.job = asyncio.get_running_loop().create_task(self._work(message, acts), name=f"fake turn {message}")

    async def ended(self) -> None:
        """Wait until it no longer works."""
        if self.job is not None:
            await self.job

    async def _work(self, message: str, acts: Sequence[Act]) -> None:
        await FakeTurn(self, message)(acts)
        if self._queue:
            prompt, more = self._queue[-1]
            self._queue.clear()
            self.begin(prompt, more)

    async def stop(self) -> None:
        """Stop working, without a word."""
        self._queue.clear()
        for child in self.children:
            await child.stop()
        if self.job is not None:
            self.job.cancel()
            await asyncio.gather(self.job, return_exceptions=True)
        self.busy = False

    async def abort(self) -> None:
        """Stop working, as OpenCode tells it: first that it rests, then what becomes of what was under way."""
        if not self.busy:
            self.say_idle()
            return
        await self.stop()
        self.say_aborted()

    def say_aborted(self) -> None:
        """Tell what an abort did."""
        for child in self.children:
            if child.messages and "completed" not in child.messages[-1].info["time"]:
                child.say_aborted()
        self.say("session.error", error=_ABORTED)
        self.say_idle()
        answer = self.messages[-1]
        if answer.info["role"] == "assistant":
            for part in list(answer.parts.values()):
                self._cut(answer, part)
            self._fail(answer, _ABORTED)
        self.say_idle()

    def _cut(self, answer: FakeMessage, part: Json) -> None:
        now = self.stage.now()
        if part["type"] in ("text", "reasoning") and "end" not in part["time"]:
            self.put(answer, {**part, "time": {**part["time"], "end": now}})
        if part["type"] == "tool" and part["state"]["status"] not in _ENDED:
            state = {"status": "error", "input": part["state"]["input"], "error": "Tool execution aborted"}
            state |= {"metadata": {"interrupted": True}, "time": {"start": now, "end": now}}
            self.put(answer, {**part, "state": state})

    def _fail(self, answer: FakeMessage, error: Json) -> None:
        time = {**answer.info["time"], "completed": self.stage.now()}
        answer.info = {**answer.info, "error": error, "time": time}
        self.record("message.updated", info=answer.info)

    def put(self, answer: FakeMessage, part: Json) -> None:
        """Show a part as it stands."""
        answer.parts[part["id"]] = part
        self.record("message.part.updated", part=part, time=self.stage.now())

    def fail(self, answer: FakeMessage, error: Json) -> None:
        """End a turn with an error, which is told more than once."""
        self.say("session.error", error=error)
        self.say_idle()
        self._fail(answer, error)
        self.busy = False
        self.say_idle()


class _StoppedError(Exception):
    """A person said no: nothing follows."""


@define(eq=False)
class FakeTurn:
    """One prompt's turn: calls of the model, each a message."""

    session: FakeSession
    prompt: str
    _answer: FakeMessage = field(init=False)
    _words: int = field(default=0, init=False)
    _quote: str = field(default="", init=False)
    """What the next call of the model begins with."""

    async def __call__(self, acts: Sequence[Act]) -> None:
        """Play it to its end."""
        session = self.session
        await checkpoint()
        session.say_busy()
        self._open()
        session.settle()
        while session.owed:
            session.owed.pop()()
        for call, last in _calls(acts):
            if await self._play(call, last=last):
                return

    async def _play(self, acts: Sequence[Act], *, last: bool) -> bool:
        """Play one call of the model; says whether the turn is over."""
        session = self.session
        session.say_busy()
        if self._quote:
            await self._tell("text", self._quote)
            self._quote = ""
        try:
            for act in acts:
                await checkpoint()
                await self._act(act)
        except _StoppedError:
            self._close("tool-calls")
            self._end(worked=False)
            return True
        if "error" in self._answer.info:
            return True
        self._close("stop" if last else "tool-calls")
        if last:
            self._end(worked=True)
            return True
        session.say_busy()
        self._open()
        session.settle()
        return False

    async def _act(self, act: Act) -> None:
        match act:
            case Say(text):
                await self._tell("text", text)
            case Reason(text):
                await self._tell("reasoning", text)
            case RunTool(tool, output, error):
                await self._run_tool(tool, output, error)
            case AskPermission(permission, pattern):
                await self._ask_permission(permission, pattern)
            case AskQuestion(question, options):
                await self._ask_question(question, options)
            case Delegate(acts):
                await self._delegate(acts)
            case Fail(text):
                data = {"message": text, "statusCode": 401, "isRetryable": False}
                self.session.fail(self._answer, {"name": "APIError", "data": data})
            case Hang():
                await asyncio.get_running_loop().create_future()

    # Messages

    def _open(self) -> None:
        session = self.session
        where = {"cwd": session.directory, "root": session.directory}
        info = {
            "id": session.stage.new_id("msg"),
            "parentID": self.prompt,
            "role": "assistant",
            "mode": "build",
            "agent": "build",
            "path": where,
            "cost": 0,
            "tokens": _tokens(0),
            **_MODEL,
            "time": {"created": session.stage.now()},
            "sessionID": session.id,
        }
        self._answer, self._words = FakeMessage(info), 0
        session.messages.append(self._answer)
        session.record("message.updated", info=info)

    def _close(self, finish: str) -> None:
        session, tokens = self.session, _tokens(self._words)
        self._begin()
        if session.stage.idle() == "early":
            session.say_idle()
        used = {"reason": finish, "snapshot": _SNAPSHOT, "tokens": tokens, "cost": 0.000375}
        session.put(self._answer, self._part("step-finish", **used))
        self._answer.info = {**self._answer.info, "cost": 0.000375, "tokens": tokens, "finish": finish}
        session.record("message.updated", info=self._answer.info)
        time = {**self._answer.info["time"], "completed": session.stage.now()}
        self._answer.info = {**self._answer.info, "time": time}
        session.record("message.updated", info=self._answer.info)

    def _end(self, *, worked: bool) -> None:
        session = self.session
        if worked:
            session.say_busy()
        session.busy = False
        match session.stage.idle():
            case "never":
                return
            case "late":
                session.owed.append(session.say_idle)
                return
            case "twice":
                session.say_idle()
        session.say_idle()
        session.settle()

    def _part(self, kind: str, **more: object) -> Json:
        answer = self._answer.info["id"]
        return {
            "id": self.session.stage.new_id("prt"),
            "messageID": answer,
            "sessionID": self.session.id,
            "type": kind,
            **more,
        }

    # What a model does

    def _begin(self) -> None:
        """Tell that the model begins to answer; one that fails or hangs never does."""
        if not self._answer.parts:
            self.session.put(self._answer, self._part("step-start", snapshot=_SNAPSHOT))

    async def _tell(self, kind: str, text: str) -> None:
        self._begin()
        session, start = self.session, self.session.stage.now()
        part = self._part(kind, text="", time={"start": start})
        session.put(self._answer, part)
        for chunk in re.findall(r"\S+\s*|\s+", text):
            await checkpoint()
            self._words += 1
            part = self._answer.parts[part["id"]] = {**part, "text": part["text"] + chunk}
            session.say(
                "message.part.delta",
                messageID=part["messageID"],
                partID=part["id"],
                field="text",
                delta=chunk,
            )
        session.put(self._answer, {**part, "time": {"start": start, "end": session.stage.now()}})

    def _call(self, tool: str) -> Json:
        self._begin()
        call = self._part("tool", tool=tool, callID=self.session.stage.new_id("call"), state=_PENDING)
        self.session.put(self._answer, call)
        return call

    def _run(self, call: Json, given: Json, **more: object) -> Json:
        state = {"status": "running", "input": given, "time": {"start": self.session.stage.now()}, **more}
        running = {**call, "state": state}
        self.session.put(self._answer, running)
        return running

    def _finish(self, call: Json, output: str, **metadata: object) -> None:
        state = {"status": "completed", "input": call["state"]["input"], "output": output, "title": call["tool"]}
        state |= {"metadata": {**metadata, "truncated": False}, "time": self._times(call)}
        self.session.put(self._answer, {**call, "state": state})

    def _break(self, call: Json, error: str) -> None:
        state = {"status": "error", "input": call["state"]["input"], "error": error, "time": self._times(call)}
        self.session.put(self._answer, {**call, "state": state})

    def _times(self, call: Json) -> Json:
        return {**call["state"]["time"], "end": self.session.stage.now()}

    async def _run_tool(self, tool: str, output: str, error: str) -> None:
        call = self._call(tool)
        await checkpoint()
        call = self._run(call, {"command": tool})
        await checkpoint()
        if error:
            self._break(call, error)
        else:
            self._finish(call, output)

    async def _ask_permission(self, permission: str, pattern: str) -> None:
        call = self._call(permission)
        asked = {"permission": permission, "patterns": [pattern], "metadata": {"command": pattern}, "always": [pattern]}
        answer = self._ask("permission", "per", call, asked)
        call = self._run(call, {"command": pattern})
        reply = await answer
        if reply["reply"] != "reject":
            self._finish(self._run(call, {"command": pattern}, metadata={"output": ""}), "")
            return
        refused = "The user rejected permission to use this specific tool call"
        if reply.get("message"):
            self._break(call, f"{refused} with the following feedback: {reply['message']}")
            return
        self._break(call, f"{refused}.")
        raise _StoppedError

    async def _ask_question(self, question: str, options: Sequence[str]) -> None:
        call = self._call("question")
        choices = [{"label": option, "description": ""} for option in options]
        asked = [{"question": question, "header": question, "options": choices}]
        answer = self._ask("question", "que", call, {"questions": asked})
        call = self._run(call, {"questions": asked})
        reply = await answer
        if "answers" not in reply:
            self._break(call, "The user dismissed this question")
            raise _StoppedError
        chosen = ", ".join(label for labels in reply["answers"] for label in labels)
        self._quote = f"You chose {chosen}. "
        self._finish(call, f'User has answered your questions: "{question}"="{chosen}".', answers=reply["answers"])

    def _ask(self, kind: str, prefix: str, call: Json, asked: Json) -> asyncio.Future[Json]:
        where = {"messageID": call["messageID"], "callID": call["callID"]}
        properties = {"id": self.session.stage.new_id(prefix), "sessionID": self.session.id, **asked, "tool": where}
        self.session.say(f"{kind}.asked", **properties)
        return self.session.stage.ask(kind, properties)

    async def _delegate(self, acts: Sequence[Act]) -> None:
        parent, stage = self.session, self.session.stage
        call = self._call("task")
        child = FakeSession(stage, stage.new_id("ses"), parent.directory, "Sub job", parent)
        parent.children.append(child)
        stage.adopt(child)
        child.record("session.created", info=child.json)
        given = {"description": "Sub job", "prompt": "do it", "subagent_type": "general"}
        known = {"parentSessionId": parent.id, "sessionId": child.id, "model": _MODEL}
        call = self._run(call, given, title="Sub job", metadata=known)
        message = stage.new_id("msg")
        child.take(message, [{"type": "text", "text": "do it"}])
        call = self._run(call, given, title="Sub job", metadata=known)
        child.begin(message, acts)
        await child.ended()
        self._finish(call, f'<task id="{child.id}" state="completed">\n</task>', **known)


_PENDING: Json = {"status": "pending", "input": {}, "raw": ""}


def _calls(acts: Sequence[Act]) -> Iterator[tuple[Sequence[Act], bool]]:
    """Cut what is to be done into calls of the model: each ends with a tool, the last one says something or nothing."""
    call: list[Act] = []
    for act in acts:
        call.append(act)
        if isinstance(act, (RunTool, AskPermission, AskQuestion, Delegate)):
            yield call, False
            call = []
    yield call, True


def _tokens(output: int) -> Mapping[str, object]:
    used = {"total": 100 + output} if output else {}
    return {**used, "input": 100 if output else 0, "output": output, "reasoning": 0, "cache": {"write": 0, "read": 0}}
