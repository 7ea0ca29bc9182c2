"""What the history asks its database: selections and conditions, for both kinds of it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from crawler.history.tables import EVENTS, KEY, RUN_STATISTICS, TOLD
from crawler.model.history import RunQuery, Step


def told() -> sa.Select[Any]:
    """Select events, with the statistics of the runs that ended."""
    return sa.select(EVENTS, RUN_STATISTICS.c.statistics).select_from(TOLD)


def latest(query: RunQuery, is_sqlite: bool) -> sa.Select[Any]:
    """Select the keys of the latest runs that match: of each run its last event counts."""
    later = EVENTS.alias()
    is_last = ~sa.exists().where(
        _same_run(later), later.c.step > EVENTS.c.step, later.c.step <= int(Step.ENDED)
    )
    state = EVENTS.c.state
    # Of all states, so: a list of them would be looked up by state, and all runs sorted by time.
    wanted = state == query.state.value if query.state else state != ""
    found = sa.select(*KEY[:4]).where(wanted)
    for key, value in query.labels.items():
        found = found.where(
            _has_label_in_sqlite(key, value) if is_sqlite else _has_label(key, value)
        )
    order = (EVENTS.c.time_ns, EVENTS.c.epoch, EVENTS.c.id, EVENTS.c.shard)
    return found.where(is_last).order_by(*map(sa.desc, order)).limit(query.limit)


def unfollowed(step: Step, next_step: Step) -> sa.Select[Any]:
    """Select the events of a step whose run, or task, has not come to the next one."""
    later = EVENTS.alias()
    same = _same_run(later) if step is Step.PLACED else later.c.id == EVENTS.c.id
    followed = sa.exists().where(same, later.c.step == int(next_step))
    return sa.select(EVENTS).where(EVENTS.c.step == int(step), ~followed)


def is_of_task() -> sa.ColumnElement[bool]:
    """Select the events of tasks. That a task was deleted goes after that it was added: else it
    would look as if it were there."""
    added = EVENTS.alias()
    is_added = sa.exists().where(added.c.id == EVENTS.c.id, added.c.step == int(Step.ASKED))
    is_free = (EVENTS.c.step == int(Step.ASKED)) | (EVENTS.c.step >= int(Step.STOPPED))
    return is_free | ((EVENTS.c.step == int(Step.REMOVED)) & ~is_added)


def is_old_statistics(before_ns: int, most: int) -> sa.ColumnElement[bool]:
    """Select some statistics that are older. They were told when their run was over."""
    key = (RUN_STATISTICS.c.id, RUN_STATISTICS.c.shard, RUN_STATISTICS.c.epoch)
    old = sa.select(*key).where(RUN_STATISTICS.c.time_ns < before_ns).limit(most)
    return sa.tuple_(*key).in_(old)


def _has_label(key: str, value: str) -> sa.ColumnElement[bool]:
    held: sa.ColumnElement[str] = sa.cast(EVENTS.c.labels, sa.JSON)[key].as_string()
    return held == value


def _has_label_in_sqlite(key: str, value: str) -> sa.ColumnElement[bool]:
    """SQLite has no path for a key with a quotation mark in it."""
    pairs = sa.func.json_each(EVENTS.c.labels).table_valued("key", "value")
    found = sa.select(pairs.c.key).where(pairs.c.key == key, pairs.c.value == value)
    return sa.exists(found)


def _same_run(other: Any) -> sa.ColumnElement[bool]:
    return sa.and_(*(other.c[column.name] == column for column in KEY[:4]))
