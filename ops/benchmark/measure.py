"""The measures: each drives one server once and says what it saw."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ops.benchmark.load import Broken, Reading, Reply, Wire
from ops.benchmark.script import Script
from ops.benchmark.stand import Stand

STREAM: Final = Script(n=2000, size=20)
LONG: Final = Script(n=10_000, size=20)
PACED: Final = Script(n=200, size=20, rate=50)
_ONE: Final = Script(n=1)
_PATIENCE: Final = 20.0  # for one answer
# What a server puts off until after its answer is its cost as well.
_AFTERMATH: Final = 0.25
_OPENING_AT_ONCE: Final = 25
_CARD_EVERY: Final = 0.01
_LIVEZ: Final = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True)
class Outcome:
    """The figures of one measure, how many of its texts were exact, and why the others were not."""

    figures: dict[str, float] = field(default_factory=dict)
    exact: int = 0
    texts: int = 0
    complaints: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Meter:
    seconds: float = 0.0
    cpu: float = 0.0


@contextlib.asynccontextmanager
async def _metered(stand: Stand) -> AsyncIterator[_Meter]:
    meter = _Meter()
    cpu = stand.cpu()
    began = time.monotonic()
    yield meter
    meter.seconds = time.monotonic() - began
    await asyncio.sleep(_AFTERMATH)
    meter.cpu = stand.cpu() - cpu


async def warm_up(stand: Stand) -> None:
    """Let the server do each kind of work before it is measured; one which cannot is not worth measuring."""
    for outcome in (
        await unary(stand, clients=4, requests=60),
        await streams(stand, script=Script(n=200), at_once=32, total=32),
    ):
        if outcome.exact < outcome.texts:
            raise Broken(f"{stand.target.name} fails while warming up: {outcome.complaints[0]}")


async def unary(stand: Stand, *, clients: int, requests: int) -> Outcome:
    """Short turns, each answered when it is over; every client asks the next when it has its answer."""
    target = stand.target

    async def ask(wire: Wire) -> list[Reply | Exception]:
        return [await _settled(wire.ask(target.unary(_ONE))) for _ in range(requests // clients)]

    async with _wires(stand, clients) as wires, _metered(stand) as meter:
        answered = await asyncio.gather(*map(ask, wires))

    outcome = Outcome()
    replies = [reply for of_client in answered for reply in of_client]
    _judge(outcome, replies, target.read_unary, fits=_ONE.fits)
    outcome.figures = {"rate": len(replies) / meter.seconds, "cpu_ms": meter.cpu / len(replies) * 1e3}

    return outcome


async def streams(stand: Stand, *, script: Script, at_once: int, total: int) -> Outcome:
    """`total` streamed turns, `at_once` at a time."""
    replies: list[Reply | Exception] = []
    seconds = cpu = 0.0
    for _ in range(total // at_once):
        async with _wires(stand, at_once) as wires, _metered(stand) as meter:
            replies += await _streamed(stand, wires, script)
        seconds += meter.seconds
        cpu += meter.cpu

    outcome = Outcome()
    _judge(outcome, replies, stand.target.read_stream, fits=script.fits)
    deltas = len(replies) * script.n
    outcome.figures = {"rate": deltas / seconds, "cpu_us": cpu / deltas * 1e6}

    return outcome


async def written(stand: Stand, *, script: Script, at_once: int) -> Outcome:
    """What streamed turns have the store write and keep, for each byte of text."""
    assert stand.store is not None  # noqa: S101 - who has none is not asked
    size, disk = await stand.store.size(), await stand.written()
    async with _wires(stand, at_once) as wires:
        replies = await _streamed(stand, wires, script)
        await asyncio.sleep(_AFTERMATH)

    outcome = Outcome()
    _judge(outcome, replies, stand.target.read_stream, fits=script.fits)
    text = at_once * script.n * script.size
    outcome.figures = {
        "disk": (await stand.written() - disk) / text,
        "size": (await stand.store.size() - size) / text,
    }

    return outcome


async def latency(stand: Stand, *, at_once: int, rate: float, seconds: float) -> Outcome:
    """From OpenCode's sending of a delta to the client's reading of it, on steady streams."""
    script = Script(n=int(rate * seconds), size=40, rate=rate, stamp=True)
    async with _wires(stand, at_once) as wires:
        replies = await _streamed(stand, wires, script)

    outcome = Outcome()
    readings = _judge(outcome, replies, lambda reply: stand.target.read_stream(reply, timed=True), fits=script.fits)
    seen = sorted(late for reading in readings for late in reading.latencies)
    outcome.figures = {"p50": percentile(seen, 50), "p99": percentile(seen, 99)}

    return outcome


async def slow(stand: Stand, *, at_once: int, seconds: float) -> Outcome:
    """Many open streams with a delta every two seconds: what each one keeps, and how the card does meanwhile."""
    script = Script(n=1000, size=20, rate=0.5)
    before = stand.rss()
    async with _wires(stand, at_once) as wires:
        refused = await _open(stand, wires, script)
        cards = await _times(stand.target.port, stand.target.get_card(), seconds)
        kept = stand.rss() - before
        probes = [] if stand.admin is None else await _times(stand.admin, _LIVEZ, seconds)
        await stand.finish_turns()
        replies = await asyncio.gather(*(_settled(wire.end()) for wire in wires))

    outcome = Outcome(complaints=[repr(error) for error in refused])
    _judge(outcome, replies, stand.target.read_stream, fits=lambda text: script.fits(text, cut_short=True))
    outcome.figures = {
        "rss_kb": kept / at_once / 1024,
        "card_p50": percentile(cards, 50),
        "card_p99": percentile(cards, 99),
        **({"livez_worst": probes[-1]} if probes else {}),
    }

    return outcome


@contextlib.asynccontextmanager
async def _wires(stand: Stand, count: int) -> AsyncIterator[list[Wire]]:
    async with contextlib.AsyncExitStack() as stack:
        wires: list[Wire] = []
        for _ in range(count):
            wire = await Wire.connect(stand.target.port)
            stack.callback(wire.close)
            wires.append(wire)
        yield wires


async def _streamed(stand: Stand, wires: Sequence[Wire], script: Script) -> list[Reply | Exception]:
    return await asyncio.gather(*(_settled(wire.ask(stand.target.stream(script))) for wire in wires))


async def _settled(answer: Coroutine[None, None, Reply]) -> Reply | Exception:
    """An answer or why there is none: one failure must not hide what the others did."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await answer
    except (Broken, OSError, TimeoutError) as error:
        return error


async def _open(stand: Stand, wires: Sequence[Wire], script: Script) -> list[BaseException]:
    """Open streams, some at once, each until its first frame is there; returns what went wrong."""
    turnstile = asyncio.Semaphore(_OPENING_AT_ONCE)

    async def open_one(wire: Wire) -> None:
        async with turnstile, asyncio.timeout(_PATIENCE):
            await wire.send(stand.target.stream(script), sign=b"data:")

    opened = await asyncio.gather(*map(open_one, wires), return_exceptions=True)
    return [error for error in opened if error is not None]


async def _times(port: int, request: bytes, seconds: float) -> list[float]:
    """Ask now and then; gives the milliseconds of each answer, sorted."""
    times: list[float] = []
    wire = await Wire.connect(port)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        async with asyncio.timeout(_PATIENCE):
            await wire.ask(request)
        times.append((time.monotonic() - began) * 1e3)
        await asyncio.sleep(_CARD_EVERY)
    wire.close()

    return sorted(times)


def _judge(
    outcome: Outcome,
    replies: Sequence[Reply | Exception],
    read: Callable[[Reply], Reading],
    *,
    fits: Callable[[str], bool],
) -> list[Reading]:
    """Count the exact texts and note what is wrong with the others; returns what could be read."""
    readings: list[Reading] = []
    outcome.texts += len(replies)
    for reply in replies:
        if isinstance(reply, Exception):
            outcome.complaints.append(repr(reply))
            continue
        try:
            reading = read(reply)
        except (Broken, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            outcome.complaints.append(f"status {reply.status}, unreadable: {error!r}")
            continue
        readings.append(reading)
        if reading.completed and fits(reading.text):
            outcome.exact += 1
            continue
        outcome.complaints.append(
            f"status {reply.status}, completed {reading.completed}, {len(reading.text)} characters: "
            f"{reading.text[:60]!r} ... {reading.text[-60:]!r}"
        )

    return readings


def percentile(ordered: Sequence[float], percent: float) -> float:
    """By nearest rank; not a number when there is nothing to rank."""
    if not ordered:
        return math.nan
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]
