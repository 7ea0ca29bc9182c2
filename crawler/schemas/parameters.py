"""What the parameters of a task may hold: JSON that survives a google.protobuf.Struct unchanged.

A Struct has one kind of number, the double. So whole numbers become int and others float whichever
way a task came in, and what a double cannot hold exactly is refused rather than altered: the same
task sent to the leader and through a follower is the same task.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 16
"""Deepest nesting. Protobuf refuses messages nested deeper than 100, and a level of JSON costs
three of them."""

_SURROGATE = re.compile("[\ud800-\udfff]")

EXACT = 2**53
"""Up to here a double holds every whole number."""


def normal(value: Any, path: str = "", depth: int = 0) -> Any:
    """The value with its numbers in their one form.

    Raises ValueError, saying what is wrong where, for what is not JSON or would not survive.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_DEPTH} levels at {path[:40]}")
    if isinstance(value, Mapping):
        return {
            _text(key, path): normal(item, f"{path}.{key}", depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [normal(item, f"{path}[{at}]", depth + 1) for at, item in enumerate(value)]
    return _scalar(value, path)


def is_text(value: Any) -> bool:
    """Whether it is a string that UTF-8 can carry: JSON may smuggle in half a surrogate pair."""
    return isinstance(value, str) and (value.isascii() or not _SURROGATE.search(value))


def integer(value: Any) -> int | None:
    """A whole number that came as a number or, as JSON has 64 bits, as a string; None for what is
    none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def _scalar(value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, (int, float)):
        return _number(value, path)
    raise ValueError(f"holds {type(value).__name__}{_at(path)}; allowed is what JSON has")


def _text(value: Any, path: str) -> str:
    if not is_text(value):
        raise ValueError(f"holds text that is no UTF-8{_at(path)}: {ascii(value)[:60]}")
    return str(value)


def _number(value: float, path: str) -> float:
    if isinstance(value, int):
        if abs(value) > EXACT:
            raise ValueError(f"holds a whole number beyond 2^53{_at(path)}; write it as a string")
        return value
    if not math.isfinite(value):
        raise ValueError(f"holds {value}{_at(path)}; numbers must be finite")
    return whole(value)


def whole(value: float) -> float:
    """A number that is whole as an int, where that is exact."""
    return int(value) if value.is_integer() and abs(value) <= EXACT else value


def _at(path: str) -> str:
    return f" at {ascii(path)[1:-1][:60]}" if path else ""
