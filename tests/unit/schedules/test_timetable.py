"""When a schedule fires: cron's fields with the changes of clocks, distances, and single times."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.model.records import Spec
from crawler.model.schedules import Schedule, ScheduleWish
from crawler.schedules import timetable
from crawler.schedules.timetable import (
    SECOND_NS,
    next_times,
    offset_ns,
    stamp,
    timetable_of,
)

CREATED_NS = 1_767_225_600 * SECOND_NS
"""The first second of 2026."""


def ns(text):
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_NS


def moments(when, zone, start, end):
    """The moments between two times, in the zone, as text."""
    found, table = [], timetable_of(when, zone, CREATED_NS)
    at = table.after(ns(start))
    while at is not None and at <= ns(end):
        moment = datetime.fromtimestamp(at / SECOND_NS, ZoneInfo(zone))
        found.append(moment.isoformat(timespec="minutes"))
        at = table.after(at)
    return found


@pytest.mark.parametrize(
    ("zone", "day", "when", "expected"),
    [
        # the clocks go forward: what falls into the gap fires right after it
        ("Europe/Berlin", "2026-03-29", "30 2 * * *", ["2026-03-29T03:00+02:00"]),
        ("America/New_York", "2026-03-08", "30 2 * * *", ["2026-03-08T03:00-04:00"]),
        ("Australia/Lord_Howe", "2026-10-04", "15 2 * * *", ["2026-10-04T02:30+11:00"]),
        # the clocks go back: a time that comes twice fires the first time alone
        ("Europe/Berlin", "2026-10-25", "30 2 * * *", ["2026-10-25T02:30+02:00"]),
        ("America/New_York", "2026-11-01", "30 1 * * *", ["2026-11-01T01:30-04:00"]),
        ("Australia/Lord_Howe", "2026-04-05", "45 1 * * *", ["2026-04-05T01:45+11:00"]),
    ],
)
def test_a_fixed_time_fires_once_on_the_day_on_which_the_clocks_change(zone, day, when, expected):
    offset = expected[0][-6:]
    assert moments(when, zone, f"{day}T00:00{offset}", f"{day}T22:00{offset}") == expected


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("UTC", "2026-03-29", 24),
    ],
)
def test_what_repeats_within_the_hour_goes_on_in_real_time(zone, day, hours):
    midnight = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=ZoneInfo(zone))
    start = midnight - timedelta(seconds=1)
    end = midnight + timedelta(days=1) - timedelta(seconds=1)
    found = moments("*/30 * * * *", zone, start.isoformat(), end.isoformat())
    assert len(found) == len(set(found)) == 2 * hours


@pytest.mark.parametrize(
    ("zone", "first", "second", "when"),
    [
        ("Europe/Berlin", "2026-10-25T02:30+02:00", "2026-10-25T02:15+01:00", "30 2 * * *"),
        ("America/New_York", "2026-11-01T01:30-04:00", "2026-11-01T01:15-05:00", "30 1 * * *"),
        ("Australia/Lord_Howe", "2026-04-05T01:45+11:00", "2026-04-05T01:40+10:30", "45 1 * * *"),
    ],
)
def test_in_the_hour_that_comes_the_second_time_its_times_have_been(zone, first, second, when):
    table = timetable_of(when, zone, CREATED_NS)
    assert table.latest(ns(second)) == ns(first)
    assert table.after(ns(second)) - ns(first) > 24 * 3600 * SECOND_NS


EXPRESSIONS = ["30 2 * * *", "0,30 1-3 * * *", "*/20 * * * *", "* 2 * * *", "5 */2 * * *"]
EXPRESSIONS += ["0 0 29 2 *", "0 12 * * MON-FRI", "15 3 1 * *", "0 0 13 * FRI"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
CHANGES = [ns("2026-03-29T01:00Z"), ns("2026-10-25T01:00Z"), ns("2026-03-08T07:00Z")]
CHANGES += [ns("2026-11-01T06:00Z"), ns("2026-04-04T15:00Z"), ns("2026-10-03T15:30Z")]
NEAR = st.builds(
    lambda change, seconds: change + seconds * SECOND_NS,
    st.sampled_from(CHANGES),
    st.integers(-40_000, 40_000),
)
ANY = st.integers(CREATED_NS, CREATED_NS + 400 * 86_400 * SECOND_NS)
WHENS = st.one_of(
    st.sampled_from(EXPRESSIONS), st.just("@every 7m"), st.just("@at 2026-10-25T02:30")
)


@settings(max_examples=300, deadline=None)
@given(WHENS, st.sampled_from(ZONES), st.one_of(NEAR, ANY))
def test_the_last_moment_and_the_next_one_fit_together(when, zone, time_ns):
    table = timetable_of(when, zone, CREATED_NS)
    after = table.after(time_ns)
    if after is not None:
        assert after > time_ns
        assert after % SECOND_NS == 0
        assert table.latest(after) == after
    before = table.latest(time_ns)
    if before is not None:
        assert before <= time_ns
        assert table.after(before - 1) == before
        assert table.after(before) == after


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(EXPRESSIONS), st.sampled_from(ZONES), NEAR)
def test_the_next_moment_is_the_same_from_wherever_it_is_asked_for(when, zone, time_ns):
    table = timetable_of(when, zone, CREATED_NS)
    after = table.after(time_ns)
    assert table.after(time_ns + (after - time_ns) // 2) == after
    assert table.after(after - 1) == after


@pytest.mark.parametrize("back_s", [0, 60, 7_000, 100_000])
def test_after_a_change_of_the_clocks_the_last_moment_takes_two_searches(monkeypatch, back_s):
    made = []

    def counted(*args, **kwargs):
        made.append(args)
        return CronSim(*args, **kwargs)

    monkeypatch.setattr(timetable, "CronSim", counted)
    now_ns = ns("2026-10-25T03:10+01:00")
    table = timetable.Cron("* * * * *", ZoneInfo("Europe/Berlin"))
    found_ns = table.latest(now_ns, now_ns - back_s * SECOND_NS)
    assert found_ns == (now_ns if back_s else None)
    assert len(made) <= 2


def test_the_same_text_is_read_once_whenever_its_schedules_were_made():
    when = "17 4 * * *"
    first = timetable_of(when, "Europe/Berlin", CREATED_NS)
    assert timetable_of(when, "Europe/Berlin", CREATED_NS + 1) is first
    assert timetable_of(when, "UTC", CREATED_NS) != first


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(EXPRESSIONS), st.sampled_from(ZONES), NEAR, st.integers(0, 20_000))
def test_what_is_not_wanted_changes_nothing_for_the_rest(when, zone, time_ns, back_s):
    table, since_ns = timetable_of(when, zone, CREATED_NS), time_ns - back_s * SECOND_NS
    whole, part = table.latest(time_ns), table.latest(time_ns, since_ns)
    assert part == whole or whole <= since_ns


def test_equal_distances_count_from_the_creation_whatever_the_clocks_show():
    table = timetable_of("@every 10m", "Europe/Berlin", CREATED_NS + 5)
    assert table.latest(CREATED_NS + 599 * SECOND_NS) is None
    assert table.after(CREATED_NS) == CREATED_NS + 600 * SECOND_NS
    assert table.after(CREATED_NS + 600 * SECOND_NS) == CREATED_NS + 1200 * SECOND_NS


@pytest.mark.parametrize(
    ("when", "zone", "moment"),
    [
        ("@at 2026-12-24T18:00", "Europe/Berlin", "2026-12-24T17:00Z"),
        ("@at 2026-12-24T18:00+05:45", "Europe/Berlin", "2026-12-24T12:15Z"),
        ("@at 2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:30Z"),  # in the gap
        ("@at 2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30Z"),  # comes twice
    ],
)
def test_a_single_time_comes_once(when, zone, moment):
    table = timetable_of(when, zone, CREATED_NS)
    assert table.after(CREATED_NS) == ns(moment)
    assert table.after(ns(moment)) is None


@pytest.mark.parametrize(
    "when",
    [
        *("", "* * * *", "* * * * * *", "61 * * * *", "0 0 31 2 *", "x" * 900),
        *("@every", "@every 0s", "@every 10", "@every 400d", "@daily"),
        *("@at tomorrow", "@at 2026-12-24", "@at 2026-13-01T00:00"),
        *("@at 2201-01-01T00:00", "@at 9999-12-31T23:59:59+00:00"),
    ],
)
def test_what_is_no_time_is_refused_with_what_is_allowed(when):
    with pytest.raises(ValueError, match=r"is not allowed.*five fields of cron.*@every 10m.*@at"):
        timetable_of(when, "UTC", CREATED_NS)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "/etc", "Europe"])
def test_what_is_no_time_zone_is_refused(zone):
    with pytest.raises(ValueError, match="is not allowed; allowed is a name of the IANA"):
        timetable_of("@every 1m", zone, CREATED_NS)


def test_the_jitter_is_the_same_each_time_and_spreads_the_names():
    found = [offset_ns(f"shop-{number}", 60.0) for number in range(200)]
    assert found == [offset_ns(f"shop-{number}", 60.0) for number in range(200)]
    assert all(0 <= each < 60 * SECOND_NS for each in found)
    assert len({each // (6 * SECOND_NS) for each in found}) == 10
    assert offset_ns("shop", 0.0) == 0


def test_the_next_five_times_are_shown_in_the_zone_and_none_while_it_is_paused():
    wish = ScheduleWish("nightly", "30 2 * * *", Spec("shop"), "Europe/Berlin")
    schedule = Schedule(wish, CREATED_NS, CREATED_NS)
    assert next_times(schedule, ns("2026-10-23T12:00Z")) == (
        "2026-10-24T02:30:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
        "2026-10-27T02:30:00+01:00",
        "2026-10-28T02:30:00+01:00",
    )
    assert next_times(schedule.paused(), ns("2026-10-23T12:00Z")) == ()


def test_a_moment_has_a_name():
    assert stamp(ns("2026-12-24T17:00:05Z")) == "20261224T170005Z"
