"""What follows from an answer: a page for the callback, another hop, another attempt, a failure.

Pure decisions on values; crawl.py carries them out.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass

from crawler.crawl_settings import CrawlSettings
from crawler.engine import urls
from crawler.engine.exchange import Answer, FetchError
from crawler.engine.frontier import Job
from crawler.engine.response import Headers

MAX_RETRY_PAUSE_S = 300.0
"""A site that asks to come back later than this is not tried again by this crawl."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Page:
    """A body for the callback."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Hop:
    """A redirect to follow."""

    url: str
    method: str
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Again:
    """Another attempt, after a pause."""

    pause_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The URL ends here."""

    reason: str
    detail: str = ""


Verdict = Page | Hop | Again | Failure


def judge(job: Job, result: Answer | FetchError, settings: CrawlSettings, now_s: float) -> Verdict:
    """What to do next; `now_s` is wall time, with which a Retry-After date is compared."""
    if isinstance(result, FetchError):
        return _after_error(job, result, settings)
    headers = Headers.parse(result.header_lines)
    if result.status in settings.retry_statuses:
        return _after_status(job, result.status, headers, settings, now_s)
    if result.status in _REDIRECTS:
        return _redirect(job, result.status, headers, settings)
    if result.status >= 400:
        return Failure(f"HTTP {result.status}")
    return Page(result.status, headers, result.body)


def pause_s(attempts: int, settings: CrawlSettings) -> float:
    """The pause before the next attempt: doubles with each one made."""
    return min(float(settings.retry_delay_s * 2**attempts), MAX_RETRY_PAUSE_S)


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float:
    """What Retry-After asks for, in seconds from now; 0 when it is absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment_s = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return max(0.0, moment_s - now_s)


def _after_error(job: Job, error: FetchError, settings: CrawlSettings) -> Verdict:
    if error.transient and job.attempts < settings.retries:
        return Again(pause_s(job.attempts, settings), error.reason)
    return Failure(error.reason, str(error))


def _after_status(
    job: Job, status: int, headers: Headers, settings: CrawlSettings, now_s: float
) -> Verdict:
    reason = f"HTTP {status}"
    asked_s = retry_after_s(headers, now_s)
    if job.attempts >= settings.retries:
        return Failure(reason)
    if asked_s > MAX_RETRY_PAUSE_S:
        return Failure(reason, f"it asks to come back in {asked_s:.0f} s")
    return Again(max(asked_s, pause_s(job.attempts, settings)), reason)


def _redirect(job: Job, status: int, headers: Headers, settings: CrawlSettings) -> Verdict:
    location = headers.get("location", "")
    if not location:
        return Failure("bad redirect", f"HTTP {status} without a Location")
    if len(job.hops) >= settings.max_redirects:
        return Failure("too many redirects", f"more than {settings.max_redirects}")
    try:
        target = urls.safe(urls.join(job.url, location))
    except ValueError:
        return Failure("bad redirect", f"Location {location!r} is no URL")
    if not urls.is_web(target):
        return Failure("forbidden redirect", f"Location {location!r} is neither http nor https")
    if target == job.url or target in job.hops:
        return Failure("redirect loop", f"back to {target}")
    keeps = status in (307, 308) or job.method == "HEAD"
    become_get = status == 303 or job.method == "POST"
    if become_get and not keeps:
        return Hop(target, "GET", None)
    return Hop(target, job.method, job.body)
