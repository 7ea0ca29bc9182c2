"""The database of the history: SQLite or PostgreSQL, through SQLAlchemy.

A native thread makes all calls, and imports this file. It raises `Away` and nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from crawler.history.engines import engine_at
from crawler.history.failures import Away
from crawler.history.migrations.steps import migrate
from crawler.history.tables import (
    EVENTS,
    KEY,
    MARKS,
    RUN_STATISTICS,
    TOLD,
    are_sound,
    event_of,
    row_of,
    statistics_row_of,
)
from crawler.model.history import Event, RunQuery, RunState, Step
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
        return self._events(_unfollowed(Step.PLACED, Step.ENDED))

    @translated
    def tasks(self) -> Sequence[Event]:
        """Return the events that added the tasks that were not deleted."""
        return self._events(_unfollowed(Step.ASKED, Step.REMOVED).where(EVENTS.c.generation == 0))

    @translated
    def of_task(self, task: str, limit: int) -> Sequence[Event]:
        """Return the last events of the tasks of a name, the oldest first."""
        columns = EVENTS.c
        is_last = columns.step == int(Step.REMOVED)
        order = (columns.time_ns, is_last, columns.epoch, columns.step)
        query = _told().where(columns.task == task)
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
            latest = connection.execute(_latest(query, self.is_sqlite)).all()
            if not latest:
                return []
            runs = [tuple(row) for row in latest]
            asked = sorted({(row[0], 0, row[2], 0) for row in runs})
            run_key = sa.tuple_(*KEY[:4])
            found = connection.execute(
                _told()
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
        of_task = sa.select(*KEY).where(old, _of_task()).limit(DELETED_AT_ONCE)
        is_of_run = step.in_([int(Step.PLACED), int(Step.BEGUN), int(Step.ENDED)])
        with self._engine.begin() as connection:
            runs = sa.delete(EVENTS).where(sa.tuple_(*KEY[:4]).in_(over), is_of_run)
            tasks = sa.delete(EVENTS).where(sa.tuple_(*KEY).in_(of_task))
            told = sa.delete(RUN_STATISTICS).where(_is_among_old(before_ns))
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


def _told() -> sa.Select[Any]:
    """Select events, with the statistics of the runs that ended."""
    return sa.select(EVENTS, RUN_STATISTICS.c.statistics).select_from(TOLD)


def _is_among_old(before_ns: int) -> sa.ColumnElement[bool]:
    """Select some statistics that are older. They were told when their run was over."""
    key = (RUN_STATISTICS.c.id, RUN_STATISTICS.c.shard, RUN_STATISTICS.c.epoch)
    old = sa.select(*key).where(RUN_STATISTICS.c.time_ns < before_ns).limit(DELETED_AT_ONCE)
    return sa.tuple_(*key).in_(old)


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


def _latest(query: RunQuery, is_sqlite: bool) -> sa.Select[Any]:
    """Select the keys of the latest runs that match: of each run its last event counts."""
    later = EVENTS.alias()
    is_last = ~sa.exists().where(
        _same_run(later), later.c.step > EVENTS.c.step, later.c.step <= int(Step.ENDED)
    )
    state = EVENTS.c.state
    wanted = state == query.state.value if query.state else state.in_([s.value for s in RunState])
    found = sa.select(*KEY[:4]).where(wanted, is_last)
    for key, value in query.labels.items():
        found = found.where(
            _has_label_in_sqlite(key, value) if is_sqlite else _has_label(key, value)
        )
    order = (EVENTS.c.time_ns, EVENTS.c.epoch, EVENTS.c.id, EVENTS.c.shard)
    return found.order_by(*map(sa.desc, order)).limit(query.limit)


def _has_label(key: str, value: str) -> sa.ColumnElement[bool]:
    held: sa.ColumnElement[str] = sa.cast(EVENTS.c.labels, sa.JSON)[key].as_string()
    return held == value


def _has_label_in_sqlite(key: str, value: str) -> sa.ColumnElement[bool]:
    """SQLite has no path for a key with a quotation mark in it."""
    pairs = sa.func.json_each(EVENTS.c.labels).table_valued("key", "value")
    found = sa.select(pairs.c.key).where(pairs.c.key == key, pairs.c.value == value)
    return sa.exists(found)


def _of_task() -> sa.ColumnElement[bool]:
    """Select the events of tasks. That a task was deleted goes after that it was added: else it
    would look as if it were there."""
    added = EVENTS.alias()
    is_added = sa.exists().where(added.c.id == EVENTS.c.id, added.c.step == int(Step.ASKED))
    is_free = (EVENTS.c.step == int(Step.ASKED)) | (EVENTS.c.step >= int(Step.STOPPED))
    return is_free | ((EVENTS.c.step == int(Step.REMOVED)) & ~is_added)


def _unfollowed(step: Step, next_step: Step) -> sa.Select[Any]:
    """Select the events of a step whose run, or task, has not come to the next one."""
    later = EVENTS.alias()
    same = _same_run(later) if step is Step.PLACED else later.c.id == EVENTS.c.id
    followed = sa.exists().where(same, later.c.step == int(next_step))
    return sa.select(EVENTS).where(EVENTS.c.step == int(step), ~followed)


def _same_run(other: Any) -> sa.ColumnElement[bool]:
    return sa.and_(*(other.c[column.name] == column for column in KEY[:4]))
