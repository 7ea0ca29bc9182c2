"""Tells the leader how the runs of a worker are, and what load the worker has."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice, takewhile

from gevent.event import Event

from crawler.api.backend import Call
from crawler.clock import Clock
from crawler.errors import CrawlerError
from crawler.logs import get_logger
from crawler.model.records import Leader, Report
from crawler.model.run_statistics import RunStatistics
from crawler.node.membership.leader_observer import LeaderObserver
from crawler.node.run.run import Run
from crawler.node.worker.epochs import Epochs
from crawler.node.worker.own_load import OwnLoad
from crawler.node.worker.runs import Runs
from crawler.settings.sections import Settings

log = get_logger(__name__)

CALL_BYTES = 50_000
"""The largest size of one call with reports, in bytes; api.max_request_bytes is at least that."""

REPORT_BYTES = 150
"""The size of a report without its name, its reason and its shards, in bytes."""

MOST_OVER = 10_000
"""Of how many runs that are over the statistics wait for a leader."""

STATISTICS_BYTES = 60
"""The size of the statistics of a run without their text, in bytes."""

SHARD_BYTES = 45
"""The largest size of the counts of one shard in a report, in bytes."""

RunReport = tuple[Run | None, Report]
"""A report and its run. For a refused assignment there is no run."""


class Reporter:
    """Reports to the leader what it does not know yet."""

    def __init__(
        self,
        observer: LeaderObserver,
        runs: Runs,
        epochs: Epochs,
        clock: Clock,
        settings: Settings,
        load: OwnLoad,
    ) -> None:
        """`observer` knows the leader. `load` is that of the worker."""
        self._observer = observer
        self._runs = runs
        self._epochs = epochs
        self._clock = clock
        self._settings = settings
        self._own_load = load
        self._now = Event()
        self._over: deque[RunStatistics] = deque(maxlen=MOST_OVER)
        self.node_id = ""
        """The id under which this worker is registered; empty while it is not. Then it reports
        nothing."""

    def soon(self) -> None:
        """Report without waiting for the end of the interval."""
        self._now.set()

    def over(self, run: Run) -> None:
        """Take the statistics of a run that does nothing more, for the history."""
        if run.statistics:
            id, epoch = run.key
            shard = run.resource.spec.shard
            self._over.append(RunStatistics(id, shard, epoch, run.statistics))

    def report_forever(self) -> None:
        """Report at once which runs have ended, and report counts at intervals."""
        every_s = self._settings.worker.report_s
        while True:
            self._clock.wait(self._now, every_s)
            self._now.clear()
            self.report(self._settings.api.timeout_s)
            self._own_load.sleep(min(0.05, every_s))

    def report(self, timeout_s: float) -> None:
        """Report everything once. What the leader has not accepted in that time is reported again
        the next time."""
        leader, node_id = self._observer.leader, self.node_id
        reports = [told for told in map(_report_of, self._runs.all()) if told is not None]
        reports += [(None, protest) for protest in self._epochs.protests()]
        if not node_id or leader is None or not leader.address:
            return
        if not (reports or self._over or self._own_load.due):
            return
        deadline_s = self._clock.monotonic() + timeout_s
        parts = list(_parts(reports)) or ([[]] if self._own_load.due else [])
        for part in parts:
            left_s = deadline_s - self._clock.monotonic()
            if left_s > 0:
                self._send(leader, node_id, part, left_s)
        while self._over and (left_s := deadline_s - self._clock.monotonic()) > 0:
            if not self._send_statistics(leader, node_id, left_s):
                break

    def _send(self, leader: Leader, node_id: str, sent: list[RunReport], timeout_s: float) -> None:
        """Send reports. A report that was not accepted is sent again next time, with newer counts.

        A refused run may have an assignment that the leader has not seen yet, so it is reported
        again. If the assignment is outdated, the mirror will learn that, and the run is stopped.
        """
        call = Call(timeout_s)
        reports = [report for _, report in sent]
        try:
            load = self._own_load.tell()
            refused = set(self._observer.backend(leader).report(node_id, reports, call, load))
        except CrawlerError as error:
            log.warning("reports not delivered; trying again", leader=leader.id, error=str(error))
            return
        for run, report in sent:
            if run is not None and run.name not in refused:
                run.told(report)

    def _send_statistics(self, leader: Leader, node_id: str, timeout_s: float) -> bool:
        """Send statistics of runs that are over. Those that the leader did not take are sent again
        next time. Return whether it took them."""
        sent = list(islice(self._over, _fitting(self._over)))
        try:
            self._observer.backend(leader).report(node_id, [], Call(timeout_s), over=sent)
        except CrawlerError as error:
            log.warning(
                "statistics not delivered; trying again", leader=leader.id, error=str(error)
            )
            return False
        for told in sent:
            if self._over and self._over[0] is told:  # the oldest may have made room meanwhile
                self._over.popleft()
        return True


def _fitting(told: Iterable[RunStatistics]) -> int:
    """Return how many of the statistics fit into a call, and one at least."""
    sizes = accumulate(STATISTICS_BYTES + len(each.id) + len(each.text) for each in told)
    return max(1, sum(1 for _ in takewhile(lambda size: size <= CALL_BYTES, sizes)))


def _report_of(run: Run) -> RunReport | None:
    report = run.report()
    return None if report is None else (run, report)


def _parts(reports: list[RunReport]) -> Iterator[list[RunReport]]:
    """Split reports into calls well below the size that a master accepts."""
    part: list[RunReport] = []
    size = 0
    for run, report in reports:
        more = REPORT_BYTES + 4 * (len(report.name) + len(report.reason))
        more += SHARD_BYTES * len(report.shard_counts)
        if part and size + more > CALL_BYTES:
            yield part
            part, size = [], 0
        part.append((run, report))
        size += more
    if part:
        yield part
