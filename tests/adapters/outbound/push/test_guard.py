"""Which addresses are called."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from opencode_a2a_server.adapters.outbound.push.guard import Forbidden, Guard, is_public
from opencode_a2a_server.app.ports.notifier import Undelivered
from opencode_a2a_server.domain.errors import InvalidRequest
from tests.conformance.clauses import clause

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"])
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


@clause("14.1.1d")
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",  # noqa: S104 - one that is refused
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.254",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:100.64.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:0:7f00:1::",
        "no address",
    ],
)
def test_addresses_that_only_somebody_has_are_not(address: str) -> None:
    assert not is_public(address)


def guard(*addresses: str, allowed: Sequence[str] = ()) -> Guard:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return Guard.of(resolve, allowed)


@pytest.mark.parametrize(
    "url",
    [
        "http://client.example/",
        "ftp://client.example/",
        "https:///path",
        "client.example",
        "https://user:password@client.example/",
        "https://[::1",
        "https://client.example:99999/",
        "file:///etc/passwd",
    ],
)
def test_urls_that_are_never_called_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        guard().target(url)

    assert refused.value.field == "url"


async def test_one_address_that_is_not_public_is_enough() -> None:
    with pytest.raises(Forbidden):
        await guarded("93.184.216.34", "10.0.0.1")

    assert await guarded("93.184.216.34") == ("93.184.216.34",)


async def guarded(*addresses: str) -> Sequence[str]:
    made = guard(*addresses)
    return await made.addresses(made.target("https://client.example/"))


@pytest.mark.parametrize("url", ["http://LOCALHOST:9000/x", "https://localhost./"])
async def test_a_host_that_was_allowed_may_be_anywhere(url: str) -> None:
    made = guard("127.0.0.1", allowed=[" localhost", ""])

    assert await made.addresses(made.target(url)) == ("127.0.0.1",)


async def test_an_address_that_was_allowed_is_one_too() -> None:
    made = guard("::1", allowed=["[::1]"])

    assert await made.addresses(made.target("http://[::1]:8080/")) == ("::1",)


async def test_a_host_without_an_address_may_have_one_later() -> None:
    with pytest.raises(Undelivered) as told:
        await guarded()

    assert not told.value.final
