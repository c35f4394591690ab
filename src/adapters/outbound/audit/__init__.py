"""Where it is kept who did what: a file, or the log."""

from .audit import AuditFile, AuditLog, AuditUnusable, open_audit
from .chain import Broken, Whole, verify

__all__ = ["AuditFile", "AuditLog", "AuditUnusable", "Broken", "Whole", "open_audit", "verify"]
