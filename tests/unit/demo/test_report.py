"""What a crawl tells of itself: its counts agree with their nouns, and with each other."""

import pytest

from crawler.model.statistics import HostLoad, Statistics
from crawler.terminal import report


def rows(**counts):
    found = Statistics("books", "books", **{"finish_reason": "finished", **counts})
    return {line[:10].strip(): line[11:] for line in report.summary(found)}


@pytest.mark.parametrize(
    ("discovered", "filtered", "text"),
    [
        (17_541, {"duplicate": 16_216}, "17,541 requests, among them 16,216 duplicates"),
        (2, {"duplicate": 1}, "2 requests, among them 1 duplicate"),
        (1, {}, "1 request"),
    ],
)
def test_requests_that_were_known_are_told_apart_from_those_discovered(discovered, filtered, text):
    assert rows(discovered=discovered, filtered=filtered)["discovered"] == text


def test_one_of_each_is_no_plural():
    assert rows(retries=1)["retried"] == "1 request"
    found = Statistics("books", "books", pages=1, items=1, pending=2, bytes_expanded=1)
    assert report.status(found).startswith("1 page (0.0/s)  1 item  2 to go")
    memory = {"known": 1, "known_bytes": 18, "waiting": 1, "on_disk": 1}
    told = rows(memory=memory)["memory"]
    assert told == "1 known URL in 18 bytes, 1 request, 1 request on disk"
    told = rows(memory={**memory, "store_bytes": 40_960})["memory"]
    assert told.endswith(", 1 request on disk; its state takes 41.0 KB")


def test_what_several_crawls_know_is_told_once_for_each():
    memory = {"known": 3003, "known_bytes": 18, "waiting": 2, "on_disk": 0, "crawls": 3}
    told = rows(memory=memory, elsewhere=1200)
    several = "3,003 known URLs (each once for each of 3 crawls that knows it) in 18 bytes"
    assert told["memory"] == f"{several}, 2 requests"
    assert told["in between"] == "1,200 requests in Redis, for the next crawl that can send"
    assert "in between" not in rows(memory={**memory, "crawls": 1}, elsewhere=1200)


def test_the_latencies_stand_in_one_order_however_they_came():
    came = {"p99": 0.03, "max": 0.04, "p50": 0.01, "p90": 0.04}
    shown = rows(statuses={200: 4}, latency_s=came)["latency"]
    assert shown == "p50 10 ms, p90 40 ms, p99 30 ms, max 40 ms"


def test_the_hosts_that_a_running_crawl_waits_for_are_told():
    hosts = {
        "a.example": HostLoad(1200, 2, pause_s=0.25),
        "b.example": HostLoad(3, rests_s=90.0, at=["books", "books~1"]),
    }
    told = (
        "a.example: 1,200 to go, 2 in flight, pause 0.25 s; "
        "b.example: 3 to go, rests 1:30, at books and books~1"
    )
    assert rows(hosts=hosts, finish_reason="")["hosts"] == told
    assert "hosts" not in rows(hosts=hosts)
