"""An OpenID provider on loopback: real HTTP, real keys."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@define
class SigningKey:
    """A key of the provider's."""

    kid: str
    alg: str
    private: Private

    @classmethod
    def new(cls, kid: str, alg: str = "ES256") -> SigningKey:
        """Make one."""
        private: Private
        if alg == "RS256":
            private = rsa.generate_private_key(65537, 2048)
        elif alg == "EdDSA":
            private = ed25519.Ed25519PrivateKey.generate()
        else:
            private = ec.generate_private_key(ec.SECP256R1())
        return cls(kid, alg, private)

    @property
    def public(self) -> dict[str, Any]:
        """The public half, as a key set has it."""
        algorithm = jwt.get_algorithm_by_name(self.alg)
        told = algorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**told, "kid": self.kid, "alg": self.alg, "use": "sig"}

    def sign(self, claims: dict[str, Any], **header: Any) -> bytes:
        """Sign a token."""
        return jwt.encode(claims, self.private, self.alg, {"kid": self.kid, "typ": "at+jwt", **header}).encode()


@define
class FakeIssuer:
    """A provider; what it publishes may be changed at any time."""

    url: str = ""
    keys: list[SigningKey] = field(factory=lambda: [SigningKey.new("first")])
    broken: bool = False
    metadata: dict[str, Any] = field(factory=dict)
    asked: list[str] = field(factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Say what is at a path."""
        self.asked.append(path)
        if self.broken:
            return 503, {}
        if path == "/.well-known/openid-configuration":
            return 200, {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.metadata}
        return (200, {"keys": [key.public for key in self.keys]}) if path == "/keys" else (404, {})

    def claims(self, now: float, **more: Any) -> dict[str, Any]:
        """Give what a token says."""
        told = {"iss": self.url, "aud": "opencode", "sub": "alice", "iat": int(now), "exp": int(now) + 300}
        return {name: value for name, value in {**told, **more}.items() if value is not None}

    @contextmanager
    def listening(self) -> Iterator[FakeIssuer]:
        """Serve."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, told = issuer.answer(self.path)
                body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
