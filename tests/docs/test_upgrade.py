"""What is said of the settings of former releases is so."""

from __future__ import annotations

import re

import pytest

from opencode_a2a_server.app.settings import SettingsError, load_settings
from opencode_a2a_server.app.settings.reading import WITHOUT_EFFECT, every_setting
from tests.docs.test_documents import DOCS

TEXT = (DOCS / "how-to" / "upgrade.md").read_text(encoding="utf-8")
KNOWN = {name for _, setting in every_setting() for name in setting.metadata["names"]}
_NAME = re.compile(r"`((?:A2A|OPENCODE)_[A-Z0-9_]+)`")


def gone() -> list[str]:
    found = re.search(r"<!-- begin: gone -->(.*?)<!-- end: gone -->", TEXT, flags=re.DOTALL)
    assert found is not None
    return [name for row in found[1].splitlines() for name in _NAME.findall(row.split("|")[1] if "|" in row else "")]


def test_what_is_said_to_be_gone_is_gone() -> None:
    assert [name for name in gone() if name in KNOWN or name in WITHOUT_EFFECT] == []


@pytest.mark.parametrize("name", [name for name in gone() if name.startswith("A2A_")])
def test_the_start_stops_at_what_is_gone(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: there is no such setting"):
        load_settings({"A2A_BEARER_TOKEN": "t" * 40, name: "1"})


def test_every_other_name_is_a_setting() -> None:
    others = set(_NAME.findall(TEXT)) - set(gone())

    assert sorted(name for name in others if name not in KNOWN and name not in WITHOUT_EFFECT) == []
