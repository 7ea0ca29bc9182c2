"""The statistics of a crawl on their way from a worker to whoever asks."""

import json
from dataclasses import fields, replace

import pytest

from crawler.model.statistics import SUMMED, HostLoad, Statistics, together

ALL = Statistics(
    task="fiction",
    spider="books",
    began_ns=1_670_841_268_798_763_001,
    ended_ns=2,
    finish_reason="finished",
    resumed=True,
    seconds=1.5,
    discovered=3,
    pages=4,
    pages_per_s=2.25,
    items=5,
    items_dropped={"invalid title": 6},
    items_failed={"disk full": 7},
    requests=8,
    retries=9,
    repeated=23,
    redirects=10,
    from_cache=11,
    bytes_received=12,
    bytes_expanded=13,
    statuses={200: 14, 404: 15},
    failures={"dns": 16},
    filtered={"seen": 17},
    pending=18,
    elsewhere=24,
    resting={"hosts": 19, "longest_s": 20.5},
    hosts={"a.example": HostLoad(30, 2, 1.5, 0.5)},
    pending_hosts=31,
    memory={"known": 21},
    latency_s={"p50": 0.25, "max": 3},
    slow_callbacks=22,
    process=25,
    pid=26,
    task_id="29",
    shards={1: Statistics("fiction~1", "books", pages=27, statuses={200: 28})},
    counted_ns=32,
)


def as_doubles(value):
    """As gRPC's Struct has it: each number is a double."""
    return json.loads(json.dumps(value), parse_int=float)


def test_statistics_come_back_as_they_were():
    assert all(getattr(ALL, each.name) for each in fields(ALL)), "each differs from its default"
    told = Statistics.from_json(json.loads(json.dumps(ALL.to_json())))
    assert told == ALL
    assert told.to_json() == ALL.to_json()


def test_counts_that_travelled_as_doubles_are_whole_again():
    precise = {**ALL.to_json(), "began_ns": 0}
    told = Statistics.from_json(as_doubles(precise))
    numbers = [told.pages, told.slow_callbacks, *told.failures.values(), *told.statuses.values()]
    numbers += [*told.statuses, *told.memory.values(), *told.items_dropped.values()]
    numbers += [each.waiting for each in told.hosts.values()]
    assert [type(number) for number in numbers] == [int] * len(numbers)
    assert told == Statistics.from_json(precise)


def test_what_another_version_tells_besides_is_left_out():
    told = Statistics.from_json({"task": "a", "spider": "b", "colour": "red", "pages": 3.0})
    assert told == Statistics("a", "b", pages=3)


def test_the_crawls_of_one_task_are_told_as_one():
    head = replace(ALL, task="books", ended_ns=0, finish_reason="")
    shard = Statistics(
        "books~1",
        "books",
        began_ns=5,
        seconds=9.0,
        pages=6,
        pages_per_s=1.75,
        pending=2,
        statuses={200: 1, 503: 2},
        filtered={"trap": 3},
        latency_s={"p50": 0.5, "p90": 1.0},
        hosts={
            "a.example": HostLoad(1, rests_s=3.0, pause_s=2.0, lease="held"),
            "b.example": HostLoad(90, lease="awaited"),
        },
        pending_hosts=4,
        counted_ns=30,
    )
    late = Statistics("books~2", "books")
    told = together([head, shard, late])
    assert (told.task, told.finish_reason, told.ended_ns) == ("books", "", 0)
    assert (told.began_ns, told.seconds) == (5, 9.0)
    assert (told.pages, told.pages_per_s, told.pending) == (10, 4.0, 20)
    assert told.memory == {"known": 21, "crawls": 1}
    assert told.statuses == {200: 15, 404: 15, 503: 2}
    assert told.filtered == {"seen": 17, "trap": 3}
    assert told.latency_s == {"p50": 0.5, "p90": 1.0, "max": 3}
    assert told.resting == ALL.resting
    assert list(told.hosts) == ["b.example", "a.example"]
    assert told.hosts["b.example"].at == ["books~1"]
    assert told.hosts["a.example"] == HostLoad(31, 2, 3.0, 2.0, ["books", "books~1"], "held")
    assert told.hosts["b.example"].lease == "awaited"
    assert (told.pending_hosts, told.counted_ns) == (35, 30), "as old as the oldest"
    assert together([head]) == head


def test_a_shard_that_is_summed_up_is_not_told_once_more():
    shards = {n: Statistics(f"books~{n}", "books", pages=n) for n in (1, 2)}
    head = Statistics("books", "books", pages=10, shards=shards)
    told = together([head, Statistics("books~1", "books", pages=3)])
    assert (told.pages, told.shards) == (13, {2: shards[2]})
    assert together([head]).shards == shards


def crawl_of(name, *, pages, seconds, speed, ended=True):
    return Statistics(
        name,
        "books",
        began_ns=1,
        ended_ns=9 if ended else 0,
        pages=pages,
        seconds=seconds,
        pages_per_s=speed,
        memory={"known": 50, "known_bytes": 900, "waiting": 1, "on_disk": 0},
    )


@pytest.mark.parametrize(
    ("head_ended", "shard_ended", "told"),
    [
        (False, False, 11.0),  # the present speeds
        (False, True, 8.0),  # the average of a shard that has ended is no present speed
        (True, True, 15.0),  # 600 pages in 40 s; the averages make 17.5
    ],
)
def test_the_speed_of_several_crawls(head_ended, shard_ended, told):
    head = crawl_of("books", pages=400, seconds=40.0, speed=8.0, ended=head_ended)
    shard = crawl_of("books~1", pages=200, seconds=25.0, speed=3.0, ended=shard_ended)
    assert together([head, shard]).pages_per_s == told


def test_a_task_without_a_second_has_no_speed():
    parts = [crawl_of(name, pages=0, seconds=0.0, speed=0.0) for name in ("books", "books~1")]
    assert together(parts).pages_per_s == 0.0


def test_requests_that_no_crawl_holds_are_told():
    """Each crawl tells how many the others hold, and what lies between them is among these."""
    head = Statistics("books", "books", pending=4, elsewhere=96)
    shard = Statistics("books~1", "books", pending=30, elsewhere=65)
    assert together([head, shard]).elsewhere == 66
    assert together([head, Statistics("books~1", "books", pending=120)]).elsewhere == 0


def test_what_crawls_know_is_told_with_their_number():
    parts = [crawl_of(name, pages=1, seconds=1.0, speed=1.0) for name in ("b", "b~1", "b~2")]
    told = together([*parts, Statistics("b~3", "books")]).memory
    assert told == {"known": 150, "known_bytes": 2700, "waiting": 3, "on_disk": 0, "crawls": 3}


def test_every_number_of_a_statistics_is_known_to_be_summed_or_not():
    others = {"task", "spider", "began_ns", "ended_ns", "finish_reason", "resumed", "seconds"}
    others |= {"pages_per_s", "resting", "latency_s", "hosts", "memory", "elsewhere"}
    others |= {"process", "pid", "shards", "task_id", "counted_ns"}
    assert others | set(SUMMED) == {each.name for each in fields(ALL)}
