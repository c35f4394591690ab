"""What is said of an OpenCode that cannot be reached, by the transport that is really used."""

from __future__ import annotations

import asyncio

import pytest

from opencode_a2a_server.adapters.outbound.opencode.client import Address, Client
from opencode_a2a_server.domain.errors import AgentUnreachable

pytestmark = pytest.mark.anyio


async def _take_and_leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def _take_and_keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_a_connection_that_breaks_off_is_no_lack_of_time() -> None:
    async with await asyncio.start_server(_take_and_leave, "127.0.0.1", 0) as server:
        client = Client.to(Address(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        try:
            with pytest.raises(AgentUnreachable, match=r"broke the connection off \(GET /global/health"):
                await client.version()
        finally:
            await client.close()


async def test_a_call_that_is_not_answered_is_a_lack_of_time() -> None:
    async with await asyncio.start_server(_take_and_keep, "127.0.0.1", 0) as server:
        address = Address(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=0.05)
        client = Client.to(address)
        try:
            with pytest.raises(AgentUnreachable, match="did not answer in time"):
                await client.version()
        finally:
            await client.close()
