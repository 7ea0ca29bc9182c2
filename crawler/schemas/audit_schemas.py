"""What a client may send to read the audit, for gRPC and HTTP alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crawler.model.audit import DEFAULT_LIMIT, MOST_RECORDS
from crawler.schemas.task_fields import Whole
from crawler.schemas.task_schemas import Request


class AuditSchema(Request):
    """How many records to return."""

    limit = Whole(1, MOST_RECORDS, load_default=DEFAULT_LIMIT)


def load_limit(given: Mapping[str, Any]) -> int:
    """Read how many records somebody asks for. Raises InvalidArgument."""
    limit: int = AuditSchema().read(given)["limit"]
    return limit
