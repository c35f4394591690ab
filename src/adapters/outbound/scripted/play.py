"""Play a script into a session."""

from __future__ import annotations

import asyncio
import difflib
import logging
import posixpath
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn

from anyio.lowlevel import checkpoint
from attrs import define, evolve, field

from opencode_a2a_server.app.ports.clock import Clock
from opencode_a2a_server.app.ports.ids import Ids
from opencode_a2a_server.domain.changes import FileChange, FileStatus
from opencode_a2a_server.domain.events import (
    ContentSeen,
    Failure,
    FilesChanged,
    MessageSeen,
    SessionFailed,
    SessionIdle,
    StepFinished,
    TextKind,
    TextSeen,
    ToolSeen,
    ToolState,
    TurnOver,
)
from opencode_a2a_server.domain.ids import MessageId, PartId, RequestId, SessionId
from opencode_a2a_server.domain.interrupt import (
    Permission,
    PermissionAnswer,
    Question,
    QuestionAnswer,
    Verdict,
)
from opencode_a2a_server.domain.message import DataPart, Message, Part, RawPart, Role, TextPart, UrlPart
from opencode_a2a_server.domain.state import TaskState
from opencode_a2a_server.domain.usage import Usage

from .session import Conversation, Turn
from .steps import (
    AskInput,
    AskPermission,
    AskQuestion,
    Complete,
    Delay,
    Delegate,
    Echo,
    EditFile,
    Ending,
    Fail,
    GiveData,
    GiveFile,
    Hang,
    NeedAuth,
    Recall,
    Reject,
    Reply,
    Say,
    Script,
    Spend,
    Step,
    Think,
    UseTool,
)

_log = logging.getLogger(__name__)

_ABORTED = Failure("MessageAbortedError", "Aborted")
_STOPPED = "tool-calls"
"""How a model's call finishes whose tool was refused: nothing follows."""


class _Over(Exception):
    """The play has come to an end before its last step."""

    def __init__(self, ending: Ending, finish: str = "stop") -> None:
        super().__init__()
        self.ending = ending
        self.finish = finish


@define(eq=False)
class Player:
    """Plays one script into one turn of a conversation."""

    conversation: Conversation
    turn: Turn
    message: Message
    """The message being worked on."""
    clock: Clock
    ids: Ids
    now: Callable[[], int]
    """The time in ms, never the same twice."""
    _ahead: deque[Step] = field(factory=deque, init=False)
    _words: int = field(default=0, init=False)

    async def __call__(self, script: Script) -> None:
        """Play to the end. Cancelling leaves the turn as it stands; `abort` then ends it."""
        self._ahead.extend(script)
        self.conversation.open(self.turn, self._answer())
        try:
            await self._play()
            self._end(Complete())
        except _Over as over:
            self._end(over.ending, over.finish)
        except Exception as error:  # noqa: BLE001 - whatever a script does wrong, its turn ends
            _log.exception("a script broke")
            self._end(Fail(f"the script broke: {error!r}"))

    async def _play(self) -> None:
        while self._ahead:
            await checkpoint()  # whoever listens, or aborts, gets a word in
            await self._step(self._ahead.popleft())

    async def _step(self, step: Step) -> None:  # noqa: C901, PLR0912 - one line for each kind of step
        match step:
            case Say():
                await self._tell(TextKind.TEXT, step.text, step.chunks)
            case Think():
                await self._tell(TextKind.REASONING, step.text, step.chunks)
            case Echo():
                await self._tell(TextKind.TEXT, step.lead + _worded(self.message))
            case Recall():
                await self._tell(TextKind.TEXT, "\n".join(self._said_before()) or "(nothing was said before)")
            case UseTool():
                await self._use_tool(step)
            case GiveFile():
                self._give(_file_part(step), step.name)
            case GiveData():
                self._give(DataPart(step.data), step.name)
            case EditFile():
                self._edit(step)
            case AskPermission():
                await self._ask_permission(step)
            case AskQuestion():
                await self._ask_question(step)
            case Delegate():
                await self._delegate(step)
            case Spend():
                self._finish_call(step.usage, step.reason)
            case Delay():
                await self.clock.sleep(step.seconds)
            case Hang():
                await asyncio.get_running_loop().create_future()
            case Reply():
                await self._tell(TextKind.TEXT, step.text)  # within a task already, so there it goes
            case Complete() | AskInput() | NeedAuth() | Reject() | Fail():  # pragma: no branch - the last kind
                raise _Over(step)

    # Output

    async def _tell(self, kind: TextKind, text: str, chunks: int = 0) -> None:
        block = TextSeen(self._session, self._message, self._part(), kind, "", closed=False)
        self.conversation.show(self.turn, block)
        for chunk in _cut(text, chunks):
            await checkpoint()
            self._words += 1
            block = self.conversation.grow(self.turn, block, chunk)
        self.conversation.show(self.turn, evolve(block, closed=True))

    async def _use_tool(self, step: UseTool) -> None:
        call = ToolSeen(self._session, self._message, self._part(), self.ids.new(), step.tool, ToolState.PENDING)
        self.conversation.show(self.turn, call)
        await checkpoint()
        running = evolve(call, state=ToolState.RUNNING, input=step.input, title=step.title)
        self.conversation.show(self.turn, running)
        await checkpoint()
        if step.error:
            self.conversation.show(self.turn, evolve(running, state=ToolState.ERROR, error=step.error))
        else:
            self.conversation.show(self.turn, evolve(running, state=ToolState.COMPLETED, output=step.output))

    def _give(self, part: Part, name: str) -> None:
        content = ContentSeen(self._session, self._message, self._part(), (part,), name)
        self.conversation.show(self.turn, content)

    def _edit(self, step: EditFile) -> None:
        self.turn.changes.append(_change(step))
        path = posixpath.join(self.conversation.session.directory, step.path)
        self.conversation.show(self.turn, FilesChanged(self._session, self._message, self._part(), (path,)))

    def _said_before(self) -> Iterator[str]:
        for turn in self.conversation.turns:
            if turn is not self.turn and turn.prompt is not None:
                yield _worded(turn.prompt.message)

    # Interrupts

    async def _ask_permission(self, step: AskPermission) -> None:
        answer = await self._verdict(step)
        if answer.verdict is Verdict.REJECT and not answer.reason and Verdict.REJECT not in step.then:
            self._stop(step.permission, "The user rejected permission to use this specific tool call.")
        self._ahead.extendleft(reversed(step.then.get(answer.verdict, ())))

    async def _verdict(self, step: AskPermission) -> PermissionAnswer:
        wanted = (step.permission, step.patterns)
        if wanted in self.conversation.granted:
            return PermissionAnswer(Verdict.ALWAYS)
        permission = Permission(
            RequestId(self.ids.new()),
            self._session,
            step.permission,
            step.patterns,
            always=step.patterns,
            details=step.details,
            message=self._message,
        )
        answer = await self.conversation.ask(permission)
        if not isinstance(answer, PermissionAnswer):  # pragma: no cover - the use case lets no other answer through
            return PermissionAnswer(Verdict.REJECT)
        if answer.verdict is Verdict.ALWAYS:
            self.conversation.granted.add(wanted)
        return answer

    async def _ask_question(self, step: AskQuestion) -> None:
        question = Question(RequestId(self.ids.new()), self._session, step.inquiries, self._message)
        answer = await self.conversation.ask(question)
        if not isinstance(answer, QuestionAnswer):
            self._stop("question", "The user dismissed this question")
        elif step.echo:
            await self._tell(TextKind.TEXT, "; ".join(", ".join(chosen) for chosen in answer.answers))

    def _stop(self, tool: str, error: str) -> NoReturn:
        """End the turn as OpenCode does when a person says no: by a call of a tool that failed."""
        call = ToolSeen(self._session, self._message, self._part(), self.ids.new(), tool, ToolState.ERROR, error=error)
        self.conversation.show(self.turn, call)
        raise _Over(Complete(), _STOPPED)

    # Sub-agents

    async def _delegate(self, step: Delegate) -> None:
        call = ToolSeen(self._session, self._message, self._part(), self.ids.new(), "task", ToolState.PENDING)
        self.conversation.show(self.turn, call)
        child = self.conversation.child(
            self.turn, evolve(self.conversation.session, id=SessionId(f"ses-{self.ids.new()}"))
        )
        running = evolve(call, state=ToolState.RUNNING, title=step.description, child=child.session.id)
        self.conversation.show(self.turn, running)
        told = await self._play_child(child, step)
        answer = child.turns[-1].answer
        if answer is not None and (failure := answer.failure) is not None:
            self.conversation.show(self.turn, evolve(running, state=ToolState.ERROR, error=failure.text))
        else:
            self.conversation.show(self.turn, evolve(running, state=ToolState.COMPLETED, output=told))

    async def _play_child(self, child: Conversation, step: Delegate) -> str:
        session, message = child.session.id, MessageId(f"msg-{self.ids.new()}")
        turn = Turn(MessageSeen(session, message, Role.USER, created=self.now(), completed=True))
        child.take(turn)
        asked = Message(message, Role.USER, (TextPart(step.description),))
        await Player(child, turn, asked, self.clock, self.ids, self.now)(step.steps)
        texts = [part.text for part in turn.parts.values() if isinstance(part, TextSeen) and part.kind is TextKind.TEXT]
        return texts[-1] if texts else ""

    # The end

    def _end(self, ending: Ending, finish: str = "stop") -> None:
        if isinstance(ending, Fail):
            fail(self.conversation, self.turn, Failure("ScriptedFailure", ending.text))
            return
        self._finish_call(Usage(len(_worded(self.message).split()), self._words), finish)
        answer = evolve(self.turn.answer or self._answer(), completed=True, finish=finish)
        self.conversation.close(self.turn, answer, self._over(ending))

    def _over(self, ending: Ending) -> TurnOver | None:
        state = _STATES[type(ending)]
        if self.conversation.parent is not None or (state is TaskState.COMPLETED and not ending.text):
            return None  # an end like any other: the session rests
        if state.interrupted and self.turn.prompt is not None:
            self.conversation.left[self.turn.prompt.task_id] = tuple(self._ahead)
        return TurnOver(self._session, state, ending.text)

    def _finish_call(self, usage: Usage, reason: str) -> None:
        step = StepFinished(self._session, self._message, self._part(), reason, usage)
        self.conversation.show(self.turn, step)

    # Names

    def _answer(self) -> MessageSeen:
        message = MessageId(f"msg-{self.ids.new()}")
        return MessageSeen(self._session, message, Role.AGENT, self.turn.said.message, self.now())

    @property
    def _session(self) -> SessionId:
        return self.conversation.session.id

    @property
    def _message(self) -> MessageId | None:
        return None if self.turn.answer is None else self.turn.answer.message

    def _part(self) -> PartId:
        return PartId(f"prt-{self.ids.new()}")


def abort(conversation: Conversation, turn: Turn) -> None:
    """End a turn that is no longer played, in the order OpenCode tells it."""
    for child in turn.children:
        for inner in child.turns:
            if not inner.over:
                abort(child, inner)
    for _, answer in conversation.waiting.values():  # the whole family stops, so nobody waits any more
        answer.cancel()
    conversation.waiting.clear()
    fail(conversation, turn, _ABORTED)


def fail(conversation: Conversation, turn: Turn, failure: Failure) -> None:
    """End a turn with a failure; OpenCode says that it rests before it says what became of its blocks."""
    session = conversation.session.id
    conversation.tell(SessionFailed(session, failure), SessionIdle(session))
    for part in list(turn.parts.values()):
        if isinstance(part, TextSeen) and not part.closed:
            conversation.show(turn, evolve(part, closed=True))
        if isinstance(part, ToolSeen) and part.state < ToolState.COMPLETED:
            conversation.show(turn, evolve(part, state=ToolState.ERROR, error="Tool execution aborted"))
    said, unborn = turn.said, MessageId(f"{turn.said.message}-aborted")
    answer = turn.answer or MessageSeen(session, unborn, Role.AGENT, said.message, said.created)
    conversation.close(turn, evolve(answer, completed=True, failure=failure))


_STATES: Mapping[type[Ending], TaskState] = {
    Complete: TaskState.COMPLETED,
    AskInput: TaskState.INPUT_REQUIRED,
    NeedAuth: TaskState.AUTH_REQUIRED,
    Reject: TaskState.REJECTED,
    Fail: TaskState.FAILED,
}


def _cut(text: str, chunks: int) -> Sequence[str]:
    if chunks <= 0:
        return re.findall(r"\s*\S+\s*|\s+", text)
    size = -(-len(text) // chunks)
    return [text[start : start + size] for start in range(0, len(text), size)] if text else []


def _worded(message: Message) -> str:
    """Give a message in words."""
    return "\n".join(part.text if isinstance(part, TextPart) else _named(part) for part in message.parts)


def _named(part: Part) -> str:
    name = "" if isinstance(part, TextPart) else part.filename or part.media_type
    return f"({'data' if isinstance(part, DataPart) else 'file'}{f' {name}' if name else ''})"


def _change(step: EditFile) -> FileChange:
    """Compare a file's lines as git does."""
    status = FileStatus.ADDED if step.before is None else FileStatus.MODIFIED
    if step.after is None:
        status = FileStatus.DELETED
    before, after = (_lines(text) for text in (step.before, step.after))
    hunks = list(difflib.unified_diff(before, after, n=3))[2:]
    ended = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in hunks)
    added, removed = (sum(line.startswith(sign) for line in hunks) for sign in "+-")
    return FileChange(step.path, status, added, removed, ended)


def _lines(text: str | None) -> list[str]:
    """Cut at line feeds alone."""
    return re.findall(r"[^\n]*\n|[^\n]+", text or "")


def _file_part(step: GiveFile) -> Part:
    if step.raw is not None:
        return RawPart(step.raw, step.media_type, step.name)
    return UrlPart(step.url, step.media_type, step.name)
