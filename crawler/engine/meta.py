"""The keys of `Request.meta` that mean something to the engine; names and meanings are Scrapy's.

Told by the spider: `handle_httpstatus_list`, `handle_httpstatus_all`, `dont_redirect`,
`dont_retry`, `max_retry_times`, `download_timeout`. Told to the callback: `depth`,
`download_latency`, and where it applies `redirect_urls`, `redirect_times`, `retry_times`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.crawl_settings import CrawlSettings
    from crawler.engine.frontier import Job


def handles(meta: Mapping[str, Any], status: int, usual: Container[int]) -> bool:
    """Whether the callback asks for answers of that status; `usual` are those of its spider."""
    if "handle_httpstatus_all" in meta:
        return bool(meta["handle_httpstatus_all"])
    return status in meta.get("handle_httpstatus_list", usual)


def retries(meta: Mapping[str, Any], settings: CrawlSettings) -> int:
    """How often the request is repeated at most."""
    if meta.get("dont_retry"):
        return 0
    return int(meta.get("max_retry_times", settings.retries))


def timeout_s(meta: Mapping[str, Any], settings: CrawlSettings) -> float:
    """The deadline of the request, redirects included."""
    return float(meta.get("download_timeout") or settings.timeout_s)


def note(job: Job) -> None:
    """Tell the callback how its page was come by."""
    meta = job.request.meta
    meta["depth"] = job.depth
    meta["download_latency"] = job.spent_s
    if job.attempts:
        meta["retry_times"] = job.attempts
    if job.hops:
        meta["redirect_urls"] = list(job.hops)
        meta["redirect_times"] = len(job.hops)
