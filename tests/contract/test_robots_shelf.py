"""robots.txt files that workers share: each is fetched once for all of them."""

from functools import partial

import gevent
import pytest

from crawler.clock import ManualClock, SystemClock, settle
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.politeness.robots import KEPT_S, Robots
from crawler.engine.politeness.robots_shelf import (
    CLAIM_S,
    RedisRobotsShelf,
    Robotstxt,
    shared,
)
from crawler.node.crew.hosts import DistantShelf, MemoryShelf
from crawler.settings.crawl import CrawlSettings
from crawler.settings.redis_url import parsed
from crawler.supervision import Supervisor
from tests.crews import Questions
from tests.redis_servers import Redis
from tests.unit.engine.fakes import FakeFetcher
from tests.unit.engine.test_robots import AS, RULES, SITE, answer
from tests.waiting import PATIENCE_S


@pytest.fixture(params=["memory", "channel", "redis"])
def shelf(request):
    if request.param == "memory":
        yield MemoryShelf(SystemClock())
        return
    if request.param == "channel":
        questions = Questions(SystemClock())
        yield DistantShelf(partial(questions.ask, 1))
        questions.close()
        return
    redis = request.getfixturevalue("shared_redis")
    with redis.client() as client:
        client.delete(*(client.keys("crawler:robots*") or ["none"]))
    server = RedisServer(Access(parsed(redis.url)))
    yield RedisRobotsShelf(server)
    server.close()


FILE = Robotstxt(200, b"User-agent: *\nDisallow: /\n" * 50, 60.0)


def test_a_file_is_there_as_it_was_put(shelf):
    assert shelf.get("a") is None
    shelf.put("a", FILE)
    status, body, kept_s = shelf.get("a")
    assert (status, body) == FILE[:2]
    assert 50.0 < kept_s <= 60.0
    assert shelf.get("b") is None


def test_one_fetches_and_the_others_wait_for_it(shelf):
    fetched = []

    def fetch():
        fetched.append(1)
        gevent.sleep(0.3)
        return FILE

    clock = SystemClock()
    asking = [gevent.spawn(shared, shelf, "a", fetch, clock) for _ in range(4)]
    gevent.joinall(asking, timeout=PATIENCE_S)
    assert fetched == [1]
    assert {each.value[:2] for each in asking} == {FILE[:2]}


def test_what_one_could_not_get_the_next_one_tries(shelf):
    assert shared(shelf, "a", lambda: None, SystemClock()) is None
    assert shared(shelf, "a", lambda: FILE, SystemClock()) == FILE


def test_a_worker_that_dies_while_it_fetches_holds_up_the_others_for_a_bounded_time():
    clock = ManualClock()
    shelf = MemoryShelf(clock)
    assert shelf.claim("a")
    asking = gevent.spawn(shared, shelf, "a", lambda: FILE, clock)
    settle()
    assert not asking.ready()
    clock.advance(CLAIM_S + 1.0)
    assert asking.get(timeout=PATIENCE_S) == FILE


def test_who_no_longer_waits_leaves_the_claim_of_another_alone():
    clock = ManualClock()
    shelf = MemoryShelf(clock)
    shelf.claim = lambda site: False  # another worker claims it again and again
    given_up = []
    shelf.give_up = given_up.append
    asking = gevent.spawn(shared, shelf, "a", lambda: None, clock)
    settle()
    clock.advance(CLAIM_S + 1.0)
    assert asking.get(timeout=PATIENCE_S) is None
    assert not given_up


def test_without_redis_each_fetches_for_itself():
    redis = Redis()
    server = RedisServer(Access(parsed(redis.url)))
    shelf = RedisRobotsShelf(server)
    assert shared(shelf, "a", lambda: FILE, SystemClock()) == FILE
    server.close()
    redis.remove()


class Worker:
    """The robots rules of one worker."""

    def __init__(self, shelf, *answers):
        self.clock = ManualClock()
        left = list(answers)
        self.fetcher = FakeFetcher(self.clock, lambda call: left.pop(0))
        self.robots = Robots(self.fetcher, Supervisor("test"), self.clock, shelf)

    def rules(self, way=0):
        self.robots.ask(SITE, CrawlSettings(), AS, lambda: None, way=way)
        settle()
        return self.robots.rules(SITE, way)


def test_a_second_worker_asks_no_site_for_its_rules():
    shelf = MemoryShelf(ManualClock())
    one, other = Worker(shelf, answer(body=RULES)), Worker(shelf)
    assert not one.rules().allows(f"{SITE}/private", "a")
    assert not other.rules().allows(f"{SITE}/private", "a")
    assert len(one.fetcher.sent) == 1
    assert not other.fetcher.sent


def test_who_asks_in_another_way_fetches_for_itself():
    shelf = MemoryShelf(ManualClock())
    one, other = Worker(shelf, answer(body=RULES)), Worker(shelf, answer(404))
    assert not one.rules(way=1).allows(f"{SITE}/private", "a")
    assert other.rules(way=2).allows(f"{SITE}/private", "a")


def test_trouble_is_not_shared():
    shelf = MemoryShelf(ManualClock())
    one, other = Worker(shelf, answer(503)), Worker(shelf, answer(body=RULES))
    assert one.rules().trouble
    assert not other.rules().trouble


def test_shared_rules_count_as_long_as_for_who_fetched_them():
    clock = ManualClock()
    shelf = MemoryShelf(clock)
    Worker(shelf, answer(body=RULES)).rules()
    clock.advance(KEPT_S - 100.0)
    late = Worker(shelf)
    assert late.rules() is not None
    late.clock.advance(101.0)
    assert late.robots.rules(SITE) is None
