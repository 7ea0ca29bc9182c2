"""What a robots.txt allows, and to whom (RFC 9309)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from protego import Protego

from crawler.engine.http.messages import (
    Identity,
)
from crawler.engine.politeness import robots_lines
from crawler.settings.crawl import CrawlSettings

MAX_CRAWL_DELAY_S = 300.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site allows."""

    parsed: Protego | None = None
    """The parsed rules. None allows everything."""
    trouble: str = ""
    """Why the rules could not be fetched. Then nothing is allowed."""
    unreachable: bool = False
    """Whether no connection could be made."""
    pause_s: float | None = None
    """The Retry-After of a site that asks for a pause, 0 if it names no time; None for others."""
    ignored_bytes: int = 0
    """How many bytes of the file lie beyond `MAX_BYTES`."""
    ignored_lines: int = 0
    """How many lines within it are more than parsing and asking may cost."""

    def allows(self, url: str, user_agent: str) -> bool:
        """Whether the URL may be fetched."""
        if self.trouble or self.parsed is None:
            return not self.trouble
        name = robots_lines.name(user_agent)
        return bool(self.parsed.can_fetch(robots_lines.compared(url), name))

    def delay_s(self, user_agent: str) -> float:
        """The Crawl-delay in seconds, five minutes at most; 0 without one."""
        name = robots_lines.name(user_agent)
        asked = self.parsed.crawl_delay(name) if self.parsed else None
        return min(float(asked or 0.0), MAX_CRAWL_DELAY_S)


def agent_of(settings: CrawlSettings) -> str:
    """The user agent whose rules hold for a crawl."""
    return settings.robots_user_agent or settings.user_agent


def way_of(settings: CrawlSettings, identity: Identity) -> int:
    """A number for the way in which a crawl asks: as whom, by which proxies, whether it checks TLS.
    It is the same in all processes.

    Crawls that ask in the same way share what they learn. If all crawls shared it, a task with a
    proxy of its own could decide what others may fetch.
    """
    way = repr((identity, tuple(settings.proxies), settings.verify_tls))
    return int.from_bytes(blake2b(way.encode(errors="backslashreplace"), digest_size=8).digest())
