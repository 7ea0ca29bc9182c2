"""The network between one worker and Redis is cut, or swallows all; the other worker goes on."""

import time

import pytest

from tests.faults.sharing import shared_crawls, site_of
from tests.waiting import eventually

SENDS_S = 4.0
"""A worker that does not reach Redis sends for so long."""


@pytest.fixture(scope="module")
def crawls(tmp_path_factory, redis):
    with shared_crawls(tmp_path_factory.mktemp("lab"), redis) as crawls:
        yield crawls


def test_a_worker_that_is_cut_off_from_redis_waits_and_the_other_one_goes_on(crawls):
    one_is_cut_off(crawls, "cut")


@pytest.mark.faults
def test_a_worker_whose_bytes_to_redis_vanish_waits_and_the_other_one_goes_on(crawls):
    one_is_cut_off(crawls, "swallow")


def one_is_cut_off(crawls, fault):
    names = (f"{fault}-one", f"{fault}-other")
    with site_of(crawls, *names):
        one, other = crawls.add(*names)
        worker = one.worker
        assert other.worker != worker
        link = crawls.links[worker]
        cut_s = time.monotonic()
        getattr(link, fault)()
        eventually(lambda: not crawls.is_ready(worker), what="it says that Redis is away")
        other.assert_whole()
        assert crawls.is_ready(other.worker)
        assert one.state == "running"
        assert one.worker == worker, "its lease of etcd goes on"
        assert crawls.last_s(worker) < cut_s + SENDS_S + 1.0
        link.heal()
        one.assert_whole()
        assert not crawls.early()
