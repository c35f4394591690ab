"""The switch of protocol 0.3."""

from __future__ import annotations

import pytest

from opencode_a2a_server.app.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("text", "versions"),
    [("", ("1.0", "0.3")), ("true", ("1.0", "0.3")), ("False", ("1.0",)), ("0", ("1.0",)), ("off", ("1.0",))],
)
def test_0_3_is_served_unless_it_is_turned_off(text: str, versions: tuple[str, ...]) -> None:
    assert load_settings({"A2A_ENABLE_V03": text}).server.versions == versions


def test_a_switch_is_on_or_off() -> None:
    with pytest.raises(SettingsError, match="neither true nor false"):
        load_settings({"A2A_ENABLE_V03": "perhaps"})
