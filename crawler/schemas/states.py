"""The states of tasks, and the orders of a listing, by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from crawler.errors import InvalidArgument, shown
from crawler.model.records import Sort, State, ToldState

Found = TypeVar("Found", State, State | ToldState, Sort)

LISTED: Mapping[str, State | ToldState] = {each.value: each for each in (*State, *ToldState)}
"""The states that a listing can be of, by name."""

SORTS: Mapping[str, Sort] = {each.value: each for each in Sort}
"""What a listing can be sorted by, by name."""


def load_state(text: str) -> State:
    """Return the state of that name. Raises InvalidArgument."""
    return _load(text, {state.value: state for state in State})


def load_listed_state(text: str) -> State | ToldState:
    """Return the state of that name, or the word for one that no record stores. Raises
    InvalidArgument."""
    return _load(text, LISTED)


def load_sort(text: str) -> Sort:
    """Return the order of that name. Raises InvalidArgument."""
    return _load(text, SORTS, "sort")


def _load(text: str, allowed: Mapping[str, Found], field: str = "state") -> Found:
    try:
        return allowed[text]
    except KeyError:
        told = ", ".join(allowed)
        raise InvalidArgument(f"{field}: {shown(text)} is not allowed; allowed: {told}") from None
