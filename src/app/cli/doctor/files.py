"""What is on this machine: secrets, the store, its disk."""

from __future__ import annotations

import os
import shutil
import stat
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from opencode_a2a_server.adapters.outbound.stores.care import Care
from opencode_a2a_server.adapters.outbound.stores.errors import StoreUnusable
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.app.settings import Secret, Settings, every_setting
from opencode_a2a_server.domain.errors import JournalUnavailable

from .finding import Finding, fail, ok, warn

_LEAST: Final = 16
_ENOUGH: Final = 32
"""Characters of a secret: below the first it can be guessed, from the second on it cannot."""
_VARIETY: Final = 8
_WORDS: Final = ("change", "choose", "secret", "password", "example", "token", "test", "admin")

_FULL: Final = 100 * 2**20
_TIGHT: Final = 2**30
"""Bytes that are free on the store's disk."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SECRET_FILES: Final = ("A2A_CREDENTIALS_FILE", "A2A_AUDIT_FILE")
"""Files with what others must not read, beside those that hold a secret setting."""


async def modes(settings: Settings) -> Sequence[Finding]:
    """Look who may read what only the service should."""
    found = [finding for path in _private(settings) if (finding := _open_to_others(path)) is not None]
    return found or [ok("files", "secrets and store are readable by their owner only")]


def _private(settings: Settings) -> Iterator[Path]:
    named = [name + "_FILE" for name in _secret_names()] + [*_SECRET_FILES]
    yield from (Path(path) for name in named if (path := settings.environment.get(name)))
    if (database := _database(settings)) is not None:
        yield from (database.with_name(database.name + end) for end in ("", "-wal", "-shm"))


def _secret_names() -> Iterator[str]:
    for _, setting in every_setting():
        if _is_secret(setting.type):
            yield from setting.metadata["names"]


def _is_secret(kind: Any) -> bool:
    return kind is Secret or Secret in typing.get_args(kind)


def _open_to_others(path: Path) -> Finding | None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None  # not there (yet); who needs it says so
    if not mode & _OTHERS:
        return None
    if path.parent.stat().st_mode & _OTHERS == 0:
        return None  # nobody else gets there
    return warn("files", f"{path} is open to others (mode {mode:04o})", f"chmod 600 {path}")


async def strength(settings: Settings) -> Sequence[Finding]:
    """Look how hard the secrets are to guess."""
    secrets = {
        "A2A_BEARER_TOKEN": settings.auth.bearer_token,
        "A2A_PUSH_SECRET": settings.push.secret,
        "OPENCODE_AUTH_PASSWORD": settings.opencode.password,
    }
    given = {name: str(secret) for name, secret in secrets.items() if secret}
    found = [finding for name, secret in given.items() if (finding := _weak(name, secret)) is not None]
    return found or [ok("credentials", f"hard to guess: {', '.join(given) or 'none in the settings'}")]


def _weak(name: str, secret: str) -> Finding | None:
    remedy = f"make one by: openssl rand -base64 32; give it as {name}_FILE"
    word = next((word for word in _WORDS if word in secret.lower()), "")
    if len(secret) < _LEAST or len(set(secret)) < _VARIETY or (word and len(secret) < _ENOUGH):
        return fail("credentials", f"{name} can be guessed: it is short, or made of a known word", remedy)
    if len(secret) < _ENOUGH:
        return warn("credentials", f"{name} has {len(secret)} characters; {_ENOUGH} are better", remedy)
    return None


async def store(settings: Settings) -> Sequence[Finding]:
    """Look at the schema of the store."""
    if settings.database_url is None:
        remedy = "leave A2A_TASK_STORE_BACKEND out to keep them in a file"
        return [warn("store", "tasks are in memory only: a restart loses them", remedy)]
    try:
        schema = await Care(settings.database_url, SystemClock()).look()
    except StoreUnusable as error:
        return [fail("store", str(error), "see docs/how-to/store.md")]
    except JournalUnavailable as error:
        return [fail("store", str(error), "look whether the database runs and A2A_TASK_STORE_DATABASE_URL is right")]
    if schema.current is None:
        return [ok("store", "there is none yet; the first start makes it")]
    if not schema.ready:
        says = f"its schema is {schema.current}, this release wants {schema.head}"
        return [warn("store", says, "make a backup (opencode-a2a-server db backup); the next start upgrades it")]
    return [ok("store", f"schema {schema.current}")]


async def disk(settings: Settings) -> Sequence[Finding]:
    """Look how much room the store has."""
    database = _database(settings)
    if database is None:
        return []
    place = next(folder for folder in database.absolute().parents if folder.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        return [fail("disk", f"{place} is not writable", "let the service's user write there, or name another place")]
    return [room(shutil.disk_usage(place).free, place)]


def room(free: int, place: Path) -> Finding:
    """Judge how much is free."""
    says = f"{free // 2**20} MiB are free for the store in {place}"
    if free < _FULL:
        return fail("disk", says, "make room: a store that cannot write takes no work")
    if free < _TIGHT:
        return warn("disk", says, "make room, or bound the store: opencode-a2a-server db gc, A2A_RETENTION_*")
    return ok("disk", says)


def _database(settings: Settings) -> Path | None:
    if settings.database_url is None:
        return None
    try:
        return Care(settings.database_url, SystemClock()).path
    except StoreUnusable:
        return None
