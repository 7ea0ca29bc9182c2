"""Decides what the end of a crawl means: it is done, or failed and why."""

from __future__ import annotations

from crawler.engine.stats.counters import Counters
from crawler.model.records import State

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


def outcome_of(counters: Counters) -> tuple[State, str]:
    """The end of a crawl: FAILED if it could not go on, or fetched no page and had failures."""
    if counters.fault:
        return State.FAILED, counters.fault
    if counters.pages or not counters.failures:
        return State.DONE, ""
    reason = counters.failures_by_reason.most_common(1)[0][0]
    text = f"no page could be fetched: {reason} ({counters.example_of(reason)})"
    hint = _HINTS.get(reason, "")
    return State.FAILED, f"{text}; {hint}" if hint else text
