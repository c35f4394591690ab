"""What of the settings is secret, for those who keep them in files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from .reading import every_setting, read_text
from .values import Secret


def secret_names(given: Mapping[str, str]) -> frozenset[str]:
    """Give the names whose values must not be seen: secrets, and the address of a database with its password."""
    secret = {
        name
        for _, setting in every_setting()
        if setting.type is Secret or Secret in get_args(setting.type)
        for name in setting.metadata["names"]
    }
    return frozenset(
        name for name in given if name in secret or (name == "A2A_TASK_STORE_DATABASE_URL" and "@" in given[name])
    )


def told_by_files(given: Mapping[str, str]) -> dict[str, str]:
    """
    Read what is given as `<NAME>_FILE`, so that it can be kept elsewhere.

    Raises:
        SettingsError: A file cannot be read.

    """
    known = {name for _, setting in every_setting() for name in setting.metadata["names"]}
    told: dict[str, str] = {}
    for name, value in given.items():
        base = name.removesuffix("_FILE")
        if name in known or base not in known:
            told[name] = value
        else:
            told[base] = read_text(base, given) or ""
    return told
