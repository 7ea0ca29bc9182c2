"""Reads YAML, and refuses what only looks small.

An alias costs four characters and stands for all that its anchor holds. Ten lines of ten aliases
each stand for ten thousand million values.
"""

from __future__ import annotations

from typing import Any

MOST_VALUES = 1_000_000
"""How many values a text may stand for."""


def parse(text: str) -> Any:
    """Return the value of a text. Raises yaml.YAMLError."""
    import yaml

    try:
        value = yaml.safe_load(text)
        if not _is_bounded(value):
            raise yaml.YAMLError(
                f"it stands for more than {MOST_VALUES} values; do its aliases repeat each other?"
            )
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except (ValueError, OverflowError) as error:  # a number with thousands of digits, a 13th month
        raise yaml.YAMLError(str(error)) from None
    return value


def _is_bounded(value: Any) -> bool:
    """Whether a value has few enough parts, aliases counted as often as they stand there."""
    rest, count = [value], 0
    while rest and count <= MOST_VALUES:
        each = rest.pop()
        count += 1
        if isinstance(each, dict):
            rest += each.values()
            rest += each.keys()
        elif isinstance(each, list | tuple | set):
            rest += each
    return not rest
