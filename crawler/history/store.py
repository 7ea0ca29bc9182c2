"""What the native threads of the history do: they make events of changes, write them, and read.

Importing this file imports SQLAlchemy, so a native thread does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from crawler.history.database import Crawl, Database
from crawler.history.events import Seen, events_of
from crawler.history.found import gone, over, standing
from crawler.model.history import Event, Kind, Run, RunQuery, RunState, Step
from crawler.model.records import Resource
from crawler.model.run_statistics import RunStatistics

SLACK = 1_000
"""By how many revisions a new leader looks further back than the mark. Transactions that are in
flight together may be noted in another order than etcd carried them out."""


class HistoryStore:
    """The events in a database."""

    def __init__(self, url: str, folder: str) -> None:
        """Raises ConfigError."""
        self._database = Database(url, folder)
        self.is_ready = False
        """Whether its tables are there, and are those of the cluster."""

    def prepare(self, cluster: str) -> None:
        """Make the tables, for the cluster of that id. Raises Away, as all that follows does."""
        self._database.migrate()
        self._database.claim(cluster)
        self.is_ready = True

    def write(self, changes: Sequence[Seen], is_behind: bool) -> tuple[int, int]:
        """Write changes. Return how many events these were, and how many were refused."""
        events = [event for seen in changes for event in events_of(seen)]
        revision = max((seen.after.mod_revision for seen in changes if seen.after), default=0)
        return len(events), self._database.write(events, 0 if is_behind else revision)

    def write_statistics(self, told: Sequence[RunStatistics], now_ns: int) -> tuple[int, int]:
        """Write the statistics of runs that are over. Return that no events were written, and how
        many were refused."""
        return 0, self._database.write_statistics(told, now_ns)

    def changed(self, resources: Sequence[Resource], revision: int) -> Sequence[Resource]:
        """Return the resources of which something may not be written yet."""
        mark = self._database.mark()
        since = mark - SLACK if mark <= revision else 0  # otherwise it is of another etcd
        return [each for each in resources if each.mod_revision > since]

    def write_standing(self, resources: Sequence[Resource], now_ns: int) -> tuple[int, int]:
        """Write what resources say of themselves."""
        events = [event for each in resources for event in standing(each, now_ns)]
        return len(events), self._database.write(events)

    def write_missing(
        self, resources: Sequence[Resource], revision: int, now_ns: int
    ) -> tuple[int, int]:
        """Write the ends of runs that are over, and of tasks that are gone. These were all of the
        resources at that revision."""
        events: list[Event] = []
        if self._database.mark() <= revision:
            events = list(self._missing(resources, now_ns))
        return len(events), self._database.write(events, revision)

    def of_task(self, name: str, limit: int) -> Sequence[Event]:
        """Return the last events of a task, the oldest first."""
        events = self._database.of_task(name, limit)
        return list(_with_resumed(events, self._database.first_begun(name)))

    def runs(self, query: RunQuery) -> Sequence[Run]:
        """Return the latest runs that match, the latest first."""
        return [run_of(events) for events in self._database.runs(query)]

    def forget(self, before_ns: int) -> int:
        """Delete some events that are older. Return how many."""
        return self._database.forget(before_ns)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _missing(self, resources: Sequence[Resource], now_ns: int) -> Iterator[Event]:
        present = {(each.id, each.spec.shard): each for each in resources}
        for run in self._database.open_runs():
            end = over(present.get((run.id, run.shard)), run, now_ns)
            if end is not None:
                yield end
        missed = [id for id in self._database.task_ids() if (id, 0) not in present]
        for added in self._database.added(missed):
            yield gone(added, now_ns)


def run_of(events: Sequence[Event]) -> Run:
    """Return the run that its events tell, with those that asked for it, in the order of their
    steps."""
    steps = {event.step: event for event in events}
    last = events[-1]
    asked, ended = steps.get(Step.ASKED), steps.get(Step.ENDED)
    times = {step: event.time_ns for step, event in steps.items()}
    return Run(
        *(last.task, last.id, last.epoch, last.generation, last.shard),
        run=last.run,
        state=last.state or RunState.PLACED,
        worker=last.worker,
        spider=last.spider,
        placed_ns=times.get(Step.PLACED, 0),
        begun_ns=times.get(Step.BEGUN, 0),
        ended_ns=times.get(Step.ENDED, 0),
        reason=(ended or steps.get(Step.PLACED) or last).reason,
        who=asked.who if asked else "",
        counts=last.counts,
        labels=last.labels,
        statistics=last.statistics,
    )


def _with_resumed(events: Iterable[Event], first: Mapping[Crawl, int]) -> Iterator[Event]:
    """Yield the events. A run that begins after the first one of its crawl goes on."""
    for event in events:
        crawl = (event.id, event.shard, event.generation)
        goes_on = event.kind is Kind.BEGUN and event.epoch > first.get(crawl, event.epoch)
        yield replace(event, kind=Kind.RESUMED) if goes_on else event
