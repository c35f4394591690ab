"""The service as it stands in the open: TLS, and credentials that change while it runs."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from a2a.types import a2a_pb2, a2a_pb2_grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from opencode_a2a_server.adapters.outbound.access.hashes import TokenHash
from opencode_a2a_server.adapters.outbound.audit import Whole, verify
from tests.e2e.service import RunningService, free_port
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
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


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
