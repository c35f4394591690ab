"""Where the service listens, for clients and for operators, and how it speaks HTTP and gRPC."""

from __future__ import annotations

from attrs import frozen

from .values import address, hosts, http_url, joined, listed, networks, not_negative, origins, port, positive, setting


@frozen
class ServerSettings:
    """Where the service listens."""

    host: str = setting("A2A_HOST", "Address to listen on.", "127.0.0.1")
    port: int = setting("A2A_PORT", "Port to listen on.", 8000, check=port)
    public_url: str | None = setting(
        "A2A_PUBLIC_URL",
        "The service's URL as clients reach it; goes into the agent card. Default: made of host and port.",
        None,
        check=http_url,
    )
    max_body: int = setting(
        "A2A_MAX_REQUEST_BODY_BYTES",
        "Largest request taken, in bytes; larger ones are answered 413.",
        1_048_576,
        check=positive,
    )
    keep_alive: float = setting(
        "A2A_KEEP_ALIVE_SECONDS",
        "Silence on a stream after which a comment is sent. The Python SDK's clients give up after 5 seconds.",
        3.0,
        check=positive,
    )
    trusted_proxies: str = setting(
        "A2A_TRUSTED_PROXIES",
        "Addresses and networks, separated by commas, of proxies whose `Forwarded` and `X-Forwarded-*` headers say from "
        "which address a client comes and, if A2A_PUBLIC_URL does not, by which URL it reaches the service.",
        "",
        check=networks,
    )
    v03: bool = setting(
        "A2A_ENABLE_V03",
        "Whether protocol 0.3 is served beside 1.0, on the same port and the same tasks.",
        default=True,
    )
    workers: int = setting(
        "A2A_WORKERS",
        "Processes that serve on this port, as replicas of each other. More than one needs PostgreSQL. "
        "`serve --workers` takes precedence.",
        1,
        check=positive,
    )
    drain: float = setting(
        "A2A_DRAIN_SECONDS",
        "After SIGTERM, time for running turns to end. What is left is taken up by another replica, or by the next start.",
        10.0,
        check=positive,
    )

    certificate: str | None = setting(
        "A2A_TLS_CERT_FILE",
        "Certificate with its chain, in PEM: HTTPS is served, and gRPC with TLS. Goes with A2A_TLS_KEY_FILE.",
        None,
    )
    key: str | None = setting("A2A_TLS_KEY_FILE", "The certificate's private key, in PEM, without a password.", None)

    @property
    def versions(self) -> tuple[str, ...]:
        """The protocol versions to serve, the preferred one first."""
        return ("1.0", "0.3") if self.v03 else ("1.0",)

    @property
    def proxies(self) -> tuple[str, ...]:
        """The proxies whose word counts."""
        return listed(self.trusted_proxies)

    @property
    def proxies_for_url(self) -> tuple[str, ...]:
        """Those whose word on the URL counts: none where the operator has given his own."""
        return () if self.public_url else self.proxies

    @property
    def url(self) -> str:
        """The URL clients reach the service by."""
        return (
            self.public_url or f"{'https' if self.certificate else 'http'}://{joined(self.host, self.port)}"
        ).rstrip("/")


@frozen
class GrpcSettings:
    """The gRPC binding."""

    port: int = setting(
        "A2A_GRPC_PORT",
        "Port to serve gRPC on, besides HTTP; 0: none. Needs the extra: `pip install 'opencode-a2a-server[grpc]'`.",
        0,
        check=port,
    )
    host: str | None = setting("A2A_GRPC_HOST", "Address to listen on for gRPC. Default: A2A_HOST.", None)
    public_address: str | None = setting(
        "A2A_GRPC_PUBLIC_ADDRESS",
        "`host:port` as clients reach gRPC; goes into the agent card. Default: the host of A2A_PUBLIC_URL, else the one "
        "listened on, and the port.",
        None,
        check=address,
    )


@frozen
class HttpSettings:
    """How HTTP is spoken, to browsers above all."""

    allowed_origins: str = setting(
        "A2A_ALLOWED_ORIGINS",
        "Origins, separated by commas, whose pages may call: `https://app.example`, or `*` for all. That of "
        "A2A_PUBLIC_URL always may; requests of others are refused.",
        "",
        check=origins,
    )
    allowed_hosts: str = setting(
        "A2A_ALLOWED_HOSTS",
        "Names, separated by commas, that the `Host` of a request may have: exact or `*.suffix`. Default: any.",
        "",
        check=hosts,
    )
    gzip_minimum: int = setting(
        "A2A_HTTP_GZIP_MINIMUM_SIZE",
        "Bytes from which on an answer is compressed for clients that take it. Streams never are.",
        8192,
        check=not_negative,
    )

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins allowed."""
        return listed(self.allowed_origins)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts allowed."""
        return listed(self.allowed_hosts)


@frozen
class AdminSettings:
    """Where operators look: probes and metrics, without a token, on a listener of its own."""

    port: int = setting(
        "A2A_ADMIN_PORT",
        "Port for `/livez`, `/readyz` and `/metrics`; 0: none. Further workers take the ports that follow.",
        0,
        check=port,
    )
    host: str = setting("A2A_ADMIN_HOST", "Address to listen on for them.", "127.0.0.1")
