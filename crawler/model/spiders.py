"""Which spiders a cluster offers, and what each takes: for people, and for forms made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

MOST_ARGUMENTS = 50
"""So many arguments of a spider are told."""
MOST_TEXT = 200
"""So long may a name, a text or the JSON of a default be."""
TYPES = ("", "string", "integer", "number", "boolean", "array", "object")
"""The types of arguments, as in JSON Schema; empty if nobody knows."""


@dataclass(frozen=True, slots=True)
class SpiderArgument:
    """A parameter that tasks may give a spider."""

    name: str
    type: str = ""
    """One of `TYPES`."""
    default: Any = None
    """A JSON value; None if there is none, or none that can be told."""
    required: bool = False
    """Whether a task must give it."""


@dataclass(frozen=True, slots=True)
class SpiderAbout:
    """What the class of a spider shows."""

    about: str = ""
    """The first line of its docstring."""
    arguments: Sequence[SpiderArgument] = ()
    takes_others: bool = True
    """Whether it takes parameters besides, which become its attributes."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "arguments": [asdict(each) for each in self.arguments]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SpiderAbout:
        """Read the result of `to_json` within its bounds, whoever wrote it. Raises LookupError,
        TypeError, ValueError and AttributeError."""
        arguments = [_argument_of(each) for each in data["arguments"][:MOST_ARGUMENTS]]
        return cls(str(data["about"])[:MOST_TEXT], arguments, bool(data["takes_others"]))


def _argument_of(data: Mapping[str, Any]) -> SpiderArgument:
    type, default = str(data["type"]), data["default"]
    return SpiderArgument(
        str(data["name"])[:MOST_TEXT],
        type if type in TYPES else "",
        default if len(json.dumps(default)) <= MOST_TEXT else None,
        bool(data["required"]),
    )


def abouts_from(data: Any) -> Mapping[str, SpiderAbout]:
    """Return what is told of spiders, by name, without what is not to be understood."""
    found: dict[str, SpiderAbout] = {}
    for name, about in data.items() if isinstance(data, Mapping) else ():
        with suppress(LookupError, TypeError, ValueError, AttributeError):
            found[str(name)] = SpiderAbout.from_json(about)
    return found


@dataclass(frozen=True, slots=True)
class OfferedSpider:
    """A spider that workers offer, or that a project has."""

    name: str
    project: str = ""
    """The deployed project that has it; empty: workers have it by their settings."""
    about: SpiderAbout | None = None
    """None if no worker tells."""
    nodes: Sequence[str] = ()
    """The ids of the live workers that offer it, sorted."""
    differs: bool = False
    """Whether workers tell different things of it. Then `about` is what most of them tell."""


@dataclass(frozen=True, slots=True)
class SpiderList:
    """The spiders of a cluster."""

    spiders: Sequence[OfferedSpider]
    """By project and name."""
    notes: Sequence[str] = ()
    """Which workers do not answer, and why."""
