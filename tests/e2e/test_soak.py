"""A short soak: the program itself, and that nothing is lost in front of an OpenCode full of faults."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SOAK = Path(__file__).parents[2] / "ops" / "soaking" / "main.py"


def soak(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, str(SOAK), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    return done.returncode, done.stdout, done.stderr


def test_ten_seconds_lose_and_repeat_nothing() -> None:
    status, said, complaints = soak("--minutes", "0.17", "--clients", "8")

    figures: dict[str, Any] = json.loads(said)
    assert (status, figures["ok"]) == (0, True), f"{said}{complaints}"
    assert figures["tasks"] > 0
    assert figures["faults"] > 0


def test_replicas_on_sqlite_are_refused() -> None:
    status, _, complaint = soak("--minutes", "1", "--replicas", "3")

    assert status == 2
    assert "--store postgres" in complaint
