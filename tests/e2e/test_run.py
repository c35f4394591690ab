"""`ops/run`, `up` and two commands by hand: a newcomer's first minute."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e.opencode import RealOpenCode, environment_of
from tests.e2e.service import BINARY, free_port
from tests.e2e.shell import in_a_shell
from tests.e2e.until import until

DOCS = Path(__file__).parents[2] / "docs"
RUN = Path(__file__).parents[2] / "ops" / "run"


@pytest.fixture(params=[[RUN], [BINARY, "up"]], ids=["a checkout", "the installed command"])
def started(
    start_opencode: Callable[..., RealOpenCode], opencode_binary: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run it in a project whose OpenCode knows the scripted model."""
    # The setting up needs this machine's own way to the package registries, the run only the project's home.
    subprocess.run([*request.param, "--help"], check=True, capture_output=True, timeout=300)
    opencode = start_opencode()
    opencode.stop()  # only its home and its project are wanted
    said = tmp_path / "said"
    environment = (
        os.environ
        | environment_of(opencode)
        | {
            "PATH": os.environ["PATH"],
            "OPENCODE_BIN": str(opencode_binary),
            "XDG_STATE_HOME": str(tmp_path),
        }
    )
    with said.open("wb") as output:
        process = subprocess.Popen(
            request.param, cwd=opencode.workspace, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        yield process, said
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def test_the_printed_line_makes_their_opencode_answer_and_ctrl_c_ends_all(
    started: tuple[subprocess.Popen[bytes], Path],
) -> None:
    process, said = started

    def line() -> str:
        assert process.poll() is None, said.read_text()
        found = re.search(r"^  (curl .*?)\n\n", said.read_text(), flags=re.DOTALL | re.MULTILINE)
        return found[1] if found else ""

    curl = until(line, within=180, what="a curl line")
    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=60, check=False).stdout
    process.send_signal(signal.SIGINT)

    assert "You said" in answer
    assert "TASK_STATE_COMPLETED" in answer
    assert process.wait(60) == 0


def test_the_lines_for_doing_it_by_hand_serve(
    start_opencode: Callable[..., RealOpenCode], opencode_binary: Path, tmp_path: Path
) -> None:
    shown = (DOCS / "quickstart.md").read_text(encoding="utf-8").split("## By hand")[1].split("\n## ")[0]
    agent, service = re.findall(r"^```bash\n(.*?)^```", shown, flags=re.DOTALL | re.MULTILINE)
    opencode = start_opencode()
    opencode.stop()
    ports = free_port(), free_port()
    environment = environment_of(opencode) | {
        "PATH": os.pathsep.join([str(opencode_binary.parent), str(Path(BINARY).parent), os.environ["PATH"]]),
        "XDG_STATE_HOME": str(tmp_path),
        "OPENCODE_BASE_URL": f"http://127.0.0.1:{ports[0]}",
        "A2A_PORT": str(ports[1]),
    }
    url = f"http://127.0.0.1:{ports[1]}"
    message = {"message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hello"}]}}

    def answers(url: str) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(url, trust_env=False).status_code < httpx.codes.INTERNAL_SERVER_ERROR
        return False

    with (
        in_a_shell(agent.replace("4096", str(ports[0])), environment, opencode.workspace),
        ExitStack() as stack,
    ):
        until(lambda: answers(f"http://127.0.0.1:{ports[0]}/global/health"), within=120, what="an OpenCode")
        stack.enter_context(in_a_shell(service, environment, opencode.workspace))
        until(lambda: answers(f"{url}/.well-known/agent-card.json"), within=120, what="a service")
        headers = {"authorization": "Bearer choose-another", "a2a-version": "1.0"}
        told = httpx.post(f"{url}/message:send", json=message, headers=headers, trust_env=False, timeout=60).json()

    assert told["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
