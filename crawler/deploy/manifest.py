"""What a bundle says of itself: the file `bundle.json` in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from crawler.errors import InvalidArgument, shown
from crawler.model.projects import PROJECT_WORDS, is_project_name

VERSION = 1
"""The version of the format. A later program reads it; an earlier one refuses a higher one."""


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself."""

    project: str
    spiders: Sequence[str]
    """The names of its spiders, sorted."""
    sources: Sequence[Any]
    """What to load its spiders from, as `spiders` in a settings file; paths start at `code/`."""
    python: str
    """The version of Python for which its requirements were resolved, as `3.11`."""
    requirements: Sequence[str] = ()
    """What the project asks for, as requirements of pip."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The section `crawl` of its settings."""
    version: int = VERSION
    described: Mapping[str, Any] = field(default_factory=dict)
    """What the classes of its spiders show, by name: `model.spiders.SpiderAbout` as JSON. Earlier
    versions of the program told nothing."""


def encode(manifest: Manifest) -> bytes:
    """Return the text of `bundle.json`, always the same for the same content."""
    return json.dumps(asdict(manifest), sort_keys=True, indent=1).encode() + b"\n"


def decode(raw: bytes) -> Manifest:
    """Read `bundle.json`. Raises InvalidArgument, which names the field."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"bundle.json: is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidArgument("bundle.json: a JSON object is allowed")
    if value.get("version") != VERSION:
        raise InvalidArgument(
            f"bundle.json: version: {shown(value.get('version'))} is not known; allowed is "
            f"{VERSION}; use the same version of the crawler for deploying and for the cluster"
        )
    known = {each.name for each in fields(Manifest)}
    given = {key: each for key, each in value.items() if key in known}
    for key, (is_sound, allowed) in _RULES.items():
        if not is_sound(given.get(key)):
            raise InvalidArgument(
                f"bundle.json: {key}: {shown(given.get(key))} is not allowed; allowed: {allowed}"
            )
    return Manifest(**given)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) and text for text in value)


_RULES: Mapping[str, tuple[Any, str]] = {
    "project": (lambda v: isinstance(v, str) and is_project_name(v), PROJECT_WORDS),
    "spiders": (lambda v: _are_texts(v) and bool(v), "a list of one name or more"),
    "sources": (lambda v: isinstance(v, list) and bool(v), "a list of modules and files"),
    "python": (lambda v: isinstance(v, str) and bool(v), "a version such as 3.11"),
    "requirements": (_are_texts, "a list of requirements"),
    "settings": (lambda v: isinstance(v, dict), "a map of settings of the section crawl"),
    "described": (lambda v: v is None or isinstance(v, dict), "a map of the names of spiders"),
}
