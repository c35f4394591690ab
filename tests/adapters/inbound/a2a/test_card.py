"""The card promises what is served."""

from __future__ import annotations

import pytest
from a2a import types as a2a
from a2a.utils.proto_utils import validate_proto_required_fields
from attrs import evolve
from google.protobuf.json_format import ParseDict

from opencode_a2a_server.adapters.inbound.a2a.card.document import VERSIONS, CardInfo, agent_card
from opencode_a2a_server.adapters.inbound.a2a.card.extensions import extensions
from opencode_a2a_server.adapters.inbound.a2a.card.public_url import PublicUrl
from opencode_a2a_server.adapters.inbound.a2a.card.served import Card, Cards
from tests.adapters.inbound.a2a.stage import CARD, untouched

pytestmark = pytest.mark.anyio

PATH = "/.well-known/agent-card.json"


def written(info: CardInfo) -> Card:
    return Cards(info, VERSIONS, PublicUrl(info.public_url)).public()


async def test_anybody_gets_the_card() -> None:
    async with untouched().client({}) as client:
        answer = await client.get(PATH)

    card = ParseDict(answer.json(), a2a.AgentCard(), ignore_unknown_fields=True)
    validate_proto_required_fields(card)
    assert (card.name, card.version, card.documentation_url) == ("OpenCode", "1.2.3", "https://agent.example/docs")
    assert [(one.protocol_binding, one.protocol_version, one.url) for one in card.supported_interfaces] == [
        ("JSONRPC", "1.0", "https://agent.example"),
        ("HTTP+JSON", "1.0", "https://agent.example"),
        ("JSONRPC", "0.3", "https://agent.example"),
        ("HTTP+JSON", "0.3", "https://agent.example"),
    ]
    assert all(skill.examples for skill in card.skills)


async def test_the_card_is_small_and_may_be_kept() -> None:
    async with untouched().client({}) as client:
        answer = await client.get(PATH)

    assert len(answer.content) <= 8 * 1024
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize("tag", ["{}", "W/{}", '"x", {}', "*"])
async def test_who_has_the_card_does_not_get_it_again(tag: str) -> None:
    async with untouched().client({}) as client:
        etag = (await client.get(PATH)).headers["etag"]

        answer = await client.get(PATH, headers={"if-none-match": tag.format(etag)})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": '"x"'}, 200),
        ({"if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 304),
        ({"if-modified-since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 200),
        ({"if-modified-since": "some day"}, 200),
        ({"if-none-match": '"x"', "if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 200),
    ],
)
async def test_who_has_another_card_gets_this_one(headers: dict[str, str], status: int) -> None:
    async with untouched().client({}) as client:
        answer = await client.get(PATH, headers=headers)

    assert answer.status_code == status


async def test_head_gets_the_headers_of_the_card() -> None:
    async with untouched().client({}) as client:
        head, card = await client.head(PATH), await client.get(PATH)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == card.headers


def test_a_card_without_date_and_documentation_says_nothing_of_them() -> None:
    card = written(evolve(CARD, modified=0.0, documentation_url=""))

    assert b"documentationUrl" not in card.body
    assert b"last-modified" not in dict(card.headers)
    assert card.reply(None, "Tue, 14 Nov 2023 22:13:20 GMT").status == 200


def test_the_same_card_has_the_same_tag() -> None:
    assert written(CARD).etag == written(CARD).etag != written(evolve(CARD, version="2")).etag


@pytest.mark.parametrize("policy", ["reject", "queue"])
def test_the_card_says_what_becomes_of_messages_to_a_task_at_work(policy: str) -> None:
    card = agent_card(evolve(CARD, extensions=extensions(to_working=policy)))

    (binding,) = (one for one in card.capabilities.extensions if one.uri == "urn:a2a:session-binding/v1")
    assert binding.params["messages_to_working"] == policy
