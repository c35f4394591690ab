"""`opencode-a2a-server doctor`: whether everything is as it should be."""

from .command import doctor

__all__ = ["doctor"]
