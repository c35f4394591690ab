"""Instances: what they are called, and where they are reached."""

from __future__ import annotations

import pytest
from attrs import evolve

from opencode_a2a_server.domain.instance import Instance, Refused, check_name, free_upstream

ONE = Instance("one", "r", "127.0.0.1", 8000, "127.77.0.1", "/work")


@pytest.mark.parametrize("name", ["one", "a", "_x", "team-a_2", "a" * 27])
def test_a_name_that_users_can_have_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "One", "1st", "../etc", "a b", "a@b", "-x", "a" * 28, "a\n"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(Refused, match="cannot be the name"):
        check_name(name)


def test_each_opencode_has_an_address_of_its_own() -> None:
    assert free_upstream(frozenset()) == "127.77.0.1"
    assert free_upstream(frozenset({"127.77.0.1", "127.77.0.2", "127.77.0.4"})) == "127.77.0.3"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104
        ("::", "http://[::1]:8000"),
        ("fd00::1", "http://[fd00::1]:8000"),
    ],
)
def test_an_instance_is_reached_from_its_own_host(host: str, url: str) -> None:
    assert evolve(ONE, host=host).url == url
