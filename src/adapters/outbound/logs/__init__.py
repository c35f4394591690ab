"""The log: its lines, and what never stands in one."""

from .lines import Look, configure
from .redaction import Redaction

__all__ = ["Look", "Redaction", "configure"]
