"""What keeps the service from serving, told without serving."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from opencode_a2a_server.adapters.outbound.stores.care import Care
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.app.settings import Settings

from .access import problems_of_access
from .grpc import missing_for_grpc
from .inbound import problems_of_extensions
from .interrupts import terms_of
from .observed import missing_for_tracing
from .replicas import problems_of_sharing
from .runtime import probe
from .signing import problems_of_signing
from .tls import problems_of_tls


def problems_of(settings: Settings) -> Iterator[str]:
    """Say why the service cannot start with these settings, as far as they alone and the files they name show it."""
    yield from problems_of_access(settings)
    yield from problems_of_tls(settings)
    yield from problems_of_extensions(settings)
    yield from missing_extras(settings)
    yield from problems_of_sharing(settings)
    yield from problems_of_signing(settings)


def missing_extras(settings: Settings, find: Callable[[str], object] = find_spec) -> list[str]:
    """Name what the settings ask for and this installation does not have, with the remedy."""
    return [*missing_for_grpc(settings, find), *missing_for_tracing(settings, find)]


async def check(settings: Settings) -> list[str]:
    """
    Look at the store and the runtime without serving; gives what is wrong, with the remedy.

    Raises:
        SettingsError: The runtime cannot be found, or the policy file cannot be used.

    """
    problems = list(problems_of(settings))
    terms_of(settings.interrupts)
    readiness = await probe(settings)
    if not readiness.ready:
        problems.append(readiness.remedy)
    try:
        if settings.database_url is not None:
            await Care(settings.database_url, SystemClock()).look()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        problems.append(f"store: {error}")
    return problems
