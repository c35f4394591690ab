"""An instance of release 0.2, read so that it can be taken over: its files stay as they are."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from opencode_a2a_server.domain.instance import Refused

from .environment import read_environment

_OURS_NOW = {
    "OPENCODE_BIND_HOST",
    "OPENCODE_BIND_PORT",
    "OPENCODE_EXTRA_ARGS",
    "OPENCODE_LOG_LEVEL",
    "OPENCODE_LSP",
    "GIT_ASKPASS",
    "GIT_ASKPASS_REQUIRE",
}
"""What the start scripts of 0.2 read, and nothing else."""

_GIT = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "credential.https://github.com.helper",
    "GIT_CONFIG_VALUE_0": '!f() { echo username=x-access-token; echo "password=$GH_TOKEN"; }; f',
}
"""In the place of 0.2's git-askpass.sh, which is in a directory the agent's new user does not see."""


@frozen
class Instance02:
    """What an instance of 0.2 was told, and where it worked."""

    name: str
    service: dict[str, str]
    """Settings and secrets of the service."""

    opencode: dict[str, str]
    opencode_secrets: dict[str, str]
    workspace: Path
    notes: tuple[str, ...]


def read_0_2(place: Path) -> Instance02:
    """
    Read an instance of 0.2.

    Args:
        place: Its directory, DATA_ROOT/NAME.

    Raises:
        Refused: There is none.

    """
    config = place / "config"
    if not (config / "a2a.env").is_file():
        raise Refused(f"{place} is no instance of release 0.2: there is no config/a2a.env in it")
    service = read_environment(config / "a2a.env")
    if (config / "a2a.secret.env").is_file():
        service |= read_environment(config / "a2a.secret.env")
    opencode = read_environment(config / "opencode.env") if (config / "opencode.env").is_file() else {}
    hidden: dict[str, str] = {}
    for name in ("opencode.auth.env", "opencode.secret.env"):
        if (config / name).is_file():
            hidden |= read_environment(config / name)
    workspace = Path(service.pop("OPENCODE_DIRECTORY", "") or place / "workspace")
    service.pop("OPENCODE_BASE_URL", None)
    dropped = sorted(_OURS_NOW & opencode.keys()) + sorted(name for name in service if name.startswith("OTEL_"))
    for name in dropped:
        opencode.pop(name, None)
        service.pop(name, None)
    if hidden.get("GH_TOKEN"):
        opencode |= _GIT
    notes = [f"{name} of release 0.2 has no place any more and is left out" for name in dropped]
    return Instance02(place.name, service, opencode, hidden, workspace, tuple(notes))
