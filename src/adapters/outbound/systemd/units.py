"""The units of an instance, made from the templates that come with this package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from string import Template

from opencode_a2a_server.domain.instance import OPENCODE_PORT, UPSTREAM_NETWORK, Instance

from .layout import CREDENTIALS, NAME, Layout

_STOP_SECONDS = 20
"""From the end of draining to SIGKILL: streams are told, the store is closed."""

_HOMES = ("/home", "/root", "/run/user")


def template(name: str) -> str:
    """Give the text of a template."""
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def render(instance: Instance, layout: Layout, secrets: Sequence[str]) -> dict[str, str]:
    """Give the text of both units, by their names; `secrets` names the settings that are credentials."""
    at_home = instance.workspace.startswith(tuple(f"{home}/" for home in _HOMES))
    own = instance.workspace.startswith(f"{layout.state(instance)}/")
    words = {
        "name": instance.name,
        "service_unit": instance.service_unit,
        "opencode_unit": instance.opencode_unit,
        "service_user": instance.service_user,
        "agent_user": instance.agent_user,
        "launch": str(layout.launch(instance)),
        "config": str(layout.config(instance)),
        "state": str(layout.state(instance)),
        "state_name": f"{NAME}/{instance.name}",
        "workspace": instance.workspace,
        "upstream": instance.upstream,
        "upstream_port": str(OPENCODE_PORT),
        "upstream_network": UPSTREAM_NETWORK,
        "stop_seconds": str(round(instance.drain) + _STOP_SECONDS),
        "credentials": "\n".join(_credentials(instance, layout, secrets)),
        "reach": "\n".join(_reach(instance)),
        "protect_home": "tmpfs" if at_home else "yes",
        "bind": "" if own else f"BindPaths={instance.workspace}",
        "bind_read_only": "" if own else f"BindReadOnlyPaths={instance.workspace}",
    }
    return {
        instance.service_unit: Template(template("service.service")).substitute(words),
        instance.opencode_unit: Template(template("opencode.service")).substitute(words),
    }


def _credentials(instance: Instance, layout: Layout, secrets: Sequence[str]) -> Iterator[str]:
    seen: Path = CREDENTIALS / instance.service_unit
    for name in secrets:
        yield f"LoadCredential={name}:{layout.credentials(instance) / name}"
        yield f"Environment={name}_FILE={seen / name}"


def _reach(instance: Instance) -> Iterator[str]:
    if instance.reach:
        yield "IPAddressDeny=any"
        # OpenCode is always to be spoken with.
        yield f"IPAddressAllow={' '.join(dict.fromkeys(('127.0.0.0/8', *instance.reach)))}"
