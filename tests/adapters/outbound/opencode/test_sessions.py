"""How OpenCode is asked for sessions, and for what can be chosen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from opencode_a2a_server.adapters.outbound.opencode.agent import OpenCode
from opencode_a2a_server.adapters.outbound.opencode.choices import OpenCodeChoices
from opencode_a2a_server.adapters.outbound.opencode.client import Address, Client
from opencode_a2a_server.adapters.outbound.opencode.codec import encode_parts
from opencode_a2a_server.app.ports.agent import Prompt
from opencode_a2a_server.app.ports.offers import offers_of
from opencode_a2a_server.domain.choice import Choices
from opencode_a2a_server.domain.errors import AgentFault, AgentRefused, AgentUnreachable, SessionLost
from opencode_a2a_server.domain.ids import ContextId, MessageId, SessionId, TaskId
from opencode_a2a_server.domain.message import Message, Role, TextPart, UrlPart
from opencode_a2a_server.domain.session import Directory, FoundSession, ModelChoice, PromptOptions, Session
from tests.fakes.acts import Delegate, Say
from tests.fakes.clock import TurnedClock
from tests.fakes.opencode import FakeOpenCode

pytestmark = pytest.mark.anyio

GONE = Session(SessionId("ses_gone"), Directory("/workspace/main"))


@pytest.fixture
def fake() -> FakeOpenCode:
    return FakeOpenCode()


@pytest.fixture
async def agent(fake: FakeOpenCode, anyio_backend: str) -> AsyncIterator[OpenCode]:
    async with OpenCode.at(Address("http://opencode"), TurnedClock(), fake) as agent:
        yield agent


def prompt(session: Session, text: str = "hello") -> Prompt:
    message = Message(MessageId("m"), Role.USER, (TextPart(text),))
    return Prompt(MessageId("msg_1"), session, TaskId("t"), ContextId("c"), message, PromptOptions())


async def test_a_prompt_to_a_session_that_is_gone_says_so(agent: OpenCode) -> None:
    with pytest.raises(SessionLost, match="ses_gone"):
        await agent.prompt(prompt(GONE))


async def test_a_prompt_that_breaks_opencode_is_another_matter(agent: OpenCode, fake: FakeOpenCode) -> None:
    session = await agent.open_session("")
    fake.faults.answers["prompt_async"] = 500

    with pytest.raises(AgentRefused) as refused:
        await agent.prompt(prompt(session))

    assert not isinstance(refused.value, SessionLost)


async def test_a_sub_agents_session_is_found_with_its_parent(agent: OpenCode, fake: FakeOpenCode) -> None:
    session = await agent.open_session("")
    fake.scripts["hello"] = (Delegate((Say("child"),)),)
    await agent.prompt(prompt(session))
    await TurnedClock().turn()
    child = next(name for name in fake.sessions if name != session.id)

    found = await agent.find_session(SessionId(child))

    assert found == FoundSession(Session(SessionId(child), session.directory), session.id)


async def test_an_opencode_out_of_reach_finds_nothing_and_says_so(agent: OpenCode, fake: FakeOpenCode) -> None:
    fake.faults.down = True

    for attempt in (agent.find_session(GONE.id), agent.workspace()):
        with pytest.raises(AgentUnreachable):
            await attempt


async def test_what_breaks_is_not_taken_for_unknown(agent: OpenCode, fake: FakeOpenCode) -> None:
    fake.faults.answers["ses_gone"] = 500

    with pytest.raises(AgentFault):
        await agent.find_session(GONE.id)


async def test_the_workspace_is_the_configured_directory(fake: FakeOpenCode) -> None:
    async with OpenCode.at(Address("http://opencode", directory="/elsewhere"), TurnedClock(), fake) as agent:
        assert await agent.workspace() == "/elsewhere"
        assert "GET /path" not in fake.calls


async def test_else_it_is_the_one_opencode_was_started_in(fake: FakeOpenCode) -> None:
    clock = TurnedClock()
    async with OpenCode.at(Address("http://opencode"), clock, fake) as agent:
        assert [await agent.workspace() for _ in range(3)] == ["/workspace/main"] * 3
        assert fake.calls.count("GET /path") == 1

        fake.directory = "/workspace/moved"
        await clock.turn(31)
        assert await agent.workspace() == "/workspace/moved"


# What can be chosen

PROVIDERS = {
    "providers": [
        {"id": "a", "name": "A", "models": {"m": {"id": "m", "variants": {"high": {"x": 1}}}, "n": {"variants": None}}},
        {"id": "b", "models": {"m": {}}},
    ],
    "default": {"a": "m"},
}
AGENTS = [{"name": "build", "mode": "primary"}, {"name": "title", "hidden": True}, {"name": "explore", "hidden": None}]


def serving(providers: object, agents: object, asked: list[str]) -> OpenCodeChoices:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        told: Any = providers if request.url.path == "/config/providers" else agents
        return httpx.Response(200, json=told)

    return OpenCodeChoices(Client.to(Address("http://opencode"), httpx.MockTransport(answer)))


async def test_models_agents_and_variants_are_read() -> None:
    asked: list[str] = []
    known = await serving(PROVIDERS, AGENTS, asked).choices(Directory("/work"))

    models = {ModelChoice("a", "m"): ("high",), ModelChoice("a", "n"): (), ModelChoice("b", "m"): ()}
    assert known == Choices(models, ("build", "explore"))
    assert asked == [
        "http://opencode/config/providers?directory=%2Fwork",
        "http://opencode/agent?directory=%2Fwork",
    ]


@pytest.mark.parametrize(("providers", "agents"), [({"providers": 1}, AGENTS), (PROVIDERS, {}), ([], [])])
async def test_what_is_no_list_of_them_is_a_fault(providers: object, agents: object) -> None:
    with pytest.raises(AgentFault):
        await serving(providers, agents, []).choices(None)


async def test_opencode_offers_its_choices(agent: OpenCode) -> None:
    assert offers_of(agent).choices == OpenCodeChoices(agent.client)


# Files of the workspace


@pytest.mark.parametrize(
    ("part", "mime", "name"),
    [
        (UrlPart("file:///work/a.py"), "text/plain", "a.py"),
        (UrlPart("file:///work/a.json", "application/json"), "text/plain", "a.json"),
        (UrlPart("file:///work/a%20b.png?start=1"), "image/png", "a b.png"),
        (UrlPart("file:///work/scan", "application/pdf", "scan.pdf"), "application/pdf", "scan.pdf"),
        (UrlPart("file:///work/dir/", "application/x-directory"), "text/plain", "workspace"),
        (UrlPart("file:///work/a.zip"), "text/plain", "a.zip"),
    ],
)
def test_a_file_is_named_as_a_picture_a_pdf_or_text(part: UrlPart, mime: str, name: str) -> None:
    (encoded,) = encode_parts(Message(MessageId("m"), Role.USER, (part,)))

    assert encoded == {"type": "file", "mime": mime, "filename": name, "url": part.url}
