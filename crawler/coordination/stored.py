"""The JSON of a resource in etcd: its fields, their order, types and bounds.

msgspec reads and writes with this description, and `by_field.py` reads by it what msgspec refuses.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct, inspect

from crawler.coordination.fields import MOST
from crawler.model.records import State
from crawler.model.shards import MAX_WORKERS
from crawler.schemas.task_schemas import MAX_RETRIES

MOST_KILLS = 2**31 - 1
"""The largest count of dead workers that the API can carry. A task is parked no more often."""

MOST_RUNS = 2**31 - 1
"""The largest number of a run that the API can carry."""

MOST_SECONDS = 10**12
"""The longest running time of a crawl that is believed, in seconds."""

MOST_EPOCH = 2**53
"""A bound far above every revision of etcd, and therefore above every epoch made from one."""

NOTHING = Raw()
"""Marks a field that is absent."""

Whole = Annotated[int, Meta(ge=0, le=MOST)]


class StoredCounts(Struct, rename="pascal"):
    """The counts of a run."""

    pages: Whole = 0
    items: Whole = 0
    failures: Whole = 0
    seconds: Annotated[float, Meta(ge=0, le=MOST_SECONDS)] = 0.0


StoredShardCounts = dict[Annotated[int, Meta(ge=1, le=MAX_WORKERS - 1)], StoredCounts]


class StoredBlame(Struct, rename="pascal", omit_defaults=True):
    """The workers that died soon after they got the task."""

    lives: Annotated[tuple[str, ...], Meta(max_length=MAX_RETRIES)] = ()
    parkings: Annotated[int, Meta(ge=0, le=MOST_KILLS)] = 0
    until: Whole = 0
    processes: Annotated[int, Meta(ge=0, le=MOST_KILLS)] = 0


class StoredInterruption(Struct, rename="pascal", omit_defaults=True):
    """How the run before was interrupted."""

    reason: str = ""
    in_a_row: Annotated[int, Meta(ge=0, le=MOST_KILLS)] = 0


class StoredPause(Struct, rename="pascal", omit_defaults=True):
    """Who paused the task, and which worker had it then."""

    reason: str = ""
    node: str = ""


class Stored(Struct, rename="pascal", omit_defaults=True, forbid_unknown_fields=True):
    """The value of a resource. The first four fields are the shared interface. The other fields are
    written only if they differ from their defaults. Fields without a default are always written."""

    id: str = msgspec.field(name="ID")
    name: str | None
    assigned_node: str
    creation_time: Whole
    state: State | None
    spider: str = ""
    epoch: Annotated[int, Meta(ge=0, le=MOST_EPOCH)] = 0
    incarnation: Whole = 0
    term: Whole = 0
    assigned_time: Whole = 0
    parameters: dict[str, Any] = {}
    labels: dict[str, str] = {}
    priority: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] = 0
    retries: Annotated[int, Meta(ge=0, le=MAX_RETRIES)] = 0
    constraints: Raw = NOTHING
    reason: str = ""
    awaits_spider: bool = False
    counts: StoredCounts | None = None
    failed_on: Annotated[tuple[str, ...], Meta(max_length=MAX_RETRIES)] = ()
    kills: Annotated[int, Meta(ge=0, le=MOST_KILLS)] = 0
    blame: StoredBlame | None = None
    generation: Whole = 0
    workers: Annotated[int, Meta(ge=1, le=MAX_WORKERS)] = 1
    shard: Annotated[int, Meta(ge=0, le=MAX_WORKERS - 1)] = 0
    shard_of: str = ""
    resumes: Whole = 0
    shared: bool = False
    shard_counts: StoredShardCounts = {}
    interruption: StoredInterruption | None = None
    isolated: bool = False
    paused: StoredPause | None = None
    stopped: bool = False
    run: Annotated[int, Meta(ge=1, le=MOST_RUNS)] = 1
    project: str = ""
    bundle: str = ""
    digest: str = ""
    trace: str = ""


class ForeignStored(Stored, forbid_unknown_fields=False):
    """A value that another program wrote: it may lack any field, and have others."""

    id: str = msgspec.field(default="", name="ID")
    name: str | None = None
    assigned_node: str = ""
    creation_time: Whole = 0
    state: State | None = None


def fields_of(kind: type[Struct]) -> list[inspect.Field]:
    """Return the fields of a description, with their types and bounds."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return list(info.fields)


FIELDS = fields_of(Stored)
KEYS = frozenset(field.encode_name for field in FIELDS)
"""The names of all fields in JSON."""
