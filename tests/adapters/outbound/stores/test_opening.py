"""Which stores a URL names."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from opencode_a2a_server.adapters.outbound.stores.errors import StoreUnusable
from opencode_a2a_server.adapters.outbound.stores.opening import database_path, open_stores
from opencode_a2a_server.domain.errors import TaskNotFound
from opencode_a2a_server.domain.ids import ContextId, MessageId, Principal, SessionId, TaskId
from opencode_a2a_server.domain.message import Message, Role
from opencode_a2a_server.domain.session import Binding, Directory, Session
from opencode_a2a_server.domain.updates import TaskSubmitted
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio

TASK = TaskId("task-1")
SUBMITTED = TaskSubmitted(ContextId("context"), Principal("alice"), Message(MessageId("m-1"), Role.USER, ()))
BOUND = Binding(Principal("alice"), ContextId("context"), Session(SessionId("ses_1"), Directory("/work")))


@pytest.mark.parametrize("url", [None, "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"])
async def test_without_a_file_all_is_kept_in_memory(url: str | None) -> None:
    async with open_stores(url, TurnedClock()) as stores:
        await (await stores.journal.create(TASK, SUBMITTED)).durable()
        await stores.bindings.bind(BOUND)
        gc.collect()

        assert (await stores.journal.open(TASK)).task.seq == 1
        assert await stores.bindings.find(BOUND.principal, BOUND.context_id) == BOUND

    async with open_stores(url, TurnedClock()) as stores:
        with pytest.raises(TaskNotFound):
            await stores.journal.open(TASK)


async def test_a_file_keeps_all_for_the_next_start(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new/tasks.db"
    async with open_stores(url, TurnedClock()) as stores:
        await stores.journal.create(TASK, SUBMITTED)
        await stores.bindings.bind(BOUND)

    async with open_stores(url, TurnedClock()) as stores:
        assert (await stores.journal.open(TASK)).task.history == [SUBMITTED.message]
        assert await stores.bindings.find(BOUND.principal, BOUND.context_id) == BOUND


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite+aiosqlite:///./opencode-a2a.db", "opencode-a2a.db"),
        ("sqlite+aiosqlite:////var/lib/a2a/tasks.db", "/var/lib/a2a/tasks.db"),
        ("sqlite:///tasks.db", "tasks.db"),
        ("sqlite+aiosqlite:///file:/var/lib/tasks.db?uri=true", "/var/lib/tasks.db"),
        ("sqlite+aiosqlite:///:memory:", None),
    ],
)
def test_a_url_names_a_file(url: str, path: str | None) -> None:
    assert database_path(url) == (None if path is None else Path(path))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql+aiomysql://user:secret@host/db", "no store for mysql"),
        ("tasks.db", "cannot be read"),
        ("sqlite+aiosqlite:///tasks.db?mode=ro", "options that are not known: mode"),
    ],
)
def test_a_url_that_names_something_else_is_refused(url: str, words: str) -> None:
    with pytest.raises(StoreUnusable, match=words) as refused:
        database_path(url)

    assert "secret" not in str(refused.value)
