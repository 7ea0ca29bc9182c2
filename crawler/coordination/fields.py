"""Reads fields of the values in etcd by name and type. A wrong value raises ValueError."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from crawler.schemas.parameters import MOST_NUMBER

MOST = 2**63 - 1
"""The largest whole number that the API can carry; its priorities are smaller."""

MOST_DEPTH = 32
"""The deepest nesting of JSON of any kind. Protobuf refuses messages nested deeper than 100, and a
level of JSON takes three of them."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
"""Made once, because json.dumps makes a new encoder for each value."""


def load_object(raw: bytes) -> dict[str, Any]:
    """Decode the JSON object in a value. Raises ValueError.

    What is not JSON in UTF-8 is refused, because nobody could write it again: NaN, half a surrogate
    pair, another encoding.
    """
    try:
        value = _DECODER.decode(raw.decode())
        if b"\\u" in raw:  # an escape may be half a surrogate pair, which UTF-8 cannot carry
            dump(value)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object is expected, not {raw[:80]!r}")
    return value


def bounded(value: Any, what: str) -> None:
    """Check that JSON of any kind can be carried everywhere. Raises ValueError."""
    level = [value]
    for _ in range(MOST_DEPTH + 1):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list):
                below += each
            elif isinstance(each, int | float) and not -MOST_NUMBER <= each <= MOST_NUMBER:
                raise ValueError(f"{what} has a number beyond 1e300, or none that is finite")
        if not below:
            return
        level = below
    raise ValueError(f"{what} is nested deeper than {MOST_DEPTH} levels")


def typed(value: Mapping[str, Any], key: str, kind: Any, default: Any) -> Any:
    """Return a field of the given type. Null and absence mean the default."""
    found = value.get(key)
    if found is None:
        return default
    if type(found) is kind:
        return found
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise ValueError(f"{key} is {found!r:.80}, not {getattr(kind, '__name__', 'a number')}")
    return found


def whole(value: Mapping[str, Any], key: str, least: int = 0, most: int = MOST) -> int:
    """Return a whole number that the API can carry. Null and absence mean 0."""
    if value.get(key) is None:
        return 0
    found: int = typed(value, key, int, 0)
    if not least <= found <= most:
        raise ValueError(f"{key} is {found!r:.80}; {least} to {most} is allowed")
    return found


def number(value: Mapping[str, Any], key: str, least: float, most: float) -> float:
    """Return a number within bounds. Null and absence mean 0."""
    found = typed(value, key, (int, float), 0.0)
    if not least <= found <= most:
        raise ValueError(f"{key} is {found!r:.80}; {least:g} to {most:g} is allowed")
    return float(found)


def labels(value: Any) -> Mapping[str, str]:
    """Return a map of text to text."""
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise ValueError("labels are no map of text to text")
    return value


def dump(value: Mapping[str, Any]) -> bytes:
    """Encode a value for etcd: compact JSON in UTF-8."""
    return text_of(value).encode()


def text_of(value: Mapping[str, Any]) -> str:
    """Return compact JSON."""
    return _ENCODER.encode(value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
