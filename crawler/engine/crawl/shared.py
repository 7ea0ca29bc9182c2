"""What all crawls of a worker share."""

from __future__ import annotations

from dataclasses import dataclass, field

from crawler.clock import Clock
from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.download.downloader import Downloader
from crawler.engine.download.http_cache import Cache
from crawler.engine.politeness.hosts import Hosts
from crawler.engine.politeness.robots import Robots
from crawler.engine.stats.current_callback import CurrentCallback


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts that all crawls of a worker share."""

    fetcher: Downloader
    hosts: Hosts
    robots: Robots
    clock: Clock
    held: BodyMemory = field(default_factory=BodyMemory)
    cache: Cache | None = None
    current_callback: CurrentCallback = field(default_factory=CurrentCallback)
