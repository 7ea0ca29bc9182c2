"""Proxies in turn: whose turn it is, and how long one that failed is left out."""

import pytest

from crawler.clock import ManualClock
from crawler.engine.download.proxies import Proxies
from crawler.engine.http.messages import FetchError


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def proxies(clock):
    return Proxies(["a", "b", "c"], rest_s=60.0, now_s=clock.monotonic)


def test_they_take_turns(proxies):
    assert [proxies.next() for _ in range(7)] == list("abcabca")


def test_one_that_failed_is_left_out_for_a_while(proxies, clock):
    proxies.failed("b")
    assert [proxies.next() for _ in range(4)] == list("acac")
    clock.advance(59.9)
    assert [proxies.next() for _ in range(2)] == list("ac")
    clock.advance(0.1)
    assert [proxies.next() for _ in range(3)] == list("abc")


def test_one_that_was_tried_is_not_tried_again(proxies):
    assert proxies.next(tried=["a", "b"]) == "c"
    with pytest.raises(FetchError, match="all proxies failed recently: 3"):
        proxies.next(tried=["a", "b", "c"])
