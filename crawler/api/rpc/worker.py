"""The gRPC service of a worker: the statistics of its crawls.

The statistics of a crawl change with every page, so they go neither to etcd nor to a master.
Whoever wants them asks the worker.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2

from crawler.api.bounded_crawls import LabelsOf, crawls_for, no_labels
from crawler.api.rpc.access import present_caller
from crawler.api.service import Crawls
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from crawler.schemas import task_schemas

SERVICE_NAME = "CrawlerWorker"


class CrawlsServicer(pb_grpc.CrawlerWorkerServicer):
    """The service of a worker."""

    def __init__(self, crawls: Crawls, labels_of: LabelsOf = no_labels) -> None:
        """`labels_of` says whose tasks are whose, for callers that are bounded by labels."""
        self._all = crawls
        self._labels_of = labels_of

    @property
    def _crawls(self) -> Crawls:
        """The crawls that the present caller may see."""
        return crawls_for(present_caller(), self._all, self._labels_of)

    def GetStatistics(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> struct_pb2.Struct:
        """Return the statistics of the crawl of one task."""
        found = self._crawls.of(task_schemas.load_name({"name": request.name}))
        message = struct_pb2.Struct()
        message.update(found.to_json())
        return message

    def ListStatistics(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> struct_pb2.ListValue:
        """Return the statistics of all crawls."""
        told: list[Any] = [found.to_json() for found in self._crawls.all()]
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
