"""A run of a task, as its worker knows it: its state, its end, and what the leader must be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from crawler.items.names import STOPPED
from crawler.logs import get_logger
from crawler.model.records import NO_SHARD_COUNTS, Counts, Report, Resource, Spec, State
from crawler.node.run.naming import RunKey
from crawler.redaction import hide

log = get_logger(__name__)

LONGEST_REASON = 1000
"""How many characters of a reason are reported. The reason is stored in etcd, and is in every
listing."""


class Run:
    """One run of one task. The worker keeps it after its end, until the leader has recorded it."""

    def __init__(self, resource: Resource) -> None:
        self.name = resource.name
        self.resource = resource
        self.key = RunKey(resource.id, resource.epoch)
        self.is_kept = False
        """Whether a store keeps what the crawl has left. Then it ends in order when it is stopped,
        so that the next run need not fetch anything again."""
        self.stops = 0
        """How often it was told to stop."""
        self.secrets: Mapping[str, str] = {}
        """The values of the secrets that its task names."""
        self.former: Mapping[str, str] = {}
        """Their values before, which earlier runs may have left in what is kept: to be hidden."""
        self._spec = resource.spec
        self._state = State.ASSIGNED
        self._reason = ""
        self._awaits_spider = False
        self._interrupted = self._charged = False
        self._counts = Counts()
        self._shard_counts: Mapping[int, Counts] = NO_SHARD_COUNTS
        self.statistics = ""
        """What the history is to keep of its statistics, as `kept_of` returns it; empty if it is
        not known yet."""
        self._told: Report | None = None
        self.later_epoch = 0
        """An epoch above that of the run of which its state knows; 0 if it knows none."""

    @property
    def waits(self) -> bool:
        """Whether it has not begun."""
        return self._state is State.ASSIGNED

    @property
    def ended(self) -> bool:
        """Whether it ran to its end, successfully or not."""
        return self._state.finished

    @property
    def is_recorded(self) -> bool:
        """Whether it was done, and the leader has recorded that."""
        return self._state is State.DONE and self.report() is None

    @property
    def can_go_on(self) -> bool:
        """Whether it has failed because its state or its items could not be written. A later run
        goes on with what the state has."""
        raise NotImplementedError

    @property
    def is_ending(self) -> bool:
        """Whether it fetches no more, and writes its last items."""
        raise NotImplementedError

    def stop(self) -> None:
        """Make the crawl end soon. Its outcome no longer counts."""
        raise NotImplementedError

    def break_off(self) -> None:
        """Stop, and wait for no answer under way."""
        raise NotImplementedError

    def end_files(self, how: str = STOPPED) -> None:
        """Note that nothing more comes to the files of items. `how` says why not, if the run has
        not ended by itself."""
        raise NotImplementedError

    def adjust(self, spec: Spec) -> None:
        """Take over a specification that changed in settings which may change during a run."""
        if spec.parameters != self._spec.parameters:
            self._spec = spec
            if not self.ended:
                self._take_over(spec)

    def _take_over(self, spec: Spec) -> None:
        """Let the crawl know the specification, if there is a crawl."""
        raise NotImplementedError

    def fail(self, reason: str, awaits_spider: bool = False) -> None:
        """End the run as failed."""
        self._state, self._reason = State.FAILED, hide(reason)
        self._awaits_spider = awaits_spider
        log.warning("run failed", task=self.name, reason=reason)

    def interrupt(self, reason: str, charged: bool) -> None:
        """Note that its process is gone: it can go on in another one. Nothing changes if it has
        ended. `charged` says whether its task is to blame."""
        if not self.ended:
            self._interrupted, self._charged = True, charged
            self._state, self._reason = State.FAILED, hide(reason)

    def report(self) -> Report | None:
        """Return what the leader does not know yet, or None if it knows all.

        If its state knows a later run, the report has the epoch of that. Then either that run is
        the one that the leader knows, and goes on in another epoch at worst; or etcd was put back
        to an earlier time, and the leader gives the task a later epoch still, with which it goes
        on.
        """
        report = self.status()
        if self.later_epoch:
            report = replace(report, epoch=self.later_epoch)
        return None if self.waits or report == self._told else report

    def status(self) -> Report:
        """Return the present state of the run."""
        counts, shard_counts = self._counted()
        return Report(
            name=self.name,
            id=self.key.id,
            epoch=self.key.epoch,
            state=self._state,
            reason=_sound(self._reason),
            awaits_spider=self._awaits_spider,
            counts=counts,
            shard_counts=shard_counts,
            interrupted=self._interrupted,
            charged=self._charged,
        )

    def _counted(self) -> tuple[Counts, Mapping[int, Counts]]:
        """The counts of the run, and of the other shards of its task if it is the head."""
        return self._counts, self._shard_counts

    def told(self, report: Report) -> None:
        """Note that the leader has accepted that report."""
        self._told = report


def _sound(reason: str) -> str:
    """Return a reason that any program can read. It may quote a page or a task, and is cut if too
    long."""
    return reason[:LONGEST_REASON].encode(errors="backslashreplace").decode()
