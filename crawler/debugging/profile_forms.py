"""Writes a profile in the forms that people and programs read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from crawler.debugging.flame_graph import drawn

Times = Mapping[tuple[str, ...], int]
"""The microseconds of each stack, whose outermost function comes first."""


def folded(times: Times) -> str:
    """Return a line for each stack: its functions with semicolons, and its microseconds. Programs
    as flamegraph.pl read it."""
    lines = (f"{';'.join(map(_clean, stack))} {spent_us}" for stack, spent_us in times.items())
    return "".join(f"{line}\n" for line in sorted(lines))


def speedscope(times: Times) -> str:
    """Return a file for speedscope."""
    names = {name: at for at, name in enumerate({name: 0 for stack in times for name in stack})}
    profile = {
        "type": "sampled",
        "name": "crawler",
        "unit": "microseconds",
        "startValue": 0,
        "endValue": sum(times.values()),
        "samples": [[names[name] for name in stack] for stack in times],
        "weights": list(times.values()),
    }
    return json.dumps(
        {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "shared": {"frames": [{"name": name} for name in names]},
            "profiles": [profile],
        }
    )


def svg(times: Times) -> str:
    """Return a picture: a flame graph."""
    return drawn(times)


FORMS: Mapping[str, tuple[Callable[[Times], str], str]] = {
    "svg": (svg, "image/svg+xml"),
    "folded": (folded, "text/plain; charset=utf-8"),
    "speedscope": (speedscope, "application/json"),
}
"""The forms by name, with their media types."""


def _clean(name: str) -> str:
    """Return a name without what would end it in a line of a folded profile."""
    return " ".join(name.replace(";", ":").split())
