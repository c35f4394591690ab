"""Turns of the fake OpenCode: what its model does for a prompt."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence

from anyio.lowlevel import checkpoint
from attrs import define, field

from tests.fakes.acts import Act, AskPermission, AskQuestion, Delegate, Fail, Hang, Reason, RunTool, Say, WriteFile
from tests.fakes.opencode_sessions import MODEL, FakeMessage, FakeSession, Json

_SNAPSHOT = "e23649446d5b2baa9e07b34848d83919fe29ebf8"


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
            case WriteFile(path, line):
                await self._write(path, line)
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
            **MODEL,
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
            await session.stage.pause()
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

    async def _write(self, path: str, line: str) -> None:
        await self._run_tool("write", "Wrote file successfully.", "")
        files = [f"{self.session.directory}/{path}"]
        self.session.put(self._answer, self._part("patch", hash=_SNAPSHOT, files=files))
        patch = f"Index: {path}\n{'=' * 67}\n--- {path}\t\n+++ {path}\t\n@@ -0,0 +1,1 @@\n+{line}\n"
        diff = {"file": path, "patch": patch, "additions": 1, "deletions": 0, "status": "added"}
        self.session.diffs.setdefault(self.prompt, []).append(diff)

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
        known = {"parentSessionId": parent.id, "sessionId": child.id, "model": MODEL}
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
        if isinstance(act, (RunTool, WriteFile, AskPermission, AskQuestion, Delegate)):
            yield call, False
            call = []
    yield call, True


def _tokens(output: int) -> Mapping[str, object]:
    used = {"total": 100 + output} if output else {}
    return {**used, "input": 100 if output else 0, "output": output, "reasoning": 0, "cache": {"write": 0, "read": 0}}


async def play(session: FakeSession, prompt: str, acts: Sequence[Act]) -> None:
    """Play the turn of a prompt."""
    await FakeTurn(session, prompt)(acts)
