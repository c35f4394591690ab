"""A client that reads a task to its end, however often its stream breaks, and what it understood."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

import httpx
from attrs import define, field

from tests.e2e.service import RunningService
from tests.e2e.until import until

Frame: TypeAlias = tuple[str, dict[str, Any]]

TERMINAL = frozenset(f"TASK_STATE_{state}" for state in ("COMPLETED", "FAILED", "CANCELED", "REJECTED"))
_AGAIN = 0.25
"""Seconds between two tries to connect."""


@define(eq=False)
class Follower:
    """
    A client in a thread of its own. What breaks it takes up again by the cursor of the last frame.

    `body` is the message it sends; without one, it follows a task. Both it and `frames` may be what another client
    left behind which is no more.
    """

    service: RunningService
    body: Mapping[str, Any] | None = None
    task_id: str = ""
    frames: list[Frame] = field(factory=list)
    connections: int = field(default=0, init=False)
    closed_without_a_word: int = field(default=0, init=False)
    """How often a stream was ended in order, and neither by a status that allows it nor by an error that says why."""
    _gone: bool = field(default=False, init=False)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # What it has seen

    @property
    def state(self) -> str:
        """The task's state, as far as is known."""
        return state_of(self.frames)

    @property
    def text(self) -> str:
        """The agent's text."""
        return text_of(folded(self.frames))

    @property
    def seqs(self) -> list[int]:
        """The places of all frames, over all connections."""
        return [int(frame_id.rpartition(":")[2]) for frame_id, _ in self.frames]

    def until_told(self, words: str) -> None:
        """Wait until the words were told, in whatever frame."""
        until(lambda: words in json.dumps(self.frames), within=60, what=f"{words!r} in {self.frames}")

    def until_state(self, *states: str, within: float = 60) -> None:
        """Wait until the task is in one of some states."""
        until(
            lambda: self.state.removeprefix("TASK_STATE_") in states,
            within=within,
            what=f"{states} of task {self.task_id}, which is {self.state}\n{self.service.log}",
        )

    def leave(self) -> None:
        """Come back no more."""
        self._gone = True

    # Its work

    def _run(self) -> None:
        # One client for all tries: to make one takes more than a try.
        with httpx.Client(base_url=self.service.url, timeout=120, trust_env=False) as client:
            while not (self._gone or self.state in TERMINAL):
                with suppress(httpx.HTTPError):
                    self._connect(client)
                time.sleep(_AGAIN)

    def _connect(self, client: httpx.Client) -> None:
        new = not self.frames and not self.task_id
        path = "/message:stream" if new else f"/tasks/{self.task_id}:subscribe"
        headers = self.service.headers | ({"last-event-id": self.frames[-1][0]} if self.frames else {})
        body = self.body if new else None
        with client.stream("GET" if body is None else "POST", path, json=body, headers=headers) as response:
            if response.status_code != httpx.codes.OK:
                return
            self.connections += 1
            last: dict[str, Any] = {}
            for frame_id, last in frames_of(response.iter_lines()):
                if "error" in last:
                    return
                if "task" in last:
                    self.task_id = last["task"]["id"]
                self.frames.append((frame_id, last))
            if self.state not in TERMINAL and "INPUT_REQUIRED" not in self.state:
                self.closed_without_a_word += 1


def frames_of(lines: Iterable[str]) -> Iterator[Frame]:
    """Read the frames of an event stream; what was cut off in the middle is none."""
    frame_id, frame = "", None
    for line in lines:
        if line.startswith("id: "):
            frame_id = line[4:].strip()
        elif line.startswith("data: "):
            frame = json.loads(line[6:])
        elif not line.strip() and frame is not None:
            yield frame_id, frame
            frame = None


def folded(frames: Iterable[Frame]) -> dict[str, dict[str, Any]]:
    """Take a stream together: artifacts by their ids, each with its kind, text and data."""
    artifacts: dict[str, dict[str, Any]] = {}
    for _, frame in frames:
        if "task" in frame:
            artifacts = {one["artifactId"]: _content(one) for one in frame["task"].get("artifacts", ())}
        elif told := frame.get("artifactUpdate"):
            content, name = _content(told["artifact"]), told["artifact"]["artifactId"]
            if told.get("append") and name in artifacts:
                content["text"] = artifacts[name]["text"] + content["text"]
            artifacts[name] = content
    return artifacts


def text_of(artifacts: Mapping[str, Mapping[str, Any]]) -> str:
    """Give the agent's own text."""
    return "".join(content["text"] for content in artifacts.values() if content["kind"] == "text")


def state_of(frames: Iterable[Frame]) -> str:
    """Give the task's state at the end of a stream."""
    state = ""
    for _, frame in frames:
        told = frame.get("task") or frame.get("statusUpdate") or {}
        state = told.get("status", {}).get("state", state)
    return state


def _content(artifact: Mapping[str, Any]) -> dict[str, Any]:
    kind = artifact.get("metadata", {}).get("shared", {}).get("stream", {}).get("block_type", "text")
    parts = artifact["parts"]
    data = [part["data"] for part in parts if "data" in part]
    return {"kind": kind, "text": "".join(part.get("text", "") for part in parts), "data": data[-1:]}
