"""Users of the host."""

from __future__ import annotations

import pwd
from pathlib import Path
from typing import Protocol

from attrs import frozen

from opencode_a2a_server.domain.instance import Refused

from .running import Run


class Users(Protocol):
    """The users that instances run as."""

    def add(self, user: str, *, home: Path) -> None:
        """Make a user who cannot log in, unless it is there; Refused if it is somebody else."""
        ...

    def own(self, path: Path, user: str) -> None:
        """Give a directory to a user."""
        ...

    def remove(self, user: str) -> None:
        """Remove a user and its group, if it is there."""
        ...


@frozen
class HostUsers:
    """Users in the host's own database."""

    run: Run

    def add(self, user: str, *, home: Path) -> None:
        """Make the user."""
        try:
            there = pwd.getpwnam(user)
        except KeyError:
            shell = "/usr/sbin/nologin"
            command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(home)]
            self.run([*command, "--shell", shell, user])
            return
        if there.pw_dir != str(home):
            raise Refused(f"there is a user {user} with the home {there.pw_dir}: choose another name for the instance")

    def own(self, path: Path, user: str) -> None:
        """Change the owner."""
        self.run(["chown", "--no-dereference", f"{user}:{user}", str(path)])

    def remove(self, user: str) -> None:
        """Remove the user; its group of the same name goes with it."""
        try:
            pwd.getpwnam(user)
        except KeyError:
            return
        self.run(["userdel", user])
