"""A short part of what `ops/fuzz` does, always the same, and whether it would find what it looks for."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import evolve

from ops.fuzzing.calls import ALICE, BOB, Request, made
from ops.fuzzing.judging import OWN_WORDS, SECRETS, Answer, judge
from ops.fuzzing.main import Report, ask, feed, keep, replay
from ops.fuzzing.mutation import Chance, spoil, spoil_bytes, written
from ops.fuzzing.parsers import PARSERS, Parser, closed
from ops.fuzzing.service import Life, Watching

pytestmark = pytest.mark.anyio

SEED = 20
BY_NAME = {parser.name: parser for parser in PARSERS}
DEEP = b"[" * 5000

FOUND = [
    ("opencode-answers", DEEP),
    ("opencode-events", DEEP),
    ("opencode-events", b'{"payload":{"type":"message.part.delta","properties":' + DEEP),
    ("key-sets", DEEP),
    ("key-sets", b'{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":["first"],'
     b'"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}'),
    ("key-sets", b'{"keys":[{"kty":"EC","crv":{"P-256":1},"kid":"first","x":[],"y":1}]}'),
    ("headers", b"\n\n\n[:]:80"),
    ("headers", b"\n1.\n2.3203.0.113"),
    ("headers", b"\n\n[::1%25eth0]\nhost"),
    ("headers", b"\n\na:99999\n[1.2.3.4]"),
    ("words", b"[[delegate " * 2000 + b"[[say hi]]" + b"]]" * 2000),
    ("words", b"[[tool bash " + b'{"a":' * 5000 + b"]]"),
    ("credentials", DEEP),
    ("credentials", b"a = " + DEEP),
    ("credentials", b'[{"principal":"a","token":"t","scheme":{"scheme":"bearer"}}]'),
    ("credentials", b'[{"scheme":"bearer","principal":"a","token":"\\ud83dt"}]'),
    ("settings", b"a = " + DEEP),
    ("policies", b"a = " + DEEP),
    ("policies", b"a = " + b"1" * 5000),
    ("audits", DEEP),
    ("cards", b"\xff"),
    ("cards", DEEP),
    ("cards", b'{"a":' + b"1" * 5000 + b"}"),
]  # fmt: skip
"""What once broke a parser, and must be refused."""


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    closed()


# What is fed


@pytest.mark.parametrize("fake", [False, True])
async def test_whatever_is_sent_to_the_service_is_answered_well(*, fake: bool) -> None:
    report = Report()

    await ask(report, SEED, range(300), fake=fake)

    assert report.findings == []
    assert report.requests == 300
    assert {200, 400, 401, 404} <= set(report.statuses)


@pytest.mark.parametrize("name", BY_NAME)
def test_whatever_a_parser_reads_it_refuses_what_is_wrong_in_its_own_words(name: str) -> None:
    report = Report()

    feed(report, BY_NAME[name], SEED, range(60))

    assert report.findings == []


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_what_once_broke_a_parser_does_so_no_more(name: str, data: bytes) -> None:
    BY_NAME[name](data)


def test_the_same_seed_makes_the_same_inputs_and_another_one_others() -> None:
    assert [made(1, number) for number in range(50)] == [made(1, number) for number in range(50)]
    assert [made(1, number).told for number in range(50)] != [made(2, number).told for number in range(50)]


def test_what_is_wrong_differs_from_what_is_right() -> None:
    right = {"message": {"parts": [{"text": "hello"}]}, "id": "one"}
    chances = [Chance.of(1, number) for number in range(200)]

    assert sum(spoil(chance, right) != right for chance in chances) > 150
    assert sum(spoil_bytes(chance, b'{"a":1}') != b'{"a":1}' for chance in chances) > 150
    assert all(isinstance(written(chance, spoil(chance, right)), bytes) for chance in chances)


# What would be found

RIGHT = Request(1, "POST", b"/", b"", ((b"authorization", BOB),), (b"{}",))
JSON = ((b"content-type", b"application/json"),)
GONE = b'{"error":{"code":404,"status":"NOT_FOUND","message":"gone","details":[]}}'


def told(**error: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (500, JSON, GONE),
        (502, JSON, GONE),
        (400, JSON, b""),
        (400, JSON, b"Traceback"),
        (400, JSON, b"[]"),
        (400, JSON, b'{"error":"no"}'),
        (400, JSON, b'{"error":{"status":"X","message":"no","code":1}}'),
        (400, JSON, b'{"detail":"no"}'),
        (200, JSON, b'{"a":NaN}'),
        (200, JSON, b'"\xff"'),
        (200, JSON, b'{"jsonrpc":"2.0","id":1}'),
        (200, JSON, b'{"jsonrpc":"2.0","result":{}}'),
        (200, JSON, told(code=-32603, message="it broke")),
        (200, JSON, told(code="-32600", message="no")),
        (200, JSON, told(code=-32600)),
        (200, ((b"content-type", b"text/event-stream"),), b"data: " + told(code=-32603, message="it") + b"\n\n"),
        (200, ((b"x-request-id", b"a\r\nb"),), b"{}"),
        (200, JSON, b'"' + SECRETS[0] + b'"'),
        (200, ((b"x", SECRETS[0]),), b"{}"),
        (200, JSON, b'"' + OWN_WORDS + b'"'),
    ],
)
def test_an_answer_that_must_not_be_is_found(
    status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes
) -> None:
    assert list(judge(RIGHT, Answer(status, headers, body)))


def test_an_answer_as_it_should_be_is_not() -> None:
    as_alice = evolve(RIGHT, headers=((b"authorization", ALICE),))

    assert not list(judge(RIGHT, Answer(404, JSON, GONE)))
    assert not list(judge(RIGHT, Answer(503, JSON, GONE)))
    assert not list(judge(RIGHT, Answer(200, JSON, told(code=-32602, message="no"))))
    assert not list(judge(as_alice, Answer(200, JSON, b'"' + OWN_WORDS + b'"')))
    assert list(judge(evolve(RIGHT, method="HEAD"), Answer(200, JSON, b"{}")))


App = Callable[[Any, Any, Any], Awaitable[None]]


async def _silent(_scope: Any, receive: Any, _send: Any) -> None:
    while True:
        await receive()


async def _leaving(_scope: Any, _receive: Any, _send: Any) -> None:
    return


async def _raising(_scope: Any, _receive: Any, _send: Any) -> None:
    raise KeyError("x")


async def _unended(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def _twice(_scope: Any, _receive: Any, send: Any) -> None:
    for _ in range(2):
        await send({"type": "http.response.start", "status": 200, "headers": []})


async def _logging(_scope: Any, _receive: Any, send: Any) -> None:
    logging.getLogger("x").error("it broke")
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (_silent, "no answer within 0.2 s"),
        (_leaving, "it was not answered"),
        (_raising, "the application raised KeyError"),
        (_unended, "the answer has no end"),
        (_twice, "two answers"),
        (_logging, "the log has: it broke"),
    ],
)
async def test_a_service_that_breaks_is_found(app: App, reason: str) -> None:
    watching = Watching()
    logging.getLogger().addHandler(watching)
    life = Life(cast("Any", None), app, watching, guard=0.2)
    life._asked = 1

    finding = await life.ask(RIGHT)

    logging.getLogger().removeHandler(watching)
    assert finding is not None
    assert reason in finding.reasons[0]


def test_a_service_that_grows_is_found() -> None:
    flat, growing = [200 << 20] * 10, [(200 + 20 * number) << 20 for number in range(10)]

    assert not Report(sizes=flat).grew
    assert Report(sizes=growing).grew
    assert not Report(sizes=growing).ok
    assert not Report(sizes=growing[:3]).grew


def test_a_finding_is_kept_and_can_be_had_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(data: bytes) -> None:
        if b"\xff" in data:
            raise KeyError(data)

    broken = Parser("broken", breaks, (ValueError,), (b"\xff",))
    monkeypatch.setattr("ops.fuzzing.main.PARSERS", (broken,))
    report, again = Report(), Report()

    feed(report, broken, SEED, range(5))
    keep(report, tmp_path)
    replay(again, next(iter(sorted(tmp_path.iterdir()))))

    assert report.findings
    assert again.findings[0]["data"] == report.findings[0]["data"]
