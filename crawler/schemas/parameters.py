"""What the parameters of a task may be: JSON that survives a google.protobuf.Struct unchanged.

A Struct has one kind of number, the double. Therefore whole numbers become int and others float,
however a task arrived. A number that a double cannot represent exactly is refused, and not altered.
The same task sent to the leader and through a follower is the same task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 16
"""The deepest nesting. Protobuf refuses messages nested deeper than 100, and a level of JSON takes
three of them."""

_SURROGATE = re.compile("[\ud800-\udfff]")

EXACT = 2**53
"""A double represents every whole number up to this."""

MOST_NUMBER = 1e300
"""The largest number in JSON of any kind. A double holds it, and so does every message. What is
larger would be stored, and never read again."""


def normal(value: Any, path: str = "", depth: int = 0) -> Any:
    """Return the value with its numbers in their one form.

    Raises ValueError, which says what is wrong and where, for a value that is not JSON or would not
    survive.
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
    """Whether it is a string that UTF-8 can carry. JSON may contain half a surrogate pair."""
    return isinstance(value, str) and (value.isascii() or not _SURROGATE.search(value))


def integer(value: Any) -> int | None:
    """Return a whole number that is given as a number or, as JSON has 64 bits, as a string; None
    otherwise."""
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
    raise ValueError(f"contains {type(value).__name__}{_at(path)}; allowed are JSON values")


def _text(value: Any, path: str) -> str:
    if not is_text(value):
        raise ValueError(f"contains text that is no UTF-8{_at(path)}: {ascii(value)[:60]}")
    return str(value)


def _number(value: float, path: str) -> float:
    if isinstance(value, int):
        if abs(value) > EXACT:
            raise ValueError(f"contains an integer beyond 2^53{_at(path)}; write it as a string")
        return value
    if not -MOST_NUMBER <= value <= MOST_NUMBER:
        raise ValueError(f"contains {value}{_at(path)}; numbers from -1e300 to 1e300 are allowed")
    return whole(value)


def whole(value: float) -> float:
    """Return a whole number as an int, if that is exact."""
    return int(value) if value.is_integer() and abs(value) <= EXACT else value


def _at(path: str) -> str:
    return f" at {ascii(path)[1:-1][:60]}" if path else ""
