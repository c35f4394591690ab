"""
What both halves of an instance keep, copied before an upgrade and put back after a failed one.

All work in their directories is done as their users: what an agent may have made of its own, a link where a directory
was, must not lead an administrator's hand.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from opencode_a2a_server.domain.instance import HostFault, Instance

from . import files
from .layout import Layout
from .running import Run
from .users import Users

_COPY_SECONDS = 1800
_DATA = ".local/share/opencode"
_KEEP = """
cd "$1" 2>/dev/null || exit 0
find "$2" -mindepth 1 -delete
for file in ./*.db ./*.db-wal; do
  if [ -f "$file" ] && [ ! -L "$file" ]; then cp --preserve=mode,timestamps --reflink=auto "$file" "$2/"; fi
done
"""
_PUT_BACK = """
cd "$1" 2>/dev/null || exit 0
rm -f ./*.db ./*.db-wal ./*.db-shm
for file in "$2"/*; do
  if [ -f "$file" ]; then cp --preserve=mode,timestamps --reflink=auto "$file" ./; fi
done
"""


@frozen
class Stores:
    """The databases of the service and of OpenCode; both must be stopped."""

    layout: Layout
    run: Run
    users: Users

    def keep(self, instance: Instance) -> None:
        """Copy them; there is one copy, of the last upgrade."""
        for user, data, copy in self._halves(instance):
            files.directory(self.layout.copies(instance), 0o755)
            files.directory(self.layout.copies(instance) / copy, 0o700)
            self.users.own(self.layout.copies(instance) / copy, user)
            self._as(user, _KEEP, data, str(self.layout.copies(instance) / copy))

    def put_back(self, instance: Instance) -> None:
        """
        Put the copies in their places.

        Raises:
            HostFault: There are none.

        """
        if not self.layout.copies(instance).is_dir():
            raise HostFault(f"there is no copy of the store in {self.layout.copies(instance)}")
        for user, data, copy in self._halves(instance):
            self._as(user, _PUT_BACK, data, str(self.layout.copies(instance) / copy))

    def fits(self, instance: Instance, store: Mapping[str, str]) -> bool:
        """Whether the release knows the schema that the store has."""
        program = self.layout.release(instance.release) / "venv/bin/opencode-a2a-server"
        place = self.layout.store(instance)
        environment = {"HOME": str(place), "STATE_DIRECTORY": str(place), "A2A_PORT": str(instance.port), **store}
        become = ("setpriv", f"--reuid={instance.service_user}", f"--regid={instance.service_user}", "--clear-groups")
        try:
            self.run([*become, str(program), "db", "check"], environment={"PATH": "/usr/bin:/bin", **environment})
        except HostFault:
            return False
        return True

    def _halves(self, instance: Instance) -> tuple[tuple[str, str, str], ...]:
        layout = self.layout
        return (
            (instance.service_user, str(layout.store(instance)), "service"),
            (instance.agent_user, str(layout.home(instance) / _DATA), "opencode"),
        )

    def _as(self, user: str, script: str, *arguments: str) -> None:
        become = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
        self.run([*become, "/bin/sh", "-ec", script, "sh", *arguments], seconds=_COPY_SECONDS)
