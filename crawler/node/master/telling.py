"""Tells the history, and the traces, what the writer has committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from crawler.clock import Clock
from crawler.coordination.ledger import Landed
from crawler.history.events import Seen
from crawler.history.history import History
from crawler.model.records import NO_COUNTS, Counts, Resource
from crawler.node.master.command_queue import QueuedCommand
from crawler.node.master.mirrors import Mirrors
from crawler.tracing.tracing import NoTracing, Tracing


class Telling:
    """Notes changes for one term, without waiting."""

    def __init__(
        self, history: History, mirrors: Mirrors, clock: Clock, tracing: Tracing | None = None
    ) -> None:
        self._history = history
        self._tracing = tracing or NoTracing()
        self._began_ns = 0
        self._mirrors = mirrors
        self._clock = clock
        self._who: dict[str, str] = {}
        self.with_counts: Callable[[Resource], Resource] = lambda resource: resource
        """Returns a resource with the latest counts that its worker reported."""
        self.strategy: Callable[[], str] = partial(str, "")
        """Returns the strategy that places tasks."""

    def begin(self) -> None:
        """Note that a pass begins: what is committed next is decided from now on."""
        self._began_ns = self._clock.time_ns()

    def asked(self, decided: Sequence[QueuedCommand]) -> None:
        """Take who asked for what is committed next."""
        self._who = {name: each.who for each in decided if each.who for name in each.names}

    def take(self, landed: Landed, base: Callable[[str], Resource | None]) -> None:
        """Put outcomes into the mirror, and note what they changed. `base` returns the resource on
        which a change was decided. The mirror may have that change already, by its watch."""
        find = self._mirrors.resource
        before = [base(outcome.name) for outcome in landed.outcomes]
        self._mirrors.take(landed)
        now_ns, strategy, who = self._clock.time_ns(), self.strategy(), self._who.get
        after = [outcome.written or find(outcome.name) for outcome in landed.outcomes]
        self._history.note(
            [
                Seen(was, now, now_ns, who(outcome.name, ""), strategy, self._counts(was, now))
                for was, now, outcome in zip(before, after, landed.outcomes)
                if now is not was
            ]
        )
        if self._tracing.is_on:
            self._trace(landed, before, after, strategy, now_ns)

    def _trace(
        self,
        landed: Landed,
        before: Sequence[Resource | None],
        after: Sequence[Resource | None],
        strategy: str,
        now_ns: int,
    ) -> None:
        """Tell the traces which tasks got a worker."""
        for was, now, outcome in zip(before, after, landed.outcomes):
            if not outcome.committed or now is None or now.owner is None:
                continue
            if was is None or was.epoch != now.epoch:
                self._tracing.placed(was, now, strategy, self._began_ns, now_ns)

    def _counts(self, was: Resource | None, now: Resource | None) -> Counts:
        """Return what a run had counted that this change ended from outside."""
        if was is None or was.owner is None or was.state.finished:
            return NO_COUNTS
        if now is not None and now.epoch == was.epoch and now.owner is not None:
            return NO_COUNTS
        return self.with_counts(was).counts
