"""The fields of requests about tasks, each with its own rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import ValidationError, fields

from crawler.errors import shown
from crawler.model.constraints import Constraints
from crawler.model.projects import DIGEST_WORDS, PROJECT_WORDS, is_digest, is_project_name
from crawler.schemas import constraint_json
from crawler.schemas.parameters import integer, is_text, normal
from crawler.schemas.readers import Faulty

MAX_NAME = 128
"""The longest name of a resource or of a spider, in characters."""
RESERVED = frozenset({"election"})
"""Names that a resource must not have: its key would be among the keys of the candidates."""
NAME_CHARACTERS = r"[^/\x00-\x1f\x7f-\x9f]"
"""What each character of a resource's name matches."""
_NAME = re.compile(f"{NAME_CHARACTERS}{{1,{MAX_NAME}}}")
MISSING: dict[str, Any] = {"required": "is missing"}


class Text(fields.Field[str]):
    """A string of limited length that UTF-8 can carry."""

    def __init__(self, least: int = 0, most: int | None = None, **more: Any) -> None:
        super().__init__(**more)
        self.least = least
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not is_text(value):
            raise ValidationError(f"{shown(value)} is not text")
        if len(value) < self.least or (self.most is not None and len(value) > self.most):
            raise ValidationError(f"{shown(value)} is not allowed; {self._allowed()}")
        return str(value)

    def _allowed(self) -> str:
        if self.most is None:
            return f"allowed are {self.least} characters or more"
        return f"allowed are {self.least} to {self.most} characters"


class Name(fields.Field[str]):
    """The name of a new resource: the last part of its key, and of its path over HTTP."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not is_text(value) or not is_name(value):
            raise ValidationError(
                f"{shown(value)} is not allowed; allowed are 1 to {MAX_NAME} characters "
                "without '/' and control characters, but not 'election'"
            )
        return str(value)


class ProjectName(Text):
    """The name of a project; empty where none is meant."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if value != "" and not (is_text(value) and is_project_name(value)):
            raise ValidationError(f"{shown(value)} is not allowed; allowed are {PROJECT_WORDS}")
        return str(value)


class Digest(Text):
    """The digest of a bundle; empty where none is meant."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if value != "" and not (is_text(value) and is_digest(value)):
            raise ValidationError(f"{shown(value)} is not allowed; allowed are {DIGEST_WORDS}")
        return str(value)


class Whole(fields.Field[int]):
    """An integer within bounds, given as a number or, as JSON has 64 bits, as a string."""

    def __init__(self, least: int, most: int, **more: Any) -> None:
        super().__init__(**more)
        self.least = least
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        number = integer(value)
        if number is None or not self.least <= number <= self.most:
            raise ValidationError(
                f"{shown(value)} is not allowed; allowed is an integer "
                f"from {self.least} to {self.most}"
            )
        return number


class Truth(fields.Field[bool]):
    """A truth value, given as one or, in the query of a URL, as text."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        given = {"true": True, "false": False}.get(value, value) if is_text(value) else value
        if not isinstance(given, bool):
            raise ValidationError(f"{shown(value)} is not allowed; allowed: true, false")
        return given


class Parameters(fields.Field[dict[str, Any]]):
    """A JSON object for the spider."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValidationError(f"{shown(value)} is not allowed; allowed is a JSON object")
        try:
            return dict(normal(value))
        except ValueError as fault:
            raise ValidationError(str(fault)) from None


class Labels(fields.Field[dict[str, str]]):
    """A map from text to text."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise ValidationError(f"{shown(value)} is not allowed; allowed is a map of text")
        for key, item in value.items():
            if not is_text(key) or not is_text(item):
                raise ValidationError(f"{shown(item)} at {shown(key)} is not text")
        return dict(value)


class Asked(fields.Field[Constraints]):
    """The constraints of a task, with the places of their faults."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Constraints:
        try:
            return constraint_json.read(value)
        except Faulty as fault:
            raise ValidationError(_placed(fault.faults)) from None


def is_name(name: str) -> bool:
    """Whether a new resource may have that name."""
    return name not in RESERVED and _NAME.fullmatch(name) is not None


def _placed(faults: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return faults as marshmallow has them: place → what is wrong."""
    placed: dict[str, list[str]] = {}
    for place, what in faults:
        placed.setdefault(place, []).append(what)
    return placed
