"""Other releases than the one under test: the same wheel with another version, and what was done to it."""

from __future__ import annotations

import zipfile
from pathlib import Path

_SERVE = "opencode_a2a_server/app/cli/serve.py"
SPOILED = """
import os, pathlib, sys
if sys.argv[1:] == ["serve"]:
    for file in pathlib.Path(os.environ["STATE_DIRECTORY"]).iterdir():
        file.write_bytes(b"spoiled")
    sys.exit("this release is broken")
"""
"""A release that cannot serve, and ruins the store on its way."""


def variant(wheel: Path, version: str, *, appended: str = "") -> Path:
    """Make the wheel of another version, with something added to the module of `serve`."""
    name, old, *_ = wheel.name.split("-")
    made = wheel.with_name(wheel.name.replace(f"-{old}-", f"-{version}-"))
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            content = source.read(entry)
            path = entry.filename.replace(f"{name}-{old}.dist-info/", f"{name}-{version}.dist-info/")
            if path.endswith(".dist-info/METADATA"):
                content = content.replace(f"\nVersion: {old}\n".encode(), f"\nVersion: {version}\n".encode(), 1)
            if path.endswith(".dist-info/RECORD"):
                content = content.replace(f"{name}-{old}.dist-info/".encode(), f"{name}-{version}.dist-info/".encode())
            if path == _SERVE:
                content += appended.encode()
            target.writestr(path, content)
    return made
