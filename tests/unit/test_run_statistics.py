"""What the history keeps of the statistics of a run: all that matters, in a bounded size."""

import json
from dataclasses import replace

import pytest

from crawler.model.run_statistics import MOST_BYTES, NO_STATISTICS, kept_of, statistics_in
from crawler.model.statistics import HostLoad, Statistics

SOME = Statistics(
    *("fiction", "books"),
    finish_reason="finished",
    seconds=1.23456,
    discovered=7,
    pages=4,
    requests=6,
    bytes_received=1000,
    statuses={200: 4, 404: 2},
    failures={"HTTP 404": 2},
    pending=1,
    hosts={"a.example": HostLoad(waiting=1)},
    latency_s={"p50": 0.1, "max": 0.0},
)


def test_what_a_crawl_has_counted_is_kept_and_what_is_0_is_left_out():
    assert statistics_in(kept_of(SOME)) == {
        "finish_reason": "finished",
        "seconds": 1.235,
        "discovered": 7,
        "pages": 4,
        "requests": 6,
        "bytes_received": 1000,
        "pending": 1,
        "statuses": {"200": 4, "404": 2},
        "failures": {"HTTP 404": 2},
        "pending_at": {"a.example": 1},
        "latency_s": {"p50": 0.1},
    }


def test_of_many_reasons_the_most_frequent_are_told_and_the_others_together():
    many = {f"reason {number}": number for number in range(1, 31)}
    failures = statistics_in(kept_of(replace(SOME, failures=many)))["failures"]
    assert list(failures)[:2] == ["reason 30", "reason 29"]
    assert len(failures) == 11
    assert sum(failures.values()) == sum(many.values())
    assert failures["others"] == sum(range(1, 21))


def test_the_size_is_bounded_whatever_the_reasons_say():
    long = {f"{number} " + "\ud800é" * 500: 2 for number in range(50)}
    huge = replace(SOME, failures=long, filtered=long, items_failed=long, finish_reason="é" * 999)
    text = kept_of(huge)
    assert len(text.encode()) <= MOST_BYTES
    assert json.loads(text)["failures"] == {"others": 100}
    assert json.loads(text)["pages"] == 4


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", '{"cut": '])
def test_a_text_that_is_none_hides_no_run(text):
    assert statistics_in(text) == NO_STATISTICS
