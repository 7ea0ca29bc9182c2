"""The client of a worker's gRPC service. It is apart from the service, which needs what a node has:
a command that asks a worker imports none of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format

from crawler.api.backend import Call
from crawler.api.rpc import item_codec, log_codec, spider_codec
from crawler.api.rpc.client import Client
from crawler.model.item_files import ItemFolder
from crawler.model.logs import Passage, Piece, PieceKey
from crawler.model.processes import ProcessLoad
from crawler.model.spiders import OfferedSpider
from crawler.model.statistics import Statistics
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc


class CrawlsClient(Client):
    """A client of a worker. It makes calls as `Client` does."""

    def statistics(self, name: str, call: Call) -> Statistics:
        """Return the statistics of the crawl of one task. Raises NotFound, and whatever calls
        raise."""
        answer = self._read("GetStatistics", pb.ResourceSpec(name=name), call)
        return Statistics.from_json(json_format.MessageToDict(answer))

    def processes(self, call: Call) -> Sequence[ProcessLoad]:
        """Return what each crawl process does. Raises whatever calls raise."""
        answer = self._read("ListProcesses", empty_pb2.Empty(), call)
        told: Any = json_format.MessageToDict(answer)
        return [ProcessLoad.from_json(each) for each in told]

    def offered(self, call: Call) -> Sequence[OfferedSpider]:
        """Return the spiders that the worker offers. Raises whatever calls raise."""
        return spider_codec.list_from(self._read("ListOffered", empty_pb2.Empty(), call)).spiders

    def log_pieces(self, name: str, call: Call) -> Sequence[Piece]:
        """Return the pieces of a task's log that the worker has. Raises whatever calls raise."""
        return log_codec.pieces_from(self._read("ListLogs", pb.ResourceSpec(name=name), call))

    def log_passage(self, name: str, id: str, key: PieceKey, begin: int, call: Call) -> Passage:
        """Return whole lines of a piece from that byte on. Raises whatever calls raise."""
        wanted = pb.LogPassageRequest(
            name=name, id=id, epoch=key.epoch, shard=key.shard, offset=begin
        )
        return log_codec.passage_from(self._read("ReadLog", wanted, call))

    def item_folders(self, name: str, call: Call) -> Sequence[ItemFolder]:
        """Return the files of items of a task that the worker has. Raises whatever calls raise."""
        answer = self._read("ListItems", pb.ResourceSpec(name=name), call)
        return item_codec.folders_from(answer).folders

    def item_passage(self, name: str, path: str, begin: int, call: Call, moved: str = "") -> bytes:
        """Return bytes of a file; none at its end. Raises whatever calls raise."""
        wanted = pb.ItemFileRequest(name=name, path=path, offset=begin, moved=moved)
        found: bytes = self._read("ReadItems", wanted, call).data
        return found

    def _stub_over(self, channel: grpc.Channel) -> Any:
        return pb_grpc.CrawlerWorkerStub(channel)  # type: ignore[no-untyped-call]
