"""Where it is kept who did what: a file, or the log."""

from .audit import AuditFile, AuditLog, AuditUnusable, open_audit

__all__ = ["AuditFile", "AuditLog", "AuditUnusable", "open_audit"]
