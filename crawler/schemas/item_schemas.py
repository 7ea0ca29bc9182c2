"""What a client may send to read the items of a task over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crawler.schemas import task_schemas
from crawler.schemas.task_fields import Text, Truth, Whole
from crawler.schemas.task_schemas import Request


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """Which items somebody wants."""

    name: str
    id: str = ""
    """The id of the task; empty: the newest."""
    epoch: int | None = None
    """A run of the crawl; None: the crawl that counts."""
    skip_missing: bool = False
    """Whether what is missing is left out."""


class ItemSchema(Request):
    """Which crawl, and what to do about files that are missing."""

    id = Text(0, 200, load_default="")
    epoch = Whole(0, 2**63 - 1, load_default=None)
    skip_missing = Truth(load_default=False)


_ITEMS = ItemSchema()


def load_query(given: Mapping[str, Any]) -> ItemQuery:
    """Read which items somebody asks for. Raises InvalidArgument."""
    rest = dict(given)
    name = task_schemas.load_name({"name": rest.pop("name", None)})
    return ItemQuery(name, **_ITEMS.read(rest))
