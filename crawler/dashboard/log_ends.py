"""Where the end of a log begins: people look at its last lines first, however long it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from crawler.api.backend import Backend, Call, NodeLoad
from crawler.api.log_pieces import id_name, latest
from crawler.api.task_logs import TaskLog
from crawler.api.workers import Reach, ask_all, brief, workers_of
from crawler.model.logs import LogPart, LogQuery, Piece

END_BYTES = 131_072
"""How much of the log of each shard is read from its end on: some 500 lines."""


def end_of_log(
    backend: Callable[[Call], Backend], reach: Reach, query: LogQuery, call: Call
) -> Iterator[LogPart]:
    """Return the parts of a log from near its end on; with `query.follow` what comes, too. Raises
    NotFound, and whatever calls raise, before the first part."""
    task = backend(call).get(query.name, call)

    def ask(worker: NodeLoad) -> Sequence[Piece]:
        with closing(reach(worker.node.address)) as client:
            return client.log_pieces(query.name, brief(call))

    answers, _ = ask_all(workers_of(backend, brief(call)), ask)
    found = [(piece, worker) for worker, pieces in answers for piece in pieces]
    run = query.run or task.run
    pieces = [
        piece
        for piece, _ in latest(found).values()
        if piece.id == id_name(task) and piece.run == run
    ]
    begins = positions(pieces)
    parts = TaskLog(backend, reach, replace(query, positions=begins), call).parts()
    return whole_lines(parts, begins)


def positions(pieces: Sequence[Piece], most: int = END_BYTES) -> Mapping[int, tuple[int, int]]:
    """Return where the last bytes of each shard begin: the epoch and the byte. A shard with less
    has no place here."""
    found: dict[int, tuple[int, int]] = {}
    left: dict[int, int] = {}
    for piece in sorted(pieces, key=lambda each: each.key, reverse=True):
        shard, room = piece.key.shard, left.get(piece.key.shard, most)
        size = piece.end - piece.begin
        if shard not in found and size > room:
            found[shard] = piece.key.epoch, piece.end - room
        left[shard] = room - size
    return found


def whole_lines(
    parts: Iterator[LogPart], begins: Mapping[int, tuple[int, int]]
) -> Iterator[LogPart]:
    """Yield the parts without the rest of the line within which each begins."""
    for part in parts:
        if part.data and (part.key.epoch, part.begin) == begins.get(part.key.shard):
            rest, _, data = part.data.partition(b"\n")
            part = replace(part, begin=part.begin + len(rest) + 1, data=data)
        yield part
