"""The keys of `Request.meta` that mean something to the engine; names and meanings are Scrapy's.

Told by the spider: `handle_httpstatus_list`, `handle_httpstatus_all`, `dont_redirect`,
`dont_retry`, `max_retry_times`, `download_timeout`. Told to the callback: `depth`,
`download_latency`, and where it applies `redirect_urls`, `redirect_times`, `retry_times`.

What cannot be meant raises FetchError, `bad meta`: it costs the request, not the crawl.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from crawler.engine.http.messages import FetchError

if TYPE_CHECKING:
    from crawler.settings.crawl import CrawlSettings

MOST_TIMEOUT_S = 86_400.0
"""A request that may take longer than a day is a mistake."""


def handles(meta: Mapping[str, Any], status: int, usual: Container[int]) -> bool:
    """Whether the callback asks for answers of that status; `usual` are those of its spider."""
    if "handle_httpstatus_all" in meta:
        return bool(meta["handle_httpstatus_all"])
    listed = meta.get("handle_httpstatus_list", usual)
    try:
        return status in listed
    except TypeError:
        raise _bad("handle_httpstatus_list", listed, "a list of numbers") from None


def retries(meta: Mapping[str, Any], settings: CrawlSettings) -> int:
    """How often the request is repeated at most."""
    if meta.get("dont_retry"):
        return 0
    most = meta.get("max_retry_times", settings.retries)
    if not isinstance(most, int):
        raise _bad("max_retry_times", most, "a whole number")
    return most


def timeout_s(meta: Mapping[str, Any], settings: CrawlSettings) -> float:
    """The deadline of the request, redirects included."""
    asked = meta.get("download_timeout") or settings.timeout_s
    try:
        seconds = float(asked)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0.0 < seconds <= MOST_TIMEOUT_S:
        raise _bad("download_timeout", asked, f"seconds, at most {MOST_TIMEOUT_S:.0f}")
    return seconds


def jar_key(meta: Mapping[str, Any]) -> Hashable:
    """The session that the request belongs to."""
    key = meta["cookiejar"]
    try:
        hash(key)
    except TypeError:
        raise _bad(
            "cookiejar", key, "a number, a text, or what else a dict may have as key"
        ) from None
    return key  # type: ignore[no-any-return]


def _bad(key: str, value: Any, allowed: str) -> FetchError:
    return FetchError("bad meta", f"{key}: {value!r} is not allowed; allowed: {allowed}")
