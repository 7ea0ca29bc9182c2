"""Reads JSON by hand. It reports every fault at once, each with its place.

It is for JSON for which a schema library is too slow: a new leader reads the constraints of a
hundred thousand tasks before it places the first. A reader is a function from a JSON value to a
value of this program. This module has the parts of which readers are made.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.errors import shown
from crawler.schemas.parameters import integer, is_text

Reader = Callable[[Any], Any]
"""Converts a JSON value. Raises Faulty."""


class Faulty(ValueError):
    """A value is at fault, in one place or in several."""

    def __init__(self, *faults: tuple[str, str]) -> None:
        """Each fault has a place below the value, such as `.near[0].label`, and says what is wrong
        there. The place is empty for the whole value."""
        super().__init__(*faults)
        self.faults: Sequence[tuple[str, str]] = faults

    def below(self, place: str) -> list[tuple[str, str]]:
        """Return the faults, for a value that is itself at that place."""
        return [(place + inner, what) for inner, what in self.faults]

    def told(self, root: str) -> str:
        """Return all faults in one line."""
        return "; ".join(f"{place}: {what}" for place, what in self.below(root))


def refusal(value: Any, allowed: str) -> Faulty:
    """Return the fault of a value that is not allowed."""
    return Faulty(("", f"{shown(value)} is not allowed; allowed is {allowed}"))


def text(value: Any) -> str:
    """Read text, which may be empty."""
    if not is_text(value):
        raise Faulty(("", f"{shown(value)} is not text"))
    return str(value)


def name(value: Any) -> str:
    """Read text that is not empty."""
    if not text(value):
        raise refusal(value, "text of 1 character or more")
    return str(value)


def one_of(kind: type[enum.Enum]) -> Reader:
    """Return a reader of a member of an enumeration, by its value."""
    members = {member.value: member for member in kind}

    def read(value: Any) -> enum.Enum:
        if not isinstance(value, str) or value not in members:
            raise refusal(value, f"one of {', '.join(members)}")
        return members[value]

    return read


def number(allows: Callable[[float], bool], allowed: str) -> Reader:
    """Return a reader of a number that is allowed. It gives a float."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not allows(value):
            raise refusal(value, allowed)
        return float(value)

    return read


def whole(least: int, most: int) -> Reader:
    """Return a reader of an integer within bounds, given as a number or as a string."""

    def read(value: Any) -> int:
        found = integer(value)
        if found is None or not least <= found <= most:
            raise refusal(value, f"an integer from {least} to {most}")
        return found

    return read


def each(reader: Reader, most: int) -> Reader:
    """Return a reader of a list of at most `most` items. It gives a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise refusal(value, "a list")
        if len(value) > most:
            raise Faulty(("", f"{len(value)} items given; at most {most} are allowed"))
        return tuple(together((f"[{at}]", reader, item) for at, item in enumerate(value)))

    return read


@dataclass(frozen=True)
class Record:
    """Reads a JSON object. A null counts as absent, if the field exists."""

    make: Callable[..., Any]
    """It takes the fields by their names, and may raise Faulty."""
    fields: Mapping[str, Reader]
    needed: Sequence[str] = ()
    """The fields that are required."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Field → its name in JSON, if that differs. A fault uses the name that was given."""

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise refusal(value, "a JSON object")
        alias, fields = self.aliases.get, self.fields
        given = [
            (key, alias(key, key), each)
            for key, each in value.items()
            if each is not None or alias(key, key) not in fields
        ]
        names = [name for _, name, _ in given]
        made = together(
            [(f".{key}", fields[name], each) for key, name, each in given if name in fields]
            + [("", self._unknown, key) for key, name, _ in given if name not in fields]
            + [(f".{name}", _missing, None) for name in self.needed if name not in names]
        )
        return self.make(**dict(zip(names, made)))

    def _unknown(self, key: Any) -> None:
        written = {name: other for other, name in self.aliases.items()}
        fields = ", ".join(written.get(name, name) for name in self.fields)
        raise Faulty(("", f"{shown(key)} is not a field; the fields are {fields}"))


def together(readings: Iterable[tuple[str, Reader, Any]]) -> list[Any]:
    """Return what the readers made of the values at some places. Raises the faults of all of
    them."""
    made: list[Any] = []
    faults: list[tuple[str, str]] = []
    for place, reader, value in readings:
        try:
            made.append(reader(value))
        except Faulty as fault:
            faults += fault.below(place)
    if faults:
        raise Faulty(*faults)
    return made


def _missing(_: Any) -> None:
    raise Faulty(("", "is missing"))
