"""Sends requests with the headers, cookies, credentials and proxy that they need."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from crawler.engine.crawl import cookies
from crawler.engine.download.cache_policy import CachePolicy
from crawler.engine.download.cookies import CookieJar, host_of
from crawler.engine.download.decompress import CODINGS
from crawler.engine.download.proxies import Proxies, Relay, Submits, checked
from crawler.engine.frontier.job import Job
from crawler.engine.http import meta, urls
from crawler.engine.http.messages import (
    Credentials,
    Done,
    FetchAnswer,
    FetchCall,
    FetchError,
    FetchLimits,
    Identity,
    Sent,
)
from crawler.settings import wire
from crawler.settings.crawl import CrawlSettings
from crawler.settings.wire import BOUND

ACCEPT = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
ACCEPT_CODINGS = f"Accept-Encoding: {CODINGS}"
MAX_JARS = 1000
"""The most sessions of one crawl. After that it forgets the session that was used longest ago."""
_ABOUT_BODY = re.compile("content-.*|digest")
"""Headers about a body, which a request loses when a redirect makes it a GET (RFC 9110, 15.4)."""


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
        self._cookie = "; ".join(v for k, v in settings.headers.items() if k.lower() == "cookie")
        """The cookies of the settings. libcurl sends them in one line with those of the jar."""
        usual = _without(settings.headers, {"cookie"})
        self._usual = [header_lines(agent, usual) for agent in self._agents]
        elsewhere = _without(settings.headers, BOUND)
        self._elsewhere = [header_lines(agent, elsewhere) for agent in self._agents]
        """The same for hosts to which what is `BOUND` does not go."""
        self._is_bound = len(elsewhere) < len(settings.headers)
        self._credentials = _credentials(settings)
        self._known = Identity(header_lines(self._agents[0], settings.headers), self._credentials)
        self._unknown = self._known.elsewhere()
        self._has_secrets = self._known != self._unknown
        self._turn = 0
        self._jars: OrderedDict[Any, CookieJar] = OrderedDict()
        self._jar = CookieJar() if settings.cookies else None
        self._proxies = Proxies(settings.proxies, settings.proxy_rest_s, now_s)
        self._home = frozenset(map(urls.domain, filter(None, [settings.http_auth_domain])))
        """The domains to which the secrets of the settings go; empty until the first request."""
        self.finds_home = True
        """Whether the host of its first request is such a domain, if no other is known. Of several
        shards, only one finds it."""

    def adjust(self) -> None:
        """Read the limits of requests again, because they may have changed."""
        self._terms = FetchLimits.of(self._settings)

    def kept(self) -> dict[str, Any]:
        """What a later run must know, in JSON: where the secrets go, and the cookies."""
        return {"home": self.home, "cookies": list(self._cookies())}

    def go_on(self, kept: Mapping[str, Any]) -> None:
        """Go on from what `kept` returned."""
        self.go_home(kept["home"])
        if self._jar is None:
            return
        for key, lines in kept["cookies"]:
            jar = self._jar if key is None else self._session(key)
            jar.restore(lines)

    def _cookies(self) -> Iterator[tuple[Any, list[str]]]:
        """The key and the cookies of each session that has any. A session whose key is neither text
        nor number is left out."""
        if self._jar is None:
            return
        for key, jar in ((None, self._jar), *self._jars.items()):
            if (key is None or isinstance(key, str | int | float)) and (lines := jar.lines()):
                yield key, lines

    @property
    def home(self) -> list[str]:
        """The domains to which the secrets of the settings go; empty if that is not known yet."""
        return sorted(self._home)

    def go_home(self, domains: Iterable[str]) -> None:
        """Let the secrets of the settings go to these domains, if it is not known yet."""
        self._home = self._home or frozenset(domains)

    def identity(self, origin: str) -> Identity:
        """As whom the crawl asks for the robots.txt of a site: with its secrets where they go. Of
        several user agents, the first counts."""
        if self._has_secrets and not self._is_home(urls.host(origin)):
            return self._unknown
        return self._known

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

    def send(self, job: Job, done: Done, on_way: Callable[[], None] | None = None) -> Sent:
        """Send a request. `on_way` is called when it goes onto the wire. Raises FetchError if it
        cannot be sent."""
        call = self.call(job)
        call.on_way = on_way
        if self._cache_policy is not None and not job.request.meta.get("dont_cache"):
            done = self._cache_policy.asking(call, done)
        if not self._proxies or "proxy" in job.request.meta:
            return self._fetcher.submit(call, done)
        relay = Relay(self._fetcher, self._proxies, call, done)
        relay.send()
        return relay

    def call(self, job: Job) -> FetchCall:
        """Build the call for a request. Raises FetchError if the request cannot be sent."""
        try:
            return self._call(job)
        except FetchError:
            raise
        except Exception as error:  # whatever the spider wrote costs this request alone
            raise FetchError("bad request", f"{type(error).__name__}: {error}") from error

    def _call(self, job: Job) -> FetchCall:
        request = job.request
        call = FetchCall(
            url=job.url,
            headers=self._next_headers(job),
            terms=self._terms,
            timeout_s=meta.timeout_s(request.meta, self._settings) - job.spent_s,
            method=job.method,
            body=job.body,
            jar=self._jar,
            fetcher=self._settings.fetcher,
        )
        if job.method != "GET" and not wire.is_token(job.method):
            raise FetchError(
                "bad request", f"method {job.method!r} is not allowed; allowed: GET, POST, PUT, …"
            )
        if job.referrer is not None:
            policy = meta.referrer_policy(request.meta, job.referrer.policy)
            call.referer = job.referrer.under(policy).told_to(job.url)
        if self._credentials is not None and self._is_home(urls.host(call.url)):
            call.credentials = self._credentials
        if request.meta:
            self._heed(call, request.meta)
        if self._cookie and self._is_at_home(job):
            call.cookies = self._cookie
        if request.has_lines or call.cookies:
            self._add_own(call, job)
        return call

    def _next_headers(self, job: Job) -> tuple[str, ...]:
        usual = self._usual
        if self._is_bound and not self._is_at_home(job):
            usual = self._elsewhere
        if len(usual) == 1:
            return usual[0]
        self._turn = (self._turn + 1) % len(usual)
        return usual[self._turn]

    def _is_at_home(self, job: Job) -> bool:
        """Whether what is `BOUND` in the settings goes to the host of a request."""
        return is_at_home(job) and self._is_home(urls.host(job.url))

    def _is_home(self, host: str) -> bool:
        """Whether the secrets of the settings go to a host: one within `http_auth_domain`, or else
        within the host of the first request."""
        if not self._home and self.finds_home:
            self._home = frozenset({host})
        return urls.is_within(host, self._home)

    def _heed(self, call: FetchCall, said: Mapping[str, Any]) -> None:
        """Apply the keys of the request's `meta`."""
        call.proxy = checked(said.get("proxy") or "")
        call.fetcher = meta.fetcher(said) or call.fetcher
        if self._jar is not None and "cookiejar" in said:
            call.jar = self._session(meta.jar_key(said))
        if said.get("dont_merge_cookies"):
            call.jar = None

    def _session(self, key: Any) -> CookieJar:
        jar = self._jars.get(key)
        if jar is None:
            jar = self._jars[key] = CookieJar(repr(key))
            if len(self._jars) > MAX_JARS:
                self._jars.popitem(last=False)
        self._jars.move_to_end(key)
        return jar

    def _add_own(self, call: FetchCall, job: Job) -> None:
        """Add the request's own headers and cookies. What is bound goes only to its own host."""
        home = is_at_home(job)
        headers = _without(job.request.headers, () if home else BOUND)
        if job.method != job.request.method:
            headers = {k: v for k, v in headers.items() if not _ABOUT_BODY.fullmatch(k.lower())}
        for name, value in headers.items():
            fault = wire.header_fault(name, value)
            if fault:
                raise FetchError("bad request", fault)
        own = [headers.pop(name) for name in list(headers) if name.lower() == "cookie"]
        written = own or [call.cookies]
        if headers:
            call.headers = _in_place_of(call.headers, headers)
        if job.request.cookies and home:
            host = host_of(call)
            is_first = not job.hops and not job.attempts
            written += cookies.taken(call.jar, job.request.cookies, host, is_first)
        call.cookies = "; ".join(cookies.still_sent(filter(None, written), job.received, call.url))


def is_at_home(job: Job) -> bool:
    """Whether no redirect has led a request away from the host for which it was written."""
    return not job.hops or urls.shares_secrets(job.request.url, job.url)


def _without(headers: Mapping[str, str | None], names: Collection[str]) -> dict[str, str | None]:
    return {name: value for name, value in headers.items() if name.lower() not in names}


def _credentials(settings: CrawlSettings) -> Credentials | None:
    if not settings.http_user:
        return None
    digest = settings.http_auth == "digest"
    return Credentials(settings.http_user, settings.http_password, digest)


def header_lines(
    user_agent: str, headers: Mapping[str, str | None] | None = None
) -> tuple[str, ...]:
    """The header lines of a request: the usual ones, and `headers`, which replace those of their
    names.

    A header whose value is None is not sent. One whose value is empty is sent empty.
    """
    usual = (f"User-Agent: {user_agent}", ACCEPT, ACCEPT_CODINGS)
    return _in_place_of(usual, headers or {})


def _in_place_of(usual: Iterable[str], headers: Mapping[str, str | None]) -> tuple[str, ...]:
    """The lines of `headers`, then the usual lines of other names."""
    own = [_line(name, value) for name, value in headers.items()]
    names = {name.lower() for name in headers}
    return (*own, *(line for line in usual if wire.name_of(line) not in names))


def _line(name: str, value: str | None) -> str:
    """A header line, as `FetchCall.headers` describes it."""
    if value is None:
        return f"{name}:"
    text = value.strip(" \t")
    return f"{name}: {text}" if text else f"{name};"
