"""Converts what is said about logs of tasks to messages, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from crawler.model.logs import LogPart, LogQuery, Passage, Piece, PieceKey
from crawler.proto import crawler_pb2 as pb


def query_message(query: LogQuery) -> pb.LogRequest:
    """Return the request that reads a log."""
    positions = {
        shard: pb.LogPosition(epoch=epoch, offset=offset)
        for shard, (epoch, offset) in query.positions.items()
    }
    return pb.LogRequest(name=query.name, run=query.run, positions=positions, follow=query.follow)


def query_fields(message: pb.LogRequest) -> dict[str, Any]:
    """Return the fields of such a request for `log_schemas.load_query`."""
    return {
        "name": message.name,
        "run": message.run,
        "offset": {shard: (each.epoch, each.offset) for shard, each in message.positions.items()},
        "follow": message.follow,
    }


def part_message(part: LogPart) -> pb.LogPart:
    """Return a part of a log as a client gets it."""
    return pb.LogPart(
        epoch=part.key.epoch,
        shard=part.key.shard,
        run=part.run,
        node=part.node,
        offset=part.begin,
        data=part.data,
        note=part.note,
    )


def part_from(message: pb.LogPart) -> LogPart:
    """Return a part of a log as a client knows it."""
    key = PieceKey(message.epoch, message.shard)
    return LogPart(key, message.run, message.node, message.offset, message.data, message.note)


def pieces_message(pieces: Iterable[Piece]) -> pb.LogPieces:
    """Return the pieces that a worker has."""
    return pb.LogPieces(
        pieces=[
            pb.LogPiece(
                id=each.id,
                epoch=each.key.epoch,
                shard=each.key.shard,
                run=each.run,
                begin=each.begin,
                end=each.end,
                open=each.is_open,
            )
            for each in pieces
        ]
    )


def pieces_from(message: pb.LogPieces) -> Sequence[Piece]:
    """Return the pieces that a worker has."""
    return [
        Piece(PieceKey(each.epoch, each.shard), each.id, each.run, each.begin, each.end, each.open)
        for each in message.pieces
    ]


def passage_message(found: Passage) -> pb.LogPassage:
    """Return lines of a piece."""
    return pb.LogPassage(data=found.data, offset=found.begin, open=found.is_open)


def passage_from(message: pb.LogPassage) -> Passage:
    """Return lines of a piece."""
    return Passage(message.data, message.offset, message.open)
