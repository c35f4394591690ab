"""The tables that SQLite has: those of every database, and its own."""

from __future__ import annotations

from sqlalchemy import MetaData

from opencode_a2a_server.adapters.outbound.stores.tables import METADATA, OF_SQLITE

TABLES = MetaData()
for table in (*METADATA.tables.values(), *OF_SQLITE.tables.values()):
    table.to_metadata(TABLES)
