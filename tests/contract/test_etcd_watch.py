"""A watch that hears nothing: alive as long as etcd answers, and given up when it does not."""

import gc
import time
from types import GeneratorType

import gevent
import pytest

from crawler.clock import SystemClock
from crawler.coordination.etcd.client import EtcdClient
from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.keys import Keys
from crawler.coordination.store import Put
from crawler.coordination.tokens import Tokens
from crawler.errors import Unavailable
from crawler.settings.sections import CoordinationSettings
from crawler.supervision import Supervisor
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def opened(own_etcd):
    """Opens stores with an idle watch on /idle, followed in the background."""
    stores = []

    def open_watch(silence_s):
        # Only the watch itself may notice: no deadline of a call ends before.
        store = EtcdStore([own_etcd.endpoint], 30.0, silence_s=silence_s)
        stores.append(store)
        first = store.txn([], [Put("/before", b"")]).revision
        return store, Followed(store.watch("/idle", first))

    yield open_watch
    own_etcd.resume()
    for store in stores:
        store.close()


class Followed:
    """A watch's events and its end, as they come."""

    def __init__(self, watch):
        self.watch = watch
        self.events = []
        self.error = None
        self.ended_s = None
        self.greenlet = gevent.spawn(self._follow)

    def _follow(self):
        try:
            for batch in self.watch:
                self.events.extend(batch.events)
        except Unavailable as error:
            self.error = error
        self.ended_s = time.monotonic()


@pytest.mark.faults
def test_an_idle_watch_on_a_frozen_etcd_ends_in_time(opened, own_etcd):
    assert ended_s(opened, own_etcd) < 1.0 + 1.0


def test_an_idle_watch_on_a_frozen_etcd_ends(opened, own_etcd):
    ended_s(opened, own_etcd)


def ended_s(opened, own_etcd):
    """How long a watch lasts whose etcd is frozen."""
    store, followed = opened(silence_s=1.0)
    eventually(lambda: store.counts.progress)  # it lives, and is idle
    own_etcd.pause()
    frozen_s = time.monotonic()
    eventually(lambda: followed.ended_s)
    assert "silent" in str(followed.error)
    assert store.counts.silent_watches == 1
    assert store.counts.watches == 0
    return followed.ended_s - frozen_s


def test_a_watch_that_never_hears_anything_at_all_ends(opened, own_etcd):
    store, _ = opened(silence_s=0.5)
    own_etcd.pause()
    with gevent.Timeout(PATIENCE_S), pytest.raises(Unavailable, match="silent"):
        next(iter(store.watch("/idle", 1)))


def test_an_idle_watch_lasts_as_long_as_etcd_answers(opened):
    store, followed = opened(silence_s=1.0)
    begun_s = time.monotonic()
    # It asks after half of the time; so many answers are more than three times of silence.
    eventually(lambda: store.counts.progress >= 10)
    assert time.monotonic() - begun_s > 3 * 1.0
    store.txn([], [Put("/idle", b"1")])
    eventually(lambda: followed.events)
    assert followed.ended_s is None
    assert store.counts.silent_watches == 0
    followed.watch.close()
    eventually(lambda: followed.ended_s)
    assert followed.error is None


def test_a_busy_watch_asks_for_no_sign_of_life(opened):
    store, followed = opened(silence_s=3.0)
    begun_s, written = time.monotonic(), 0
    while time.monotonic() < begun_s + 2.0:  # it would ask after 1.5 s
        written += 1
        store.txn([], [Put("/idle", b"")])
    eventually(lambda: len(followed.events) == written)
    assert store.counts.progress == 0


def test_whoever_takes_long_over_a_batch_is_not_taken_for_a_silent_etcd(opened):
    store, followed = opened(silence_s=0.3)
    followed.watch.close()
    revision = store.txn([], [Put("/idle", b"1")]).revision
    batches = iter(store.watch("/idle", revision))
    next(batches)
    gevent.sleep(1.0)  # the consumer is busy for more than the time of silence
    store.txn([], [Put("/idle", b"2")])
    assert next(batches).events[0].current.value == b"2"


def test_a_silent_watch_sends_the_next_one_elsewhere(opened, own_etcd, shared_etcd):
    store = EtcdStore([own_etcd.endpoint, shared_etcd.endpoint], 30.0, silence_s=0.5)
    watch = Followed(store.watch("/none", 1))
    eventually(lambda: store.counts.progress)
    own_etcd.pause()
    eventually(lambda: watch.error)
    assert store.endpoint == shared_etcd.endpoint
    assert store.get("/none") is None
    own_etcd.resume()
    store.close()


def test_a_greenlet_that_is_killed_while_it_opens_a_watch_leaves_no_stream(etcd_store, monkeypatch):
    """The kill comes late: gRPC has sent the first request, and waits for the next one."""
    begin = EtcdClient.stream

    def killed(client, requests):
        made = begin(client, requests)
        eventually(lambda: requests_waited_for() == 1, what="gRPC waits for a request")
        made.answers.cancel()
        raise gevent.GreenletExit

    assert requests_waited_for() == 0
    monkeypatch.setattr(EtcdClient, "stream", killed)
    with pytest.raises(gevent.GreenletExit):
        etcd_store.watch("/idle", 1)
    eventually(lambda: requests_waited_for() == 0, what="gRPC waits no more")


def requests_waited_for():
    """How many streams gRPC waits for the next request of."""
    generators = (each for each in gc.get_objects() if isinstance(each, GeneratorType))
    return sum(each.gi_running and each.gi_code.co_name == "_requests" for each in generators)


def test_tokens_know_for_how_long_a_frozen_etcd_has_told_nothing(own_etcd):
    store = EtcdStore([own_etcd.endpoint], 0.3, silence_s=0.3)
    tokens = Tokens(store, Keys(CoordinationSettings()), SystemClock())
    supervisor = Supervisor("test")
    tokens.mirror.start(supervisor)
    try:
        eventually(lambda: tokens.are_known)
        progress = store.counts.progress
        eventually(lambda: store.counts.progress > progress + 5)
        assert tokens.silence_s == 0.0
        own_etcd.pause()
        eventually(lambda: tokens.silence_s > 2.0)  # through several attempts
        own_etcd.resume()
        eventually(lambda: tokens.silence_s == 0.0)
    finally:
        own_etcd.resume()
        supervisor.stop()
        store.close()
