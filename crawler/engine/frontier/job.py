"""A request on its way through a crawl, and its form on disk."""

from __future__ import annotations

import base64
from typing import Any

from crawler.engine.http.request import Request

ORDER_BITS = 64
"""The bits of an order number; no crawl makes more requests than fit."""


class Job:
    """A request on its way, with its redirects and attempts."""

    __slots__ = (
        "attempts",
        "body",
        "depth",
        "hops",
        "method",
        "order",
        "rank",
        "request",
        "spent_s",
        "unserializable",
        "url",
    )

    def __init__(self, request: Request, url: str, depth: int, order: int) -> None:
        self.request = request
        self.url = url
        """The URL to send: the target of the last redirect."""
        self.depth = depth
        """The number of links from a start URL."""
        self.order = order
        """Of two jobs with the same priority, the one with the lower number goes first."""
        self.rank = order - (request.priority << ORDER_BITS)
        """The job with the lowest rank goes first."""
        self.method = request.method
        self.body = request.body
        self.attempts = 0
        self.hops: tuple[str, ...] = ()
        """The URLs that redirected to this one."""
        self.spent_s = 0.0
        """The seconds in flight of this attempt."""
        self.unserializable = False
        """Whether the job stays in memory because it cannot be serialized."""

    def __lt__(self, other: Job) -> bool:
        return self.rank < other.rank

    def to_record(self, spider: Any) -> list[Any]:
        """The job as a JSON value. Raises NotSerializable."""
        request = self.request.to_dict(spider=spider)
        record = [request, self.depth, self.order, self.attempts]
        if self.url != self.request.url or self.hops:
            body = None if self.body is None else base64.b64encode(self.body).decode("ascii")
            record += [self.url, self.method, body, self.hops]
        return record

    @classmethod
    def from_record(cls, record: list[Any]) -> Job:
        """The job that `to_record` wrote."""
        data, depth, order, attempts, *moved = record
        request = Request.from_dict(data)
        job = cls(request, request.url, depth, order)
        job.attempts = attempts
        if moved:
            job.url, job.method, body, hops = moved
            job.body = None if body is None else base64.b64decode(body)
            job.hops = tuple(hops)
        return job
