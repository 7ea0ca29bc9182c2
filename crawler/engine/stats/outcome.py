"""Decides what the end of a crawl means: it is done, or failed and why."""

from __future__ import annotations

from collections import Counter

from crawler.engine.stats.counters import Counters
from crawler.model.records import NO_COUNTS, Counts, State
from crawler.plural import counted
from crawler.settings.crawl import CrawlSettings

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
    "robots": "robots.txt does not allow it; the setting robots says whether the crawl obeys",
    "offsite": "does allowed_domains name its host?",
    "denied": "does deny_urls mean this URL?",
}
SEE_LOG = "; see the log"
"""The end of a reason of which the log says more."""


def outcome_of(
    counters: Counters, settings: CrawlSettings, others: Counts = NO_COUNTS, filtered: str = ""
) -> tuple[State, str]:
    """The end of a crawl. FAILED if it could not go on, could not use any page, or brought less
    than `min_items` and `max_failure_share` require.

    `others` is what the other shards of its task have counted, for the one that judges all.
    `filtered` is what `filtered_all` said to one of them.
    """
    fault = (
        counters.fault
        or counters.start_fault
        or _no_page(counters, others, filtered)
        or _no_good_page(counters, others)
        or _too_little(counters, settings, others)
    )
    return (State.FAILED, fault) if fault else (State.DONE, "")


def outcome_of_part(counters: Counters) -> tuple[State, str]:
    """The end of a shard that judges nothing: FAILED if it could not go on."""
    return (State.FAILED, counters.fault) if counters.fault else (State.DONE, "")


def filtered_all(counters: Counters) -> str:
    """Why no page was fetched, if all requests were filtered; empty if not. A duplicate says
    nothing: what it repeats has an end of its own."""
    if counters.pages or counters.failures or counters.pending:
        return ""
    return _told(counters, counters.filtered - Counter(duplicate=counters.filtered["duplicate"]))


def _no_page(counters: Counters, others: Counts, filtered: str) -> str:
    """Why no page was fetched. Empty if one was, or if nobody asked for one."""
    reasons = counters.failures_by_reason
    if counters.pages or others.pages:
        return ""
    if not reasons and others.failures:
        return (
            f"no page could be fetched: {counted(others.failures, 'failure')} on other workers of"
            " the task; see the statistics of its shards"
        )
    if not reasons and counters.pending:
        return ""
    return _told(counters, reasons) or filtered_all(counters) or filtered


def _told(counters: Counters, reasons: Counter[str]) -> str:
    """Say the most frequent reason; empty if there is none."""
    if not reasons:
        return ""
    reason = reasons.most_common(1)[0][0]
    text = f"no page could be fetched: {reason} ({counters.example_of(reason)})"
    hint = _HINTS.get(reason, "")
    return f"{text}; {hint}" if hint else text


def _no_good_page(counters: Counters, others: Counts) -> str:
    """What is wrong with the callbacks, if all pages are spoilt and no item was written. Of other
    shards, only their failures are known, and each spoilt page is among them."""
    if not counters.pages or counters.items or counters.spoilt.total() < counters.pages:
        return ""
    if others.items or others.failures < others.pages:
        return ""
    reason = counters.spoilt.most_common(1)[0][0]
    return f"no page could be used: {reason} ({counters.example_of(reason)}){SEE_LOG}"


def _too_little(counters: Counters, settings: CrawlSettings, others: Counts) -> str:
    items = counters.items + others.items
    if items < settings.min_items:
        were = "was" if items == 1 else "were"
        return f"{counted(items, 'item')} {were} written; min_items asks for {settings.min_items}"
    failed = counters.failed.total() + others.failures
    ended = failed + counters.pages + others.pages
    if ended and failed / ended > settings.max_failure_share:
        share = f"{failed} of {ended} requests failed ({failed / ended:.3g})"
        return f"{share}; max_failure_share allows {settings.max_failure_share:g}"
    return ""
