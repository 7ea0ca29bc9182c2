"""Where in a trace something happened, in the text of W3C: https://www.w3.org/TR/trace-context/.

Two ids are not drawn at random, but follow from the task. So a leader and a worker know the same
ones, and nothing more has to be stored for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from crawler.model.records import Resource

_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class TracePlace:
    """A span of a trace."""

    trace_id: int
    span_id: int
    flags: int
    """The lowest bit says whether the trace is recorded."""

    @property
    def text(self) -> str:
        """The same as a `traceparent`."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"


def place_in(text: str) -> TracePlace | None:
    """Return what a `traceparent` says; None if it is none: any caller may send anything."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    place = TracePlace(*(int(part, 16) for part in found.groups()[:3]))
    # In version 00 nothing follows the flags.
    is_sound = place.trace_id and place.span_id and not (found[4] and text.startswith("00"))
    return place if is_sound else None


def trace_given(environment: Mapping[str, str]) -> str:
    """Return the span in which a command runs, as the variable TRACEPARENT has it; empty if there
    is none. Programs of build servers set it."""
    place = place_in(environment.get("TRACEPARENT", ""))
    return "" if place is None else place.text


def trace_id_of(resource: Resource) -> int:
    """Return the trace of a run that nobody asked for with one: the seeds, tasks that another
    program wrote, and those that were added before there were traces."""
    run = (resource.id, resource.creation_time, resource.run, resource.generation)
    return _number(16, *run)


def placement_id_of(resource: Resource) -> int:
    """Return the span of the decision that gave a task its worker. No other one has its epoch."""
    return _number(8, resource.name, resource.id, resource.epoch)


def _number(size: int, *parts: object) -> int:
    told = "\n".join(map(str, parts)).encode(errors="backslashreplace")
    return int.from_bytes(blake2b(told, digest_size=size).digest()) or 1
