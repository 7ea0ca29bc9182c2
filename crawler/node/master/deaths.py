"""Writes the tombstones of dead workers, one for each death."""

from __future__ import annotations

from collections.abc import Mapping

from crawler.errors import StoreRefused
from crawler.logs import get_logger
from crawler.node.master.leader_context import LeaderContext

log = get_logger(__name__)


class Deaths:
    """Notes in the store which lives of workers have ended, before their tasks move."""

    def __init__(self, ctx: LeaderContext) -> None:
        self._ctx = ctx
        self._noted: dict[str, int] = {}
        """The latest incarnation of each worker that this term has noted as dead."""
        self._refused = False

    def note(self, dead: Mapping[str, int]) -> None:
        """Note the deaths (id → incarnation) that are not noted yet. Raises LeadershipLost,
        Retryable."""
        new = {id: life for id, life in dead.items() if life > self._noted.get(id, 0)}
        if new:
            log.info("workers are dead; their tasks move", incarnations=new)
            self._write(new)
            self._noted.update(new)

    def _write(self, dead: Mapping[str, int]) -> None:
        """Write tombstones. If the store refuses them, the tasks move all the same: leases and
        epochs prevent two owners, except if a worker was paused."""
        try:
            self._ctx.tombstones.write(self._ctx.leadership, dead)
        except StoreRefused as error:
            tell = log.debug if self._refused else log.error
            self._refused = True
            tell(
                "the store refuses tombstones of dead workers; "
                "let this user write below coordination.tombstones",
                error=str(error),
            )
