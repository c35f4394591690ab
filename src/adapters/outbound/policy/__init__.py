"""Rules that decide interrupts, from a file."""

from .policy import PolicyError, parse_policy, read_policy

__all__ = ["PolicyError", "parse_policy", "read_policy"]
