"""All examinations, at the same time, each within its time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from opencode_a2a_server.app.cli.call import called_with
from opencode_a2a_server.app.settings import Settings, SettingsError, load_settings

from . import files, places, upstream
from .finding import Finding, fail, ok, warn

_SECONDS: Final = 10.0
"""What one examination may take."""

_ROUNDS: Final[Mapping[str, Callable[[Settings], Awaitable[Sequence[Finding]]]]] = {
    "files": files.modes,
    "credentials": files.strength,
    "store": files.store,
    "disk": files.disk,
    "certificate": places.certificate,
    "service": places.service,
    "upstream": upstream.runtime,
    "exposure": upstream.exposure,
    "clock": upstream.clock,
}


def examine(environment: Mapping[str, str], ca_file: str | None = None) -> list[Finding]:
    """Examine a service by its settings; a file of authorities may take precedence over theirs."""
    try:
        settings = load_settings(environment)
    except SettingsError as error:
        return [fail("settings", problem, "correct it; the rest is looked at then") for problem in error.problems]
    settings = called_with(settings, ca_file=ca_file)
    return [*_settings(settings), *asyncio.run(_all(settings))]


def _settings(settings: Settings) -> list[Finding]:
    from opencode_a2a_server.app.container import missing_extras, problems_of

    extras = missing_extras(settings)
    problems = [problem for problem in problems_of(settings) if problem not in extras]
    found = [fail("settings", *_remedied(problem)) for problem in problems]
    found += [warn("settings", *_remedied(note)) for note in settings.notes]
    found += [fail("extras", *_remedied(extra)) for extra in extras]
    if not problems and not settings.notes:
        found.append(ok("settings", "they can be used"))
    if not extras:
        found.append(ok("extras", "what the settings ask for is installed"))
    return found


def _remedied(problem: str) -> tuple[str, str]:
    """Take a problem apart that ends with what to do about it."""
    says, semicolon, remedy = problem.partition("; ")
    return says, remedy if semicolon else "see docs/reference/settings.md"


async def _all(settings: Settings) -> list[Finding]:
    rounds = [within(name, examination(settings), _SECONDS) for name, examination in _ROUNDS.items()]
    return [finding for found in await asyncio.gather(*rounds) for finding in found]


async def within(name: str, examination: Awaitable[Sequence[Finding]], seconds: float) -> Sequence[Finding]:
    """Give what is found, be it that the examination hangs or breaks."""
    try:
        return await asyncio.wait_for(examination, seconds)
    except TimeoutError:
        return [fail(name, f"could not be looked at within {seconds:g} seconds", "look at what hangs there")]
    except Exception as error:  # noqa: BLE001 - the others are wanted all the same
        return [fail(name, f"could not be looked at: {type(error).__name__}: {error}", "look at what is wrong there")]
