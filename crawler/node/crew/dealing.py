"""Which process of a crew gets a run: the one that is at its site already, else the idlest."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from crawler.model.records import Resource
from crawler.node.crew.distant_run import DistantRun
from crawler.node.crew.process import CrawlProcess


class Dealing:
    """Runs that begin at the same site share a process, so that one paces the site for both."""

    def __init__(self) -> None:
        self._sites: dict[int, str] = {}
        """The site of each run that has a process."""

    def choose(
        self, run: DistantRun, processes: Iterable[CrawlProcess], soon: int = 0
    ) -> CrawlProcess | None:
        """Choose the process of a run; None if there is none, or if each has its share of the runs
        that `soon` so many processes will have."""
        able = [process for process in processes if not process.group]
        if not able:
            return None
        site = site_of(run.resource)
        chosen = min(able, key=lambda each: (not self._is_at(each, site), len(each.runs)))
        share = (1 + sum(len(each.runs) for each in able)) / max(soon, len(able))
        if len(chosen.runs) >= share and not self._is_at(chosen, site):
            return None
        if site:
            self._sites[run.number] = site
        return chosen

    def forget(self, run: DistantRun) -> None:
        """That run is over."""
        self._sites.pop(run.number, None)

    def _is_at(self, process: CrawlProcess, site: str) -> bool:
        return bool(site) and any(self._sites.get(number) == site for number in process.runs)


def site_of(resource: Resource) -> str:
    """The site at which a task begins, as far as its parameters say; empty if they do not."""
    parameters = resource.spec.parameters
    urls, domains = parameters.get("start_urls"), parameters.get("allowed_domains")
    for given in (urls, domains):
        first = given[0] if isinstance(given, list | tuple) and given else given
        if isinstance(first, str):
            return _host_of(first)
    return ""


def _host_of(text: str) -> str:
    """The host of a URL, or a host itself; empty if there is none."""
    try:
        return urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:  # the crawl will say what is wrong with it
        return ""
