"""Where everything of an instance stands on the host."""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen

from opencode_a2a_server.domain.instance import Instance

NAME = "opencode-a2a-server"
CREDENTIALS = Path("/run/credentials")
"""Where systemd puts a unit's credentials; they are seen by the unit alone."""


@frozen
class Layout:
    """
    The places, below a root that is `/` except in tests.

    Releases, which everybody may read and run; what an instance is told, for root alone; what it keeps, each half for its
    own user.
    """

    root: Path = field(default=Path("/"))

    @property
    def releases(self) -> Path:
        """Releases, side by side."""
        return self.root / "opt" / NAME / "releases"

    @property
    def configured(self) -> Path:
        """What instances are told."""
        return self.root / "etc" / NAME

    @property
    def kept(self) -> Path:
        """What instances keep."""
        return self.root / "var/lib" / NAME

    @property
    def units(self) -> Path:
        """Where the administrator's units are."""
        return self.root / "etc/systemd/system"

    @property
    def lock(self) -> Path:
        """Held by whoever deploys."""
        return self.configured / ".lock"

    def release(self, name: str) -> Path:
        """Give a release's directory."""
        return self.releases / name

    def launch(self, instance: Instance) -> Path:
        """Give the link to the release that the instance runs."""
        return self.root / "opt" / NAME / "instances" / instance.name

    def config(self, instance: Instance) -> Path:
        """Give the directory of what the instance is told."""
        return self.configured / instance.name

    def credentials(self, instance: Instance) -> Path:
        """Give the directory of the service's secrets, a file each, named as the setting is."""
        return self.config(instance) / "credentials"

    def rendered(self, instance: Instance) -> Path:
        """Give the directory of the units as the instance's release wants them."""
        return self.config(instance) / "units" / instance.release

    def set_aside(self, instance: Instance) -> Path:
        """Give the directory of the drop-ins that others had made for units of the same names."""
        return self.config(instance) / "set-aside"

    def state(self, instance: Instance) -> Path:
        """Give the directory of what the instance keeps."""
        return self.kept / instance.name

    def store(self, instance: Instance) -> Path:
        """Give the directory of the service's own."""
        return self.state(instance) / "service"

    def copies(self, instance: Instance) -> Path:
        """Give the directory of the store as it was before the last upgrade."""
        return self.state(instance) / "before-upgrade"

    def home(self, instance: Instance) -> Path:
        """Give OpenCode's home."""
        return self.state(instance) / "opencode"
