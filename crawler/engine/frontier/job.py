"""A request on its way, and how it is written down while it waits on disk."""

from __future__ import annotations

import base64
from typing import Any

from crawler.engine.http.request import Request

ORDER_BITS = 64
"""More requests than that no crawl makes."""


class Job:
    """A request on its way: where it stands after redirects and attempts."""

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
        """The URL to send, that of the last redirect."""
        self.depth = depth
        """Links from a start URL."""
        self.order = order
        """Of two with one priority the lower goes first."""
        self.rank = order - (request.priority << ORDER_BITS)
        """The lower goes first."""
        self.method = request.method
        self.body = request.body
        self.attempts = 0
        self.hops: tuple[str, ...] = ()
        """URLs that redirected to this one."""
        self.spent_s = 0.0
        """Time in flight, of this attempt."""
        self.unserializable = False
        """Whether it stays in memory because it cannot be written down."""

    def __lt__(self, other: Job) -> bool:
        return self.rank < other.rank

    def to_record(self, spider: Any) -> list[Any]:
        """The job as JSON has it; raises NotSerializable."""
        request = self.request.to_dict(spider=spider)
        record = [request, self.depth, self.order, self.attempts]
        if self.url != self.request.url or self.hops:
            body = None if self.body is None else base64.b64encode(self.body).decode("ascii")
            record += [self.url, self.method, body, self.hops]
        return record

    @classmethod
    def from_record(cls, record: list[Any]) -> Job:
        """The job that was written down."""
        data, depth, order, attempts, *moved = record
        request = Request.from_dict(data)
        job = cls(request, request.url, depth, order)
        job.attempts = attempts
        if moved:
            job.url, job.method, body, hops = moved
            job.body = None if body is None else base64.b64decode(body)
            job.hops = tuple(hops)
        return job
