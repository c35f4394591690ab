"""Notifications on their way."""

from __future__ import annotations

import asyncio
import hmac
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from opencode_a2a_server.adapters.outbound.otel.tracer import OtelTracer
from opencode_a2a_server.adapters.outbound.push.guard import Guard, system_resolve
from opencode_a2a_server.adapters.outbound.push.webhook import Proof, Sign, Webhook
from opencode_a2a_server.adapters.outbound.system.clock import SystemClock
from opencode_a2a_server.app.ports.notifier import Undelivered
from opencode_a2a_server.app.ports.tracer import Work
from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import PushConfigId, TaskId
from opencode_a2a_server.domain.push import PushConfig, Words
from tests.conformance.clauses import clause
from tests.fakes.clock import TurnedClock

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.216.34"
BODY = b'{"statusUpdate":{}}'


def config(url: str = "https://client.example:8443/hook?x=1") -> PushConfig:
    return PushConfig(PushConfigId("c"), TaskId("t"), url, "my-token", "Bearer", "my-credentials")


class Receiver:
    """A receiver and the names by which it is found; each look-up gives the next of `addresses`, then the last."""

    def __init__(
        self,
        *addresses: Sequence[str],
        answer: Callable[[httpx.Request], httpx.Response] | None = None,
        sign: Sign | None = None,
    ) -> None:
        self.addresses = list(addresses) or [[PUBLIC]]
        self.requests: list[httpx.Request] = []
        self.answer = answer or (lambda _: httpx.Response(202))
        self.webhook = Webhook(
            Guard.of(self.resolve, ["localhost"]),
            TurnedClock(),
            httpx.MockTransport(self.receive),
            proof=Proof("secret", sign),
        )

    async def resolve(self, _host: str, _port: int) -> Sequence[str]:
        return self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]

    def receive(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)


@clause("4.3.3a", "13.2a")
async def test_a_notification_says_what_it_is_and_who_sent_it() -> None:
    receiver = Receiver()

    await receiver.webhook.deliver(config(), "t:7", BODY)

    (request,) = receiver.requests
    assert (request.method, request.content) == ("POST", BODY)
    assert request.headers["content-type"] == "application/a2a+json"
    assert request.headers["x-a2a-notification-token"] == "my-token"
    assert request.headers["authorization"] == "Bearer my-credentials"
    assert request.headers["x-a2a-notification-id"] == "t:7"


async def test_the_signature_covers_time_and_body() -> None:
    receiver = Receiver()

    await receiver.webhook.deliver(config(), "t:7", BODY)

    said = dict(part.split("=") for part in receiver.requests[0].headers["x-a2a-signature"].split(","))
    assert said == {"t": "1700000000", "v1": hmac.new(b"secret", b"1700000000." + BODY, sha256).hexdigest()}


async def test_a_receiver_is_told_which_trace_it_is_part_of() -> None:
    receiver, exporter = Receiver(), InMemorySpanExporter()
    tracer = receiver.webhook.tracer = OtelTracer.to(SimpleSpanProcessor(exporter), "test")
    trace = "0af7651916cd43dd8448eb211c80319c"

    with tracer.begin(Work.DELIVERY, "push notification", f"00-{trace}-b7ad6b7169203331-01"):
        await receiver.webhook.deliver(config(), "t:7", BODY)

    post, _ = exporter.get_finished_spans()
    assert post.context is not None
    told = receiver.requests[0].headers["traceparent"].split("-")
    assert told[1:3] == [trace, f"{post.context.span_id:016x}"]


async def test_who_is_not_traced_tells_no_trace() -> None:
    receiver = Receiver()

    await receiver.webhook.deliver(config(), "t:7", BODY)

    assert "traceparent" not in receiver.requests[0].headers


async def test_the_address_that_was_checked_is_called_under_the_name_of_its_host() -> None:
    receiver = Receiver()

    await receiver.webhook.deliver(config(), "t:7", BODY)

    (request,) = receiver.requests
    assert str(request.url) == f"https://{PUBLIC}:8443/hook?x=1"
    assert request.headers["host"] == "client.example:8443"
    assert request.extensions["sni_hostname"] == "client.example"


async def test_a_name_that_leads_inside_later_is_not_followed() -> None:
    receiver = Receiver([PUBLIC], ["127.0.0.1"])

    await receiver.webhook.check(config())
    with pytest.raises(Undelivered) as told:
        await receiver.webhook.deliver(config(), "t:7", BODY)

    assert told.value.final
    assert receiver.requests == []


async def test_a_name_is_looked_up_once_for_a_delivery() -> None:
    receiver = Receiver([PUBLIC], ["127.0.0.1"])

    await receiver.webhook.deliver(config(), "t:7", BODY)

    assert receiver.requests[0].url.host == PUBLIC


@pytest.mark.parametrize("url", ["https://inside.example/", "http://public.example/", "https://a:b@public.example/"])
async def test_what_is_not_called_is_refused_when_it_is_asked_for(url: str) -> None:
    with pytest.raises(InvalidRequest):
        await Receiver(["10.0.0.1"]).webhook.check(config(url))


async def test_a_host_that_is_not_found_yet_is_taken() -> None:
    await Receiver([]).webhook.check(config())


async def test_a_receiver_of_0_3_gets_what_its_sdks_post() -> None:
    receiver = Receiver()

    await receiver.webhook.deliver(evolve(config(), words=Words.V0_3), "t:7", BODY)

    headers = receiver.requests[0].headers
    assert (headers["content-type"], headers["a2a-version"]) == ("application/json", "0.3")
    assert headers["x-a2a-notification-token"] == "my-token"


async def test_a_token_of_ours_stands_where_the_receiver_asked_for_no_other() -> None:
    receiver = Receiver(sign=lambda name, body: f"{name}.{len(body)}")
    bare = evolve(config(), credentials="")

    for one in (config(), bare, evolve(bare, scheme="")):
        await receiver.webhook.deliver(one, "t:7", BODY)

    told = [(r.headers["authorization"], r.headers.get("x-a2a-notification-jwt")) for r in receiver.requests]
    assert told == [("Bearer my-credentials", "t:7.19"), ("Bearer t:7.19", None), ("Bearer t:7.19", None)]


async def test_a_scheme_alone_proves_nothing_and_is_not_sent() -> None:
    receiver = Receiver()

    await receiver.webhook.deliver(evolve(config(), credentials=""), "t:7", BODY)

    assert "authorization" not in receiver.requests[0].headers


async def test_a_receiver_says_that_it_is_too_much() -> None:
    with pytest.raises(Undelivered) as told:
        await Receiver(answer=lambda _: httpx.Response(413)).webhook.deliver(config(), "t:7", BODY)

    assert (told.value.too_large, told.value.final) == (True, False)


@pytest.mark.parametrize(("status", "final"), [(302, False), (404, False), (410, True), (503, False)])
async def test_any_answer_but_success_is_a_failure_and_redirects_are_not_followed(status: int, final: bool) -> None:  # noqa: FBT001
    receiver = Receiver(answer=lambda _: httpx.Response(status, headers={"location": "http://127.0.0.1/"}))

    with pytest.raises(Undelivered) as told:
        await receiver.webhook.deliver(config(), "t:7", BODY)

    assert told.value.final is final
    assert len(receiver.requests) == 1


async def test_an_address_that_cannot_be_reached_lets_the_next_one_try() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host != PUBLIC:
            raise httpx.ConnectError("unreachable")
        return httpx.Response(204)

    receiver = Receiver(["2606:2800:220:1:248:1893:25c8:1946", PUBLIC], answer=answer)

    await receiver.webhook.deliver(config(), "t:7", BODY)

    assert len(receiver.requests) == 2


async def test_a_receiver_that_breaks_off_is_a_failure_worth_another_try() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    with pytest.raises(Undelivered, match="reset") as told:
        await Receiver(answer=answer).webhook.deliver(config(), "t:7", BODY)

    assert not told.value.final


async def test_a_host_that_is_no_longer_allowed_is_given_up() -> None:
    with pytest.raises(Undelivered) as told:
        await Receiver().webhook.deliver(config("http://once-allowed.example/"), "t:7", BODY)

    assert told.value.final


async def test_nobody_there_is_a_failure() -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://localhost:{free.getsockname()[1]}/"
        async with Webhook.open(Guard.of(system_resolve, ["localhost"]), TurnedClock()) as webhook:
            with pytest.raises(Undelivered, match="cannot be reached"):
                await webhook.deliver(config(url), "t:7", BODY)


def certificate(folder: Path, host: str) -> Path:
    """Make a certificate for a host, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + plain)
    return path


@asynccontextmanager
async def serving(pem: Path, heard: list[bytes]) -> AsyncIterator[int]:
    """Take requests over TLS on loopback; gives the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(("named", "trusted"), [("client.example", True), ("other.example", False)])
async def test_the_certificate_must_be_the_host_s_not_the_address_s(tmp_path: Path, named: str, trusted: bool) -> None:  # noqa: FBT001
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    pem = certificate(tmp_path, named)
    heard: list[bytes] = []
    guard = Guard.of(resolve, ["client.example"])
    verify = ssl.create_default_context(cafile=str(pem))
    async with serving(pem, heard) as port, Webhook.open(guard, SystemClock(), verify=verify) as webhook:
        try:
            await webhook.deliver(config(f"https://client.example:{port}/hook"), "t:7", BODY)
        except Undelivered as error:
            assert not trusted, error  # noqa: PT017 - either is expected once

    assert bool(heard) is trusted


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """Answer each connection on loopback so, until the end; gives the url."""
    answers: set[asyncio.Future[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.add(asyncio.ensure_future(answer(reader, writer)))
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(*answers)
        writer.transport.abort()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}/"
        for one in answers:
            one.cancel()
        await asyncio.gather(*answers, return_exceptions=True)


async def delivered(answer: Answer, body: bytes = BODY, scheme: str = "http") -> str:
    """Deliver to who answers so, with little patience; gives what went wrong."""
    guard = Guard.of(system_resolve, ["localhost"])
    async with answering(answer) as url, Webhook.open(guard, SystemClock(), patience=0.3) as webhook:
        try:
            async with asyncio.timeout(0.5):  # as who delivers has one for all of it
                await webhook.deliver(config(url.replace("http", scheme, 1)), "t:7", body)
        except Undelivered as fault:
            return str(fault)
        except TimeoutError:
            return "timeout"
    return ""


async def test_a_receiver_that_never_reads_is_not_waited_for() -> None:
    async def answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"POST")
        await asyncio.sleep(10)

    assert await delivered(answer, b"x" * (32 << 20)) in ("WriteTimeout: ", "timeout")


async def test_a_receiver_that_drips_its_answer_is_not_waited_for() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for letter in b"HTTP/1.1 200 OK\r\nx-slow: and so on and so on":
            writer.write(bytes([letter]))
            await writer.drain()
            await asyncio.sleep(0.05)

    assert await delivered(answer) == "timeout"


async def test_headers_without_end_are_a_failure() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x-more: " + b"y" * 4096 + b"\r\n")
            await writer.drain()

    assert (await delivered(answer)).startswith("RemoteProtocolError")


async def test_a_body_without_end_is_not_read() -> None:
    sent = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
        while True:
            writer.write(b"z" * 65536)
            sent += 65536
            await writer.drain()

    assert await delivered(answer) == ""
    assert sent < 64 << 20  # what the network's own buffers hold


async def test_a_receiver_that_speaks_no_tls_is_a_failure_worth_another_try() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    assert "cannot be reached" in await delivered(answer, scheme="https")
