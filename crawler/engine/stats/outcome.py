"""Decides what the end of a crawl means: it is done, or failed and why."""

from __future__ import annotations

from crawler.engine.stats.counters import Counters
from crawler.model.records import State
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


def outcome_of(counters: Counters, settings: CrawlSettings) -> tuple[State, str]:
    """The end of a crawl. FAILED if it could not go on, could not use any page, or brought less
    than `min_items` and `max_failure_share` require."""
    fault = (
        counters.fault
        or counters.start_fault
        or _no_page(counters)
        or _no_good_page(counters)
        or _too_little(counters, settings)
    )
    return (State.FAILED, fault) if fault else (State.DONE, "")


def _no_page(counters: Counters) -> str:
    """Why no page was fetched. Empty if one was, or if nobody asked for one."""
    reasons = counters.failures_by_reason
    if not reasons and not counters.pending:
        reasons = counters.filtered
    if counters.pages or not reasons:
        return ""
    reason = reasons.most_common(1)[0][0]
    text = f"no page could be fetched: {reason} ({counters.example_of(reason)})"
    hint = _HINTS.get(reason, "")
    return f"{text}; {hint}" if hint else text


def _no_good_page(counters: Counters) -> str:
    """What is wrong with the callbacks, if all pages are spoilt and no item was written."""
    if not counters.pages or counters.items or counters.spoilt.total() < counters.pages:
        return ""
    reason = counters.spoilt.most_common(1)[0][0]
    return f"no page could be used: {reason} ({counters.example_of(reason)}); see the log"


def _too_little(counters: Counters, settings: CrawlSettings) -> str:
    if counters.items < settings.min_items:
        return f"{counters.items} items were written; min_items asks for {settings.min_items}"
    failed = counters.failed.total()
    ended = failed + counters.pages
    if ended and failed / ended > settings.max_failure_share:
        share = f"{failed} of {ended} requests failed ({failed / ended:.3g})"
        return f"{share}; max_failure_share allows {settings.max_failure_share:g}"
    return ""
