"""What crawl processes load: the spiders of the worker, or those of a bundle."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from crawler.errors import ConfigError, CrawlerError, InvalidArgument
from crawler.settings.overrides import override
from crawler.settings.sections import Settings


@dataclass(frozen=True, slots=True)
class Program:
    """An interpreter, and the spiders that it loads."""

    digest: str = ""
    """The bundle of which they are; empty for the spiders of the worker."""
    python: str = field(default_factory=lambda: sys.executable)
    """The interpreter, which knows the packages that they need."""
    path: Sequence[str] = ()
    """Folders where it finds the crawler and its packages; empty for those of the worker."""
    folder: str = ""
    """Where the paths of `sources` start, and where its modules are; empty for the folder of the
    settings."""
    sources: Sequence[Any] = ()
    """What to load, as `spiders` in a settings file."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What they override in the section `crawl` of the worker's settings."""

    def laid_over(self, settings: Settings) -> Settings:
        """Return the settings of a worker with what a bundle says of spiders and crawls. Raises
        ConfigError."""
        if not self.digest:
            return settings
        try:
            crawl = override(settings.crawl, dict(self.settings), "crawl")
        except InvalidArgument as error:
            raise ConfigError(f"the settings of the bundle: {error}") from None
        return replace(settings, crawl=crawl, spiders=tuple(self.sources))


class Unusable(CrawlerError):
    """A bundle can be crawled with nowhere, or not on this worker: to try again changes nothing."""


class Programs(Protocol):
    """The bundles of projects, as this worker can run them."""

    def ready(self, digest: str) -> Program:
        """Return the program of a bundle, once it is here with all that it needs. It blocks. Raises
        Unusable, and Retryable if it may be here later."""
        ...


class NoPrograms:
    """Those of a worker that runs no bundles."""

    def ready(self, digest: str) -> Program:
        """Raises Unusable."""
        raise Unusable("this worker runs the spiders of its own settings alone")
