"""Decides what follows from an answer: a page for the callback, a redirect, a retry or a failure.

The decisions are pure functions of values. The scraper carries them out.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from crawler.engine.frontier.job import Job, SetCookie
from crawler.engine.http import meta, urls
from crawler.engine.http.headers import Headers, cookies_set, retry_after_s
from crawler.engine.http.messages import EXHAUSTED, FetchAnswer, FetchError
from crawler.engine.http.referrer import policy_of
from crawler.settings.crawl import REFERRER_POLICY, CrawlSettings

MAX_RETRY_PAUSE_S = 300.0
"""The longest pause before a retry, in seconds."""
EXHAUSTED_ATTEMPTS = 20
"""How often a request is tried while this process lacks descriptors or threads: about an hour."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(slots=True)
class Page:
    """An answer for the callback. Do not change it (`FetchAnswer` says why it is not frozen)."""

    status: int
    headers: Headers
    body: bytes
    cached: bool = False
    """Whether the answer came from the HTTP cache."""
    address: str = ""
    """The IP address of the server; empty if it is unknown."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect to follow."""

    url: str
    method: str
    body: bytes | None
    received: tuple[SetCookie, ...] = field(default=(), compare=False)
    """The cookies that the answer sets anew."""
    changed: bool = field(default=False, compare=False)
    """Whether the next request differs from those before it in more than its URL."""
    policy: str = field(default="", compare=False)
    """The referrer policy that the answer asks for. Empty if it asks for none that counts."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt after a pause."""

    pause_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The end of a request that failed."""

    reason: str
    detail: str = ""
    page: Page | None = field(default=None, compare=False)
    """The answer, if its HTTP status is the reason."""


Verdict = Page | Redirect | Retry | Failed


def decide(
    job: Job,
    result: FetchAnswer | FetchError,
    settings: CrawlSettings,
    now_s: float,
    handled: Container[int] = (),
) -> Verdict:
    """Decide what follows from the result of a job.

    `now_s` is wall time; a Retry-After date is compared with it. `handled` are the statuses that
    the spider's callbacks ask for; the `meta` of a request can override them.
    """
    try:
        return _judged(job, result, settings, now_s, handled)
    except FetchError as error:  # its `meta` holds a value that is not allowed
        return Failed(error.reason, str(error))


def _judged(
    job: Job,
    result: FetchAnswer | FetchError,
    settings: CrawlSettings,
    now_s: float,
    handled: Container[int],
) -> Verdict:
    if isinstance(result, FetchError):
        return _after_error(job, result, settings)
    if result.status < 200:  # a 101 for which no request asks (RFC 9110, 15.2.2)
        return Failed("bad response", f"HTTP {result.status} is no answer to a request")
    headers = Headers.parse(result.header_lines)
    page = Page(result.status, headers, result.body, result.cached, result.address)
    if page.status in settings.retry_statuses:
        verdict: Verdict = _after_status(job, page, settings, now_s)
    elif page.status in _REDIRECTS:
        return _after_redirect(job, page, settings, handled)
    else:
        verdict = _ended(page) if page.status >= 400 else page
    if isinstance(verdict, Failed) and meta.handles(job.request.meta, page.status, handled):
        return page
    return verdict


def pause_s(attempts: int, settings: CrawlSettings) -> float:
    """The seconds before the next attempt. They double with each attempt."""
    return min(float(settings.retry_delay_s * 2**attempts), MAX_RETRY_PAUSE_S)


def _after_error(job: Job, error: FetchError, settings: CrawlSettings) -> Verdict:
    if error.reason == EXHAUSTED and job.attempts < EXHAUSTED_ATTEMPTS:
        return Retry(max(1.0, pause_s(job.attempts, settings)), error.reason)
    if error.transient and job.attempts < meta.retries(job.request.meta, settings):
        return Retry(pause_s(job.attempts, settings), error.reason)
    return Failed(error.reason, str(error))


def _after_status(job: Job, page: Page, settings: CrawlSettings, now_s: float) -> Retry | Failed:
    asked_s = retry_after_s(page.headers, now_s)
    if job.attempts >= meta.retries(job.request.meta, settings):
        return _ended(page)
    if asked_s > settings.max_wait_s:
        return _ended(page, f"Retry-After asks for {asked_s:.0f} s, more than max_wait_s")
    return Retry(max(asked_s, pause_s(job.attempts, settings)), f"HTTP {page.status}")


def _ended(page: Page, detail: str = "") -> Failed:
    return Failed(f"HTTP {page.status}", detail, page)


def _after_redirect(
    job: Job, page: Page, settings: CrawlSettings, handled: Container[int]
) -> Verdict:
    if meta.handles(job.request.meta, page.status, handled):
        return page
    if job.request.meta.get("dont_redirect"):
        return _ended(page)
    return _redirect(job, page.status, page.headers, settings)


def _redirect(job: Job, status: int, headers: Headers, settings: CrawlSettings) -> Verdict:
    location = urls.from_header(headers.get("location", ""))
    if not location:
        return Failed("bad redirect", f"HTTP {status} without a Location")
    keeps = status in (307, 308) or job.method == "HEAD"
    become_get = status == 303 or job.method == "POST"
    if become_get and not keeps:
        return hop(job, location, "GET", None, settings, headers)
    return hop(job, location, job.method, job.body, settings, headers)


def hop(
    job: Job,
    location: str,
    method: str,
    body: bytes | None,
    settings: CrawlSettings,
    headers: Headers,
) -> Redirect | Failed:
    """Follow a page to another address. A bad address, a loop, or one too many is a failure.

    It is no loop when the answer sets a new cookie, or the method becomes GET: then the same URL
    may give another answer.
    """
    if len(job.hops) >= settings.max_redirects:
        return Failed("too many redirects", f"more than {settings.max_redirects}")
    try:
        target = urls.safe(urls.join(job.url, location))
    except ValueError:
        return Failed("bad redirect", f"Location {location!r} is no URL")
    if not urls.is_web(target):
        return Failed("forbidden redirect", f"Location {location!r} is neither http nor https")
    received = new_cookies(job, headers, settings)
    changed = bool(received) or method != job.method
    if not job.may_return_to(target, changed):
        return Failed("redirect loop", f"back to {target}")
    return Redirect(target, method, body, received, changed, _policy(headers, settings))


def _policy(headers: Headers, settings: CrawlSettings) -> str:
    """The referrer policy of the requests behind a redirect (W3C Referrer Policy, 8.2)."""
    if settings.referrer_policy != REFERRER_POLICY or "referrer-policy" not in headers:
        return ""
    return policy_of(headers.getall("referrer-policy"), ())


def new_cookies(job: Job, headers: Headers, settings: CrawlSettings) -> tuple[SetCookie, ...]:
    """The cookies that an answer sets, and that no answer before it has set on the job's way."""
    if "set-cookie" not in headers:  # as most answers
        return ()
    if not settings.cookies or job.request.meta.get("dont_merge_cookies"):
        return ()
    host = urls.host(job.url)
    found = ((host, name, value) for name, value in cookies_set(headers))
    return tuple(each for each in found if each not in job.received)


def names_new_cookie(job: Job, headers: Headers, settings: CrawlSettings) -> bool:
    """Whether an answer sets a cookie whose name no answer before it has set on the job's way."""
    known = {(host, name) for host, name, _ in job.received}
    return any((host, name) not in known for host, name, _ in new_cookies(job, headers, settings))
