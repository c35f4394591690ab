"""
One task at each stage of a turn, all at once, at the moment somebody is killed.

What makes a stage is watched or held back, never timed: the model waits at gates, requests to OpenCode are held by the
relay in between, the push receiver takes nothing, and the service stands still while OpenCode ends a turn.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import httpx
from attrs import define, field

from tests.e2e.follower import Follower, Frame, folded, frames_of, text_of
from tests.e2e.gatehouse import Gatehouse, Hold
from tests.e2e.model import ScriptedModel
from tests.e2e.opencode import RealOpenCode
from tests.e2e.receiver import Receiver
from tests.e2e.service import RunningService
from tests.e2e.until import until
from tests.fakes.database import Database

Victim: TypeAlias = Literal["service", "opencode", "database", "client"]

STAGES = (
    "admitted",  # the task is kept; OpenCode has not opened its session
    "sent",  # the prompt is on its way
    "prompted",  # the model was called and has said nothing
    "streaming",
    "tool",  # a shell command runs
    "interrupted",  # a question waits
    "answering",  # its answer is kept, and on its way
    "canceling",  # so is the abort
    "pushing",  # the task has ended, its notifications are not taken
    "finishing",  # OpenCode has ended the turn, the service has not heard of it
)
_READER = Path(__file__).parent / "clients" / "reader.py"
_COUNT = "".join(f"word{number:05} " for number in range(20))
_SCRIPTS: Mapping[str, tuple[str, str]] = {
    "admitted": ("[[say at last]]", "at last"),
    "sent": ("[[say at last]]", "at last"),
    "prompted": ("[[gate {gate}]][[say at last]]", "at last"),
    "streaming": ("[[text n=20]][[gate {gate}]][[text n=20]]", _COUNT * 2),
    "tool": (
        "[[say before ]][[bash echo ran >> ran-{gate}; while [ ! -e go-{gate} ]; do sleep 0.05; done; echo ok]][[say after]]",
        "before The tool answered: ok\nafter",
    ),
    "interrupted": ("[[say before ]][[ask Which? | Red | Blue]][[say after]]", "before {answered} after"),
    "answering": ("[[say before ]][[ask Which? | Red | Blue]][[say after]]", "before {answered} after"),
    "canceling": ("[[text n=20]][[gate {gate}]][[say never]]", _COUNT),
    "pushing": ("[[text n=20]]", _COUNT),
    "finishing": ("[[text n=20]][[gate {gate}]][[text n=20]]", _COUNT * 2),
}
"""What the model says in each, and what that is as the agent's text."""


@define(eq=False)
class Sender:
    """A client that can be killed: it streams in a process of its own, and says what it reads."""

    service: RunningService
    body: Mapping[str, Any]
    frames: list[Frame] = field(factory=list)
    _process: subprocess.Popen[str] = field(init=False)
    _listener: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._process = calling(self.service, "/message:stream", self.body, stdout=subprocess.PIPE)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def kill(self) -> None:
        """End it without notice; its stream is not closed in order."""
        self._process.kill()
        self._process.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for frame in frames_of(lines):
                self.frames.append(frame)


def calling(
    service: RunningService, path: str, body: Mapping[str, Any], stdout: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    """Have a process send a request."""
    command = [sys.executable, "-S", str(_READER), "POST", service.url + path, service.token, json.dumps(body)]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL, text=True)


@define(eq=False)
class Cast:
    """Who plays."""

    opencode: RealOpenCode
    model: ScriptedModel
    gatehouse: Gatehouse
    service: RunningService
    receiver: Receiver
    database: Database | None = None


@define(eq=False)
class Part:
    """One stage's task, and its clients."""

    stage: str
    gate: str
    cast: Cast
    sender: Sender
    readers: list[Follower] = field(factory=list)
    calls: list[subprocess.Popen[str]] = field(factory=list)
    task: dict[str, Any] = field(factory=dict, init=False)
    """The task in the end, as who polls gets it."""

    @property
    def expected(self) -> str:
        """The agent's whole text."""
        answered = (
            'The tool answered: User has answered your questions: "Which?"="Blue". '
            "You can now continue with the user's answers in mind."
        )
        return _SCRIPTS[self.stage][1].format(answered=answered)

    @property
    def task_id(self) -> str:
        """The task's id."""
        until(lambda: self.sender.frames, within=60, what=f"the first frame of {self.stage}: {self.cast.service.log}")
        task_id: str = self.sender.frames[0][1]["task"]["id"]
        return task_id

    @property
    def session(self) -> str:
        """OpenCode's session, as soon as it is told."""

        def told() -> str:
            for _, frame in self.sender.frames:
                found = frame.get("statusUpdate", {}).get("metadata", {}).get("shared", {}).get("session")
                if found:
                    return str(found["id"])
            return ""

        return until(told, within=60, what=f"the session of {self.stage}: {self.cast.service.log}")

    def until_told(self, words: str) -> None:
        """Wait until the sender was told some words."""
        until(lambda: words in json.dumps(self.sender.frames), within=60, what=f"{words!r}: {self.sender.frames}")

    def said_in_opencode(self) -> tuple[int, str, list[dict[str, Any]]]:
        """Ask OpenCode itself: how often it was prompted, what its messages say, and all of them."""
        session = self.task["metadata"]["shared"]["session"]["id"]
        with self.cast.opencode.client() as client:
            messages = client.get(f"/session/{session}/message").json()
        said = [
            part["text"]
            for message in messages
            if message["info"]["role"] == "assistant"
            for part in message["parts"]
            if part["type"] == "text" and not part.get("synthetic")
        ]
        prompts = sum(message["info"]["role"] == "user" for message in messages)
        return prompts, "".join(said), messages

    @property
    def text(self) -> str:
        """The agent's text in the journal."""
        return text_of(folded([("", {"task": self.task})]))


@define(eq=False)
class Scene:
    """All stages at once. `play` kills the victim and lets everything come to its end."""

    cast: Cast
    victim: Victim
    arrives: bool = False
    """Whether what was on its way to OpenCode comes there although its sender is dead."""
    parts: dict[str, Part] = field(factory=dict, init=False)
    _holds: list[Hold] = field(factory=list, init=False)

    def play(self, name: str) -> dict[str, Part]:
        """Play it; gives what became of each stage."""
        for stage in STAGES:
            self._begin(stage, f"{name}-{stage}")
        for stage in STAGES:
            self._bring(self.parts[stage])
        self._strike()
        self._go_on()
        self._end()
        return self.parts

    def close(self) -> None:
        """End all clients, and hold nothing back, whatever has gone wrong."""
        for part in self.parts.values():
            part.sender.kill()
            for call in part.calls:
                call.kill()
                call.wait()
            for reader in part.readers:
                reader.leave()
        self._release_all()

    # To its stage

    def _begin(self, stage: str, gate: str) -> None:
        text = f"{_SCRIPTS[stage][0].format(gate=gate)} <{gate}>"
        body: dict[str, Any] = {"message": {"messageId": gate, "role": "ROLE_USER", "parts": [{"text": text}]}}
        if stage == "admitted":
            self._hold(r"POST /session( |\?)", gate)
        elif stage == "sent":
            self._hold(r"POST /session/\w+/prompt_async", gate)
        elif stage == "pushing":
            self.cast.receiver.gate.clear()
            body["configuration"] = {"taskPushNotificationConfig": {"url": self.cast.receiver.url}}
        self.parts[stage] = Part(stage, gate, self.cast, Sender(self.cast.service, body))

    def _bring(self, part: Part) -> None:
        match part.stage:
            case "admitted" | "sent":
                self._holds[0 if part.stage == "admitted" else 1].until_arrived()
            case "prompted":
                self.cast.model.wait_for_call(part.session)
            case "streaming" | "finishing":
                part.until_told("word00019")
            case "tool":
                ran = self.cast.opencode.workspace / f"ran-{part.gate}"
                until(ran.exists, within=60, what=f"a tool that runs: {part.sender.frames}")
                part.until_told('"running"')
            case "interrupted":
                part.until_told("INPUT_REQUIRED")
            case "answering":
                part.until_told("INPUT_REQUIRED")
                hold = self._hold(r"POST /question/\w+/reply")
                part.calls.append(self._answer(part))
                hold.until_arrived()
            case "canceling":
                part.until_told("word00019")
                hold = self._hold(r"POST /session/\w+/abort")
                part.calls.append(calling(self.cast.service, f"/tasks/{part.task_id}:cancel", {}))
                hold.until_arrived()
            case "pushing":
                part.until_told("COMPLETED")
                until(lambda: self.cast.receiver.attempts, within=30, what="a notification")
        if part.stage != "pushing":
            part.readers.append(Follower(self.cast.service, task_id=part.task_id))
            until(lambda: part.readers[0].frames, within=30, what=f"a second reader of {part.stage}")

    def _hold(self, line: str, within: str = "") -> Hold:
        hold = self.cast.gatehouse.hold(line, within)
        self._holds.append(hold)
        return hold

    def _answer(self, part: Part) -> subprocess.Popen[str]:
        message = {"messageId": f"{part.gate}-yes", "role": "ROLE_USER", "parts": [{"text": "Blue"}]}
        return calling(self.cast.service, "/message:send", {"message": {**message, "taskId": part.task_id}})

    # The crash

    def _strike(self) -> None:
        cast, finishing = self.cast, self.parts["finishing"]
        if self.victim == "client":
            for part in self.parts.values():
                part.sender.kill()
                for call in part.calls:
                    call.kill()
            cast.model.open_gate(finishing.gate)
            return
        session = finishing.session
        with _standing_still(cast.service, dies=self.victim == "service"):
            cast.model.open_gate(finishing.gate)
            with cast.opencode.client() as client:
                until(lambda: _is_whole(client, session), within=30, what="OpenCode's end of the turn")
            self._kill()

    def _kill(self) -> None:
        match self.victim:
            case "service":
                self.cast.service.kill()
            case "opencode":
                self.cast.opencode.kill()
            case "database":
                assert self.cast.database is not None
                self.cast.database.kill()

    # And after it

    def _go_on(self) -> None:
        cast = self.cast
        # With the database down, and with the service down once: OpenCode goes on alone.
        self._release_all()
        match self.victim:
            case "service":
                cast.service.start()
            case "opencode":
                cast.opencode.start()
            case "database":
                assert cast.database is not None
                cast.database.start()
        cast.receiver.gate.set()

    def _release_all(self) -> None:
        self.cast.gatehouse.release_all(forward=self.arrives)
        for part in self.parts.values():
            if part.stage != "canceling":  # what the abort is to end must not end by itself
                self.cast.model.open_gate(part.gate)
        (self.cast.opencode.workspace / f"go-{self.parts['tool'].gate}").touch()

    def _end(self) -> None:
        for part in self.parts.values():
            # Who was killed, or cut off, goes on by the place it had come to.
            part.sender.kill()
            part.readers.append(Follower(self.cast.service, None, part.task_id, list(part.sender.frames)))
        waiting = self.parts["interrupted"]
        waiting.readers[0].until_state("INPUT_REQUIRED", "FAILED")
        if waiting.readers[0].state != "TASK_STATE_FAILED":
            waiting.calls.append(self._answer(waiting))
        for part in self.parts.values():
            for reader in part.readers:
                reader.until_state("COMPLETED", "FAILED", "CANCELED", within=90)
            with httpx.Client(headers=self.cast.service.headers, trust_env=False, timeout=30) as client:
                part.task = client.get(f"{self.cast.service.url}/tasks/{part.task_id}").json()


def _is_whole(client: httpx.Client, session: str) -> bool:
    messages = client.get(f"/session/{session}/message").json()
    return bool(messages[-1]["info"]["role"] == "assistant" and messages[-1]["info"]["time"].get("completed"))


@contextmanager
def _standing_still(service: RunningService, *, dies: bool) -> Iterator[None]:
    service.pause()
    try:
        yield
    finally:
        if not dies:
            service.go_on()


__all__ = ["STAGES", "Cast", "Part", "Scene", "Victim"]
