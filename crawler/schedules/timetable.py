"""The moments of a schedule: which one is next, and which one was the last.

A moment is a whole second, in nanoseconds of Unix time. cronsim knows what cron's five fields mean,
and what Debian's cron does when the clocks change.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from crawler.errors import shown
from crawler.model.schedules import NEXT_SHOWN, Schedule, ScheduleWish

SECOND_NS = 10**9
LEAST_EVERY_S = 1
MOST_EVERY_S = 366 * 86_400
MOST_TEXT = 200
ALLOWED = (
    "allowed are five fields of cron, as 30 3 * * MON-FRI (minute, hour, day, month, day of the "
    "week), @every 10m (s, m, h, d, w), and @at 2026-12-24T18:00"
)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_EVERY = re.compile(r"@every ([0-9]{1,9})([smhdw])")
_AROUND = timedelta(hours=3)
"""More than any clock is ever changed by."""
_CACHED = 4096
LAST_YEAR = 2200
"""The last one in which a single time may lie: far beyond it there are no times to calculate
with."""


class Timetable(Protocol):
    """The moments of a schedule, without end or until a last one."""

    def after(self, time_ns: int) -> int | None:
        """Return the first moment after a time; None if there is none any more."""
        ...

    def latest(self, time_ns: int, since_ns: int = 0) -> int | None:
        """Return the last moment up to a time; None if there was none. Whoever wants none up to
        `since_ns` may get None in place of it, for less work."""
        ...


@dataclass(frozen=True, slots=True)
class Cron:
    """The moments of five fields of cron, on the clocks of a time zone."""

    fields: str
    zone: ZoneInfo

    def after(self, time_ns: int) -> int | None:
        """Return the first moment after a time."""
        for moment in CronSim(self.fields, self._local(time_ns)):
            found_ns = _ns(moment)
            if found_ns > time_ns:  # a time that comes twice counts the first time alone
                return found_ns
        return None

    def latest(self, time_ns: int, since_ns: int = 0) -> int | None:
        """Return the last moment up to a time."""
        now = self._local(time_ns + SECOND_NS)
        before = (now.astimezone(UTC) - _AROUND).astimezone(self.zone)
        if now.utcoffset() == before.utcoffset():
            return _first(CronSim(self.fields, now, reverse=True))
        # The clocks have just changed. Backwards, cronsim would leave out the hour that comes
        # twice, so it goes forwards: from what is wanted, or from some moment before.
        from_ns, found_ns = since_ns, None
        if since_ns < _ns(before):
            from_ns = _ns(before)
            found_ns = _first(CronSim(self.fields, before, reverse=True))
        for moment in CronSim(self.fields, self._local(from_ns)):
            next_ns = _ns(moment)
            if next_ns > time_ns:
                break
            if next_ns > from_ns:
                found_ns = next_ns
        return found_ns

    def _local(self, time_ns: int) -> datetime:
        return datetime.fromtimestamp(time_ns // SECOND_NS, self.zone)


@dataclass(frozen=True, slots=True)
class Every:
    """The moments at equal distances from a first time, whatever the clocks on the wall show."""

    start_ns: int
    period_ns: int

    def after(self, time_ns: int) -> int | None:
        """Return the first moment after a time."""
        count = max(0, time_ns - self.start_ns) // self.period_ns
        return self.start_ns + (count + 1) * self.period_ns

    def latest(self, time_ns: int, since_ns: int = 0) -> int | None:
        """Return the last moment up to a time."""
        count = (time_ns - self.start_ns) // self.period_ns
        return self.start_ns + count * self.period_ns if count > 0 else None


@dataclass(frozen=True, slots=True)
class Once:
    """One moment."""

    moment_ns: int

    def after(self, time_ns: int) -> int | None:
        """Return the moment, if it is after a time."""
        return self.moment_ns if self.moment_ns > time_ns else None

    def latest(self, time_ns: int, since_ns: int = 0) -> int | None:
        """Return the moment, unless it is after a time."""
        return self.moment_ns if self.moment_ns <= time_ns else None


def timetable_of(when: str, time_zone: str, created_ns: int) -> Timetable:
    """Return the moments that a text means. Raises ValueError, which says what is allowed."""
    zone = zone_of(time_zone)
    if len(when) > MOST_TEXT:
        raise ValueError(f"{shown(when)} is not allowed; {ALLOWED}")
    if when.startswith("@at "):
        return Once(_at(when, zone))
    if when.startswith("@"):
        return Every(created_ns // SECOND_NS * SECOND_NS, _period_ns(when))
    return _cron(when, zone)


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone. Raises ValueError, which says what is allowed."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder, a path, or a name that is unknown
        raise ValueError(
            f"{shown(name)} is not allowed; allowed is a name of the IANA time zones, as "
            "Europe/Berlin or UTC"
        ) from None


def offset_ns(name: str, jitter_s: float) -> int:
    """Return how long after its moments a schedule fires: the same each time, and spread by its
    name."""
    most = int(jitter_s * SECOND_NS)
    hashed = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(hashed[:8], "big") % most if most else 0


def moments_of(schedule: Schedule) -> Timetable:
    """Return the moments of a schedule."""
    return timetable_of(schedule.wish.when, schedule.wish.time_zone, schedule.created_ns)


def next_times(schedule: Schedule, now_ns: int, count: int = NEXT_SHOWN) -> tuple[str, ...]:
    """Return the next times at which a schedule fires, in its time zone; none while it is
    paused."""
    if schedule.wish.paused:
        return ()
    zone = zone_of(schedule.wish.time_zone)
    found = zip(range(count), _fires(schedule, now_ns), strict=False)
    return tuple(datetime.fromtimestamp(ns / SECOND_NS, zone).isoformat() for _, ns in found)


def stamp(moment_ns: int) -> str:
    """Return a moment as the name of a task has it."""
    return datetime.fromtimestamp(moment_ns // SECOND_NS, UTC).strftime("%Y%m%dT%H%M%SZ")


def never_fires(wish: ScheduleWish, now_ns: int) -> bool:
    """Return whether no moment of a schedule is to come."""
    return timetable_of(wish.when, wish.time_zone, now_ns).after(now_ns) is None


def _fires(schedule: Schedule, now_ns: int) -> Iterator[int]:
    late_ns = offset_ns(schedule.name, schedule.wish.jitter_s)
    timetable = moments_of(schedule)
    next_ns = timetable.after(max(schedule.decided_ns, now_ns - late_ns))
    while next_ns is not None:
        yield next_ns + late_ns
        next_ns = timetable.after(next_ns)


@lru_cache(_CACHED)
def _cron(when: str, zone: ZoneInfo) -> Cron:
    if len(when.split()) != 5:
        raise ValueError(f"{shown(when)} is not allowed; {ALLOWED}")
    try:
        CronSim(when, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"{shown(when)} is not allowed: {error}; {ALLOWED}") from None
    return Cron(when, zone)


def _period_ns(when: str) -> int:
    found = _EVERY.fullmatch(when)
    period_s = int(found[1]) * _UNITS_S[found[2]] if found else 0
    if not LEAST_EVERY_S <= period_s <= MOST_EVERY_S:
        raise ValueError(
            f"{shown(when)} is not allowed; {ALLOWED}; the period is {LEAST_EVERY_S} s to 366 d"
        )
    return period_s * SECOND_NS


def _at(when: str, zone: ZoneInfo) -> int:
    """Return a moment that is given by the clocks of a time zone, or with its own offset."""
    try:
        given = datetime.fromisoformat(when.removeprefix("@at "))
        if "T" not in when.removeprefix("@at ").upper():
            raise ValueError
        moment_ns = _ns(given if given.tzinfo else given.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise ValueError(f"{shown(when)} is not allowed; {ALLOWED}") from None
    if given.year > LAST_YEAR:
        raise ValueError(f"{shown(when)} is not allowed; {ALLOWED}; the last year is {LAST_YEAR}")
    return moment_ns


def _first(moments: Iterator[datetime]) -> int | None:
    found = next(moments, None)
    return None if found is None else _ns(found)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND_NS
