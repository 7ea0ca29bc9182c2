"""Which settings of a task change on its running crawl, and which changes need another run.

The politeness of a crawl and its limits change while it runs. All else (the spider, its other
parameters, where items go, what is filtered out) shapes the whole run, so it needs another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings

POLITENESS = (
    *("delay_s", "delay_random", "adaptive", "max_delay_s", "limits"),
    *("host_concurrency", "concurrency", "slow_concurrency"),
    *("max_wait_s", "throttle_s", "throttle_most_s", "throttle_forgiven_s"),
    *("dead_after", "dead_rest_s", "dead_wait_s"),
)
LIMITS = (
    *("max_items", "max_pages", "max_failures", "max_run_s", "max_depth", "max_redirects"),
    *("max_seen", "max_pages_per_host", "max_queries_per_path", "max_path_repeats"),
    *("max_url_length", "max_body_bytes", "max_download_bytes"),
    *("timeout_s", "connect_timeout_s", "first_byte_timeout_s", "stall_timeout_s"),
    *("retries", "retry_delay_s", "retry_statuses", "slow_callback_s"),
)
LIVE = frozenset(POLITENESS + LIMITS)
"""The settings that change on a running crawl."""

SETTINGS = "settings"
"""The parameter of a task that holds settings of its crawl."""


def adopt(settings: CrawlSettings, given: CrawlSettings) -> None:
    """Change the settings of one crawl to those given, as far as they may change while it runs.

    Settings are frozen for everybody else. But the parts of a crawl share this one object and read
    it when they need it, so that a change reaches all of them at once.
    """
    for name in LIVE:
        object.__setattr__(settings, name, getattr(given, name))


def changes(before: Spec, after: Spec) -> Mapping[str, bool]:
    """Return the paths of what differs between two specifications for a run: `spider`, `project`,
    `parameters.depth`, `parameters.settings.delay_s`; and for each whether it needs another run."""
    asked = ("spider_name", "project", "bundle")
    differ = [name for name in asked if getattr(before, name) != getattr(after, name)]
    found = {name.removesuffix("_name"): True for name in differ}
    for path, needs_run in sorted(_differing(before.parameters, after.parameters)):
        found[path] = needs_run or found.get(path, False)
    return found


def _differing(
    before: Mapping[str, Any], after: Mapping[str, Any], path: str = "parameters"
) -> Iterator[tuple[str, bool]]:
    for key in before.keys() | after.keys():
        if (key in before) == (key in after) and before.get(key) == after.get(key):
            continue
        old, new = ({} if given.get(key) is None else given[key] for given in (before, after))
        if path != "parameters":
            yield f"{path}.{key}", key not in LIVE
        elif key == SETTINGS and isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differing(old, new, f"{path}.{SETTINGS}")
        else:
            yield f"{path}.{key}", True
