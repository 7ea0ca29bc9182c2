"""Reads `allowed_domains` of a spider. An entry that is no host is left out, with a warning."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from crawler.engine.http import urls
from crawler.logs import get_logger

log = get_logger(__name__)

NOWHERE = ""
"""Stands for no host at all, if every entry was left out."""
_PORT = re.compile(r"[^:]:\d+$")


def of_spider(spider: Any) -> list[str]:
    """The hosts on which a crawl stays. Empty if it may go everywhere.

    As in Scrapy, wrong entries count as entries: if all are wrong, only the start URLs are crawled.
    """
    entries = listed(spider.allowed_domains)
    good = [entry for entry in entries if not fault_of(entry)]
    for entry in entries:
        fault = fault_of(entry)
        if fault:
            log.warning(f"allowed_domains: {entry!r} is left out, {fault}", spider=spider.name)
    if entries and not good:
        log.warning("allowed_domains names no host: no link is followed", spider=spider.name)
        return [NOWHERE]
    return good


def listed(value: Any) -> list[Any]:
    """The entries of `allowed_domains`, which may be None or a single text."""
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def fault_of(entry: Any) -> str:
    """What is wrong with an entry, and what to write. Empty if nothing is."""
    if not isinstance(entry, str):
        return f"it is no text but {type(entry).__name__}; write the name of a host"
    if "/" in entry:
        return f"it is a URL; write {_host_in(entry)!r}"
    if entry.startswith("*"):
        return f"hosts below a host are allowed anyway; write {entry.lstrip('*.')!r}"
    if _PORT.search(entry):
        return f"it has a port; write {entry.rpartition(':')[0]!r}"
    return ""


def _host_in(url: str) -> str:
    return urls.host(url) or urls.host(f"http://{url.lstrip('/')}")
