"""robots.txt (RFC 9309): fetched once a day for each site, and shared by all crawls of a worker.

A site that answers 4xx has no rules, but for 429. If a site is unreachable or answers 429 or 5xx,
the rules known before hold for another hour. Without known rules it allows nothing for now, and
robots.txt is fetched again at the next attempt of a page. A site that asks for a pause gets it.
Whatever the site sends instead of rules is parsed, and its rules count, if it has any.
"""

from __future__ import annotations

import codecs
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import gevent
from protego import Protego

from crawler.clock import Clock
from crawler.engine.download.downloader import Downloader
from crawler.engine.http import urls
from crawler.engine.http.headers import Headers, retry_after_s
from crawler.engine.http.messages import (
    EXHAUSTED,
    FetchAnswer,
    FetchCall,
    FetchError,
    FetchLimits,
    Identity,
)
from crawler.engine.politeness import robots_lines
from crawler.engine.politeness.robots_rules import Rules, way_of
from crawler.engine.politeness.robots_shelf import RobotsShelf, Robotstxt, shared
from crawler.logs import get_logger
from crawler.settings.crawl import CrawlSettings
from crawler.supervision import Supervisor

log = get_logger(__name__)

TOO_MANY = 429
"""The status of a site that is asked too often. It says nothing of rules, so it counts like 5xx, as
it does for Google."""
KEPT_S = 24 * 3600.0
TROUBLE_KEPT_S = 1.0
"""The seconds before a site in trouble is asked again, however many pages wait for it."""
OLD_KEPT_S = 3600.0
"""The seconds for which old rules are kept when they cannot be fetched anew."""
LARGE_BYTES = 32 * 1024
"""A file larger than this is parsed by a native thread: the largest takes most of a second."""
MAX_BYTES = 500 * 1024
"""What lies beyond this size is ignored (RFC 9309, 2.5)."""
REFUSED_BYTES = 16 * MAX_BYTES
"""A file larger than this is no robots.txt; the site counts as one in trouble."""
MAX_HOPS = 5
MAX_SITES = 10_000
"""The most sites that are remembered. The site that was fetched longest ago is forgotten first."""
codecs.lookup("utf-8-sig")  # Python loads it from a file, and later there may be no descriptor


_Site = tuple[str, int]
"""An origin, and the way in which it is asked (`way_of`)."""


class Robots:
    """The robots rules of the sites in use."""

    def __init__(
        self,
        fetcher: Downloader,
        supervisor: Supervisor,
        clock: Clock,
        shelf: RobotsShelf | None = None,
    ) -> None:
        """`shelf` has the files that other workers have fetched."""
        self._shelf = shelf
        self._fetcher = fetcher
        self._supervisor = supervisor
        self._clock = clock
        self._known: OrderedDict[_Site, tuple[float, Rules]] = OrderedDict()
        self._asking: dict[_Site, list[Callable[[], None]]] = {}

    def rules(self, origin: str, way: int = 0) -> Rules | None:
        """The rules of a site (`urls.origin`); None if they are unknown or have expired.

        `way` is the way in which the site is asked (`way_of`).
        """
        expires_s, rules = self._known.get((origin, way), (-math.inf, None))
        return rules if expires_s > self._clock.monotonic() else None

    def ask(
        self,
        origin: str,
        settings: CrawlSettings,
        identity: Identity,
        ready: Callable[[], None],
        proxy: str = "",
        way: int = 0,
    ) -> None:
        """Fetch the rules of a site, once for all that ask meanwhile. Then call `ready`."""
        site = origin, way
        if site in self._asking:
            self._asking[site].append(ready)
            return
        self._asking[site] = [ready]
        self._supervisor.spawn(f"robots {origin}", self._learn, site, settings, identity, proxy)

    def _learn(self, site: _Site, settings: CrawlSettings, identity: Identity, proxy: str) -> None:
        rules, kept_s = Rules(trouble="stopped"), KEPT_S
        try:
            rules, kept_s = self._rules(site, settings, identity, proxy)
            if rules.ignored_bytes or rules.ignored_lines:
                log.warning(
                    "a robots.txt is too long, and a part of it is ignored",
                    site=site[0],
                    read_bytes=MAX_BYTES,
                    ignored_bytes=rules.ignored_bytes,
                    ignored_lines=rules.ignored_lines,
                )
        except OSError as error:  # no descriptor or thread is left for now
            rules = Rules(trouble=EXHAUSTED)
            log.warning("robots.txt was not read", site=site[0], error=str(error))
        finally:
            self._keep(site, rules, kept_s)
            for ready in self._asking.pop(site):
                ready()

    def _rules(
        self, site: _Site, settings: CrawlSettings, identity: Identity, proxy: str
    ) -> tuple[Rules, float]:
        """The rules of a site, and for how long they count."""
        fetched: list[Rules] = []

        def fetch() -> Robotstxt | None:
            rules, answer = self._read(site[0], settings, identity, proxy)
            fetched.append(rules)
            return None if answer is None or rules.trouble else _to_share(answer)

        if self._shelf is None:
            fetch()
            return fetched[0], KEPT_S
        origin, way = site
        file = shared(self._shelf, f"{way:016x}:{origin}", fetch, self._clock)
        if fetched or file is None:
            return fetched[0], KEPT_S
        return _read_aside(FetchAnswer(file.status, (), file.body, 0.0)), file.kept_s

    def _keep(self, site: _Site, rules: Rules, kept_s: float) -> None:
        _, old = self._known.get(site, (0.0, rules))
        if rules.trouble:
            kept_s = TROUBLE_KEPT_S if old.trouble else OLD_KEPT_S
            rules = rules if old.trouble else old
        self._known[site] = (self._clock.monotonic() + kept_s, rules)
        self._known.move_to_end(site)
        while len(self._known) > MAX_SITES:
            self._known.popitem(last=False)

    def _read(
        self, origin: str, settings: CrawlSettings, identity: Identity, proxy: str
    ) -> tuple[Rules, FetchAnswer | None]:
        """The rules of a site, and the answer that has them; None if there was none."""
        url = f"{origin}/robots.txt"
        for _ in range(MAX_HOPS + 1):
            try:
                answer = self._fetcher.fetch(_call(url, settings, identity, proxy))
            except FetchError as error:
                return Rules(trouble=error.reason, unreachable=error.unreachable), None
            target = redirect(url, answer)
            if target is None:
                return self._with_pause(_read_aside(answer), answer), answer
            if not urls.shares_secrets(url, target):
                identity = identity.elsewhere()
            url = target
        return Rules(), None

    def _with_pause(self, rules: Rules, answer: FetchAnswer) -> Rules:
        """The rules, with the pause that the site asks for: by 429, or by 503 and Retry-After."""
        if answer.status not in (TOO_MANY, 503):
            return rules
        headers = Headers.parse(answer.header_lines)
        asked_s = retry_after_s(headers, self._clock.time_ns() / 1e9)
        is_asked = answer.status == TOO_MANY or asked_s > 0
        return replace(rules, pause_s=asked_s) if is_asked else rules


class CrawlRobots:
    """The robots rules for one crawl, fetched as it fetches pages and through its proxies."""

    def __init__(
        self,
        robots: Robots,
        settings: CrawlSettings,
        identity: Callable[[str], Identity],
        proxy: Callable[[], str],
    ) -> None:
        """`identity` says as whom the crawl asks a site (`urls.origin`). `proxy` returns the next
        proxy, or an empty text."""
        self._robots = robots
        self._settings = settings
        self._identity = identity
        self._proxy = proxy
        self._asked_last: tuple[Identity, int] | None = None
        """An identity and its way. Most crawls have only one identity, or two."""

    def rules(self, origin: str) -> Rules | None:
        """The rules of a site; None if they are unknown or have expired."""
        return self._robots.rules(origin, self._way(origin))

    def ask(self, origin: str, ready: Callable[[], None]) -> None:
        """Fetch the rules of a site. Then call `ready`."""
        identity, proxy = self._identity(origin), self._proxy()
        self._robots.ask(origin, self._settings, identity, ready, proxy, self._way(origin))

    def _way(self, origin: str) -> int:
        identity, last = self._identity(origin), self._asked_last
        if last is not None and last[0] is identity:
            return last[1]
        way = way_of(self._settings, identity)
        self._asked_last = identity, way
        return way


def redirect(url: str, answer: FetchAnswer) -> str | None:
    """The target of a redirect; None if the answer is no redirect to a web page."""
    location = Headers.parse(answer.header_lines).get("location")
    if not 300 <= answer.status < 400 or location is None:
        return None
    try:
        target = urls.safe(urls.join(url, urls.from_header(location)))
    except ValueError:
        return None
    return target if urls.is_web(target) else None


def _to_share(answer: FetchAnswer) -> Robotstxt:
    """What other workers need of an answer: one byte more than counts tells that it was longer."""
    return Robotstxt(answer.status, answer.body[: MAX_BYTES + 1], KEPT_S)


def _read_aside(answer: FetchAnswer) -> Rules:
    """The rules in an answer. A native thread reads a large one."""
    if len(answer.body) <= LARGE_BYTES:
        return read(answer)
    return cast(Rules, gevent.get_hub().threadpool.apply(read, (answer,)))


def read(answer: FetchAnswer) -> Rules:
    """The rules in an answer that is not a redirect."""
    if answer.status >= 500 or answer.status == TOO_MANY:
        return Rules(trouble=f"robots.txt: HTTP {answer.status}")
    if answer.is_cut and answer.status < 300:  # what is missing could forbid what the rest allows
        return Rules(trouble="truncated")
    if answer.status >= 300 or not answer.body.strip():
        return Rules()
    body = answer.body[:MAX_BYTES]
    if len(answer.body) > MAX_BYTES:  # half a line would be another rule
        body = body[: max(body.rfind(b"\n"), body.rfind(b"\r")) + 1]
    lines, ignored = robots_lines.plain(body.decode("utf-8-sig", "replace"))
    return Rules(
        Protego.parse("\n".join(lines)),
        ignored_bytes=len(answer.body) - len(body),
        ignored_lines=ignored,
    )


def _call(url: str, settings: CrawlSettings, identity: Identity, proxy: str) -> FetchCall:
    return FetchCall(
        url=url,
        headers=identity.headers,
        credentials=identity.credentials,
        terms=replace(
            FetchLimits.of(settings),
            max_body_bytes=REFUSED_BYTES,
            max_download_bytes=REFUSED_BYTES,
            content_types=(),
        ),
        timeout_s=settings.timeout_s,
        proxy=proxy,
    )
