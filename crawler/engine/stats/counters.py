"""What a crawl has done so far, and what its end means."""

from __future__ import annotations

from collections import Counter

from crawler.engine.http import urls
from crawler.model.records import Counts, State

_HINTS = {
    "connection refused": "is the site up?",
    "connection failed": "is the site up?",
    "connection closed": "is it a web server?",
    "timeout": "is the site up, and does timeout_s suffice?",
    "connect timeout": "is the site up, and does connect_timeout_s suffice?",
    "first byte timeout": "is the site up, and does first_byte_timeout_s suffice?",
    "proxy": "is the proxy up, and does it let us in?",
    "no proxy": "are the proxies up, and do they let us in?",
    "content type": "does content_types list what the site has?",
    "dns": "is the name of the host right?",
    "tls": "is the certificate of the site valid?",
    "forbidden address": "it is not public, and worker.private_targets does not list it",
    "bad url": "start URLs begin with http:// or https://",
}


class Counters:
    """Counts every request from when it is found to its one end; the reasons are few short texts.

    discovered = pages + filtered + failed + pending, at every moment. A request keeps its identity
    through redirects and repetitions. What a callback raises costs no request its end.
    """

    def __init__(self) -> None:
        self.discovered = 0
        """Requests that start requests and callbacks yielded."""
        self.pages = 0
        self.items_taken = 0
        """Items that callbacks yielded; each is in one of the next three."""
        self.items = 0
        """Items that were written."""
        self.items_dropped: Counter[str] = Counter()
        """Items that were invalid, or that a pipeline dropped, by reason."""
        self.items_failed: Counter[str] = Counter()
        """Items that a pipeline raised at, or that could not be written, by reason."""
        self.filtered: Counter[str] = Counter()
        """Those that are not fetched on purpose, by reason: duplicate, depth, offsite, …"""
        self.failed: Counter[str] = Counter()
        """Those that ended in an error, by reason."""
        self.raised: Counter[str] = Counter()
        """Callbacks that raised, by reason."""
        self.fault = ""
        """Why the crawl as a whole cannot go on; empty as long as it can."""
        self._examples: dict[str, str] = {}

    @property
    def pending(self) -> int:
        """Requests without an end so far: that wait, rest, are on their way, or were broken off."""
        return self.discovered - self.pages - self.filtered.total() - self.failed.total()

    @property
    def failures_by_reason(self) -> Counter[str]:
        """URLs that ended in an error, and callbacks that raised."""
        return self.failed + self.raised

    @property
    def failures(self) -> int:
        """How many there were in all."""
        return self.failed.total() + self.raised.total()

    def filter(self, reason: str) -> None:
        """A request ends: it is not fetched on purpose."""
        self.filtered[reason] += 1

    def fail(self, reason: str, url: str) -> None:
        """A request ends in an error; the first URL of each reason serves as its example."""
        self.failed[reason] += 1
        self._examples.setdefault(reason, urls.shown(url))

    def blame(self, reason: str, url: str) -> None:
        """A callback raised."""
        self.raised[reason] += 1
        self._examples.setdefault(reason, urls.shown(url))

    def counts(self, seconds: float) -> Counts:
        """The counts as a record."""
        return Counts(self.pages, self.items, self.failures, seconds)

    def outcome(self) -> tuple[State, str]:
        """How the crawl ended: FAILED when it could not go on, or fetched nothing but errors."""
        if self.fault:
            return State.FAILED, self.fault
        if self.pages or not self.failures:
            return State.DONE, ""
        reason = self.failures_by_reason.most_common(1)[0][0]
        text = f"no page could be fetched: {reason} ({self._examples[reason]})"
        hint = _HINTS.get(reason, "")
        return State.FAILED, f"{text}; {hint}" if hint else text
