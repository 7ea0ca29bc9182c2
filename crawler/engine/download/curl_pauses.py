"""The transfers that receive nothing for now, because the memory for bodies is full."""

from __future__ import annotations

from collections.abc import Callable

import gevent

from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.download.curl_transfer import Transfer


class Pauses:
    """Counts the bodies of transfers, and calls `resume` for those that paused, when memory is
    free."""

    def __init__(self, held: BodyMemory, resume: Callable[[Transfer], None]) -> None:
        self._held = held
        self._resume = resume
        self._resumes = False
        self._paused: set[Transfer] = set()

    def __contains__(self, transfer: Transfer) -> bool:
        return transfer in self._paused

    def begin(self, transfer: Transfer) -> None:
        """Let a transfer pause until memory is free."""
        self._paused.add(transfer)
        self._held.when_free(self._resume_soon)

    def let_go(self, transfer: Transfer) -> None:
        """Free the memory of a transfer that ended. Another transfer may be the oldest now."""
        self._paused.discard(transfer)
        self._held.give_back(transfer.size)
        if self._paused:
            self._resume_soon()

    def clear(self) -> None:
        """Forget all that pause."""
        self._paused.clear()

    def _resume_soon(self) -> None:
        """Resume paused transfers soon. Not at once: libcurl may be in the middle of a call."""
        if not self._resumes:
            self._resumes = True
            gevent.get_hub().loop.run_callback(self._resume_all)

    def _resume_all(self) -> None:
        self._resumes = False
        paused, self._paused = self._paused, set()
        for transfer in paused:
            self._resume(transfer)
