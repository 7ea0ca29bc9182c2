"""What a crawl does whose Redis restarts, is silent, is full, or has lost the end of its log."""

from array import array
from collections import Counter

import gevent
import pytest

from crawler import Request, Spider
from crawler.clock import SystemClock
from crawler.engine.crawl import checkpoints
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.kept import open_store
from crawler.engine.frontier import redis_access
from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.frontier.store import (
    Step,
    StoreFailed,
    StoreInUse,
    StoreLost,
    Waiting,
)
from crawler.engine.items.sinks.marks import parsed as parsed_mark
from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings
from tests.redis_servers import Place
from tests.unit.engine.fakes import FakeFetcher, ListSink, page, shared
from tests.waiting import eventually


def waiting(id, record=b'["x"]'):
    return Waiting(id, "http://h", 0, record)


def marks(*values):
    return array("Q", values)


def test_a_run_waits_for_a_server_that_restarts_and_says_so(own_redis, caplog):
    caplog.set_level("INFO")
    place = Place(own_redis, wait_s=60.0)
    store = place.again()
    store.open()
    store.write(Step(added=[waiting(0)]))
    own_redis.kill()
    writing = gevent.spawn(store.write, Step(added=[waiting(1)]))
    gevent.sleep(0.3)
    assert not writing.ready()
    own_redis.start()
    writing.get(timeout=30.0)
    store.close()
    assert place.left()[1] == [waiting(0), waiting(1)], "nothing that was acknowledged is lost"
    told = [record.message for record in caplog.records]
    assert sum("the crawls wait for it" in message for message in told) == 1
    assert any("answers again" in message for message in told)
    place.server.close()


def test_a_silent_server_fails_the_crawl_after_a_while_and_it_can_go_on(own_redis, monkeypatch):
    monkeypatch.setattr(redis_access, "CALL_S", 0.2)
    monkeypatch.setattr(redis_access, "CONNECT_S", 0.2)
    place = Place(own_redis, wait_s=0.5)
    store = place.again()
    store.open()
    own_redis.freeze()
    ticks = []
    ticking = gevent.spawn(lambda: [ticks.append(gevent.sleep(0.01)) for _ in range(1000)])
    with pytest.raises(StoreFailed, match="has not answered for"):
        store.write(Step(added=[waiting(0)]))
    ticking.kill()
    assert len(ticks) > 20, "others go on meanwhile"
    store.close()
    own_redis.thaw()
    assert place.left()[0].waiting in (0, 1)
    place.server.close()


def test_a_server_that_was_silent_takes_each_step_once(own_redis, monkeypatch):
    monkeypatch.setattr(redis_access, "CALL_S", 0.2)
    place = Place(own_redis, wait_s=60.0)
    store = place.again()
    store.open()
    for id in range(3):
        own_redis.freeze()
        writing = gevent.spawn(store.write, Step(added=[waiting(id)], marks=marks(id + 1)))
        gevent.sleep(0.7)  # some calls wait in the server by now
        assert not writing.ready()
        own_redis.thaw()
        writing.get(timeout=30.0)
    store.close()
    found, requests = place.left()
    assert (requests, len(found.seen)) == ([waiting(0), waiting(1), waiting(2)], 3)
    with own_redis.client() as client:
        assert client.llen(place.key("seen")) == 3
    place.server.close()


def test_a_full_server_refuses_the_step_whole_and_says_what_to_do(own_redis):
    place = Place(own_redis)
    store = place.again()
    store.open()
    store.write(Step(added=[waiting(0)]))
    with own_redis.client() as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(StoreFailed, match=r"is full .* raise maxmemory"):
            store.write(Step(added=[waiting(1)], ended=[0], state={"a": "1"}))
        store.close()
        client.config_set("maxmemory", "0")
    found, requests = place.left()
    assert (requests, found.state) == ([waiting(0)], {})
    place.server.close()


def test_what_a_full_server_keeps_can_be_removed_when_no_run_uses_it(own_redis):
    place = Place(own_redis)
    states, store = RedisStates(place.server), place.again()
    store.open()
    store.write(Step(added=[waiting(0)], marks=marks(1)))
    with own_redis.client() as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(StoreInUse, match="is in use by a run"):
            states.clear(place.name)
        store.close()
        client.delete(place.key("hold"))  # it could not say that it has ended
        states.clear(place.name)
    assert place.names() == [place.key("run")], "only which run was the last one"
    assert not states.all(place.name)
    place.server.close()


def test_a_run_notices_that_the_server_has_lost_its_last_steps(own_redis):
    place = Place(own_redis)
    store = place.again()
    store.open(5)
    store.write(Step(added=[waiting(0)], marks=marks(1)))
    size = own_redis.log_size()
    store.write(Step(added=[waiting(1)], marks=marks(2), ended=[0]))
    own_redis.kill()
    own_redis.cut_log(size)
    own_redis.start()
    with pytest.raises(StoreLost, match="has forgotten steps"):
        store.write(Step(ended=[1]))
    store.close()
    found = store.open(5)  # the same run goes on: nobody else has taken over
    assert (found.waiting, len(found.seen)) == (1, 1)
    assert store.lease(10) == [waiting(0)]
    store.close()
    place.server.close()


def test_a_run_notices_that_the_server_has_lost_everything(own_redis):
    place = Place(own_redis)
    store = place.again()
    store.open(5)
    store.write(Step(added=[waiting(0)]))
    with own_redis.client() as client:
        client.flushall()
    with pytest.raises(StoreLost):
        store.write(Step(ended=[0]))
    store.close()
    place.server.close()


PAGES = 400


class Numbers(Spider):
    """Page n links to three that come later, and to some that came before."""

    name = "numbers"
    start_urls = ("http://h0/0",)

    def parse(self, response):
        number = int(response.url.rsplit("/", 1)[1])
        yield {"page": number}
        for to in range(3 * number + 1, min(3 * number + 4, PAGES)):
            yield Request(f"http://h{to % 3}/{to}")
        known = max(1, number // 2)
        yield Request(f"http://h{known % 3}/{known}")


class File(ListSink):
    """A sink whose items can be cut off at a mark, as those of a file."""

    def begin_at(self, marks):
        end, all_stays = parsed_mark(marks.get("file"))
        if end is not None and not all_stays:
            del self[end:]

    def mark(self):
        length = len(self)
        return lambda: {"file": length}


class Held(FakeFetcher):
    """Answers only until its file has `most` items: a crawl that is to be cut off must not end
    before, however late the test gets its turn."""

    most = 0

    def __init__(self, file, *arguments):
        super().__init__(*arguments)
        self._file = file

    def _answer(self, done, answer):
        eventually(lambda: len(self._file) < Held.most, what="it may go on")
        super()._answer(done, answer)


def test_no_page_is_lost_when_the_server_loses_its_end_in_a_crawl(own_redis, monkeypatch):
    monkeypatch.setattr(checkpoints, "BATCH", 8)
    monkeypatch.setattr(checkpoints, "MOST_BEHIND", 20)
    place, file, asked, clock = Place(own_redis), File(), Counter(), SystemClock()

    def answer_of(call):
        asked[call.url] += 1
        return page()

    def run():
        spider = Numbers()
        spider.settings = CrawlSettings(
            delay_s=0.0, robots=False, throttle_s=0.0, concurrency=4, host_concurrency=4
        )
        parts = shared(Held(file, clock, answer_of, 0.002), clock)
        store = place.again()
        crawl = Crawl("task", spider, file, parts, open_store(store, Spec("task", spider.name)))
        return crawl, gevent.spawn(crawl.run)

    def go_on_to(share):
        Held.most = share * PAGES
        eventually(lambda: len(file) >= Held.most)

    crawl, running = run()
    losses = 0
    for share in (0.2, 0.4, 0.6):
        go_on_to(share)
        size = own_redis.log_size()
        go_on_to(share + 0.1)
        own_redis.kill()
        own_redis.cut_log(size)
        own_redis.start()
        Held.most = PAGES + 1  # it would end now, had it lost nothing
        running.get(timeout=60.0)
        losses += crawl.has_lost_steps
        assert not crawl.is_done
        crawl, running = run()
    running.get(timeout=60.0)
    assert losses == 3
    assert crawl.is_done
    assert sorted(item["page"] for item in file) == list(range(PAGES))
    assert len(asked) == PAGES
    place.server.close()
