"""`opencode-a2a-server selftest`: does a running agent do what A2A demands."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import rich_click as click
from attrs import asdict, frozen

from .asking import client_settings
from .call import agent_token_option, binding_option, ca_file_option, called_with
from .exits import FAILED, Leave, leave
from .live import clean

if TYPE_CHECKING:
    import httpx

    from opencode_a2a_server.app.settings import Settings

    from .probes import Interface, Probe

_MESSAGE: Final = "This is a self-test. Answer with the word ok, and do nothing else."
_SECONDS: Final = 120.0


@frozen
class Outcome:
    """What came of one demand over one interface."""

    interface: str
    clause: str
    demands: str
    result: str
    """passed, failed or skipped"""
    says: str = ""


@click.command()
@click.argument("url")
@click.option("--message", default=_MESSAGE, help="What is said where the agent must work.")
@click.option("--no-work", is_flag=True, help="Leave out what has the agent work, and may cost money.")
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), help="File to write the outcome to, as JUnit's XML."
)
@binding_option
@ca_file_option
@agent_token_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def selftest(  # noqa: PLR0913 - one for each option
    *,
    url: str,
    message: str,
    no_work: bool,
    junit: Path | None,
    binding: str | None,
    ca_file: str | None,
    token_file: str | None,
    output: str,
) -> None:
    """
    Ask the agent at URL for what A2A demands, over each interface that its card promises, of 1.0 and 0.3.

    The agent is told a message twice for each interface. gRPC is asked if the extra grpc is installed. Exit status: 0
    everything asked is as demanded, 1 something is not.
    """
    from .calling import Credentials, connection

    settings = called_with(client_settings(), ca_file=ca_file, binding=binding)

    async def work() -> list[Outcome]:
        async with connection(url, Credentials.of(settings, url, token_file), settings) as http:
            return await _all(http, url, "" if no_work else message, settings)

    try:
        outcomes = asyncio.run(work())
    except Leave as reason:
        leave(str(reason), reason.status)
    if junit is not None:
        junit.write_bytes(_junit(outcomes))
    if output == "json":
        told = [asdict(one) for one in outcomes]
        click.echo(json.dumps({"outcomes": told}, ensure_ascii=False, indent=2))
    else:
        _show(outcomes)
    sys.exit(FAILED if any(one.result == "failed" for one in outcomes) else 0)


async def _all(http: httpx.AsyncClient, url: str, message: str, settings: Settings) -> list[Outcome]:
    import httpx
    from rich.progress import Progress

    from .calling import CARD_PATH, fetch_card
    from .probes import TABLE

    await fetch_card(http, url, settings)  # says what is wrong if there is none
    where = url if url.endswith(".json") else url.rstrip("/") + CARD_PATH
    card = (await http.get(where)).json()
    http.timeout = httpx.Timeout(_SECONDS)
    async with AsyncExitStack() as stack:
        interfaces, outcomes = await _interfaces(_Agent(http, url, card, message), settings, stack)
        pairs = [(probe, interface) for interface in interfaces for probe in TABLE if _fits(probe, interface)]
        with Progress(disable=not sys.stderr.isatty(), transient=True) as progress:
            for probe, interface in progress.track(pairs, description="asking"):
                outcomes.append(await _outcome(probe, interface))
    return outcomes


def _fits(probe: Probe, interface: Interface) -> bool:
    return interface.version in probe.versions and interface.binding in probe.bindings


@frozen
class _Agent:
    """Who is asked."""

    http: httpx.AsyncClient
    url: str
    card: Mapping[str, Any]
    message: str


async def _interfaces(
    agent: _Agent, settings: Settings, stack: AsyncExitStack
) -> tuple[list[Interface], list[Outcome]]:
    """Give what is asked, and what cannot be; channels are closed with the stack."""
    from .calling import near_to
    from .channels import GRPC, MISSING, NoGrpc, have_grpc, open_channel
    from .probes import Interface

    interfaces: list[Interface] = []
    left: list[Outcome] = []
    for place, binding, version in _promised(agent.card):
        if binding not in settings.client.bindings or not near_to(agent.url, binding, place):
            continue
        if binding != GRPC:
            interfaces.append(Interface(place, binding, version, agent.card, agent.http, agent.message))
        elif have_grpc():
            from .over_grpc import OverGrpc

            channel = await stack.enter_async_context(open_channel(agent.url, place, settings))
            interfaces.append(OverGrpc(place, binding, version, agent.card, agent.http, agent.message, channel=channel))
        elif [*settings.client.bindings] == [GRPC]:
            raise NoGrpc(agent.url)
        else:
            left.append(Outcome(f"{GRPC} {version}", "5.2", "It can be spoken.", "skipped", MISSING))
    return interfaces, left


def _promised(card: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Give the interfaces that a card promises and that are spoken here."""
    found = [
        (str(one.get("url")), one.get("protocolBinding"), ".".join(str(one.get("protocolVersion")).split(".")[:2]))
        for one in card.get("supportedInterfaces", ())
    ]
    if "url" in card:
        old = [(card["url"], card.get("preferredTransport", "JSONRPC"))]
        old += [(one.get("url"), one.get("transport")) for one in card.get("additionalInterfaces", ())]
        found += [(place, binding, "0.3") for place, binding in old]
    spoken = [one for one in found if one[1] in ("JSONRPC", "HTTP+JSON", "GRPC") and one[2] in ("1.0", "0.3")]
    return list(dict.fromkeys(spoken))


async def _outcome(probe: Probe, interface: Interface) -> Outcome:
    import httpx

    from .probes import Broken, NotAsked

    name = f"{interface.binding} {interface.version}"
    try:
        await probe.ask(interface)
    except NotAsked as reason:
        return Outcome(name, probe.clause, probe.demands, "skipped", str(reason))
    except (Broken, httpx.HTTPError) as reason:
        return Outcome(name, probe.clause, probe.demands, "failed", str(reason) or type(reason).__name__)
    except (KeyError, TypeError, ValueError, AttributeError) as reason:  # an answer of quite another shape
        return Outcome(name, probe.clause, probe.demands, "failed", f"the answer has another shape: {reason!r}")
    return Outcome(name, probe.clause, probe.demands, "passed")


def _show(outcomes: Sequence[Outcome]) -> None:
    colours = {"passed": "green", "failed": "red", "skipped": "yellow"}
    for one in outcomes:
        mark = click.style(f"{one.result:7}", fg=colours[one.result])
        says = f" ({clean(one.says)})" if one.says else ""
        click.echo(f"{mark}  {one.interface:13}  {one.clause:7} {one.demands}{says}")
    counts = ", ".join(f"{sum(one.result == result for one in outcomes)} {result}" for result in colours)
    click.echo(counts)


def _junit(outcomes: Sequence[Outcome]) -> bytes:
    suites = ET.Element("testsuites", name="A2A selftest")
    for interface in dict.fromkeys(one.interface for one in outcomes):
        mine = [one for one in outcomes if one.interface == interface]
        counts = {f"{name}s" if name != "skipped" else name: 0 for name in ("test", "failure", "skipped")}
        counts |= {"tests": len(mine), "failures": sum(one.result == "failed" for one in mine)}
        counts["skipped"] = sum(one.result == "skipped" for one in mine)
        suite = ET.SubElement(suites, "testsuite", {name: str(count) for name, count in counts.items()}, name=interface)
        for one in mine:
            case = ET.SubElement(suite, "testcase", classname=interface, name=f"{one.clause} {one.demands}")
            if one.result != "passed":
                kind = "failure" if one.result == "failed" else "skipped"
                ET.SubElement(case, kind, message="".join(c for c in one.says if c.isprintable()))
    return bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True))
