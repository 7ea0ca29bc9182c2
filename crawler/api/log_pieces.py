"""Which pieces the log of a task has, which are missing, and how people are told of it. Pure
functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from crawler.api.backend import NodeLoad
from crawler.errors import shown
from crawler.items.names import folder_name
from crawler.model.logs import Piece, PieceKey
from crawler.model.records import Resource, State


def latest(
    found: Sequence[tuple[Piece, NodeLoad]],
) -> dict[PieceKey, tuple[Piece, NodeLoad]]:
    """Return one of each piece, of the newest task. Workers of one machine share their files: the
    one counts whose run it is, or else the one that has most."""
    best: dict[tuple[str, PieceKey], tuple[Piece, NodeLoad]] = {}
    for piece, worker in found:
        place = piece.id, piece.key
        if place not in best or _rank(piece) > _rank(best[place][0]):
            best[place] = piece, worker
    return {key: held for (_, key), held in sorted(best.items())}


def _rank(piece: Piece) -> tuple[bool, int]:
    return piece.is_open, piece.end


def id_name(resource: Resource) -> str:
    """Return the id of a task as it stands in names."""
    return folder_name(resource.id) or "task"


def keys_of_run(
    resource: Resource, pieces: Mapping[PieceKey, tuple[Piece, NodeLoad]], run: int
) -> Iterator[PieceKey]:
    """Yield the pieces that a run has, also those that no worker has: its epochs lie between those
    of the runs before and after."""
    shard = resource.spec.shard
    mine = [(key.epoch, held[0].run) for key, held in pieces.items() if key.shard == shard]
    first = max((epoch for epoch, of in mine if of < run), default=0) + 1
    last = min((epoch - 1 for epoch, of in mine if of > run), default=_last_begun(resource))
    return (PieceKey(epoch, shard) for epoch in range(first, last + 1))


def _last_begun(resource: Resource) -> int:
    """Return the epoch of the last run that may have begun."""
    return resource.epoch - (resource.state is State.ASSIGNED)


def why_missing(resource: Resource, key: PieceKey) -> str:
    """Return why no worker has a piece, as far as the leader can tell."""
    owner = resource.owner
    if key.epoch == resource.epoch and owner is not None:
        return f"{owner.node_id} had it, and is not there, or has removed it"
    why = resource.interruption.reason if key.epoch == resource.epoch - 1 else ""
    told = f" ({why})" if why else ""
    return f"no worker has it; the one that had it is gone, or has removed it{told}"


def named(key: PieceKey) -> str:
    """Return how people are told of a piece."""
    return f"the log of epoch {key.epoch}" + (f", shard {key.shard}" if key.shard else "")


def dropped(key: PieceKey, count: int) -> str:
    """Return what to say of lines that are dropped."""
    return f"{named(key)}: {count} bytes are dropped, because the log was full (logs.run_bytes)"


def no_run(head: Resource, run: int, runs: Sequence[int]) -> str:
    """Return what to say of a run without a log. `runs` are those that have one."""
    if run > head.run:
        return f"run: {run} is not there; the last run of {shown(head.name)} is {head.run}"
    there = ", ".join(map(str, runs)) or "no run"
    return f"run: no worker has a log of run {run} of {shown(head.name)}; they have {there}"
