"""The states of tasks by their names."""

from __future__ import annotations

from crawler.errors import InvalidArgument, shown
from crawler.model.records import State


def load_state(text: str) -> State:
    """Return the state of that name. Raises InvalidArgument."""
    try:
        return State(text)
    except ValueError:
        allowed = ", ".join(state.value for state in State)
        raise InvalidArgument(f"state: {shown(text)} is not allowed; allowed: {allowed}") from None
