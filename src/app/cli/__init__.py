"""The command `opencode-a2a-server`: parses, prints, sets exit codes, decides nothing."""

from .main import main

__all__ = ["main"]
