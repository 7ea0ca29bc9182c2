"""Converts records of the audit to messages, and back."""

from __future__ import annotations

from crawler.api import fields
from crawler.model.audit import AuditRecord
from crawler.proto import crawler_pb2 as pb


def record_message(record: AuditRecord) -> pb.AuditRecord:
    """Return a record as a message."""
    return pb.AuditRecord(**fields.of_audit(record))


def record_from(message: pb.AuditRecord) -> AuditRecord:
    """Return the record of a message."""
    return AuditRecord(
        time_ns=message.time,
        who=message.who,
        role=message.role,
        address=getattr(message, "from"),  # a keyword of Python
        transport=message.transport,
        action=message.action,
        object=message.object,
        outcome=message.outcome,
        id=message.id,
        detail=message.detail,
        reason=message.reason,
        count=message.count,
    )
