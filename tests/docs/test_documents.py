"""What the documents show is run, as a reader would run it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from opencode_a2a_server.adapters.outbound.policy import parse_policy
from opencode_a2a_server.adapters.outbound.push.webhook import signature
from tests.conformance.clauses import clause
from tests.e2e.service import BINARY, RunningService, clean_environment, free_port
from tests.e2e.shell import in_a_shell
from tests.e2e.until import until

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(document: str, language: str) -> list[str]:
    text = (DOCS / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with RunningService({"A2A_RUNTIME": "scripted"}) as service:
        yield service


def run(command: list[str], service: RunningService, cwd: Path) -> str:
    environment = os.environ | {"AGENT_URL": service.url, "A2A_BEARER_TOKEN": service.token}
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_the_code_knows_best_is_up_to_date_in_the_documents() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "ops" / "docs.py", "--check"], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for document in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            assert target.startswith("https:") or (document.parent / target).exists(), f"{document}: {target}"


@pytest.mark.e2e
def test_the_curl_lines_of_the_quickstart_work(service: RunningService, tmp_path: Path) -> None:
    sent = httpx.post(
        f"{service.url}/message:send",
        headers=service.headers,
        json={"message": {"messageId": "0", "role": "ROLE_USER", "parts": [{"text": "hello"}]}},
        trust_env=False,
    ).json()["task"]
    lines = [block for block in blocks("quickstart.md", "bash") if "curl" in block]

    for line in lines:
        script = line.replace("http://127.0.0.1:8000", service.url)
        script = re.sub(r"\bTASK\b", sent["id"], script).replace("CONTEXT", sent["contextId"])
        told = run(
            ["bash", "-c", script.replace("curl ", "curl --fail-with-body --silent --show-error ")], service, tmp_path
        )
        assert "TASK_STATE_COMPLETED" in told

    assert len(lines) == 3


@pytest.mark.e2e
def test_the_tour_of_the_guide_goes_as_it_is_told(tmp_path: Path) -> None:
    steps = blocks("guide.md", "bash")
    port = free_port()
    script = "\necho =====\n".join(steps).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    path = f"{Path(BINARY).parent}{os.pathsep}{os.environ['PATH']}"

    environment = clean_environment() | {"A2A_PORT": str(port), "PATH": path}
    with in_a_shell(script, environment, tmp_path, output=subprocess.PIPE) as tour:
        told, _ = tour.communicate(timeout=300)

    assert tour.returncode == 0, told
    (_, card, done, memory, unknown, asked, rest, after, listed, why, method, selftest) = told.split("=====\n")
    assert "Interface: http://127.0.0.1" in card
    assert "There is one file.\n" in done
    assert "My name is Ada." in memory
    assert "SESSION_NOT_FOUND" in unknown
    assert "Permission needed: bash (rm *)" in asked
    assert "State: COMPLETED" in asked
    assert '"Done."' in rest.replace(" ", "")
    assert "I would clean up." not in rest
    assert "Done." in after
    assert "CANCELED" in listed
    assert "once by bearer:" in why
    assert json.loads(method)["result"] == {"items": []}
    assert " 0 failed" in selftest


@pytest.mark.e2e
def test_the_python_example_of_the_quickstart_works(service: RunningService, tmp_path: Path) -> None:
    (example,) = blocks("quickstart.md", "python")

    assert "What is in this project?" in run([sys.executable, "-c", example], service, tmp_path)


@pytest.mark.e2e
def test_the_commands_of_how_to_look_after_the_store_work(tmp_path: Path) -> None:
    beside, stopped = blocks("how-to/store.md", "bash")
    told = []
    with RunningService({"A2A_RUNTIME": "scripted"}) as service:
        answer_of(service, "hello")
        told += [shell(service, line, tmp_path) for line in beside.splitlines()]
        service.terminate()
        told += [shell(service, line, tmp_path) for line in stopped.splitlines()]

    assert told[0].startswith("schema")
    assert "0 tasks would be folded, 0 would be removed" in told[2]
    assert told[4] == "restored\n"


@pytest.mark.e2e
def test_the_python_example_of_how_to_serve_grpc_works(tmp_path: Path) -> None:
    (example,) = blocks("how-to/grpc.md", "python")
    with RunningService({"A2A_RUNTIME": "scripted", "A2A_GRPC_PORT": str(free_port())}) as service:
        assert "What is in this project?" in run([sys.executable, "-W", "error", "-c", example], service, tmp_path)


@pytest.mark.e2e
def test_the_keys_and_the_verifier_of_the_protocol_work_together(tmp_path: Path) -> None:
    (make,), (example,) = blocks("reference/protocol.md", "bash"), blocks("reference/protocol.md", "python")
    subprocess.run(["bash", "-ec", make], cwd=tmp_path, check=True, timeout=60, capture_output=True)

    keys = {"A2A_SIGNING_KEY_FILE": f"{tmp_path}/signing-key.pem"}
    with RunningService({"A2A_RUNTIME": "scripted", **keys}) as service:
        told = run([sys.executable, "-W", "error", "-c", example], service, tmp_path)

    assert told == "OpenCode A2A: 4 signatures, one of them right at least\n"


@pytest.mark.e2e
def test_the_first_frames_of_a_stream_are_as_the_protocol_says(service: RunningService) -> None:
    body = {"message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hello"}]}}
    with service.stream("/message:stream", body) as stream:
        frames = list(stream)

    assert "task" in frames[0][1]
    assert frames[-1][1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert frames[-1][0].startswith(frames[0][1]["task"]["id"])


@pytest.mark.e2e
def test_the_client_example_of_how_to_embed_works(service: RunningService, tmp_path: Path) -> None:
    example, _ = blocks("how-to/embed.md", "python")

    assert (
        run([sys.executable, "-W", "error", "-c", example], service, tmp_path)
        == "['That needs a permission.', 'Deployed.']\n"
    )


@pytest.mark.e2e
def test_the_page_of_how_to_browsers_shows_what_is_said(service: RunningService, tmp_path: Path) -> None:
    (example,) = blocks("how-to/browsers.md", "js")
    page = tmp_path / "page.mjs"
    page.write_text(
        example.replace("http://127.0.0.1:8000", service.url).replace("TOKEN", service.token), encoding="utf-8"
    )
    node = shutil.which("node", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert node is not None

    told = run([node, str(page)], service, tmp_path)

    assert " ".join(told.split()) == "TASK_STATE_WORKING What is in this project? TASK_STATE_COMPLETED"


@pytest.mark.e2e
def test_the_runtime_example_of_how_to_embed_serves(tmp_path: Path) -> None:
    _, example = blocks("how-to/embed.md", "python")
    (tmp_path / "greeter.py").write_text(example, encoding="utf-8")

    settings = {"A2A_RUNTIME": "greeter:factory", "GREETING": "Good morning.", "PYTHONPATH": str(tmp_path)}
    with RunningService(settings) as service:
        assert "Good morning." in answer_of(service, "hello")


@pytest.mark.e2e
def test_the_script_example_of_how_to_embed_plays(tmp_path: Path) -> None:
    (script,) = blocks("how-to/embed.md", "toml")
    (tmp_path / "script.toml").write_text(script, encoding="utf-8")

    with RunningService({"A2A_RUNTIME": "scripted", "A2A_SCRIPT": str(tmp_path / "script.toml")}) as service:
        assert "I don't know that one." in answer_of(service, "hello")
        assert "TASK_STATE_INPUT_REQUIRED" in answer_of(service, "deploy it")


@pytest.mark.e2e
def test_the_line_that_completes_commands_works(service: RunningService, tmp_path: Path) -> None:
    (line,) = blocks("reference/cli.md", "bash")

    assert "_opencode_a2a_server_completion" in shell(service, line + "\ncomplete -p opencode-a2a-server", tmp_path)


@pytest.mark.e2e
def test_the_commands_of_how_to_answer_work(service: RunningService, tmp_path: Path) -> None:
    listing, answering = blocks("how-to/answer.md", "bash")
    asked = json.loads(answer_of(service, "[[ask permission bash rm *]] [[say done]]"))["task"]
    request = asked["metadata"]["shared"]["interrupt"]["request_id"]
    assert request in shell(service, listing, tmp_path)
    assert shell(service, answering.replace("REQUEST", request), tmp_path) == f"answered {request}\n"
    assert request not in shell(service, listing, tmp_path)


def test_the_rules_of_how_to_answer_are_rules() -> None:
    (rules,) = blocks("how-to/answer.md", "toml")

    assert [rule.action.value for rule in parse_policy(rules)] == ["allow-once", "reject", "reject"]


def shell(service: RunningService, line: str, cwd: Path) -> str:
    """Run a line as an operator does who has the service's settings."""
    environment = service.environment | {"PATH": f"{Path(BINARY).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-ec", line], env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answer_of(service: RunningService, text: str) -> str:
    body = {"message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": text}]}}
    return httpx.post(f"{service.url}/message:send", headers=service.headers, json=body, trust_env=False).text


@clause("13.2b")
@pytest.mark.e2e
def test_the_receiver_of_how_to_push_takes_what_the_service_sends_and_nothing_else(tmp_path: Path) -> None:
    receiver, _ = blocks("how-to/push.md", "python")
    (shell,) = blocks("how-to/push.md", "bash")
    subprocess.run(["bash", "-ec", shell], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    port = free_port()
    hook = f"http://127.0.0.1:{port}/"
    settings = {
        "A2A_RUNTIME": "scripted",
        "A2A_PUSH_ALLOWED_HOSTS": "127.0.0.1",
        "A2A_SIGNING_KEY_FILE": str(tmp_path / "signing-key.pem"),
    }
    with RunningService(settings) as service:
        environment = os.environ | {"AGENT_URL": service.url, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        program = [sys.executable, "-c", receiver.replace("9000", str(port))]
        log = (tmp_path / "log").open("wb")
        with log, subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as running:
            assert running.stdout is not None
            try:
                until(lambda: refuses(hook), what="a receiver that refuses what is forged")
                body = {
                    "message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hello"}]},
                    "configuration": {"taskPushNotificationConfig": {"url": hook}},
                }
                sent = httpx.post(f"{service.url}/message:send", headers=service.headers, json=body, trust_env=False)
                lines = iter(running.stdout.readline, "")
                last = next(line for line in lines if "TASK_STATE_COMPLETED" in line)
            finally:
                running.terminate()

    assert last.startswith(sent.json()["task"]["id"])


def refuses(hook: str) -> bool:
    with suppress(httpx.TransportError):
        forged = httpx.post(hook, json={"statusUpdate": {}}, headers={"authorization": "Bearer a.b.c"}, trust_env=False)
        return forged.status_code == httpx.codes.UNAUTHORIZED
    return False


def test_the_signature_of_how_to_push_is_the_one_that_is_sent() -> None:
    _, example = blocks("how-to/push.md", "python")
    shown: dict[str, Any] = {}
    exec(example, shown)  # noqa: S102 - our own
    now = int(time.time())

    def taken(at: int, body: bytes) -> bool:
        return bool(shown["verified"](b"secret", signature("secret", at, b"body"), body))

    assert [taken(now, b"body"), taken(now, b"other"), taken(now - 600, b"body")] == [True, False, False]


def test_the_probes_of_how_to_observe_answer(tmp_path: Path) -> None:
    _, metrics_of = blocks("how-to/observe.md", "yaml")
    (commands,) = blocks("how-to/observe.md", "bash")
    port = free_port()

    with RunningService({"A2A_RUNTIME": "scripted", "A2A_ADMIN_PORT": str(port)}) as service:
        said = [
            run(["bash", "-c", command.replace("9090", str(port))], service, tmp_path)
            for command in commands.strip().splitlines()
        ]

    assert json.loads(said[0]) == {"status": "ok"}
    assert json.loads(said[1])["status"] == "ready"
    assert "opencode_a2a_upstream_ready 1.0" in said[2]
    assert yaml.safe_load(metrics_of)["scrape_configs"][0]["job_name"] == "opencode-a2a-server"


def test_the_probes_for_kubernetes_ask_for_paths_that_exist() -> None:
    probes, _ = blocks("how-to/observe.md", "yaml")

    assert {probe["httpGet"]["path"] for probe in yaml.safe_load(probes).values()} == {"/livez", "/readyz"}
