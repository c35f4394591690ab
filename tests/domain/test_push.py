"""What a push notification configuration may hold."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from opencode_a2a_server.domain.errors import InvalidRequest
from opencode_a2a_server.domain.ids import PushConfigId, TaskId
from opencode_a2a_server.domain.push import PushConfig

GOOD = PushConfig(PushConfigId("c"), TaskId("t"), "https://client.example/x?y=1", "token", "Bearer", "a b=")


def test_what_headers_can_carry_is_taken() -> None:
    GOOD.check()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", ""),
        ("url", "https://a b/"),
        ("url", "https://a/\r\nX: y"),
        ("url", "https://a/" + "x" * 2048),
        ("token", "a\r\nX-Admin: yes"),
        ("token", "a\n"),
        ("token", "ünïcode"),
        ("scheme", "Bearer x"),
        ("scheme", "Bearer\r\n"),
        ("scheme", ""),
        ("credentials", "a\rb"),
        ("credentials", "a\0"),
    ],
)
def test_what_no_header_can_carry_is_refused(field: str, value: str) -> None:
    changed: dict[str, Any] = {field: value}

    with pytest.raises(InvalidRequest) as refused:
        evolve(GOOD, **changed).check()

    assert refused.value.field.endswith(field)


def test_secrets_do_not_show() -> None:
    assert "a b=" not in repr(GOOD)
    assert "'token'" not in repr(GOOD)
