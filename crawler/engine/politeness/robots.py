"""robots.txt (RFC 9309): fetched once a day for each site, shared by all crawls of a worker.

A site that answers 4xx has no rules. Of one that cannot be reached or answers 5xx the rules known
before hold on for an hour; without any it allows nothing for the moment, and is asked again when
the next attempt of a page is due. What is sent instead of rules is read as far as it has any.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import gevent
from protego import Protego

from crawler.clock import Clock
from crawler.engine.download.downloader import Downloader
from crawler.engine.http import urls
from crawler.engine.http.messages import FetchAnswer, FetchCall, FetchError, FetchLimits
from crawler.engine.http.response import Headers
from crawler.settings.crawl import CrawlSettings
from crawler.supervision import Supervisor

KEPT_S = 24 * 3600.0
TROUBLE_KEPT_S = 1.0
"""A site in trouble is not asked again within this time, however many pages wait for it."""
OLD_KEPT_S = 3600.0
"""Rules that cannot be had anew are kept that long, then asked for again."""
LARGE_BYTES = 32 * 1024
"""A file as large as this is read by a native thread: the largest takes most of a second."""
MAX_BYTES = 500 * 1024
"""What lies beyond is ignored (RFC 9309, 2.5)."""
REFUSED_BYTES = 16 * MAX_BYTES
"""A file as large as this is no robots.txt; the site counts as one in trouble."""
MAX_HOPS = 5
MAX_SITES = 10_000
"""The site asked for longest ago is forgotten first."""
MAX_CRAWL_DELAY_S = 300.0


_Site = tuple[str, int]
"""An origin, and the way in which it is asked."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site allows."""

    parsed: Protego | None = None
    """None means that everything is allowed."""
    trouble: str = ""
    """Why the rules could not be had; nothing is allowed then."""
    unreachable: bool = False
    """Whether that is for want of a connection."""

    def allows(self, url: str, user_agent: str) -> bool:
        """Whether the URL may be fetched."""
        if self.trouble:
            return False
        return self.parsed is None or bool(self.parsed.can_fetch(url, token(user_agent)))

    def delay_s(self, user_agent: str) -> float:
        """The Crawl-delay, 0 without one; cut at five minutes."""
        asked = self.parsed.crawl_delay(token(user_agent)) if self.parsed else None
        return min(float(asked or 0.0), MAX_CRAWL_DELAY_S)


def token(user_agent: str) -> str:
    """The product name by which robots.txt addresses a user agent: its first word."""
    return user_agent.split("/")[0].split()[0] if user_agent.strip("/ ") else ""


def way_of(settings: CrawlSettings, headers: Sequence[str]) -> int:
    """Stands for how a crawl asks: through which proxies, with which headers, trusting whom.

    Crawls that ask alike share what they learn. Were it shared by all, a task with a proxy of its
    own could say what others may fetch.
    """
    return hash((tuple(headers), tuple(settings.proxies), settings.verify_tls))


class Robots:
    """The rules of the sites in use."""

    def __init__(self, fetcher: Downloader, supervisor: Supervisor, clock: Clock) -> None:
        self._fetcher = fetcher
        self._supervisor = supervisor
        self._clock = clock
        self._known: OrderedDict[_Site, tuple[float, Rules]] = OrderedDict()
        self._asking: dict[_Site, list[Callable[[], None]]] = {}

    def rules(self, origin: str, way: int = 0) -> Rules | None:
        """The rules of a site (`urls.origin`); None when they are not known, or no longer.

        `way` is how it is asked (`way_of`).
        """
        expires_s, rules = self._known.get((origin, way), (-math.inf, None))
        return rules if expires_s > self._clock.monotonic() else None

    def ask(
        self,
        origin: str,
        settings: CrawlSettings,
        headers: Sequence[str],
        ready: Callable[[], None],
        proxy: str = "",
        way: int = 0,
    ) -> None:
        """Fetch a site's rules, once for all who ask meanwhile; then call `ready`."""
        site = origin, way
        if site in self._asking:
            self._asking[site].append(ready)
            return
        self._asking[site] = [ready]
        self._supervisor.spawn(f"robots {origin}", self._learn, site, settings, headers, proxy)

    def _learn(
        self, site: _Site, settings: CrawlSettings, headers: Sequence[str], proxy: str
    ) -> None:
        rules = Rules(trouble="stopped")
        try:
            rules = self._read(site[0], settings, headers, proxy)
        finally:
            self._keep(site, rules)
            for ready in self._asking.pop(site):
                ready()

    def _keep(self, site: _Site, rules: Rules) -> None:
        _, old = self._known.get(site, (0.0, rules))
        kept_s = KEPT_S
        if rules.trouble:
            kept_s = TROUBLE_KEPT_S if old.trouble else OLD_KEPT_S
            rules = rules if old.trouble else old
        self._known[site] = (self._clock.monotonic() + kept_s, rules)
        self._known.move_to_end(site)
        while len(self._known) > MAX_SITES:
            self._known.popitem(last=False)

    def _read(
        self, origin: str, settings: CrawlSettings, headers: Sequence[str], proxy: str
    ) -> Rules:
        url = f"{origin}/robots.txt"
        for _ in range(MAX_HOPS + 1):
            try:
                answer = self._fetcher.fetch(_call(url, settings, headers, proxy))
            except FetchError as error:
                return Rules(trouble=error.reason, unreachable=error.unreachable)
            target = redirect(url, answer)
            if target is None and len(answer.body) > LARGE_BYTES:
                return cast(Rules, gevent.get_hub().threadpool.apply(read, (answer,)))
            if target is None:
                return read(answer)
            url = target
        return Rules()


class CrawlRobots:
    """robots.txt as one crawl asks for it: with its headers, through its proxies."""

    def __init__(
        self,
        robots: Robots,
        settings: CrawlSettings,
        headers: Sequence[str],
        proxy: Callable[[], str],
    ) -> None:
        """`proxy` names the one whose turn it is; empty without any."""
        self._robots = robots
        self._settings = settings
        self._headers = headers
        self._proxy = proxy
        self._way = way_of(settings, headers)

    def rules(self, origin: str) -> Rules | None:
        """The rules of a site; None when they are not known, or no longer."""
        return self._robots.rules(origin, self._way)

    def ask(self, origin: str, ready: Callable[[], None]) -> None:
        """Fetch a site's rules; then call `ready`."""
        self._robots.ask(origin, self._settings, self._headers, ready, self._proxy(), self._way)


def redirect(url: str, answer: FetchAnswer) -> str | None:
    """Where an answer redirects to, if that is a web page."""
    location = Headers.parse(answer.header_lines).get("location")
    if not 300 <= answer.status < 400 or location is None:
        return None
    try:
        target = urls.safe(urls.join(url, urls.from_header(location)))
    except ValueError:
        return None
    return target if urls.is_web(target) else None


def read(answer: FetchAnswer) -> Rules:
    """The rules in an answer that is no redirect."""
    if answer.status >= 500:
        return Rules(trouble=f"robots.txt: HTTP {answer.status}")
    if answer.status >= 300 or not answer.body.strip():
        return Rules()
    text = answer.body[:MAX_BYTES].decode("utf-8-sig", "replace")
    return Rules(Protego.parse(text))


def _call(url: str, settings: CrawlSettings, headers: Sequence[str], proxy: str) -> FetchCall:
    return FetchCall(
        url=url,
        headers=headers,
        terms=replace(
            FetchLimits.of(settings),
            max_body_bytes=REFUSED_BYTES,
            max_download_bytes=REFUSED_BYTES,
            content_types=(),
        ),
        timeout_s=settings.timeout_s,
        proxy=proxy,
    )
