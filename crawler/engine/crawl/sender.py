"""Sends requests with the headers, cookies, credentials and proxy that they need."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from crawler.engine.download.cache_policy import CachePolicy
from crawler.engine.download.cookies import CookieJar
from crawler.engine.download.decompress import CODINGS
from crawler.engine.download.proxies import Proxies, Relay, Submits, checked
from crawler.engine.frontier.frontier import Job
from crawler.engine.http import meta, urls
from crawler.engine.http.messages import (
    Credentials,
    Done,
    FetchAnswer,
    FetchCall,
    FetchError,
    FetchLimits,
    Sent,
)
from crawler.engine.http.request import Cookies
from crawler.settings.crawl import CrawlSettings

ACCEPT = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
ACCEPT_CODINGS = f"Accept-Encoding: {CODINGS}"
MAX_JARS = 1000
"""The most sessions of one crawl. After that it forgets the session that was used longest ago."""
SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that are sent only to the host for which the spider wrote them."""
_NO_COOKIE = re.compile(r"[\x00-\x1f\x7f;]")


class Sender:
    """Sends the requests of one crawl, as its settings and each request ask."""

    def __init__(
        self,
        settings: CrawlSettings,
        fetcher: Submits,
        now_s: Callable[[], float] = lambda: 0.0,
        cache_policy: CachePolicy | None = None,
    ) -> None:
        self._cache_policy = cache_policy
        self._settings = settings
        self._fetcher = fetcher
        self._terms = FetchLimits.of(settings)
        self._agents = [settings.user_agent, *settings.user_agents]
        self._usual = [header_lines(agent, settings.headers) for agent in self._agents]
        self._turn = 0
        self._jars: OrderedDict[Any, CookieJar] = OrderedDict()
        self._jar = CookieJar() if settings.cookies else None
        self._proxies = Proxies(settings.proxies, settings.proxy_rest_s, now_s)
        self._credentials = _credentials(settings)
        self._login_domains: frozenset[str] = frozenset(filter(None, [settings.http_auth_domain]))

    def adjust(self) -> None:
        """Read the limits of requests again, because they may have changed."""
        self._terms = FetchLimits.of(self._settings)

    @property
    def headers(self) -> tuple[str, ...]:
        """The header lines of every request. Of several user agents, the first counts."""
        return self._usual[0]

    def stored(self, job: Job) -> FetchAnswer | None:
        """The fresh answer in the HTTP cache, if there is one."""
        if self._cache_policy is None or job.request.meta.get("dont_cache"):
            return None
        try:
            return self._cache_policy.fresh(self.call(job))
        except FetchError:  # `send` raises it again
            return None

    def proxy(self) -> str:
        """The next proxy, for a request that is not a page. Empty without a proxy."""
        try:
            return self._proxies.next() if self._proxies else ""
        except FetchError:
            return ""

    def send(self, job: Job, done: Done) -> Sent:
        """Send a request. Raises FetchError if it cannot be sent."""
        call = self.call(job)
        if self._cache_policy is not None and not job.request.meta.get("dont_cache"):
            done = self._cache_policy.asking(call, done)
        if not self._proxies or "proxy" in job.request.meta:
            return self._fetcher.submit(call, done)
        relay = Relay(self._fetcher, self._proxies, call, done)
        relay.send()
        return relay

    def call(self, job: Job) -> FetchCall:
        """Build the call for a request. Raises FetchError if the request cannot be sent."""
        request = job.request
        call = FetchCall(
            url=job.url,
            headers=self._next_headers(),
            terms=self._terms,
            timeout_s=meta.timeout_s(request.meta, self._settings) - job.spent_s,
            method=job.method,
            body=job.body,
            jar=self._jar,
            fetcher=self._settings.fetcher,
        )
        if self._credentials is not None:
            self._log_in(call)
        if request.meta:
            self._heed(call, request.meta)
        if request.headers or request.cookies:
            self._add_own(call, job)
        return call

    def _next_headers(self) -> tuple[str, ...]:
        if len(self._usual) == 1:
            return self._usual[0]
        self._turn = (self._turn + 1) % len(self._usual)
        return self._usual[self._turn]

    def _heed(self, call: FetchCall, said: Mapping[str, Any]) -> None:
        """Apply the keys of the request's `meta`."""
        call.proxy = checked(said.get("proxy") or "")
        call.fetcher = said.get("fetcher") or call.fetcher
        if self._jar is not None and "cookiejar" in said:
            call.jar = self._session(meta.jar_key(said))
        if said.get("dont_merge_cookies"):
            call.jar = None

    def _session(self, key: Any) -> CookieJar:
        jar = self._jars.get(key)
        if jar is None:
            jar = self._jars[key] = CookieJar()
            if len(self._jars) > MAX_JARS:
                self._jars.popitem(last=False)
        self._jars.move_to_end(key)
        return jar

    def _log_in(self, call: FetchCall) -> None:
        host = urls.host(call.url)
        if not self._login_domains:
            self._login_domains = frozenset({host})
        if urls.is_within(host, self._login_domains):
            call.credentials = self._credentials

    def _add_own(self, call: FetchCall, job: Job) -> None:
        """Add the request's own headers and cookies. Secrets go only to their own host."""
        home = not job.hops or _same_host(job.request.url, job.url)
        headers = {
            name: value
            for name, value in job.request.headers.items()
            if home or name.lower() not in SECRET
        }
        written = [headers.pop(name) for name in list(headers) if name.lower() == "cookie"]
        if headers:
            call.headers = _in_place_of(call.headers, headers)
        if job.request.cookies and home:
            written += _take_cookies(call, job.request.cookies)
        call.cookies = "; ".join(filter(None, written))


def _take_cookies(call: FetchCall, cookies: Cookies) -> Iterator[str]:
    """Put cookies into the jar. Without a jar, yield them for this request alone."""
    host = urls.host(call.url)
    for cookie in _pairs(cookies):
        name, value = _text(cookie.get("name")), _text(cookie.get("value"))
        if call.jar is None:
            yield f"{name}={value}"
            continue
        domain = _text(cookie.get("domain") or "").lstrip(".")
        call.jar.add(
            name,
            value,
            domain=domain or host,
            below=bool(domain),
            path=_text(cookie.get("path") or "/"),
            secure=bool(cookie.get("secure")),
        )


def _pairs(cookies: Cookies) -> Iterable[Mapping[str, Any]]:
    if isinstance(cookies, Mapping):
        return [{"name": name, "value": value} for name, value in cookies.items()]
    if isinstance(cookies, str) or not all(isinstance(each, Mapping) for each in cookies):
        raise FetchError("bad cookies", f"{cookies!r}; allowed: a dict, or a list of dicts")
    return cookies


def _text(part: Any) -> str:
    text = part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)
    if part is None or _NO_COOKIE.search(text):
        raise FetchError("bad cookies", f"{text!r} is no part of a cookie; allowed: no ; and lines")
    return text


def _credentials(settings: CrawlSettings) -> Credentials | None:
    if not settings.http_user:
        return None
    digest = settings.http_auth == "digest"
    return Credentials(settings.http_user, settings.http_password, digest)


def _same_host(one: str, other: str) -> bool:
    """Whether secrets for one URL may go to another.

    They may go to the same host and port, and from http to https on that host, but not back.
    """
    if urls.origin(one) == urls.origin(other):
        return True
    return one.startswith("http:") and urls.origin(other) == f"https://{urls.origin(one)[7:]}"


def header_lines(
    user_agent: str, headers: Mapping[str, str | None] | None = None
) -> tuple[str, ...]:
    """The header lines of a request: the usual ones, and `headers`, which replace those of their
    names.

    A header whose value is None is not sent.
    """
    usual = (f"User-Agent: {user_agent}", ACCEPT, ACCEPT_CODINGS)
    return _in_place_of(usual, headers or {})


def _in_place_of(usual: Iterable[str], headers: Mapping[str, str | None]) -> tuple[str, ...]:
    """The lines of `headers`, then the usual lines of other names."""
    own = [f"{name}: {value or ''}".rstrip() for name, value in headers.items()]
    names = {name.lower() for name in headers}
    return (*own, *(line for line in usual if line.partition(":")[0].lower() not in names))
