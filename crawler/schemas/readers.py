"""Reads JSON by hand, and tells every fault at once, each by its place.

For what a schema library is too slow for: a new leader reads what a hundred thousand tasks ask of
their workers before it places the first. A reader is a function from JSON to a value of ours; those
here are the parts of which readers are put together.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crawler.errors import shown
from crawler.schemas.parameters import integer, is_text

Reader = Callable[[Any], Any]
"""Makes a value of ours of one in JSON. Raises Faulty."""


class Faulty(ValueError):
    """What was read is at fault, in one place or in several."""

    def __init__(self, *faults: tuple[str, str]) -> None:
        """Each fault is a place below what was read, such as `.near[0].label`, and what is wrong
        there; the place is empty for what was read as a whole."""
        super().__init__(*faults)
        self.faults: Sequence[tuple[str, str]] = faults

    def below(self, place: str) -> list[tuple[str, str]]:
        """The faults, as what was read stands at that place itself."""
        return [(place + inner, what) for inner, what in self.faults]

    def told(self, root: str) -> str:
        """All in one line."""
        return "; ".join(f"{place}: {what}" for place, what in self.below(root))


def refusal(value: Any, allowed: str) -> Faulty:
    """The fault of a value that is not allowed."""
    return Faulty(("", f"{shown(value)} is not allowed; allowed is {allowed}"))


def text(value: Any) -> str:
    """Reads text, which may be empty."""
    if not is_text(value):
        raise Faulty(("", f"{shown(value)} is not text"))
    return str(value)


def name(value: Any) -> str:
    """Reads text that is not empty."""
    if not text(value):
        raise refusal(value, "text of 1 character or more")
    return str(value)


def one_of(kind: type[enum.Enum]) -> Reader:
    """Reads a member of an enumeration by its value."""
    members = {member.value: member for member in kind}

    def read(value: Any) -> enum.Enum:
        if not isinstance(value, str) or value not in members:
            raise refusal(value, f"one of {', '.join(members)}")
        return members[value]

    return read


def number(allows: Callable[[float], bool], allowed: str) -> Reader:
    """Reads a number that is allowed, as a float."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not allows(value):
            raise refusal(value, allowed)
        return float(value)

    return read


def whole(least: int, most: int) -> Reader:
    """Reads an integer within bounds, as a number or as a string."""

    def read(value: Any) -> int:
        found = integer(value)
        if found is None or not least <= found <= most:
            raise refusal(value, f"an integer from {least} to {most}")
        return found

    return read


def each(reader: Reader, most: int) -> Reader:
    """Reads a list of so many items at most, as a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise refusal(value, "a list")
        if len(value) > most:
            raise Faulty(("", f"{len(value)} items given; at most {most} are allowed"))
        return tuple(together((f"[{at}]", reader, item) for at, item in enumerate(value)))

    return read


@dataclass(frozen=True)
class Record:
    """Reads a JSON object; null counts as not given."""

    make: Callable[..., Any]
    """Takes the fields by their names; may raise Faulty."""
    fields: Mapping[str, Reader]
    needed: Sequence[str] = ()
    """Fields that must be given."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """The names of fields in JSON, where those are others; a fault is told by the name given."""

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise refusal(value, "a JSON object")
        alias, fields = self.aliases.get, self.fields
        given = [(key, alias(key, key), each) for key, each in value.items() if each is not None]
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
    """What readers made of the values at some places; raises the faults of all of them."""
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
