"""Bodies at the edge of JSON, and beyond: each has an answer, and none of them is that we broke."""

from __future__ import annotations

import json

import pytest

from tests.adapters.inbound.a2a.stage import HEADERS, untouched

pytestmark = pytest.mark.anyio

NINES = b"9" * 400


def sending(parts: bytes, more: bytes = b"") -> bytes:
    """Send a message of these parts."""
    message = b'{"messageId":"1","role":"ROLE_USER","parts":[' + parts + b"]" + more + b"}"
    return b'{"message":' + message + b',"configuration":{"returnImmediately":true}}'


def nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    return opening * depth + b"1" + closing * depth


ODD = {
    "nothing": b"",
    "blanks": b" \n ",
    "a zero byte": b"\0",
    "no UTF-8": b'{"message":"\xff"}',
    "half a character": b'{"message":"\xe2\x82"}',
    "UTF-16": '{"message":{}}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "half a surrogate pair": b'{"message":"\\ud800"}',
    "not a number": b'{"message":NaN}',
    "infinity": b'{"message":-Infinity}',
    "more than a double": b'{"message":1e999}',
    "something behind": b"{} x",
    "a thousand brackets": nested(b"[", b"]", 1200),
    "too many digits for a number": b'{"message":' + NINES * 13 + b"}",
    "a number for an object": b'{"message":' + NINES + b"}",
    "a number for a text": sending(b'{"text":' + NINES + b"}"),
    "a number too large for a double": sending(b'{"data":' + NINES + b"}"),
    "a number too large in metadata": sending(b'{"text":"a"}', b',"metadata":{"a":-' + NINES + b"}"),
    "deep data": sending(b'{"data":' + nested(b"[", b"]", 98) + b"}"),
    "deep metadata": sending(b'{"text":"a"}', b',"metadata":' + nested(b'{"a":', b"}", 98)),
}


@pytest.mark.parametrize("path", ["/message:send", "/message:stream", "/v1/message:send", "/v1/message:stream"])
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_body_is_refused_over_http(path: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    stage = untouched()
    async with stage.client({"authorization": HEADERS["authorization"]}) as client:
        answer = await client.post(path, content=ODD[name], headers={"content-type": "application/json"})

    assert answer.status_code in (400, 413), answer.text
    assert len(answer.content) < 3000
    assert stage.accept.heard == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage", "message/send", "message/stream"])
@pytest.mark.parametrize("name", ODD)
async def test_odd_parameters_are_refused_over_json_rpc(
    method: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage = untouched()
    body = b'{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}' % (method.encode(), ODD[name])
    async with stage.client({"authorization": HEADERS["authorization"]}) as client:
        answer = await client.post("/", content=body, headers={"content-type": "application/json"})

    error = json.loads(answer.text.removeprefix("data: "))["error"]
    assert (answer.status_code, error["code"]) in [(200, -32700), (200, -32602), (413, -32600)]
    assert stage.accept.heard == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("request_id", [NINES, b"-" + NINES, b"18446744073709551616", b"1e300", b'"' + NINES + b'"'])
async def test_an_id_comes_back_as_it_was_however_large(request_id: bytes) -> None:
    body = b'{"jsonrpc":"2.0","id":%s,"method":"GetTask","params":{"id":"x"}}' % request_id
    async with untouched().client() as client:
        answer = await client.post("/", content=body, headers={"content-type": "application/json"})

    assert answer.json()["id"] == json.loads(request_id)
    assert answer.json()["error"]["code"] == -32001


async def test_of_a_key_that_comes_twice_the_last_one_counts() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"id":2,"method":"x","method":"GetTask","params":{"id":"x"}}'
    async with untouched().client() as client:
        answer = await client.post("/", content=body, headers={"content-type": "application/json"})

    assert (answer.json()["id"], answer.json()["error"]["code"]) == (2, -32001)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"jsonrpc":"2.0","method":5}', b"[]", b'[{"jsonrpc":"2.0","method":"GetTask"}]']
)
async def test_what_is_no_call_is_no_notification_either(body: bytes) -> None:
    async with untouched().client() as client:
        answer = await client.post("/", content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["id"]) == (200, None)


async def test_who_sends_nothing_is_told_so() -> None:
    async with untouched().client() as client:
        answers = [await client.post(path) for path in ("/", "/message:send")]

    assert all("there is no body" in answer.json()["error"]["message"] for answer in answers)
