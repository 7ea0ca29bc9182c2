"""Where a Redis is, how to get in, and what it means that it does not answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crawler.settings import redis_url, tls_files
from crawler.settings.worker import FrontierSettings

CALL_S = 5.0
"""The seconds that Redis may be silent in a call."""
CONNECT_S = 3.0


class NotYet(Exception):
    """Redis does not answer, or cannot do now what it may do later."""

    is_now, was_so_far = "does not answer", "has not answered"
    advice = "is it running, can this machine reach it, and is its URL right?"

    @property
    def told(self) -> str:
        """What it is that goes wrong, and what to do."""
        return f"Redis {self.is_now} ({self}); {self.advice}"


class WritesNothing(NotYet):
    """Redis answers, but cannot write its disk, and so takes no step."""

    is_now, was_so_far = "takes nothing", "has taken nothing"
    advice = "is its disk full? Make room there."


@dataclass(frozen=True, slots=True)
class Access:
    """Where Redis is, and how to get in."""

    url: redis_url.RedisUrl
    password: str = field(default="", repr=False)
    """Counts if the URL has none."""
    ca: str = ""
    cert: str = ""
    key: str = ""

    @classmethod
    def of(cls, settings: FrontierSettings, folder: str) -> Access:
        """What the settings say. Relative paths start at the folder. Raises ConfigError."""
        url = redis_url.parsed(settings.url)
        tls_files.check("frontier", settings, folder)
        files = (settings.ca, settings.cert, settings.key)
        return cls(url, settings.password, *(file and str(Path(folder, file)) for file in files))

    def options(self) -> dict[str, Any]:
        """What the library takes for each connection."""
        given: dict[str, Any] = {
            "socket_timeout": CALL_S,
            "socket_connect_timeout": CONNECT_S,
            "protocol": 2,
            "username": self.url.user or None,
            "password": self.url.password or self.password or None,
        }
        if self.url.is_tls:
            given |= {"ssl": True, "ssl_ca_certs": self.ca or None}
            given |= {"ssl_certfile": self.cert or None, "ssl_keyfile": self.key or None}
        return given
