"""The gRPC service of a worker: the statistics of its crawls.

The statistics of a crawl change with every page, so they go neither to etcd nor to a master.
Whoever wants them asks the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2

from crawler.api.bounded_crawls import LabelsOf, no_labels, owned_by
from crawler.api.rpc import item_codec, log_codec, spider_codec
from crawler.api.rpc.access import present_caller
from crawler.api.service import Crawls, Items, Logs
from crawler.errors import NotFound
from crawler.model.item_files import ItemFolders
from crawler.model.logs import PieceKey
from crawler.model.spiders import OfferedSpider, SpiderList
from crawler.model.statistics import Owns
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from crawler.schemas import task_schemas

SERVICE_NAME = "CrawlerWorker"


class CrawlsServicer(pb_grpc.CrawlerWorkerServicer):
    """The service of a worker."""

    def __init__(
        self,
        crawls: Crawls,
        labels_of: LabelsOf = no_labels,
        logs: Logs | None = None,
        items: Items | None = None,
        offered: Callable[[], Sequence[OfferedSpider]] = tuple,
    ) -> None:
        """`labels_of` says whose tasks are whose, for callers that are bounded by labels. `logs`
        and `items` are those of its runs. `offered` returns the spiders that it offers."""
        self._offered = offered
        self._logs = logs
        self._items = items
        self._crawls = crawls
        self._labels_of = labels_of

    @property
    def _owns(self) -> Owns:
        """Tells the crawls that the present caller may see."""
        return owned_by(present_caller(), self._labels_of)

    def GetStatistics(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> struct_pb2.Struct:
        """Return the statistics of the crawl of one task."""
        name = task_schemas.load_name({"name": request.name})
        found = self._crawls.of(name, self._owns)
        message = struct_pb2.Struct()
        message.update(found.to_json())
        return message

    def ListStatistics(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> struct_pb2.ListValue:
        """Return the statistics of all crawls."""
        told: list[Any] = [found.to_json() for found in self._crawls.all(self._owns)]
        message = struct_pb2.ListValue()
        message.extend(told)
        return message

    def ListProcesses(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> struct_pb2.ListValue:
        """Return what each crawl process does."""
        told: list[Any] = [found.to_json() for found in self._crawls.processes()]
        message = struct_pb2.ListValue()
        message.extend(told)
        return message

    def ListLogs(self, request: pb.ResourceSpec, context: grpc.ServicerContext) -> pb.LogPieces:
        """Return the pieces of the log of a task that are here."""
        name = task_schemas.load_name({"name": request.name})
        return log_codec.pieces_message(self._logs.pieces(name) if self._logs else ())

    def ReadLog(
        self, request: pb.LogPassageRequest, context: grpc.ServicerContext
    ) -> pb.LogPassage:
        """Return lines of one piece. Raises NotFound if no logs are kept here."""
        name = task_schemas.load_name({"name": request.name})
        if self._logs is None:
            raise NotFound("no logs are kept here")
        key = PieceKey(request.epoch, request.shard)
        found = self._logs.read(name, request.id, key, max(0, request.offset))
        return log_codec.passage_message(found)

    def ListOffered(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> pb.SpiderList:
        """Return the spiders that the worker offers."""
        return spider_codec.list_message(SpiderList(self._offered()))

    def ListItems(self, request: pb.ResourceSpec, context: grpc.ServicerContext) -> pb.ItemFolders:
        """Return the files of items of a task that are here."""
        name = task_schemas.load_name({"name": request.name})
        return item_codec.folders_message(ItemFolders(self._kept_items.listed(name)))

    def ReadItems(
        self, request: pb.ItemFileRequest, context: grpc.ServicerContext
    ) -> pb.ItemFilePart:
        """Return bytes of one of them. Raises NotFound."""
        name = task_schemas.load_name({"name": request.name})
        begin = max(0, request.offset)
        found = self._kept_items.read(name, request.path, begin, request.moved)
        return pb.ItemFilePart(data=found)

    @property
    def _kept_items(self) -> Items:
        if self._items is None:
            raise NotFound("no items are kept here")
        return self._items
