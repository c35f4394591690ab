"""The service as it stands in the open: TLS, and credentials that change while it runs."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from a2a.types import a2a_pb2, a2a_pb2_grpc

from opencode_a2a_server.adapters.outbound.access.hashes import TokenHash
from opencode_a2a_server.adapters.outbound.audit import Whole, verify
from tests.certificates import self_signed
from tests.conformance.clauses import clause
from tests.e2e.service import BINARY, RunningService, free_port
from tests.e2e.until import until


class Encrypted(RunningService):
    """One that speaks TLS."""

    certificate: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.certificate))
        try:
            return httpx.get(f"{self.url}/.well-known/agent-card.json", trust_env=False, verify=context).is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Make a certificate that signs itself, and its key."""
    return self_signed(tmp_path)


@clause("7.1", "13.4a", "0.3 4.1")
def test_https_and_grpc_with_tls_are_served_and_the_card_says_so(certificate: tuple[Path, Path]) -> None:
    chain, key = certificate
    port = free_port()
    service = Encrypted(
        {
            "A2A_RUNTIME": "scripted",
            "A2A_TLS_CERT_FILE": str(chain),
            "A2A_TLS_KEY_FILE": str(key),
            "A2A_GRPC_PORT": str(port),
        }
    )
    service.certificate = chain

    with service:
        context = ssl.create_default_context(cafile=str(chain))
        card = httpx.get(f"{service.url}/.well-known/agent-card.json", trust_env=False, verify=context).json()
        credentials = grpc.ssl_channel_credentials(chain.read_bytes())
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            stub = a2a_pb2_grpc.A2AServiceStub(channel)  # type: ignore[no-untyped-call] # generated
            listed = stub.ListTasks(a2a_pb2.ListTasksRequest(), metadata=[*service.headers.items()], timeout=30)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{service.port}/health", trust_env=False)

    assert card["supportedInterfaces"][0]["url"] == service.url
    assert listed.total_size == 0


def commands(service: Encrypted, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the service's own environment."""
    command, environment = [BINARY, *arguments], service.environment | more
    return subprocess.run(
        command, env=environment, cwd=service.root, capture_output=True, text=True, timeout=120, check=False
    )


def test_commands_work_where_tls_is_served_by_an_authority_of_ones_own(certificate: tuple[Path, Path]) -> None:
    chain, key = certificate
    service = Encrypted(
        {
            "A2A_RUNTIME": "scripted",
            "A2A_TLS_CERT_FILE": str(chain),
            "A2A_TLS_KEY_FILE": str(key),
            "A2A_GRPC_PORT": str(free_port()),
        }
    )
    service.certificate = chain

    with service:
        trusting = ("--ca-file", str(chain))
        doctor, doubting = (
            {one["name"]: one for one in json.loads(commands(service, "doctor", "--json", *more).stdout)["findings"]}
            for more in (trusting, ())
        )
        called = {
            binding: commands(service, "call", service.url, "[[say hello]]", "--binding", binding, *trusting)
            for binding in ("jsonrpc", "http+json", "grpc")
        }
        untrusted = commands(service, "call", service.url, "[[say hello]]")
        tested = commands(service, "selftest", service.url, "--message", "[[say hello]]", "-o", "json", *trusting)
        listed = commands(service, "tasks", "list", "-o", "json", A2A_CLIENT_CA_FILE=str(chain))

    assert {name: doctor[name]["level"] for name in ("certificate", "port", "card")} == dict.fromkeys(
        ("certificate", "port", "card"), "ok"
    )
    assert (doubting["port"]["level"], doubting["card"]["level"]) == ("ok", "fail")
    assert "--ca-file" in doubting["card"]["remedy"]
    assert {binding: "hello" in done.stdout for binding, done in called.items()} == dict.fromkeys(called, True)
    assert (untrusted.returncode, "--ca-file" in untrusted.stderr) == (3, True)
    outcomes = json.loads(tested.stdout)["outcomes"]
    assert [one for one in outcomes if one["result"] == "failed"] == []
    assert {one["interface"] for one in outcomes} >= {"GRPC 1.0", "GRPC 0.3", "JSONRPC 1.0", "HTTP+JSON 0.3"}
    assert (listed.returncode, listed.stderr) == (0, "")


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tmp_path / "credentials.toml"


def write(registry: Path, *tokens: str) -> None:
    text = "".join(
        f'[[principal]]\nname = "{token}"\n[[principal.credential]]\ntoken = "{TokenHash.of(token.encode())}"\n'
        for token in tokens
    )
    fresh = registry.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(registry)


@pytest.fixture
def service(registry: Path, tmp_path: Path) -> Iterator[RunningService]:
    write(registry, "alice", "bob")
    environment = {
        "A2A_RUNTIME": "scripted",
        "A2A_CREDENTIALS_FILE": str(registry),
        "A2A_AUDIT_FILE": str(tmp_path / "audit.jsonl"),
    }
    with RunningService(environment) as running:
        yield running


def status(service: RunningService, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.get(f"{service.url}/tasks", headers=headers, trust_env=False).status_code


def test_who_is_taken_out_of_the_file_is_nobody_without_a_restart(
    service: RunningService, registry: Path, tmp_path: Path
) -> None:
    before = [status(service, token) for token in ("alice", "bob", "carol")]
    write(registry, "alice", "carol")

    until(lambda: status(service, "bob") == 401, within=30, what="bob to be nobody")
    after = [status(service, token) for token in ("alice", "bob", "carol")]

    assert (before, after) == ([200, 200, 401], [200, 401, 200])
    assert isinstance(verify([tmp_path / "audit.jsonl"]), Whole)
    assert '"credentials.reload"' in (tmp_path / "audit.jsonl").read_text()


def test_hangup_of_the_main_process_reads_again_and_ends_nothing(service: RunningService, tmp_path: Path) -> None:
    assert service._process is not None
    os.kill(service._process.pid, 1)

    audit = tmp_path / "audit.jsonl"
    until(lambda: audit.exists() and "reloaded" in audit.read_text(), within=30, what="a record of the reading")

    assert status(service, "alice") == 200
    assert service._process.poll() is None
