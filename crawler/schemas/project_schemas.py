"""What a client may send about projects, for gRPC and HTTP alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from marshmallow import ValidationError, fields

from crawler.errors import InvalidArgument, shown
from crawler.model.projects import PROJECT_WORDS, SHORT, is_project_name
from crawler.schemas.parameters import is_text
from crawler.schemas.task_fields import MISSING, ProjectName, Truth
from crawler.schemas.task_schemas import Request


class Rollback(NamedTuple):
    """A wish to go back to another version of a project."""

    name: str
    digest: str
    roll: bool


class DigestStart(fields.Field[str]):
    """A digest, or its beginning; empty where none is meant."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        is_digest = is_text(value) and re.fullmatch(f"([0-9a-f]{{{SHORT},64}})?", value)
        if not is_digest:
            raise ValidationError(
                f"{shown(value)} is not allowed; allowed are {SHORT} to 64 hexadecimal digits"
            )
        return str(value)


class RollbackSchema(Request):
    """A ProjectRequest that rolls a project back."""

    name = ProjectName(required=True, error_messages=MISSING)
    digest = DigestStart(load_default="")
    roll = Truth(load_default=False)

    def _record(self, data: dict[str, Any]) -> Rollback:
        return Rollback(**data)


def load_rollback(given: Mapping[str, Any]) -> Rollback:
    """Read a wish to go back to another version. Raises InvalidArgument."""
    wish: Rollback = RollbackSchema().read(given)
    load_name(wish.name)
    return wish


class Comparing(NamedTuple):
    """A wish to see how two versions of a project differ."""

    name: str
    digest: str
    since: str


class ComparingSchema(Request):
    """A CompareRequest."""

    name = ProjectName(required=True, error_messages=MISSING)
    digest = DigestStart(load_default="")
    since = DigestStart(load_default="")

    def _record(self, data: dict[str, Any]) -> Comparing:
        return Comparing(**data)


def load_comparison(given: Mapping[str, Any]) -> Comparing:
    """Read a wish to see how versions differ, or what is in one. Raises InvalidArgument."""
    wish: Comparing = ComparingSchema().read(given)
    load_name(wish.name)
    return wish


def load_name(name: str) -> str:
    """Read the name of a project. Raises InvalidArgument."""
    if not is_project_name(name):
        raise InvalidArgument(f"name: {shown(name)} is not allowed; allowed are {PROJECT_WORDS}")
    return name
