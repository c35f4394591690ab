"""The measurement of replicas: the program itself, and that every text is read whole; its times are for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MEASURE = Path(__file__).parents[2] / "ops" / "replicating" / "main.py"


def measure(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, str(MEASURE), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("only", "wanted"), [("latency", "latency_other_p99_ms"), ("kill", "kill_worst_ms")])
def test_all_is_read_whole_and_measured(only: str, wanted: str) -> None:
    status, said, complaints = measure("--only", only, "--streams", "3", "--seconds", "6")

    assert status == 0, f"{said}{complaints}"
    figures: dict[str, Any] = json.loads(said)
    assert figures[wanted] > 0


def test_a_measure_that_is_none_is_refused() -> None:
    status, _, complaint = measure("--only", "speed")

    assert status == 2
    assert "no such measure: speed" in complaint
