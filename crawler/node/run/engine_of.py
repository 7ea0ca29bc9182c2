"""Makes the engine that crawls the tasks of a worker, from its settings."""

from __future__ import annotations

from pathlib import Path

from crawler.clock import Clock
from crawler.engine.download.http_cache import Cache
from crawler.engine.engine import Engine
from crawler.engine.politeness.sharing import SharedHosts
from crawler.engine.spiders.loader import load_spiders
from crawler.engine.spiders.secrets import of_operator
from crawler.engine.stats.current_callback import CurrentCallback
from crawler.settings.sections import Settings


def engine_of(
    settings: Settings,
    clock: Clock,
    shared_hosts: SharedHosts | None,
    share: int = 1,
    current_callback: CurrentCallback | None = None,
    spiders_folder: str = "",
) -> Engine:
    """Make an engine. It is one of `share`, which divide the memory for responses. Paths of spiders
    start at `spiders_folder`, or at the folder of the settings.

    Raises ConfigError for spiders and plugins that cannot be loaded.
    """
    worker = settings.worker
    return Engine(
        of_operator(settings.crawl),
        load_spiders(settings.spiders, spiders_folder or settings.folder),
        clock,
        private_targets=worker.private_targets,
        plugins=worker.plugins,
        cache=Cache(Path(settings.folder, worker.cache_folder), worker.cache_bytes),
        most_response_bytes=worker.response_bytes // share,
        shared_hosts=shared_hosts,
        current_callback=current_callback,
    )
