"""Settings of push notifications."""

from __future__ import annotations

import pytest

from opencode_a2a_server.app.settings import PushSettings, SettingsError, load_settings


def test_notifications_are_on_and_only_public_addresses_called_unless_told_otherwise() -> None:
    push = load_settings({}).push

    assert (push.enabled, push.hosts, push.secret, push.most) == (True, (), None, 16)


def test_hosts_are_separated_by_commas() -> None:
    assert PushSettings(allowed_hosts=" localhost,, hooks.internal ").hosts == ("localhost", "hooks.internal")


@pytest.mark.parametrize(("text", "enabled"), [("false", False), ("OFF", False), ("0", False), ("True", True)])
def test_notifications_are_switched_by_a_word(text: str, enabled: bool) -> None:  # noqa: FBT001 - a parameter
    assert load_settings({"A2A_PUSH_NOTIFICATIONS": text}).push.enabled is enabled


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A2A_PUSH_NOTIFICATIONS", "maybe"),
        ("A2A_PUSH_MAX_CONFIGS", "0"),
        ("A2A_PUSH_MAX_ATTEMPTS", "0"),
        ("A2A_PUSH_MAX_BYTES", "0"),
    ],
)
def test_what_makes_no_sense_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value})


def test_the_secret_does_not_show() -> None:
    assert "hush" not in repr(load_settings({"A2A_PUSH_SECRET": "hush"}).push)
