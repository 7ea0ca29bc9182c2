"""What a crawl has done so far, and what its end means."""

from __future__ import annotations

from collections import Counter

from crawler.records import Counts, State

_HINTS = {
    "connection refused": "is the site up?",
    "connection failed": "is the site up?",
    "connection closed": "is it a web server?",
    "timeout": "is the site up, and does timeout_s suffice?",
    "dns": "is the name of the host right?",
    "tls": "is the certificate of the site valid?",
    "forbidden address": "it is not public, and worker.private_targets does not list it",
    "bad url": "start URLs begin with http:// or https://",
}


class Tally:
    """Counts pages, items and failures; the reasons are few short texts."""

    def __init__(self) -> None:
        self.pages = 0
        self.items_taken = 0
        """Items that callbacks yielded; each is in one of the next three."""
        self.items = 0
        """Items that were written."""
        self.items_dropped: Counter[str] = Counter()
        """Items that were invalid, or that a pipeline dropped, by reason."""
        self.items_failed: Counter[str] = Counter()
        """Items that a pipeline raised at, or that could not be written, by reason."""
        self.failures_by_reason: Counter[str] = Counter()
        """URLs that ended in an error, and callbacks that raised, by reason."""
        self.filtered: Counter[str] = Counter()
        """Requests that were not sent, by reason: duplicate, depth, offsite, robots, …"""
        self.fault = ""
        """Why the crawl as a whole cannot go on; empty as long as it can."""
        self._examples: dict[str, str] = {}

    @property
    def failures(self) -> int:
        """How many there were in all."""
        return self.failures_by_reason.total()

    def fail(self, reason: str, url: str) -> None:
        """Count a failure; the first URL of each reason serves as its example."""
        self.failures_by_reason[reason] += 1
        self._examples.setdefault(reason, url)

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
