"""`opencode-a2a-server doctor` beside a running service, before the real OpenCode."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

from tests.e2e.opencode import RealOpenCode
from tests.e2e.service import BINARY, RunningService


def doctor(service: RunningService) -> tuple[int, dict[str, Any]]:
    command = [BINARY, "doctor", "--json"]
    done = subprocess.run(
        command, env=service.environment, cwd=service.root, capture_output=True, text=True, timeout=60, check=False
    )
    assert service.token not in done.stdout + done.stderr
    return done.returncode, {one["name"]: one for one in json.loads(done.stdout)["findings"]}


def test_a_service_as_it_should_be_is_found_so(start_opencode: Callable[..., RealOpenCode]) -> None:
    opencode = start_opencode(secured=True)
    assert opencode.password is not None
    settings = {"OPENCODE_BASE_URL": opencode.url, "OPENCODE_AUTH_PASSWORD": opencode.password}
    with RunningService(settings) as service:
        _, found = doctor(service)

    assert found["port"]["says"] == f"the service runs on {service.url} and takes the token"
    assert {name: found[name]["level"] for name in ("settings", "store", "card", "upstream", "exposure", "clock")} == {
        "settings": "ok",
        "store": "ok",
        "card": "ok",
        "upstream": "ok",
        "exposure": "ok",
        "clock": "ok",
    }


def test_an_open_opencode_and_one_that_is_gone_are_found(start_opencode: Callable[..., RealOpenCode]) -> None:
    opencode = start_opencode()
    with RunningService({"OPENCODE_BASE_URL": opencode.url}) as service:
        _, before = doctor(service)
        opencode.stop()
        status, after = doctor(service)

    assert before["exposure"]["level"] == "warn"
    assert (status, after["upstream"]["level"]) == (2, "fail")
