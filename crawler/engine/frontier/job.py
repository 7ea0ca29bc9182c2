"""A request on its way through a crawl, and its form on disk."""

from __future__ import annotations

import base64
from typing import Any

from crawler.engine.http.referrer import Referrer
from crawler.engine.http.request import Request

SetCookie = tuple[str, str, str]
"""A cookie that an answer has set: host, name, value."""

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
        "news",
        "order",
        "rank",
        "received",
        "referrer",
        "request",
        "spent_s",
        "unserializable",
        "url",
    )

    def __init__(
        self,
        request: Request,
        url: str,
        depth: int,
        order: int,
        referrer: Referrer | None = None,
    ) -> None:
        self.request = request
        self.referrer = referrer
        """The page that led here. None for start requests."""
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
        self.received: tuple[SetCookie, ...] = ()
        """The cookies that the answers on the way have set."""
        self.news = 0
        """The number of hops when something changed: a new cookie came, or the method became GET.
        What was asked for before may be asked for again without a loop."""
        self.spent_s = 0.0
        """The seconds in flight of this attempt."""
        self.unserializable = False
        """Whether the job stays in memory because it cannot be serialized."""

    def __lt__(self, other: Job) -> bool:
        return self.rank < other.rank

    @property
    def asked(self) -> tuple[str, ...]:
        """All URLs that were asked for on the way, this one included."""
        return (*self.hops, self.url)

    def may_return_to(self, url: str, changed: bool) -> bool:
        """Whether a redirect to `url` is no loop. With `changed` its answer has changed something
        (`news`)."""
        return changed or url not in self.asked[self.news :]

    def to_record(self, spider: Any) -> list[Any]:
        """The job as a JSON value. Raises NotSerializable."""
        request = self.request.to_dict(spider=spider)
        told = self.referrer and [self.referrer.url, self.referrer.policy]
        record = [request, self.depth, self.order, self.attempts, told]
        if self.url != self.request.url or self.hops:
            body = None if self.body is None else base64.b64encode(self.body).decode("ascii")
            record += [self.url, self.method, body, self.hops, self.received, self.news]
        return record

    @classmethod
    def from_record(cls, record: list[Any], order: int | None = None) -> Job:
        """The job that `to_record` wrote. Another crawl gives it an `order` of its own."""
        data, depth, written, attempts, told, *moved = record
        request = Request.from_dict(data)
        number = written if order is None else order
        job = cls(request, request.url, depth, number, Referrer(*told) if told else None)
        job.attempts = attempts
        if moved:
            job.url, job.method, body, hops, received, job.news = moved
            job.body = None if body is None else base64.b64decode(body)
            job.hops = tuple(hops)
            job.received = tuple((host, name, value) for host, name, value in received)
        return job
