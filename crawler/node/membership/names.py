"""Which name a node takes within its role: the one it was given, or the lowest free number."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from crawler.clock import Clock
from crawler.errors import ConfigError


class NodeNames:
    """Chooses a name, and keeps it for as long as this process lives.

    `wanted` is the configured id, which may be empty. With `several` processes of one configuration
    (gunicorn's workers) it is only where the search begins: a, a.2, a.3 and so on.
    """

    def __init__(self, wanted: str, several: bool, patience_s: float, clock: Clock) -> None:
        self._wanted = wanted
        self._fixed = bool(wanted) and not several
        self._kept = wanted if self._fixed else ""
        self._patience_s = patience_s
        self._clock = clock
        self._refused_s: float | None = None

    @property
    def waiting(self) -> bool:
        """Whether a name is waited for that another still holds."""
        return self._refused_s is not None

    def choose(self, taken: set[str]) -> str:
        """The name to try next."""
        return self._kept or next(name for name in self._candidates() if name not in taken)

    def keep(self, name: str) -> None:
        """The name was registered: stay with it when registering anew."""
        self._kept = name
        self._refused_s = None

    def refused(self, name: str, why: str) -> None:
        """Another has the name. A predecessor's lease may have to expire, so that is waited for.

        Raises ConfigError when a name that was given is still taken after that.
        """
        now_s = self._clock.monotonic()
        self._refused_s = self._refused_s or now_s
        if now_s - self._refused_s < self._patience_s:
            return
        if self._fixed:
            raise ConfigError(
                f"node.id: {name!r} is taken ({why}); stop that node or give another id"
            )
        self._kept = ""

    def _candidates(self) -> Iterator[str]:
        if not self._wanted:
            return (str(number) for number in itertools.count(1))
        more = (f"{self._wanted}.{number}" for number in itertools.count(2))
        return itertools.chain([self._wanted], more)
