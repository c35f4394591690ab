"""What operators are told, over real connections."""

from __future__ import annotations

import socket

import httpx
import pytest
from attrs import define, field

from opencode_a2a_server.adapters.inbound.admin.listener import Admin, PortTaken, serving
from opencode_a2a_server.app.usecases.check_readiness import Checked, CheckReadiness

pytestmark = pytest.mark.anyio


@define(eq=False)
class Ready:
    """Stands in for `CheckReadiness`."""

    troubles: dict[str, str] = field(factory=lambda: {"upstream": "", "store": "", "drain": ""})

    def __call__(self) -> Checked:
        return Checked(self.troubles)


def admin(ready: Ready) -> Admin:
    return Admin(_as_use_case(ready), lambda accept: (f"# {accept}\n".encode(), "text/plain; version=9"))


def _as_use_case(ready: Ready) -> CheckReadiness:
    return ready  # type: ignore[return-value] # it is called, and nothing else


async def test_live_and_ready_are_told_without_credentials() -> None:
    async with serving(admin(Ready()), "127.0.0.1", 0) as port, httpx.AsyncClient() as client:
        live = await client.get(f"http://127.0.0.1:{port}/livez")
        ready = await client.get(f"http://127.0.0.1:{port}/readyz")

    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert ready.status_code == 200
    assert ready.json()["checks"] == {name: {"status": "ok"} for name in ("upstream", "store", "drain")}
    assert ready.headers["cache-control"] == "no-store"


async def test_what_hinders_new_work_is_told_with_its_reason() -> None:
    ready = Ready({"upstream": "start OpenCode", "store": "", "drain": ""})

    async with serving(admin(ready), "127.0.0.1", 0) as port, httpx.AsyncClient() as client:
        told = await client.get(f"http://127.0.0.1:{port}/readyz")
        live = await client.get(f"http://127.0.0.1:{port}/livez")

    assert told.status_code == 503
    assert told.json() == {
        "status": "not ready",
        "checks": {
            "upstream": {"status": "failed", "reason": "start OpenCode"},
            "store": {"status": "ok"},
            "drain": {"status": "ok"},
        },
    }
    assert live.status_code == 200


async def test_metrics_come_in_the_form_that_is_accepted() -> None:
    async with serving(admin(Ready()), "127.0.0.1", 0) as port, httpx.AsyncClient() as client:
        told = await client.get(f"http://127.0.0.1:{port}/metrics", headers={"accept": "application/openmetrics-text"})

    assert told.headers["content-type"] == "text/plain; version=9"
    assert told.text == "# application/openmetrics-text\n"


async def test_nothing_else_is_there_and_nothing_is_written() -> None:
    async with serving(admin(Ready()), "127.0.0.1", 0) as port, httpx.AsyncClient() as client:
        found = [
            (await client.get(f"http://127.0.0.1:{port}/tasks")).status_code,
            (await client.post(f"http://127.0.0.1:{port}/readyz")).status_code,
            (await client.head(f"http://127.0.0.1:{port}/readyz")).status_code,
        ]

    assert found == [404, 405, 200]


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortTaken, match=f"127.0.0.1 port {port} cannot be listened on"):
            await serving(admin(Ready()), "127.0.0.1", port).__aenter__()
