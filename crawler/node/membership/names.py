"""Chooses a node's name within its role: the configured one, or the lowest free number."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from crawler.clock import Clock
from crawler.errors import ConfigError


class NodeNames:
    """Chooses a name, and keeps it for as long as this process lives.

    `wanted` is the configured id, which may be empty. With `several` processes of one configuration
    (gunicorn's workers) it is only the first name tried: a, a.2, a.3 and so on.
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
        """Whether it waits for a name that another node still holds."""
        return self._refused_s is not None

    def choose(self, taken: set[str]) -> str:
        """Return the name to try next."""
        return self._kept or next(name for name in self._candidates() if name not in taken)

    def keep(self, name: str) -> None:
        """Note that the name was registered, to use it again."""
        self._kept = name
        self._refused_s = None

    def refused(self, name: str, why: str) -> None:
        """Note that another node has the name. It waits for a while, because the name may belong to
        a predecessor whose lease has to expire.

        Raises ConfigError if a configured name is still taken after that.
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
