"""Who is asking."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_a2a_server.adapters.inbound.a2a.auth import BearerTokens
from opencode_a2a_server.adapters.inbound.a2a.errors import Unauthenticated
from tests.adapters.inbound.a2a.stage import PRINCIPAL, TOKEN, Stage, untouched

pytestmark = pytest.mark.anyio

KNOWN = BearerTokens.of(["first", " second ", "", "dritté"])


@pytest.mark.parametrize("token", ["first", "second", "dritté"])
async def test_a_token_names_its_principal(token: str) -> None:
    caller = await KNOWN([(b"host", b"x"), (b"authorization", b"Bearer " + token.encode())])

    assert caller.principal == f"bearer:{hashlib.sha256(token.encode()).hexdigest()[:12]}"


@pytest.mark.parametrize("value", [b"bearer first", b"BEARER   first ", b" Bearer first"])
async def test_the_scheme_has_no_case_and_blanks_do_not_count(value: bytes) -> None:
    assert (await KNOWN([(b"authorization", value)])).principal.startswith("bearer:")


@pytest.mark.parametrize(
    "value", [b"", b"Bearer", b"Bearer ", b"first", b"Basic first", b"Bearer firs", b"Bearer first2"]
)
async def test_anything_else_is_nobody(value: bytes) -> None:
    with pytest.raises(Unauthenticated):
        await KNOWN([(b"authorization", value)])


async def test_no_header_or_two_of_them_are_nobody() -> None:
    for headers in ([], [(b"authorization", b"Bearer first"), (b"authorization", b"Bearer first")]):
        with pytest.raises(Unauthenticated):
            await KNOWN(headers)


async def test_without_tokens_nobody_is_known() -> None:
    with pytest.raises(Unauthenticated):
        await BearerTokens.of(["", " "])([(b"authorization", b"Bearer ")])


@given(st.binary())
async def test_any_bytes_are_nobody(value: bytes) -> None:
    for header in (value, b"Bearer " + value):
        with pytest.raises(Unauthenticated):
            await KNOWN([(b"authorization", header)])


@pytest.mark.parametrize("value", [b"Bearer \xff\xfe", b"\x00", "Bearer ключ".encode(), b"Bearer \xc3"])
async def test_bytes_that_are_no_text_are_refused_not_broken_by(value: bytes) -> None:
    async with untouched().client({}) as client:
        answer = await client.get("/health", headers=[(b"authorization", value)])

    assert answer.status_code == 401


async def test_a_task_belongs_to_who_sent_the_message() -> None:
    stage = Stage()

    async with stage.client({"authorization": f"Bearer {TOKEN}"}) as client:
        await client.post(
            "/message:send",
            json={
                "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]},
                "configuration": {"returnImmediately": True},
            },
        )

    assert [log.task.principal for log in stage.journal.logs.values()] == [PRINCIPAL]
