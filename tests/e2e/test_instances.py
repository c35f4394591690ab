"""Idle directories of a real OpenCode are closed, and open again when they are used."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from opencode_a2a_server.adapters.outbound.opencode.agent import OpenCode
from opencode_a2a_server.adapters.outbound.opencode.client import Address
from opencode_a2a_server.adapters.outbound.opencode.instances import Keep
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.app.ports.agent import Prompt
from opencode_a2a_server.domain.events import SessionIdle
from opencode_a2a_server.domain.ids import ContextId, MessageId, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart
from opencode_a2a_server.domain.session import Directory
from tests.e2e.opencode import RealOpenCode

pytestmark = pytest.mark.anyio


async def work(agent: OpenCode, directory: Directory) -> None:
    session = await agent.open_session("", directory)
    message = Message(MessageId("m"), Role.USER, (TextPart("[[say hello]]"),))
    async with asyncio.timeout(30), agent.hear(session) as hearing:
        await agent.prompt(Prompt(agent.new_prompt_id(), session, TaskId("t"), ContextId("c"), message))
        while not any(isinstance(event, SessionIdle) for event in await hearing.next()):
            pass


async def test_an_idle_directory_is_closed_and_its_sessions_work_on_later(opencode: RealOpenCode) -> None:
    aside = opencode.workspace / "aside"
    aside.mkdir(exist_ok=True)
    address = Address(opencode.url, password=opencode.password, directory=str(opencode.workspace))
    async with OpenCode.at(address, SystemClock(), keep=Keep(most=0, idle_seconds=0.001)) as agent:
        await work(agent, Directory(str(aside)))
        async with httpx.AsyncClient(auth=opencode.auth, trust_env=False) as client, asyncio.timeout(30):
            request = client.stream("GET", f"{opencode.url}/event", params={"directory": str(aside)})
            async with request as events:
                told = events.aiter_lines()
                await anext(told)
                await agent.instances.tidy()
                while "server.instance.disposed" not in await anext(told):
                    pass
        await work(agent, Directory(str(aside)))

        assert (await agent.probe()).ready
