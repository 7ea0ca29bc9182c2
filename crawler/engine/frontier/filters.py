"""Filters the URLs that a crawl does not fetch: those of other hosts, unwanted ones, and traps.

A trap is a part of a site that never ends: a calendar, a link that appends to its own path, a list
that can be sorted and filtered in every combination.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

from crawler.engine.http import urls
from crawler.settings.crawl import CrawlSettings
from crawler.settings.patterns import linear

MAX_COUNTED = 100_000
"""The most hosts or paths that are counted. Beyond that, the lowest counts are forgotten."""
LONGEST_PERIOD = 8
"""The longest sequence of path parts that is checked for repetition."""


class Filters:
    """The filters of one crawl. Each reason is a word or two, and is counted under these words."""

    def __init__(self, settings: CrawlSettings, allowed_domains: Iterable[str] = ()) -> None:
        self._domains = frozenset(map(urls.domain, allowed_domains))
        self._length = settings.max_url_length
        self._denied = [linear(pattern).search for pattern in settings.deny_urls]
        self._unwanted = urls.stripper(settings.strip_query)
        self._repeats = settings.max_path_repeats
        self._queries = Quota(settings.max_queries_per_path)
        self._hosts = Quota(settings.max_pages_per_host)

    def adjust(self, settings: CrawlSettings) -> None:
        """Take over limits that changed. What was counted stays."""
        self._length = settings.max_url_length
        self._repeats = settings.max_path_repeats
        self._queries.limit = settings.max_queries_per_path
        self._hosts.limit = settings.max_pages_per_host

    def kept(self) -> list[dict[int, int]]:
        """What the limits have counted, for a later process."""
        return [self._queries.kept(), self._hosts.kept()]

    def go_on(self, kept: Sequence[Mapping[str, int]]) -> None:
        """Go on from what `kept` returned."""
        for quota, taken in zip((self._queries, self._hosts), kept, strict=True):
            quota.go_on(taken)

    def trimmed(self, url: urls.Parsed) -> urls.Parsed:
        """The URL as it is sent: without the fragment and the parameters of `strip_query`."""
        urls.sent(url)
        if self._unwanted is not None and url.search:
            urls.stripped(url, self._unwanted)
        return url

    def refusal(self, url: urls.Parsed) -> str:
        """The reason not to fetch a URL, seen or not. Empty if there is none.

        This is called for every link, and takes about half a microsecond. A URL that is `offsite`
        has no other fault.
        """
        href = url.href
        if len(href) > self._length > 0:
            return "url length"
        for finds in self._denied:
            if finds(href):
                return "denied"
        if 0 < self._repeats < href.count("/") - 2 and repeats(url.pathname) > self._repeats:
            return "path repeats"
        if self._domains and not urls.is_within(url.hostname, self._domains):
            return "offsite"
        return ""

    def exhausted(self, url: urls.Parsed) -> str:
        """The reason why a new URL exceeds a limit. If it does not: count it and return ""."""
        if url.search and not self._queries.take(f"{url.host}{url.pathname}"):
            return "query limit"
        if not self._hosts.take(url.hostname):
            return "host limit"
        return ""


class FiltersOfShard(Filters):
    """The filters of a shard. It counts what it draws: what it finds may be another's to fetch."""

    def exhausted(self, url: urls.Parsed) -> str:
        """No reason: whoever draws the URL counts it."""
        return ""

    def drawn(self, url: urls.Parsed) -> str:
        """The reason why a URL that was drawn exceeds a limit. If it does not: count it."""
        return super().exhausted(url)

    def given_back(self, url: urls.Parsed) -> None:
        """Count a URL no longer: another shard draws it."""
        if url.search:
            self._queries.give_back(f"{url.host}{url.pathname}")
        self._hosts.give_back(url.hostname)


class Quota:
    """Limits how many of each kind are allowed; 0 is no limit. Rare kinds may be forgotten."""

    def __init__(self, limit: int, most: int = MAX_COUNTED) -> None:
        self.limit = limit
        self._most = most
        self._taken: dict[int, int] = {}

    def take(self, kind: str) -> bool:
        """Count one more of a kind. Returns whether it is allowed."""
        if not self.limit:
            return True
        key = _mark(kind)
        taken = self._taken.get(key, 0)
        if taken >= self.limit:
            return False
        if not taken and len(self._taken) >= self._most:
            self._forget()
        self._taken[key] = taken + 1
        return True

    def give_back(self, kind: str) -> None:
        """Count one less of a kind."""
        key = _mark(kind)
        if key in self._taken:
            self._taken[key] -= 1

    def kept(self) -> dict[int, int]:
        """What was counted until now, for a later process."""
        return dict(self._taken)

    def go_on(self, kept: Mapping[str, int]) -> None:
        """Go on from what `kept` returned, as JSON gives it back."""
        self._taken = {int(key): taken for key, taken in kept.items()}

    def _forget(self) -> None:
        least = 2
        while len(self._taken) > self._most // 2:
            self._taken = {key: taken for key, taken in self._taken.items() if taken >= least}
            least *= 2


def _mark(kind: str) -> int:
    """What stands for a kind, in every process: 53 bits, which every reader of JSON knows."""
    return int.from_bytes(blake2b(kind.encode(), digest_size=8).digest(), "little") >> 11


def repeats(path: str) -> int:
    """How often a part of a path repeats in a row, at most: 3 for `/x/a/b/a/b/a/b`."""
    parts = path.split("/")[1:]
    if len(set(parts)) == len(parts):
        return 1
    return max(1 + _run(parts, period) // period for period in range(1, LONGEST_PERIOD + 1))


def _run(parts: list[str], period: int) -> int:
    """The longest run of parts that equal the parts one period before."""
    longest = run = 0
    for part, before in zip(parts[period:], parts, strict=False):
        run = run + 1 if part == before else 0
        longest = max(longest, run)
    return longest
