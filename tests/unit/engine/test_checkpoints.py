"""A crawl with a store goes on where it was: on a fake network, cut off at any moment."""

import json
import re
from collections import Counter
from dataclasses import replace

import gevent
import pytest
from gevent.event import AsyncResult

from crawler import Request, Spider
from crawler.clock import ManualClock, settle
from crawler.engine.crawl import checkpoints
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.item_writer import SinkFailed
from crawler.engine.crawl.kept import Kept, open_store
from crawler.engine.crawl.resume import look_for_callbacks
from crawler.engine.frontier.memory_store import MemoryStore
from crawler.engine.frontier.store import StoreFailed
from crawler.engine.http.failures import CloseSpider
from crawler.engine.http.link_extractor import LinkExtractor
from crawler.engine.items.sinks.marks import parsed
from crawler.engine.spiders.crawl_spider import CrawlSpider, Rule
from crawler.engine.spiders.declarative import compile_declaration
from crawler.engine.stats.registry import StatisticsRegistry
from crawler.errors import InvalidArgument
from crawler.model.records import Spec, State
from crawler.settings.crawl import CrawlSettings
from tests.unit.engine.fakes import FakeFetcher, ListSink, page, shared

PAGES = 40


class File(ListSink):
    """A sink whose items can be cut off at a mark, as those of a file."""

    def begin_at(self, marks):
        end, all_stays = parsed(marks.get("file"))
        if end is not None and not all_stays:
            del self[end:]

    def mark(self):
        length = len(self)
        return lambda: {"file": length}


class Numbers(Spider):
    """Page n links to three that come later, and to some that came before."""

    name = "numbers"
    start_urls = ("http://h0/0",)

    def parse(self, response):
        number = int(response.url.rsplit("/", 1)[1])
        yield {"page": number, "part": 1}
        for to in range(3 * number + 1, min(3 * number + 4, PAGES)):
            yield Request(f"http://h{to % 3}/{to}")
        known = max(1, number // 2)
        yield Request(f"http://h{known % 3}/{known}")
        yield {"page": number, "part": 2}


ALL = Counter({(number, part): 1 for number in range(PAGES) for part in (1, 2)})


class World:
    """What outlives a run: the store, the file of items, and who was asked for what."""

    def __init__(
        self, spider_class=Numbers, answer_of=lambda call: page(), delay_s=0.1, **settings
    ):
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.file = File()
        self.asked = []
        self.spider_class, self.answer_of, self.delay_s = spider_class, answer_of, delay_s
        self.settings = {"concurrency": 4, "host_concurrency": 4, **settings}

    def begin(self, **settings):
        """A run in its greenlet."""
        spider = self.spider_class()
        given = {"delay_s": 0.0, "robots": False, "throttle_s": 0.0, **self.settings, **settings}
        spider.settings = CrawlSettings(**given)
        fetcher = FakeFetcher(self.clock, self.answer_of, self.delay_s)
        self.asked.append(fetcher.sent)
        self.parts = shared(fetcher, self.clock)
        kept = open_store(self.store, Spec("task", spider.name))
        self.crawl = Crawl("task", spider, self.file, self.parts, kept)
        self.greenlet = gevent.spawn(self.crawl.run)
        settle()
        return self.crawl

    def until(self, is_enough, step_s=0.05):
        for _ in range(2000):
            if is_enough() or self.greenlet.dead:
                return
            self.clock.advance(step_s)
            settle()
        raise AssertionError("the crawl did not get there")

    def finish(self, step_s=0.05):
        self.until(lambda: False, step_s)
        self.greenlet.get(block=False)
        return self.crawl

    def kill(self):
        """End the run as a kill does: nothing more is kept."""
        assert not self.greenlet.dead
        made = self.crawl._checkpoints
        made._kept = Kept(Dead(), None)
        if made._under_way is not None:
            made._under_way.kill()
        self.greenlet.kill()

    def urls(self, run=-1):
        return [call.url for _, call in self.asked[run]]

    def items(self):
        return Counter((item["page"], item["part"]) for item in self.file)


class Dead:
    """What a killed process does to its store."""

    place = "nowhere"

    def write(self, step):
        pass

    def close(self, is_clean=False):
        pass


def pages_are(world, count):
    return lambda: world.crawl.counts.pages >= count


@pytest.mark.parametrize("done", range(0, 36, 4))
@pytest.mark.parametrize("batch", [1, 5, 200])
def test_a_crawl_that_is_killed_anywhere_goes_on_and_each_item_is_there_once(
    monkeypatch, done, batch
):
    monkeypatch.setattr(checkpoints, "BATCH", batch)
    world = World()
    world.begin()
    world.until(pages_are(world, done))
    world.kill()
    crawl = world.begin()
    world.finish()
    assert world.items() == ALL
    assert crawl.counts.pages == PAGES
    assert crawl.counts.items == 2 * PAGES
    assert crawl.outcome() == (State.DONE, "")
    again = set(world.urls(0)) & set(world.urls(1))
    assert crawl.statistics.repeated == len(again)
    assert crawl.statistics.pending == 0


def test_a_page_is_asked_again_only_if_it_is_younger_than_a_checkpoint(monkeypatch):
    monkeypatch.setattr(checkpoints, "BATCH", 5)
    world = World()
    world.begin()
    world.until(pages_are(world, 22))
    world.kill()
    world.begin()
    world.finish()
    assert len(set(world.urls(0)) & set(world.urls(1))) <= 5 + 2 * 4


def test_a_crawl_that_was_killed_twice_goes_on_too(monkeypatch):
    monkeypatch.setattr(checkpoints, "BATCH", 3)
    world = World()
    for done in (11, 12, 25, 26):
        world.begin()
        world.until(pages_are(world, done))
        world.kill()
    world.begin()
    assert world.finish().counts.pages == PAGES
    assert world.items() == ALL


@pytest.mark.parametrize("done", [1, 7, 20])
def test_after_a_stop_nothing_is_asked_again(done):
    world = World()
    world.begin()
    world.until(pages_are(world, done))
    world.crawl.stop()
    stopped = world.finish()
    assert stopped.stopped
    assert stopped.statistics.pending > 0
    crawl = world.begin()
    world.finish()
    assert not set(world.urls(0)) & set(world.urls(1))
    assert world.items() == ALL
    assert (crawl.counts.pages, crawl.statistics.repeated) == (PAGES, 0)


def test_the_totals_of_a_worker_count_what_its_runs_did_and_a_crawl_what_all_runs_did():
    world = World(answer_of=lambda call: page(status=404) if "h2" in call.url else page())
    world.settings["retries"] = 0
    totals = StatisticsRegistry(world.clock)
    first = world.begin()
    totals.watch(first)
    world.until(lambda: first.statistics.requests >= 2)
    world.crawl.stop()
    world.finish()
    before = totals.totals().sums["requests"]
    second = world.begin()
    totals.watch(second)
    assert totals.totals().sums["requests"] == before
    world.finish()
    whole = second.statistics
    assert (first.statistics.resumed, whole.resumed) == (False, True)
    sums = totals.totals()
    assert sums.sums["requests"] == whole.requests == sum(len(sent) for sent in world.asked)
    assert dict(sums.failures) == dict(whole.failures)
    assert dict(sums.filtered) == dict(whole.filtered)


class NamedFile(File):
    """A file of many, which notes where it is told to begin."""

    def __init__(self, name):
        super().__init__()
        self.name, self.given = name, None

    def begin_at(self, marks):
        self.given = marks

    def mark(self):
        wait = super().mark()
        return lambda: {self.name: wait()["file"]}


def test_a_file_that_is_not_given_in_a_run_keeps_its_mark(monkeypatch, caplog):
    monkeypatch.setattr(checkpoints, "BATCH", 2)
    world = World()
    pages = 0
    for name, ends in [("killed", "kill"), ("stopped", "stop"), ("third", "kill"), ("last", "")]:
        world.file = NamedFile(name)
        crawl = world.begin()
        pages += 6
        world.until(pages_are(world, pages))
        if ends == "kill":
            world.kill()
        else:
            crawl.stop()
            world.finish()
    given = world.file.given
    assert sorted(given) == ["killed", "stopped", "third"]
    assert {name: parsed(mark)[1] for name, mark in given.items()} == {
        "killed": False,
        "stopped": True,
        "third": False,
    }
    assert caplog.text.count("the crawl wrote items to other files before") == 3


def test_a_second_stop_waits_for_no_answer():
    world = World(delay_s=5.0)
    world.begin()
    world.clock.advance(6.0)
    settle()
    world.crawl.stop()
    settle()
    assert not world.greenlet.dead
    world.crawl.stop()
    settle()
    assert world.greenlet.dead
    crawl = world.begin()
    world.finish()
    assert world.items() == ALL
    assert crawl.statistics.repeated == len(set(world.urls(0)) & set(world.urls(1))) > 0


def test_a_stop_lets_the_callback_come_to_its_end():
    class Slow(Numbers):
        def parse(self, response):
            for output in Numbers.parse(self, response):
                if response.url.endswith("/4") and not world.crawl.stopped:
                    world.crawl.stop()
                yield output

    world = World(Slow)
    world.begin()
    world.finish()
    world.spider_class = Numbers
    world.begin()
    world.finish()
    assert world.items() == ALL
    assert not set(world.urls(0)) & set(world.urls(1))


def test_when_the_crawl_is_done_nothing_is_kept():
    world = World()
    world.begin()
    assert world.finish().is_done
    assert world.store.open().is_new


def test_a_crawl_whose_start_failed_goes_on_when_the_start_is_mended():
    class Listed(Numbers):
        is_mended = False

        def start(self):
            yield Request("http://h0/0")
            if not self.is_mended:
                raise OSError("the list cannot be read")
            yield Request("http://h1/100")

    world = World(Listed)
    world.begin()
    crawl = world.finish()
    assert crawl.outcome()[0] is State.FAILED
    assert not crawl.is_done
    Listed.is_mended = True
    world.begin()
    assert world.finish().outcome() == (State.DONE, "")
    assert world.urls(1)[0] == "http://h1/100"
    assert not set(world.urls(0)) & set(world.urls(1))
    assert world.items() & ALL == ALL
    assert set(world.items().values()) == {1}
    assert world.store.open().is_new


def test_a_crawl_that_failed_keeps_what_it_brought_though_nothing_is_left():
    world = World(min_items=1000)
    world.begin()
    assert not world.finish().is_done
    world.begin(min_items=10)
    assert world.finish().outcome() == (State.DONE, "")
    assert world.urls(1) == []
    assert world.items() == ALL
    assert world.store.open().is_new


@pytest.mark.parametrize("status", [200, 404])
def test_a_crawl_that_failed_and_brought_nothing_begins_anew(status):
    class Faulty(Numbers):
        is_mended = False

        def parse(self, response):
            if not self.is_mended:
                raise KeyError("a defect")
            yield from Numbers.parse(self, response)

    world = World(Faulty, lambda call: page(status=200 if Faulty.is_mended else status))
    world.begin()
    assert world.finish().outcome()[0] is State.FAILED
    Faulty.is_mended = True
    world.begin()
    assert world.finish().outcome() == (State.DONE, "")
    assert world.items() == ALL


@pytest.mark.parametrize("limit", [{"max_pages": 10}, {"max_items": 15}])
def test_a_limit_ends_the_crawl_and_a_higher_one_goes_on(limit):
    world = World()
    world.begin(**limit)
    assert not world.finish().is_done
    crawl = world.begin()
    world.finish()
    assert world.items() == ALL
    assert crawl.counts.pages == PAGES


def test_a_spider_that_ends_its_crawl_may_go_on_later():
    class Choosy(Numbers):
        def parse(self, response):
            if response.url.endswith("/9") and len(world.asked) == 1:
                raise CloseSpider("enough")
            yield from Numbers.parse(self, response)

    world = World(Choosy)
    world.begin()
    assert not world.finish().is_done
    world.begin()
    world.finish()
    assert {number for number, _ in world.items()} == set(range(PAGES)) - {9, 28, 29, 30}


def test_items_are_safe_before_their_page_is_done(monkeypatch):
    monkeypatch.setattr(checkpoints, "BATCH", 1)
    world = World()
    safe = AsyncResult()

    def mark():
        length = len(world.file)
        return lambda: (safe.get() if length else None) or {"file": length}

    world.file.mark = mark
    world.begin()
    world.until(pages_are(world, 10))
    world.kill()
    found = world.store.open()
    assert (found.waiting, len(found.starts)) == (0, 0)  # the crawl has not begun
    safe.set(None)
    del world.file.mark
    world.begin()
    world.finish()
    assert world.items() == ALL


def test_a_sink_that_fails_fails_the_crawl_and_loses_nothing(monkeypatch):
    monkeypatch.setattr(checkpoints, "BATCH", 5)
    world = World()
    whole = world.file.mark

    def mark():
        if len(world.file) > 20:
            raise OSError("no room")
        return whole()

    world.file.mark = mark
    world.begin()
    crawl = world.finish()
    assert crawl.outcome() == (State.FAILED, "items could not be written: no room")
    world.file.mark = whole
    world.begin()
    world.finish()
    assert world.items() == ALL


def test_a_store_that_fails_fails_the_crawl_and_loses_nothing(monkeypatch):
    monkeypatch.setattr(checkpoints, "BATCH", 5)
    world = World()
    whole = world.store.write

    def write(step):
        if step.ended and max(step.ended) > 12:
            raise StoreFailed("the disk is full; make room")
        whole(step)

    world.store.write = write
    world.begin()
    assert world.finish().outcome() == (State.FAILED, "the disk is full; make room")
    world.store.write = whole
    world.begin()
    world.finish()
    assert world.items() == ALL


def test_a_step_that_is_lost_by_a_defect_ends_the_crawl_before_the_next_one(monkeypatch):
    monkeypatch.setattr(checkpoints, "BATCH", 3)
    world = World()
    whole, told = world.store.write, []

    def write(step):
        told.append(step)
        if len(told) == 4:
            raise TypeError("a defect")
        whole(step)

    world.store.write = write
    world.begin()
    state, why = world.finish().outcome()
    assert state is State.FAILED
    assert "a checkpoint could not be made: TypeError: a defect" in why
    assert len(told) == 4
    world.store.write = whole
    world.begin()
    world.finish()
    assert world.items() == ALL


def test_retries_and_redirects_go_on_as_they_were():
    def answer_of(call):
        path = call.url.split("/", 3)[3]
        if path == "from":
            return page(status=302, headers=[b"Location: /to"])
        if path == "bad":
            return page(status=500)
        return page()

    class Bad(Spider):
        name = "bad"
        start_urls = ("http://h/bad", "http://h/from")

        def parse(self, response):
            yield {"page": response.url, "part": response.meta.get("redirect_times")}

    world = World(Bad, answer_of, retries=3, retry_delay_s=10.0, host_concurrency=1)
    world.begin()
    world.until(lambda: world.urls().count("http://h/bad") == 2)
    world.clock.advance(1.0)
    settle()
    world.kill()
    crawl = world.begin()
    world.finish()
    assert world.items() == {("http://h/to", 1): 1}
    assert [*world.urls(0), *world.urls(1)].count("http://h/bad") == 4
    assert crawl.failures_by_reason == {"HTTP 500": 1}
    assert crawl.statistics.retries == 3
    [second, _] = [at_s for at_s, call in world.asked[1] if call.url.endswith("bad")]
    [first, again] = [at_s for at_s, call in world.asked[0] if call.url.endswith("bad")]
    assert second - again >= 20.0 - 0.1  # the pause went on, and is not begun anew
    assert again - first >= 10.0


def test_limits_for_each_host_and_path_count_on():
    world = World()
    world.begin(max_pages_per_host=5)
    world.until(pages_are(world, 6))
    world.crawl.stop()
    world.finish()
    world.begin(max_pages_per_host=5)
    world.finish()
    hosts = Counter(url.split("/")[2] for url in {*world.urls(0), *world.urls(1)})
    assert max(hosts.values()) <= 5 + 1  # and the start request, which is not counted


@pytest.mark.parametrize("count", [0, 3, checkpoints.ENTRIES, 4 * checkpoints.ENTRIES + 1])
def test_the_counts_of_many_hosts_are_encoded_in_turns(count):
    ticks = []

    def tick():
        while True:
            ticks.append(1)
            gevent.sleep(0)

    greenlet = gevent.spawn(tick)
    counts = [{}, {number * 977: number for number in range(count)}]
    text = checkpoints.encoded_in_turns(counts)
    greenlet.kill()
    assert json.loads(text) == [{}, {str(key): taken for key, taken in counts[1].items()}]
    assert len(ticks) >= count // checkpoints.ENTRIES


def test_a_count_that_grows_while_it_is_written_belongs_to_the_next_checkpoint():
    world = World()
    world.begin(max_pages_per_host=50)
    world.until(pages_are(world, 3))
    kept = world.crawl._frontier.kept()
    before = json.dumps(kept)
    world.until(pages_are(world, 20))
    assert json.dumps(kept) == before != json.dumps(world.crawl._frontier.kept())
    world.kill()


class Started(Spider):
    """Yields as many start requests as it is told, and items between them."""

    name = "started"
    numbers = range(20)

    def start(self):
        for number in self.numbers:
            yield {"page": number, "part": "start"}
            yield Request(f"http://h/{number}", dont_filter=True)

    def parse(self, response):
        yield {"page": int(response.url.rsplit("/", 1)[1]), "part": "page"}


@pytest.mark.parametrize("numbers", [range(20), range(19, -1, -1), range(30), (5, 5, 40)])
def test_start_requests_that_were_read_are_not_read_again(numbers, monkeypatch, caplog):
    monkeypatch.setattr(checkpoints, "BATCH", 2)
    world = World(Started)
    world.begin()
    world.until(pages_are(world, 5))
    world.crawl.stop()
    world.finish()
    before = set(world.urls(0))
    monkeypatch.setattr(Started, "numbers", numbers)
    world.begin()
    world.finish()
    wanted = [*range(20), *(number for number in numbers if number > 19)]
    wanted += [5] * (list(numbers).count(5) - 1)
    found = [number for number, part in world.items().elements() if part == "page"]
    assert sorted(found) == sorted(wanted)
    assert before.isdisjoint(set(world.urls(1)) - {"http://h/5"})
    assert ("other requests than before" in caplog.text) is (numbers[0] != 0)


def test_a_start_that_was_cut_off_is_read_to_its_end(monkeypatch):
    monkeypatch.setattr("crawler.engine.crawl.crawl.START_AHEAD", 4)
    monkeypatch.setattr("crawler.engine.crawl.crawl.START_MOST", 4)
    monkeypatch.setattr(checkpoints, "BATCH", 2)
    world = World(Started)
    world.begin()
    world.until(pages_are(world, 7))
    world.kill()
    world.begin()
    crawl = world.finish()
    assert world.items() == {(n, part): 1 for n in range(20) for part in ("start", "page")}
    assert crawl.statistics.discovered == 20


def test_callbacks_that_are_gone_are_named_and_their_requests_fail(caplog):
    class Old(Spider):
        name = "changing"
        start_urls = ("http://h/0",)

        def parse(self, response):
            for number in range(1, 7):
                callback = self.parse_old if number % 2 else self.parse_same
                yield Request(f"http://h/{number}", callback, priority=number)

        def parse_old(self, response):
            yield {"page": response.url, "part": "old"}

        parse_same = parse_old

    class New(Old):
        parse_old = None

        def parse_same(self, response):
            yield {"page": response.url, "part": "new"}

    world = World(Old, concurrency=1)
    world.begin()
    world.until(pages_are(world, 1))
    world.crawl.stop()
    world.finish()
    world.spider_class = New
    crawl = world.begin()
    world.finish()
    gone = crawl.failures_by_reason
    assert list(gone) == ["callback parse_old is gone"]
    assert sum(gone.values()) + len(world.file) == 6
    assert "parse_old" in caplog.text
    assert crawl.statistics.pending == 0


def test_callbacks_and_errbacks_that_are_gone_are_counted_before_the_start():
    class Old(Spider):
        name = "changing"
        start_urls = ("http://h/0",)

        def parse(self, response):
            for number in range(1, 8):
                yield Request(f"http://h/{number}", self.parse, errback=self.note)
            yield Request("http://h/8", self.parse_old)

        def parse_old(self, response):
            pass

        def note(self, failure):
            pass

    world = World(Old, concurrency=1)
    world.begin()
    world.until(pages_are(world, 1))
    world.crawl.stop()
    world.finish()
    kept = open_store(world.store, Spec("task", "changing"))
    look_for_callbacks(kept, Old())

    class New(Old):
        parse_old = note = None

    with pytest.raises(InvalidArgument) as refused:
        look_for_callbacks(kept, New())
    told = str(refused.value)
    assert re.search(r"'note', for which [67] requests wait; ", told), told
    assert "'parse_old', for which 1 request waits." in told
    assert "--drop-missing" in told
    look_for_callbacks(replace(kept, drops_missing=True), New())


def test_what_a_spider_keeps_between_its_callbacks_goes_on():
    class Counting(Numbers):
        def parse(self, response):
            self.state["pages"] = self.state.get("pages", 0) + 1
            yield from Numbers.parse(self, response)

    world = World(Counting)
    world.begin()
    world.until(pages_are(world, 10))
    world.crawl.stop()
    world.finish()
    world.begin()
    assert world.finish().spider.state == {"pages": PAGES}


def test_a_host_that_rests_goes_on_resting():
    def answer_of(call):
        return page(status=429) if len(world.asked) == 1 else page()

    class Two(Spider):
        name = "two"
        start_urls = ("http://h/1",)

        def parse(self, response):
            pass

    world = World(Two, answer_of, retries=5, throttle_s=100.0, retry_delay_s=0.1)
    world.begin()
    world.until(lambda: len(world.urls()) == 1)
    world.clock.advance(2.0)
    settle()
    asked_s = world.clock.monotonic()
    world.kill()
    world.begin()
    world.finish(step_s=0.5)
    [(at_s, _)] = world.asked[1]
    assert 96.0 <= at_s - asked_s <= 115.0


def test_a_host_is_not_asked_sooner_than_its_delay_after_the_run_before():
    world = World(delay_s=0.01)
    world.begin(delay_s=10.0)
    world.until(lambda: len(world.urls()) == 1)
    world.clock.advance(3.0)
    settle()
    world.kill()
    world.begin(delay_s=10.0)
    world.until(world.urls, step_s=0.5)
    before_s, after_s = world.asked[0][-1][0], world.asked[1][0][0]
    world.kill()
    assert 10.0 <= after_s - before_s <= 11.0


def test_a_stop_ends_the_wait_for_the_delay_after_the_run_before():
    world = World(delay_s=0.01)
    world.begin(delay_s=30.0)
    world.until(lambda: len(world.urls()) == 1)
    world.kill()
    world.begin(delay_s=30.0)
    assert not world.greenlet.dead
    world.crawl.stop()
    settle()
    assert world.greenlet.dead  # though no time has passed
    world.begin()
    world.finish()
    assert world.items() == ALL


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({7: 1}, "spider.state.kept: the key 7 is not allowed; allowed: texts as keys"),
        ((1, 2), "spider.state.kept: tuple is not allowed in what goes on in a later run"),
        (Counter(a=1), "spider.state.kept: Counter is not allowed"),
        (float("nan"), "spider.state.kept: float is not allowed"),
        ({1}, "spider.state.kept: set is not allowed"),
    ],
)
def test_a_state_of_the_spider_that_would_come_back_as_another_is_refused(value, told):
    class Keeping(Numbers):
        def parse(self, response):
            self.state["kept"] = value
            yield from Numbers.parse(self, response)

    world = World(Keeping)
    world.begin()
    state, why = world.finish().outcome()
    assert state is State.FAILED
    assert told in why
    assert "run the same command again" in why


class Hidden(Spider):
    """Its requests have callbacks that cannot be written down, and these yield more of that."""

    name = "hidden"
    start_urls = ("http://h/0",)

    def parse(self, response):
        number = int(response.url.rsplit("/", 1)[1])
        yield {"page": number, "part": 1}
        for to in (2 * number + 1, 2 * number + 2):
            if to < 15:
                yield Request(f"http://h/{to}", lambda response: self.parse(response))
        yield Request(f"http://h/leaf/{number}", self.parse_leaf)

    def parse_leaf(self, response):
        pass


@pytest.mark.parametrize("done", range(0, 24, 2))
def test_requests_that_cannot_be_written_down_are_not_lost(done, monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_S", 0.01)
    world = World(Hidden)
    world.begin()
    world.until(pages_are(world, done))
    world.kill()
    world.begin()
    assert world.finish().outcome() == (State.DONE, "")
    assert set(world.items()) == {(number, 1) for number in range(15)}


def test_start_requests_that_cannot_be_written_down_are_read_again(monkeypatch, caplog):
    class Strange(Started):
        def start(self):
            for number in range(6):
                callback = self.parse if number % 2 else lambda response: self.parse(response)
                yield Request(f"http://h/{number}", callback, dont_filter=True)

    monkeypatch.setattr(checkpoints, "CHECKPOINT_S", 0.01)
    world = World(Strange, host_concurrency=1)
    world.begin()
    world.until(pages_are(world, 2))
    world.kill()
    world.begin()
    world.finish()
    assert {number for number, _ in world.items()} == set(range(6))
    assert "other requests than before" not in caplog.text


def test_start_requests_that_could_not_be_written_down_are_not_asked_again_after_their_end(caplog):
    class Strange(Started):
        def start(self):
            for number in range(8):
                callback = (lambda response: self.parse(response)) if number in (1, 6) else None
                yield Request(f"http://h/{number}", callback, dont_filter=True)

    world = World(Strange, concurrency=1)
    for done in (3, 4):
        world.begin()
        world.until(pages_are(world, done))
        world.crawl.stop()
        world.finish()
    world.begin()
    assert world.finish().outcome() == (State.DONE, "")
    assert world.items() == {(number, "page"): 1 for number in range(8)}
    asked = [url for run in range(3) for url in world.urls(run)]
    assert asked.count("http://h/1") == 1
    assert "other requests than before" not in caplog.text


def test_the_target_of_a_redirect_whose_request_cannot_be_written_down_any_more_is_not_lost(
    monkeypatch,
):
    def answer_of(call):
        if call.url.endswith("/from"):
            return page(status=302, headers=[b"Location: /to"])
        return None if call.url.endswith("/to") and len(world.asked) == 1 else page()

    class Spoiling(Spider):
        name = "spoiling"
        start_urls = ("http://h/0",)

        def parse(self, response):
            self.sent = Request("http://h/from", self.parse_target, meta={"seen": 1})
            yield self.sent
            for number in range(8):
                yield Request(f"http://g/{number}", self.parse_other)

        def parse_other(self, response):
            pass

        def parse_target(self, response):
            yield {"page": response.url, "part": 1}

    monkeypatch.setattr(checkpoints, "CHECKPOINT_S", 0.01)
    world = World(Spoiling, answer_of, host_concurrency=1)
    world.begin()
    world.until(lambda: "http://h/from" in world.urls(), step_s=0.02)
    world.crawl.spider.sent.meta["seen"] = object()
    world.until(lambda: "http://g/7" in world.urls(), step_s=0.02)
    assert "http://h/to" in world.urls()
    world.kill()
    world.begin()
    world.finish()
    assert world.items() == {("http://h/to", 1): 1}


def test_a_page_that_is_fetched_again_is_no_duplicate_of_its_own_canonical_url(monkeypatch):
    def answer_of(call):
        if call.url.endswith("/1?from=list"):
            return page("/x", headers=[b'Link: </1>; rel="canonical"'])
        return None if call.url.endswith("/child") and len(world.asked) == 1 else page()

    class Other(Spider):
        name = "other"
        start_urls = ("http://h/1?from=list", *(f"http://g/{number}" for number in range(8)))

        def parse(self, response):
            if response.url.startswith("http://h/1"):
                yield Request("http://h/leaf", self.parse_child)
                yield Request("http://h/child", lambda response: self.parse_child(response))

        def parse_child(self, response):
            yield {"page": response.url, "part": 1}

    monkeypatch.setattr(checkpoints, "CHECKPOINT_S", 0.01)
    world = World(Other, answer_of, canonical=True, host_concurrency=1)
    world.begin()
    world.until(lambda: "http://g/7" in world.urls(), step_s=0.02)
    assert "http://h/child" in world.urls()
    world.kill()
    world.begin()
    assert world.finish().outcome() == (State.DONE, "")
    assert world.items()["http://h/child", 1] == 1
    assert not world.crawl.filtered.get("canonical")


def test_a_store_of_another_spider_or_other_arguments_is_refused():
    store = MemoryStore()
    open_store(store, Spec("t", "one", parameters={"a": "1", "settings": {"delay_s": 1}}))
    store.close()
    again = Spec("t", "one", parameters={"settings": {"delay_s": 2}, "a": "1"})
    assert not open_store(store, again).found.is_new  # settings may change
    store.close()
    for spec, told in (
        (Spec("t", "two", parameters={"a": "1"}), "spider 'one', and this is 'two'; give another"),
        (Spec("t", "one", parameters={"a": "2"}), "other arguments: a differs; give the same"),
        (Spec("t", "one", parameters={"b": "1"}), "other arguments: a, b differ; give the same"),
    ):
        with pytest.raises(StoreFailed, match=told):
            open_store(store, spec)


def test_the_count_of_items_is_without_those_that_a_sink_refused():
    class Refusing(File):
        def close(self):
            pass

    world = World()
    world.file = Refusing()
    world.begin()
    world.until(pages_are(world, 10))
    world.file.lost["refused"] = 3
    world.crawl.stop()
    world.finish()
    world.file.lost.clear()
    world.begin()
    crawl = world.finish()
    assert crawl.statistics.items == 2 * PAGES - 3
    assert crawl.statistics.items_failed == {"refused": 3}


def test_a_fault_of_the_sink_while_a_checkpoint_is_written_ends_the_crawl():
    world = World()

    def fail():
        raise SinkFailed(OSError("gone"))

    world.file.mark = lambda: fail
    world.begin()
    assert world.finish().outcome()[0] is State.FAILED


class Ruled(CrawlSpider):
    name = "ruled"
    start_urls = ("http://h/0",)
    rules = (Rule(LinkExtractor(), callback="parse_page", follow=True),)

    def parse_start_url(self, response):
        return self.parse_page(response)

    def parse_page(self, response):
        yield {"page": response.url}


DECLARED = compile_declaration(
    {
        "name": "declared",
        "start_urls": ["http://h/0"],
        "follow": [{"css": "a"}],
        "items": [{"fields": {"page": {"from": "url"}}}],
    }
)


@pytest.mark.parametrize("spider_class", [Ruled, DECLARED], ids=["rules", "yaml"])
@pytest.mark.parametrize("done", [1, 5, 12])
def test_spiders_with_rules_and_declared_ones_go_on_too(spider_class, done, monkeypatch):
    def answer_of(call):
        number = int(call.url.rsplit("/", 1)[1])
        return page(*(f"/{to}" for to in range(3 * number + 1, 3 * number + 4) if to < PAGES))

    monkeypatch.setattr(checkpoints, "BATCH", 2)
    world = World(spider_class, answer_of, host_concurrency=2)
    world.begin()
    world.until(pages_are(world, done))
    world.kill()
    world.begin()
    assert world.finish().outcome() == (State.DONE, "")
    assert sorted(item["page"] for item in world.file) == sorted(
        f"http://h/{number}" for number in range(PAGES)
    )
