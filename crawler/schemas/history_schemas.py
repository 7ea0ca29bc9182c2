"""What a client may send to read the history, for gRPC and HTTP alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crawler.errors import InvalidArgument, shown
from crawler.model.history import DEFAULT_LIMIT, MOST_LIMIT, RunQuery, RunState
from crawler.schemas.task_fields import Text, Whole
from crawler.schemas.task_schemas import Request


class HistorySchema(Request):
    """How many events of a task to return."""

    limit = Whole(1, MOST_LIMIT, load_default=DEFAULT_LIMIT)


class RunsSchema(HistorySchema):
    """Which runs to return."""

    state = Text(load_default="")

    def _record(self, data: dict[str, Any]) -> RunQuery:
        state = load_run_state(data["state"]) if data["state"] else None
        return RunQuery(data["limit"], state)


def load_limit(given: Mapping[str, Any]) -> int:
    """Read how many events somebody asks for. Raises InvalidArgument."""
    limit: int = HistorySchema().read(given)["limit"]
    return limit


def load_runs(given: Mapping[str, Any]) -> RunQuery:
    """Read which runs somebody asks for. Raises InvalidArgument."""
    query: RunQuery = RunsSchema().read(given)
    return query


def load_run_state(text: str) -> RunState:
    """Return the state of that name. Raises InvalidArgument."""
    try:
        return RunState(text)
    except ValueError:
        allowed = ", ".join(state.value for state in RunState)
        raise InvalidArgument(f"state: {shown(text)} is not allowed; allowed: {allowed}") from None
