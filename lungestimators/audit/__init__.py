"""Is a data set fit to learn from? Duplicates, leaks, doubtful labels, shortcuts."""

from .audit import audit_images
from .report import AuditReport

__all__ = ["AuditReport", "audit_images"]
