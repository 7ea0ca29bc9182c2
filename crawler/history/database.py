"""The database of the history: SQLite or PostgreSQL, through SQLAlchemy.

A native thread makes all calls, and imports this file. It raises `Away` and nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from crawler.history import queries
from crawler.history.engines import engine_at
from crawler.history.failures import Away
from crawler.history.migrations.steps import migrate
from crawler.history.tables import (
    EVENTS,
    KEY,
    MARKS,
    RUN_STATISTICS,
    are_sound,
    event_of,
    row_of,
    statistics_row_of,
)
from crawler.model.history import Event, RunQuery, Step
from crawler.model.run_statistics import RunStatistics

MARK = "leader"
OWNER = "cluster "
"""What the mark begins with that names the cluster whose history it is."""
OTHERS = (
    "the database has the history of another cluster; set history.url to one of its own. If that "
    "cluster is no more, delete the row with the name {!r} from the table marks"
)
DELETED_AT_ONCE = 5_000
"""How many old events are deleted in one transaction."""

IDS_AT_ONCE = 500

Crawl = tuple[str, int, int]
"""The id of a task, the shard and the generation: all its runs go on with the same work."""

P = ParamSpec("P")
R = TypeVar("R")


def translated(call: Callable[P, R]) -> Callable[P, R]:
    """Raise Away for what the database or its driver raises."""

    @functools.wraps(call)
    def translating(*args: P.args, **more: P.kwargs) -> R:
        try:
            return call(*args, **more)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            foreign = getattr(error, "orig", None) or error
            lines = str(foreign).strip().splitlines()
            raise Away(f"{type(foreign).__name__}: {lines[0] if lines else 'no reason'}") from None

    return translating


class Database:
    """The database at a URL."""

    def __init__(self, url: str, folder: str = ".") -> None:
        """A relative path of SQLite starts at the folder. Raises ConfigError for a bad URL."""
        self._engine = engine_at(url, folder)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        insert = sqlite.insert if self.is_sqlite else postgresql.insert
        self._insert = _upsert(insert(EVENTS))
        statistics = insert(RUN_STATISTICS)
        self._insert_statistics = statistics.on_conflict_do_update(
            index_elements=["id", "shard", "epoch"],
            set_={"statistics": statistics.excluded.statistics},
        )
        mark = insert(MARKS)
        self._mark = mark.on_conflict_do_update(
            index_elements=["name"], set_={"revision": mark.excluded.revision}
        )

    @translated
    def migrate(self) -> None:
        """Make the tables, or bring them up to date."""
        migrate(self._engine)

    @translated
    def claim(self, cluster: str) -> None:
        """Keep the history of that cluster from now on. Raises Away, if it is another's."""
        mine = OWNER + cluster
        with self._engine.begin() as connection:
            query = sa.select(MARKS.c.name).where(MARKS.c.name.startswith(OWNER))
            owners = set(connection.execute(query).scalars())
            if mine not in owners:
                connection.execute(self._mark, {"name": mine, "revision": 0})
            others = owners - {mine}
            if others:
                raise Away(OTHERS.format(min(others)))  # and nothing was written

    @translated
    def write(self, events: Iterable[Event], revision: int = 0) -> int:
        """Write events, and up to which revision everything is written. What is there already
        stays, unless a later leader found it and this is what happened. Return how many the
        database refuses for what is in them."""
        rows = [row_of(event) for event in events]
        refused = self._written(self._insert, rows, revision)
        if refused:
            self._write(self._insert, [], revision)
        return refused

    @translated
    def write_statistics(self, told: Iterable[RunStatistics], now_ns: int) -> int:
        """Write the statistics of runs. The last ones of each run are kept. Return how many the
        database refuses."""
        return self._written(
            self._insert_statistics, [statistics_row_of(each, now_ns) for each in told]
        )

    @translated
    def mark(self) -> int:
        """Return up to which revision everything is written; 0 if nobody knows."""
        with self._engine.connect() as connection:
            query = sa.select(MARKS.c.revision).where(MARKS.c.name == MARK)
            return connection.execute(query).scalar() or 0

    @translated
    def open_runs(self) -> Sequence[Event]:
        """Return the events that placed a run that has no end."""
        return self._events(queries.unfollowed(Step.PLACED, Step.ENDED))

    @translated
    def task_ids(self) -> Sequence[str]:
        """Return the ids of the tasks that were not deleted. There may be very many."""
        query = queries.unfollowed(Step.ASKED, Step.REMOVED).where(EVENTS.c.generation == 0)
        with self._engine.connect() as connection:
            return connection.execute(query.with_only_columns(EVENTS.c.id)).scalars().all()

    @translated
    def added(self, ids: Sequence[str]) -> Sequence[Event]:
        """Return the events that added these tasks."""
        query = sa.select(EVENTS).where(EVENTS.c.step == int(Step.ASKED), EVENTS.c.generation == 0)
        return [
            event
            for start in range(0, len(ids), IDS_AT_ONCE)
            for event in self._events(
                query.where(EVENTS.c.id.in_(ids[start : start + IDS_AT_ONCE]))
            )
        ]

    @translated
    def of_task(self, task: str, limit: int) -> Sequence[Event]:
        """Return the last events of the tasks of a name, the oldest first."""
        columns = EVENTS.c
        is_last = columns.step == int(Step.REMOVED)
        order = (columns.time_ns, is_last, columns.epoch, columns.step)
        query = queries.told().where(columns.task == task)
        return self._events(query.order_by(*map(sa.desc, order)).limit(limit))[::-1]

    @translated
    def first_begun(self, task: str) -> Mapping[Crawl, int]:
        """Return in which epoch each crawl of the tasks of a name began."""
        columns = EVENTS.c
        crawl = (columns.id, columns.shard, columns.generation)
        query = sa.select(*crawl, sa.func.min(columns.epoch)).group_by(*crawl)
        query = query.where(columns.task == task, columns.step == int(Step.BEGUN))
        with self._engine.connect() as connection:
            return {(row[0], row[1], row[2]): row[3] for row in connection.execute(query)}

    @translated
    def runs(self, query: RunQuery) -> Sequence[Sequence[Event]]:
        """Return the events of the latest runs, the latest run first. With each are the events
        that asked for it."""
        if not are_sound(query.labels):
            return []  # no event has them
        with self._engine.connect() as connection:
            latest = connection.execute(queries.latest(query, self.is_sqlite)).all()
            if not latest:
                return []
            runs = [tuple(row) for row in latest]
            asked = sorted({(row[0], 0, row[2], 0) for row in runs})
            run_key = sa.tuple_(*KEY[:4])
            found = connection.execute(
                queries.told()
                .where(EVENTS.c.id.in_({row[0] for row in runs}))  # SQLite looks no pairs up
                .where(run_key.in_([*runs, *asked]), EVENTS.c.step <= int(Step.ENDED))
                .order_by(EVENTS.c.step)
            )
            events = [event_of(row) for row in found.mappings()]
        by_run: dict[tuple[Any, ...], list[Event]] = {}
        for event in events:
            key = (event.id, event.shard, event.generation, event.epoch)
            by_run.setdefault(key, []).append(event)
        return [[*by_run.get((r[0], 0, r[2], 0), ()), *by_run[r]] for r in runs]

    @translated
    def forget(self, before_ns: int) -> int:
        """Delete some events that are older. A run goes as a whole, once it has ended: what is left
        of one would look as if it went on. Return how many."""
        old, step = EVENTS.c.time_ns < before_ns, EVENTS.c.step
        over = sa.select(*KEY[:4]).where(old, step == int(Step.ENDED)).limit(DELETED_AT_ONCE)
        of_task = sa.select(*KEY).where(old, queries.is_of_task()).limit(DELETED_AT_ONCE)
        is_of_run = step.in_([int(Step.PLACED), int(Step.BEGUN), int(Step.ENDED)])
        with self._engine.begin() as connection:
            runs = sa.delete(EVENTS).where(sa.tuple_(*KEY[:4]).in_(over), is_of_run)
            tasks = sa.delete(EVENTS).where(sa.tuple_(*KEY).in_(of_task))
            told = sa.delete(RUN_STATISTICS).where(
                queries.is_old_statistics(before_ns, DELETED_AT_ONCE)
            )
            return sum(connection.execute(each).rowcount for each in (runs, tasks, told))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _written(self, insert: Any, rows: Sequence[dict[str, Any]], revision: int = 0) -> int:
        """Write rows, one by one if the database refuses any. Return how many it refuses."""
        try:
            self._write(insert, rows, revision)
        except (sa.exc.DataError, sa.exc.IntegrityError, OverflowError):
            return 1 if len(rows) == 1 else sum(self._written(insert, [row]) for row in rows)
        return 0

    def _write(self, insert: Any, rows: Sequence[dict[str, Any]], revision: int) -> None:
        with self._engine.begin() as connection:
            if rows:
                connection.execute(insert, rows)
            if revision:
                connection.execute(self._mark, {"name": MARK, "revision": revision})

    def _events(self, query: sa.Select[Any]) -> Sequence[Event]:
        with self._engine.connect() as connection:
            return [event_of(row) for row in connection.execute(query).mappings()]


def _upsert(statement: Any) -> sa.Insert:
    """Return an insert that keeps each event once. What a leader told of its own changes counts
    more than what a later one found, and so does who asked for it. Of pauses in the same epoch the
    last one is kept."""
    there, new = EVENTS.c, statement.excluded
    is_again = (there.step >= int(Step.PAUSED)) & (new.time_ns > there.time_ns)
    knows_more = there.late | ((there.who == "") & (new.who != "")) | is_again
    values = {column.name: new[column.name] for column in there if column not in set(KEY)}
    upsert: sa.Insert = statement.on_conflict_do_update(
        index_elements=list(KEY), set_=values, where=knows_more & ~new.late
    )
    return upsert
