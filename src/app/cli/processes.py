"""Processes that a command starts, watches and ends."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from attrs import define, field

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
LIVES: Final = 5
LIVES_SECONDS: Final = 120.0
"""So many ends in so long a time are no accident."""

_LOOK_SECONDS: Final = 0.5


class UpError(Exception):
    """A process cannot be started or kept; the text says why."""


class Process(Protocol):
    """As much of `subprocess.Popen` as is needed."""

    returncode: int | None

    def poll(self) -> int | None:
        """Give the exit status, None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


@define(eq=False)
class Time:
    """Now, and waiting."""

    now: Callable[[], float]
    sleep: Callable[[float], object]


@define(eq=False)
class Pair:
    """An OpenCode and the service in front of it. An OpenCode that ends is started again; the service waits for it."""

    start_opencode: Callable[[], Process]
    say: Callable[[str], object]
    time: Time
    opencode: Process | None = field(default=None, init=False)
    service: Process | None = field(default=None, init=False)
    _ends: deque[float] = field(factory=deque, init=False)

    def keep(self) -> None:
        """
        Watch both.

        Raises:
            UpError: The service ended, or OpenCode does so again and again.

        """
        while self.service is not None and self.service.poll() is None:
            if self.opencode is None or self.opencode.poll() is not None:
                self._again()
            self.time.sleep(_LOOK_SECONDS)
        raise UpError(f"the service ended ({_status(self.service)}); see its messages above")

    def _again(self) -> None:
        now = self.time.now()
        self._ends.append(now)
        while self._ends[0] < now - LIVES_SECONDS:
            self._ends.popleft()
        if len(self._ends) > LIVES:
            raise UpError(
                f"OpenCode ended {len(self._ends)} times within {LIVES_SECONDS:g} seconds "
                f"({_status(self.opencode)}); see its messages above"
            )
        self.say(f"OpenCode ended ({_status(self.opencode)}); starting it again ...")
        self.opencode = self.start_opencode()

    def stop(self) -> None:
        """End both, the service first: its turns are told of an end, not of a lost OpenCode."""
        for process in (self.service, self.opencode):
            if process is not None:
                stop(process)


def _status(process: Process | None) -> str:
    return f"exit status {None if process is None else process.returncode}"


def start(command: Sequence[str], environment: Mapping[str, str], *, quiet: bool = False) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, so that Ctrl-C reaches us alone and the order of the end is ours."""
    output = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.Popen(  # noqa: S603 - the user's own programs
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, start_new_session=True
        )
    except OSError as error:
        raise UpError(f"{command[0]} cannot be started: {error}") from error


def stop(process: Process) -> None:
    """End a process: asked first, killed if it does not listen."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_up(process: Process, url: str, name: str, time: Time, basic: str | None = None) -> None:
    """
    Wait until the process answers with JSON.

    Raises:
        UpError: It ended, or does not answer.

    """
    request = urllib.request.Request(url)  # noqa: S310 - ours, of http
    if basic is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(basic.encode()).decode())
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # what is here is not behind a proxy
    end = time.now() + START_SECONDS
    while time.now() < end:
        if process.poll() is not None:
            raise UpError(f"{name} ended at once ({_status(process)}); see its message above")
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError, json.JSONDecodeError):
            with ask.open(request, timeout=5) as answer:
                json.load(answer)
            return
        time.sleep(0.1)
    raise UpError(f"{name} did not answer within {START_SECONDS:g} seconds at {url}")


def free_port(wanted: int) -> int:
    """
    Give the port if nobody listens there, else any free one.

    Raises:
        UpError: None is free.

    """
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise UpError("no port is free")
