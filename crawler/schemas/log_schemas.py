"""What a client may send to read the log of a task, for gRPC and HTTP alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crawler.errors import InvalidArgument, shown
from crawler.model.logs import LogQuery
from crawler.model.shards import MAX_WORKERS
from crawler.schemas import task_schemas
from crawler.schemas.task_fields import Truth, Whole
from crawler.schemas.task_schemas import Request

_MOST_RUN = 2**31 - 1
_MOST = 2**63 - 1
_POSITION = re.compile(r"(\d{1,2})\.(\d{1,18})\.(\d{1,18})", re.ASCII)


class LogSchema(Request):
    """Which run, and whether to wait for more."""

    run = Whole(0, _MOST_RUN, load_default=0)
    follow = Truth(load_default=False)


_LOG = LogSchema()


def load_query(given: Mapping[str, Any]) -> LogQuery:
    """Read which part of a log somebody asks for. Raises InvalidArgument."""
    rest = dict(given)
    name = task_schemas.load_name({"name": rest.pop("name", None)})
    offset = rest.pop("offset", "")
    found = _LOG.read(rest)
    positions = positions_of(offset) if isinstance(offset, str) else _checked(offset)
    return LogQuery(name, found["run"], positions, found["follow"])


def positions_of(text: str) -> dict[int, tuple[int, int]]:
    """Read where to begin: `<shard>.<epoch>.<byte>` for each shard, with commas. Raises
    InvalidArgument."""
    found: dict[int, tuple[int, int]] = {}
    for each in text.split(",") if text else ():
        match = _POSITION.fullmatch(each.strip())
        if match is None:
            raise InvalidArgument(
                f"offset: {shown(each)} is not allowed; allowed is the `offset` of a line of the"
                " log, as 0.3.1024, or several of different shards, with commas"
            )
        shard, epoch, byte = map(int, match.groups())
        found[shard] = max(found.get(shard, (0, 0)), (epoch, byte))
    return found


def _checked(given: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    for shard, numbers in given.items():
        if not 0 <= shard < MAX_WORKERS or not all(0 <= each <= _MOST for each in numbers):
            raise InvalidArgument(
                f"positions: shard {shard} at {numbers} is not allowed; allowed are shards from 0"
                f" to {MAX_WORKERS - 1}, with an epoch and an offset from 0"
            )
    return dict(given)
