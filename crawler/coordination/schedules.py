"""The schedules, as etcd stores them. Every master mirrors them; only the leader writes, with a
fence.

A write names the revision that it replaces. So of two decisions about one moment, whoever makes
them, the store takes one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from crawler.clock import Clock
from crawler.coordination.decisions import write_mirrored
from crawler.coordination.fields import bounded, dump, labels, load_object, number, typed, whole
from crawler.coordination.keys import Keys
from crawler.coordination.mirror import Mirror
from crawler.coordination.store import KeyValue, Store
from crawler.model.records import Leadership, Spec
from crawler.model.schedules import (
    MOST_CATCH_UP_S,
    MOST_JITTER_S,
    Firing,
    Mark,
    Overlap,
    Schedule,
    ScheduleWish,
)
from crawler.model.shards import MAX_WORKERS
from crawler.schedules.timetable import timetable_of
from crawler.schemas import constraint_json
from crawler.schemas.task_fields import is_name

_INT32 = 2**31 - 1


class Schedules:
    """The mirror of the schedules, and the way to change them."""

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self.on_change: Callable[[str], None] = lambda name: None
        """Called with the name of each schedule that changes."""
        self.mirror: Mirror[Schedule] = Mirror(
            store, keys.schedules, partial(decode_schedule, keys), clock, track=self._changed
        )

    def all(self) -> Mapping[str, Schedule]:
        """Return the schedules by name."""
        return {each.name: each for each in self.mirror.values.values()}

    def get(self, name: str) -> Schedule | None:
        """Return the schedule with that name; None if there is none."""
        return self.mirror.values.get(self._keys.schedule(name))

    def put(self, leadership: Leadership, schedule: Schedule) -> Schedule:
        """Store a schedule in place of the value that it was read from. Return it as it is stored.

        Raises Conflict if another value was stored meanwhile, LeadershipLost, Retryable,
        StoreRefused.
        """
        stored_at = self._write(
            leadership, schedule.name, encode_schedule(schedule), schedule.mod_revision
        )
        return replace(schedule, mod_revision=stored_at)

    def remove(self, leadership: Leadership, schedule: Schedule) -> None:
        """Remove a schedule. Raises as `put` does."""
        self._write(leadership, schedule.name, None, schedule.mod_revision)

    def _write(self, leadership: Leadership, name: str, value: bytes | None, based_on: int) -> int:
        key = self._keys.schedule(name)
        what = f"schedule {name!r}"
        return write_mirrored(self._store, self.mirror, leadership, key, value, based_on, what)

    def _changed(self, before: Schedule | None, after: Schedule | None) -> None:
        known = after or before
        assert known is not None  # a change has one of the two
        self.on_change(known.name)


def encode_schedule(schedule: Schedule) -> bytes:
    """Encode a schedule."""
    wish, firing = schedule.wish, schedule.firing
    return dump(
        {
            "Name": wish.name,
            "When": wish.when,
            "TimeZone": wish.time_zone,
            "Overlap": wish.overlap.value,
            "Jitter": wish.jitter_s,
            "CatchUp": wish.catch_up_s,
            "Paused": wish.paused,
            "Task": _encode_task(wish.task),
            "CreationTime": schedule.created_ns,
            "Decided": schedule.decided_ns,
            "Firing": None if firing is None else _encode_firing(firing),
            "Queued": schedule.queued_ns,
            "Fired": schedule.fired_ns,
            "Outcome": schedule.outcome,
        }
    )


def decode_schedule(keys: Keys, kv: KeyValue) -> Schedule | None:
    """Decode a schedule for a mirror; None for other keys below the prefix. Raises ValueError."""
    name = kv.key.removeprefix(keys.schedules)
    if not is_name(name):
        return None
    value = load_object(kv.value)
    if value.get("Name", name) != name:
        raise ValueError(f"Name is {value['Name']!r:.80}, but the key says {name!r:.80}")
    wish = _wish_of(name, value)
    created_ns = whole(value, "CreationTime")
    timetable_of(wish.when, wish.time_zone, created_ns)
    return Schedule(
        wish,
        created_ns,
        whole(value, "Decided"),
        _firing_of(typed(value, "Firing", dict, None)),
        whole(value, "Queued"),
        whole(value, "Fired"),
        typed(value, "Outcome", str, ""),
        kv.mod_revision,
    )


def _wish_of(name: str, value: Mapping[str, Any]) -> ScheduleWish:
    return ScheduleWish(
        name,
        typed(value, "When", str, ""),
        _task_of(typed(value, "Task", dict, {})),
        typed(value, "TimeZone", str, "UTC"),
        Overlap(value.get("Overlap")),
        number(value, "Jitter", 0, MOST_JITTER_S),
        number(value, "CatchUp", 0, MOST_CATCH_UP_S),
        typed(value, "Paused", bool, False),
    )


def _encode_task(task: Spec) -> Mapping[str, Any]:
    return {
        "Name": task.name,
        "Spider": task.spider,
        "Parameters": dict(task.parameters),
        "Labels": dict(task.labels),
        "Priority": task.priority,
        "Constraints": constraint_json.write(task.constraints),
        "Retries": task.retries,
        "Workers": task.workers,
        "Isolated": task.isolated,
        **{key: text for key, text in _deployed(task).items() if text},
    }


def _deployed(task: Spec) -> Mapping[str, str]:
    return {"Project": task.project, "Bundle": task.bundle}


def _task_of(value: Mapping[str, Any]) -> Spec:
    parameters = typed(value, "Parameters", dict, {})
    bounded(parameters, "Parameters")
    name = typed(value, "Name", str, "")
    if not is_name(name):
        raise ValueError(f"the name of the task is {name!r:.80}; a name of a task is allowed")
    return Spec(
        name,
        typed(value, "Spider", str, ""),
        parameters,
        labels(typed(value, "Labels", dict, {})),
        whole(value, "Priority", -_INT32 - 1, _INT32),
        constraint_json.read(typed(value, "Constraints", dict, {})),
        whole(value, "Retries", 0, _INT32),
        whole(value, "Workers", 1, MAX_WORKERS) or 1,
        isolated=typed(value, "Isolated", bool, False),
        project=typed(value, "Project", str, ""),
        bundle=typed(value, "Bundle", str, ""),
    )


def _encode_firing(firing: Firing) -> Mapping[str, Any]:
    before = firing.before
    mark = None if before is None else {"ID": before.id, "Generation": before.generation}
    return {
        "Moment": firing.moment_ns,
        "Task": firing.task,
        "Before": mark,
        "Since": firing.since_ns,
    }


def _firing_of(value: Mapping[str, Any] | None) -> Firing | None:
    if value is None:
        return None
    task = typed(value, "Task", str, "")
    if not is_name(task):
        raise ValueError(f"the task of the firing is {task!r:.80}; a name of a task is allowed")
    before = typed(value, "Before", dict, None)
    mark = before and Mark(typed(before, "ID", str, ""), whole(before, "Generation"))
    return Firing(whole(value, "Moment"), task, mark or None, whole(value, "Since"))
