"""Several shards crawl one task, on a fake network: each page once, whichever of them is killed."""

from collections import Counter
from itertools import groupby, pairwise, product
from urllib.parse import urlsplit

import gevent
import pytest
from gevent.event import Event
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler import Request, Spider
from crawler.clock import settle
from crawler.engine.crawl import checkpoints
from crawler.engine.crawl.kept import Kept
from crawler.engine.frontier import shared_journal
from crawler.engine.frontier.shared_journal import SharedJournal
from crawler.engine.frontier.shared_store import ADOPT_S, ENDED
from crawler.engine.frontier.store import StoreFailed
from crawler.engine.http.failures import CloseSpider
from crawler.engine.http.messages import FetchError
from crawler.model.records import State
from crawler.model.statistics import SUMMED, together, whole
from tests.depth import deep, examples
from tests.switches import CUTS, cut_at_each_switch
from tests.unit.engine.fakes import page
from tests.unit.engine.shards import Failing, World
from tests.unit.engine.test_checkpoints import ALL, PAGES, File, Numbers
from tests.waiting import PATIENCE_S


def pages_are(world, count):
    return lambda: world.pages() >= count


def of_graph(links, start=(0,), hosts=3):
    """A spider whose page n links to `links[n]`, and has one item."""

    class Graph(Spider):
        name = "graph"

        def start(self):
            for number in start:
                yield Request(url_of(number))

        def parse(self, response):
            number = int(response.url.rsplit("/", 1)[1])
            yield {"page": number}
            for to in links.get(number, ()):
                yield Request(url_of(to))

    def url_of(number):
        return f"http://h{number % hosts}/{number}"

    return Graph


def test_what_no_shard_holds_yet_is_counted_while_it_lies_with_the_store():
    """Links to sites that nobody serves wait there until a shard has a free slot."""
    links = {0: range(1, 60)}
    world = World(2, of_graph(links, hosts=60), delay_s=1.0, concurrency=2).begin()
    world.until(pages_are(world, 6))
    found = together([shard.statistics for shard in world.shards])
    assert found.elsewhere + found.pending > 40
    assert found.elsewhere > found.pending
    world.finish().assert_done()
    assert together([shard.statistics for shard in world.shards]).elsewhere == 0


CHAIN = {number: (number + 1,) for number in range(5)}


@pytest.mark.parametrize("shards", [1, 2, 3, 5])
def test_shards_fetch_each_page_once_and_count_together_what_one_crawl_counts(shards):
    world = World(shards, Numbers).begin().finish()
    world.assert_done()
    assert world.items() == ALL
    assert max(Counter(world.urls()).values()) == 1
    assert world.pages() == PAGES
    alone = World(1, Numbers).begin().finish()
    for count in ("discovered", "requests", "items"):
        assert world.sum(lambda found, name=count: getattr(found, name)) == alone.sum(
            lambda found, name=count: getattr(found, name)
        )
    assert world.filtered("duplicate") == alone.filtered("duplicate")


def test_each_shard_has_its_share_of_the_sites():
    links = {0: range(1, 60), **{number: (number + 60,) for number in range(1, 60)}}
    world = World(3, of_graph(links, hosts=12), delay_s=0.3).begin().finish()
    world.assert_done()
    assert world.pages() == 119
    assert all(20 <= shard.statistics.pages <= 70 for shard in world.shards)


@pytest.mark.parametrize(
    ("batch", "takes_it", "killed"),
    [
        pytest.param(*case, marks=[] if case in ((1, True, 0), (1, False, 1)) else deep)
        for case in product((1, 200), (False, True), (0, 1, 2))
    ],
)
def test_a_shard_that_dies_at_any_exchange_goes_on_and_nothing_is_lost_or_doubled(
    monkeypatch, killed, takes_it, batch
):
    monkeypatch.setattr(checkpoints, "BATCH", batch)
    links = {0: (1, 2, 3), 1: (4, 5, 0), 2: (6, 7, 1), 3: (8, 9, 4), 8: (10,), 10: (11,)}
    for number in range(8):
        world = World(3, of_graph(links), delay_s=0.2)
        for shard in world.shards:
            if shard.number == killed:
                shard.fail(number, takes_it)
            else:
                shard.begin()
        world.finish()
        world.assert_done()
        assert world.items() == {(page,): 1 for page in range(12)}
        assert world.pages() == 12


@pytest.mark.parametrize("cut", CUTS)
def test_wherever_a_shard_is_cut_off_nothing_is_lost_or_doubled(cut):
    links = {number: (2 * number + 1, 2 * number + 2) for number in range(40)}
    world = World(3, of_graph(links, hosts=5))

    def pass_time():
        while True:
            world.clock.advance(0.02)
            gevent.sleep(0)

    others, shard = world.shards[::2], world.shards[1]
    for other in others:
        other.begin()
    passing = gevent.spawn(pass_time)
    for _ in cut_at_each_switch(shard.spawn, cut):
        pass
    gevent.joinall([other.greenlet for other in others], timeout=60)
    passing.kill()
    assert world.items() == {(page,): 1 for page in range(81)}
    assert world.task.left == 0
    assert shard.statistics.pages > 5


class SlowFile(File):
    """A sink on a disk that is slow while the gate is closed."""

    def __init__(self):
        super().__init__()
        self.gate = Event()
        self.gate.set()
        self.waiting = 0

    def mark(self):
        marks = super().mark()

        def wait():
            self.waiting += 1
            self.gate.wait()
            self.waiting -= 1
            return marks()

        return wait


def test_what_waits_for_the_disk_when_a_shard_is_cut_off_is_told_with_its_step():
    links = {number: (2 * number + 1, 2 * number + 2) for number in range(40)}
    world = World(2, of_graph(links, hosts=5))
    shard = world.shards[1]
    shard.file = disk = SlowFile()
    world.begin()
    for pages in range(2, 30, 3):
        world.until(lambda pages=pages: shard.statistics.pages >= pages)
        disk.gate.clear()
        world.until(lambda: disk.waiting)
        shard.greenlet.kill(block=False)
        settle(3)
        disk.gate.set()
        shard.greenlet.join(PATIENCE_S)
        shard.begin()
    world.finish()
    assert world.items() == {(page,): 1 for page in range(81)}
    assert world.task.left == 0


@settings(max_examples=examples(60))
@given(data=st.data())
def test_in_any_graph_each_page_is_read_whatever_dies(data):
    count = data.draw(st.integers(1, 12), "pages")
    links = {
        number: data.draw(st.lists(st.integers(0, count - 1), max_size=4), f"links of {number}")
        for number in range(count)
    }
    shards = data.draw(st.integers(1, 4), "shards")
    world = World(shards, of_graph(links, hosts=data.draw(st.integers(1, 4), "hosts")))
    for shard in world.shards:
        if data.draw(st.booleans(), f"{shard.number} dies"):
            shard.fail(data.draw(st.integers(0, 8), "at"), data.draw(st.booleans(), "taken"))
        else:
            shard.begin()
    world.finish()
    world.assert_done()
    reached, found = set(), [0]
    while found:
        if (number := found.pop()) not in reached:
            reached.add(number)
            found += links[number]
    assert world.items() == {(number,): 1 for number in reached}


@pytest.mark.parametrize("stops", [(1,), (8,), (20,), (6, 12, 25)])
def test_after_a_stop_of_all_nothing_is_asked_again(stops):
    world = World(3, Numbers)
    for done in stops:
        world.begin()
        world.until(pages_are(world, done))
        for shard in world.shards:
            shard.crawl.stop()
        world.finish()
        assert world.task.left > 0
        assert world.sum(lambda found: found.pending) <= world.task.left
    world.begin().finish()
    world.assert_done()
    assert world.items() == ALL
    assert max(Counter(world.urls()).values()) == 1
    alone = World(1, Numbers).begin().finish()
    assert world.filtered("duplicate") == alone.filtered("duplicate")


def test_a_shard_that_is_stopped_leaves_the_rest_to_the_others_after_a_while():
    world = World(3, Numbers).begin()
    world.until(pages_are(world, 15))
    world.shards[1].crawl.stop()
    world.finish(step_s=0.25)
    assert world.items() == ALL
    assert world.task.left == 0
    assert world.clock.monotonic() - 1000.0 > ADOPT_S
    head, removed, _ = (shard.crawl for shard in world.shards)
    assert head.shard_counts[1].pages == removed.counts.pages > 0
    told = [head.counts, *head.shard_counts.values()]
    assert (sum(each.pages for each in told), sum(each.items for each in told)) == (PAGES, 80)
    kept = world.shards[0].store.open()
    assert Kept(None, kept).others == head.shard_counts, "for who asks later"
    assert removed.shard_counts == {}


def test_the_head_has_the_statistics_of_a_shard_that_is_gone():
    alone = World(1, Numbers).begin().finish().shards[0].statistics
    world = World(3, Numbers).begin()
    world.until(pages_are(world, 15))
    world.shards[1].crawl.stop()
    world.advance(3.0)
    head, removed, last = (shard.statistics for shard in world.shards)
    assert head.shards[1].pages == removed.pages > 0
    assert together(whole([head, last])).pages >= head.pages + removed.pages + last.pages
    world.finish(step_s=0.25)
    head, removed, last = (shard.statistics for shard in world.shards)
    assert (removed.shards, last.shards) == ({}, {})
    told = [together(whole(parts)) for parts in ([head, last], [head], [head, removed, last])]
    for name in SUMMED:
        assert {str(getattr(each, name)) for each in told} == {str(getattr(told[0], name))}, name
    found = told[0]
    for name in ("pages", "items", "discovered", "requests", "statuses", "filtered", "pending"):
        assert getattr(found, name) == getattr(alone, name), name
    assert (found.shards, found.elsewhere) == ({}, 0)
    assert not found.resumed, "each shard had one run"


@pytest.mark.parametrize("text", ["{", "{}", "[1]"])
def test_statistics_of_a_shard_that_cannot_be_read_do_not_fail_the_crawl(text, caplog):
    world = World(3, Numbers)
    store = world.shards[0].store
    read = store.texts
    store.texts = lambda name: {**read(name), 1: text}
    world.begin().finish()
    world.assert_done()
    assert set(world.shards[0].statistics.shards) == {2}, "those of the others are told"
    assert caplog.text.count("the statistics of a shard cannot be read") == 1
    assert world.shards[0].store.open().is_clean


def test_a_store_that_does_not_tell_statistics_leaves_those_that_were_heard():
    world = World(2, Numbers, delay_s=0.5).begin()
    head = world.shards[0]
    world.until(lambda: 1 in head.statistics.shards)
    heard, asked = head.statistics.shards[1], []

    def texts(name):
        asked.append(name)
        raise StoreFailed("it does not answer")

    head.store.texts = texts
    world.finish()
    world.assert_done()
    assert len(asked) > 1, "while it ran, and at its end"
    assert head.statistics.shards == {1: heard}


def test_what_nobody_runs_does_not_wait_until_the_others_have_done_all_of_theirs():
    """A site with a pause takes long, and leaves slots free for other sites."""
    hosts = 4
    world = World(2, of_graph({0: range(1, 4 * 40)}, hosts=hosts), delay_s=0.1)
    for shard in world.shards:
        shard.begin(delay_s=2.0)
    world.until(pages_are(world, 3 * hosts))
    busy, ended = world.shards
    left = {url.rsplit("/", 1)[0] for url in ended.urls()}
    assert left, "it serves some of the sites"
    ended.crawl.stop()
    world.until(lambda: not ended.is_running)
    world.advance(ADOPT_S)
    since = len(busy.urls())
    world.until(lambda: len(busy.urls()) > since + 5 * hosts)
    assert {url.rsplit("/", 1)[0] for url in busy.urls()[since:]} >= left
    assert busy.is_running
    busy.crawl.break_off()
    world.finish()


def test_a_shard_that_comes_late_has_its_share():
    links = {0: range(1, 200)}
    world = World(2, of_graph(links, hosts=20), delay_s=0.5)
    world.shards[0].begin()
    world.until(pages_are(world, 20))
    world.shards[1].begin()
    world.finish()
    world.assert_done()
    assert world.pages() == 200
    assert world.shards[1].statistics.pages > 40


def test_a_shard_alone_waits_for_the_start_and_ends_when_the_task_is_over():
    world = World(2, Numbers)
    other = world.shards[1]
    other.begin()
    for _ in range(100):
        world.advance(0.1)
    assert other.is_running
    assert world.urls() == []
    world.shards[0].begin()
    world.finish()
    world.assert_done()
    assert world.items() == ALL


def test_a_shard_waits_while_another_one_may_still_find_something():
    world = World(2, of_graph({0: range(1, 30)}, hosts=6), delay_s=4.0, concurrency=2)
    world.begin()
    for _ in range(35):
        world.advance(0.1)
    assert world.urls() == ["http://h0/0"]
    assert all(shard.is_running for shard in world.shards)
    world.finish()
    world.assert_done()
    assert all(shard.statistics.pages > 5 for shard in world.shards)


def test_a_shard_that_waits_asks_seldom():
    world = World(2, Numbers)
    other = world.shards[1]
    asked, whole = [], other.store.exchange

    def exchange(step, told):
        asked.append(world.clock.monotonic())
        return whole(step, told)

    other.store.exchange = exchange
    other.begin()
    for _ in range(200):
        world.advance(0.05)
    other.kill()
    assert 18 <= len(asked) <= 25
    assert asked[1] - asked[0] <= 0.15


class Nothing(Spider):
    name = "nothing"


def test_a_task_without_any_request_ends():
    world = World(3, Nothing).begin().finish()
    world.assert_done()


def test_a_host_that_has_everything_is_served_by_one_shard_and_the_others_wait():
    world = World(3, of_graph({0: range(1, 40)}, hosts=1)).begin().finish()
    world.assert_done()
    assert world.pages() == 40
    assert sorted(len(shard.urls()) for shard in world.shards) == [0, 0, 40]


def test_a_site_is_served_by_one_shard_at_a_time():
    links = {number: (2 * number + 1, 2 * number + 2) for number in range(60)}
    world = World(3, of_graph(links, hosts=7), host_concurrency=1, delay_s=0.2)
    world.begin().finish()
    world.assert_done()
    assert world.pages() == 121
    for site in range(7):
        sent = [(at_s, who) for at_s, who, url in world.sent if url.startswith(f"http://h{site}/")]
        for (at_s, who), (next_s, next_who) in pairwise(sent):
            assert who == next_who or next_s - at_s >= 0.2 - 1e-6
        assert len(list(groupby(who for _, who in sent))) <= 8


@pytest.mark.parametrize("limit", [{"max_pages": 20}, {"max_items": 30}])
def test_a_limit_counts_over_all_shards(limit):
    world = World(3, Numbers, **limit).begin().finish()
    assert world.outcomes() == [(State.DONE, "")] * 3
    [(name, most)] = limit.items()
    reached = world.sum(lambda found: getattr(found, name.removeprefix("max_")))
    assert most <= reached <= most + 30  # what the others do until they hear of it
    assert all(shard.crawl.limit == name for shard in world.shards)


def test_the_head_keeps_the_time_of_a_task():
    """A shard that began long before a later run of the head goes on with it, and ends with it."""
    links = {0: range(1, 2000)}
    world = World(3, of_graph(links, hosts=9), delay_s=1.0, max_run_s=30.0).begin()
    world.advance(20.0)
    world.shards[0].kill()
    world.shards[0].begin()
    again_s = world.clock.monotonic()
    world.until(lambda: world.clock.monotonic() >= again_s + 29.0)
    assert all(shard.is_running for shard in world.shards)
    world.finish()
    assert again_s + 30.0 <= world.clock.monotonic() < again_s + 34.0
    assert {shard.statistics.finish_reason for shard in world.shards} == {"max_run_s"}
    assert world.outcomes() == [(State.DONE, "")] * 3


def test_failures_count_over_all_shards():
    links = {0: range(1, 90)}
    world = World(
        3,
        of_graph(links, hosts=9),
        lambda call: page(status=200 if call.url.endswith("/0") else 404),
        max_failures=10,
    )
    world.begin().finish()
    assert 10 <= world.sum(lambda found: sum(found.failures.values())) <= 10 + 24
    assert all(shard.crawl.limit == "max_failures" for shard in world.shards)


def test_pages_of_a_host_are_limited_over_all_shards():
    world = World(3, of_graph({0: range(1, 60)}, hosts=3), max_pages_per_host=5)
    world.begin().finish()
    world.assert_done()
    counted = Counter(url.rsplit("/", 1)[0] for url in world.urls())
    assert counted == {"http://h0": 5, "http://h1": 5, "http://h2": 5}
    assert world.filtered("host limit") == 45


def test_a_callback_that_ends_the_crawl_ends_it_for_all_shards():
    class Choosy(of_graph({0: range(1, 300)}, hosts=9)):
        def parse(self, response):
            if response.url.endswith("/33"):
                raise CloseSpider("enough")
            yield from super().parse(response)

    world = World(3, Choosy).begin().finish()
    assert world.outcomes() == [(State.DONE, "")] * 3
    assert {shard.statistics.finish_reason for shard in world.shards} == {"enough"}
    assert world.pages() < 200


@pytest.mark.parametrize("items", [80, 81])
def test_only_the_head_judges_and_by_the_counts_of_all(items):
    world = World(3, Numbers, min_items=items).begin().finish()
    head, *others = world.outcomes()
    assert others == [(State.DONE, "")] * 2
    if items == 80:
        assert head == (State.DONE, "")
    else:
        assert head == (State.FAILED, "80 items were written; min_items asks for 81")


def test_a_head_that_has_fetched_nothing_itself_is_no_failure():
    world = World(2, of_graph({}, start=range(6), hosts=1))
    world.shards[1].begin()
    world.shards[0].begin(concurrency=1)
    world.finish()
    world.assert_done()


def test_the_head_tells_that_its_crawl_has_ended_but_not_that_it_could_not_be_written():

    def no_room():
        raise OSError(28, "No space left on device")

    for mark, is_told in ((None, True), (no_room, False)):
        world = World(2, of_graph({0: (1, 2)}))
        world.shards[0].file.mark = mark or world.shards[0].file.mark
        world.begin()
        world.until(lambda world=world: not world.shards[0].is_running)
        assert (ENDED in world.task.told) is is_told
        world.shards[1].kill()


def test_if_all_shards_together_fetch_no_page_the_head_fails():
    def refused(call):
        return FetchError("connection refused")

    world = World(3, of_graph({}, start=range(9)), refused, retries=0).begin().finish()
    (state, why), *others = world.outcomes()
    assert state is State.FAILED
    assert "no page could be fetched" in why
    assert others == [(State.DONE, "")] * 2


def forbids(*hosts):
    """Answers of sites of which some let nobody in."""

    def answer(call):
        is_rules = call.url.endswith("/robots.txt")
        if is_rules and urlsplit(call.url).hostname in hosts:
            return page(body=b"User-agent: *\nDisallow: /")
        return page(status=404) if is_rules else page()

    return answer


def test_if_robots_txt_forbids_all_to_the_other_shards_the_head_says_so():
    world = World(2, of_graph({}, start=[0, 1, 1], hosts=1), forbids("h0"), robots=True).begin()
    head, other = world.shards
    head.crawl.stop()
    world.until(lambda: other.statistics.filtered.get("robots") == 2)
    head.begin()
    world.finish()
    assert "robots" not in head.statistics.filtered, "the head itself was forbidden nothing"
    (state, why), part = world.outcomes()
    assert state is State.FAILED
    assert why.startswith("no page could be fetched: robots (http://h0/")
    assert part == (State.DONE, "")


def test_a_site_that_forbids_all_is_no_failure_if_another_has_pages():
    world = World(2, of_graph({}, start=range(4), hosts=2), forbids("h1"), robots=True)
    world.begin().finish()
    world.assert_done()
    assert world.pages() == 2


def test_a_start_that_raises_fails_the_head_when_all_is_done():
    class Broken(Numbers):
        def start(self):
            yield from super().start()
            raise OSError("the list cannot be read")

    world = World(3, Broken).begin().finish()
    (state, why), *others = world.outcomes()
    assert state is State.FAILED
    assert "the list cannot be read" in why
    assert others == [(State.DONE, "")] * 2
    assert world.items() == ALL


def test_a_shard_whose_store_fails_fails_and_the_others_finish():
    world = World(3, Numbers)
    failing = world.shards[1]
    whole, count = failing.store.exchange, Counter()

    def exchange(step, told):
        count["calls"] += 1
        if count["calls"] == 6:
            raise StoreFailed("Redis is full; make room")
        return whole(step, told)

    failing.store.exchange = exchange
    world.begin().finish(step_s=0.25)
    assert failing.crawl.outcome() == (State.FAILED, "Redis is full; make room")
    assert failing.crawl.can_go_on
    assert world.items() + Counter() == ALL or set(world.items()) == set(ALL)
    assert world.shards[0].crawl.outcome() == (State.DONE, "")


class Started(Spider):
    """A long start."""

    name = "started"
    count = 3000

    def start(self):
        for number in range(self.count):
            self.made = number + 1
            yield Request(f"http://h{number % 5}/{number}")

    def parse(self, response):
        yield {"page": response.url}


def test_only_the_head_reads_the_start_and_no_further_than_is_needed():
    world = World(2, Started).begin()
    for _ in range(5):
        world.advance(0.1)
    assert 1000 <= world.shards[0].crawl.spider.made < 2500
    assert not hasattr(world.shards[1].crawl.spider, "made")
    for shard in world.shards:
        shard.kill()


def test_a_start_that_was_read_is_not_read_again_by_the_next_run():
    class Short(Started):
        count = 40

    world = World(2, Short).begin()
    world.until(pages_are(world, 10))
    for shard in world.shards:
        shard.crawl.stop()
    world.finish()
    world.begin().finish()
    world.assert_done()
    assert world.pages() == 40
    assert sorted(Counter(world.urls()).values()) == [1] * 40


def test_redirects_to_other_sites_retries_and_repeated_requests_go_on_elsewhere():
    class Mixed(Spider):
        name = "mixed"
        start_urls = ("http://b/bad", "http://c/0")

        def parse(self, response):
            yield {
                "page": response.url,
                "hops": response.meta.get("redirect_times", 0),
                "retries": response.meta.get("retry_times", 0),
            }
            if response.url == "http://c/0":
                for site in "abd":
                    yield Request(f"http://{site}/again", dont_filter=True, priority=3)
                    yield Request(f"http://{site}/again", dont_filter=True, priority=-3)
                yield Request("http://a/from")
                yield Request("http://e/to")

    bad = Counter()

    def answer_of(call):
        if call.url == "http://a/from":
            return page(status=302, headers=[b"Location: http://e/to"])
        if call.url == "http://b/bad":
            bad[call.url] += 1
            return page(status=500 if bad[call.url] < 3 else 200)
        return page()

    world = World(3, Mixed, answer_of, retries=4, retry_delay_s=0.3).begin().finish()
    world.assert_done()
    items = world.items()
    assert items["http://b/bad", 0, 2] == 1
    assert items["http://e/to", 0, 0] + items["http://e/to", 1, 0] == 1
    assert all(items[f"http://{site}/again", 0, 0] == 2 for site in "abd")
    assert world.filtered("duplicate") == 1  # the redirect or the link


def test_a_form_whose_answer_is_a_known_page_brings_that_page():
    class Form(Spider):
        name = "form"
        start_urls = ("http://a/list",)

        def parse(self, response):
            yield Request("http://a/send", self.sent, method="POST", body=b"q=1")

        def sent(self, response):
            yield {"page": response.url, "hops": response.meta["redirect_times"]}

    def answer_of(call):
        if call.url.endswith("/send"):
            return page(status=303, headers=[b"Location: /list"])
        return page()

    world = World(2, Form, answer_of).begin().finish()
    world.assert_done()
    assert world.items() == {("http://a/list", 1): 1}


def test_a_redirect_to_itself_after_a_cookie_stays_with_its_shard():
    def answer_of(call):
        if call.url.endswith("/page") and not call.url.endswith("?x"):
            asked[call.url] += 1
            if asked[call.url] == 1:
                return page(status=302, headers=[b"Location: /page", b"Set-Cookie: a=1"])
        return page()

    asked = Counter()

    class Wary(Spider):
        name = "wary"
        start_urls = ("http://a/page",)

        def parse(self, response):
            yield {"page": response.url}

    world = World(2, Wary, answer_of).begin().finish()
    world.assert_done()
    assert world.items() == {("http://a/page",): 1}


class Hidden(Spider):
    """Its requests have callbacks that cannot be written down."""

    name = "hidden"
    start_urls = ("http://h0/0",)

    def parse(self, response):
        number = int(response.url.rsplit("/", 1)[1])
        yield {"page": number}
        for to in (2 * number + 1, 2 * number + 2):
            if to < 15:
                yield Request(f"http://h{to % 3}/{to}", lambda response: self.parse(response))
        yield Request(f"http://h{number % 3}/{number + 100}", self.parse_leaf)

    def parse_leaf(self, response):
        yield {"page": response.url}


@pytest.mark.parametrize("number", [None, 1, 3, 5, 7])
@pytest.mark.parametrize("takes_it", [False, True])
def test_requests_that_cannot_be_written_down_stay_and_are_not_lost(number, takes_it):
    world = World(3, Hidden)
    for shard in world.shards:
        if shard.number == 0 and number is not None:
            shard.fail(number, takes_it)
        else:
            shard.begin()
    world.finish()
    world.assert_done()
    assert {key for key in world.items() if isinstance(key[0], int)} == {
        (each,) for each in range(15)
    }
    if number is None:
        assert set(world.items().values()) == {1}
        assert world.shards[0].statistics.pages >= 15


def test_a_page_known_by_another_url_is_read_once():
    def answer_of(call):
        if "?from=" in call.url:
            known = call.url.split("?")[0].encode()
            return page(headers=[b'Link: <%b>; rel="canonical"' % known])
        return page()

    class Listed(Spider):
        name = "listed"
        start_urls = ("http://g/0",)

        def parse(self, response):
            if response.url == "http://g/0":
                for path in ("1?from=a", "1?from=b", "1", "2?from=c", "2?from=d"):
                    yield Request(f"http://h/{path}")
            else:
                yield Request("http://h/2")
                yield {"page": response.url}

    world = World(2, Listed, answer_of, canonical=True, concurrency=1).begin().finish()
    world.assert_done()
    assert set(world.items().values()) == {1}
    assert len(world.items()) == 2


def test_a_callback_that_is_gone_costs_its_requests_alone():
    class Old(Spider):
        name = "old"
        start_urls = ("http://h0/0",)

        def parse(self, response):
            for number in range(1, 9):
                yield Request(f"http://h{number}/{number}", self.parse_old)

        def parse_old(self, response):
            yield {"page": response.url}

    world = World(2, Old)
    head, other = world.shards
    head.begin(concurrency=1)
    world.until(pages_are(world, 1), step_s=0.01)
    head.crawl.stop()
    world.finish()

    class New(Old):
        parse_old = None

    world.spider_class = New
    head.begin()
    other.begin()
    world.finish()
    failures = world.sum(lambda found: found.failures.get("callback parse_old is gone", 0))
    assert failures >= 6
    assert failures + world.pages() == 9
    assert world.task.left == 0


def test_secrets_go_to_the_host_of_the_first_start_request_from_each_shard():
    class Ports(Spider):
        name = "ports"
        start_urls = ("http://home/0",)

        def parse(self, response):
            if response.url == "http://home/0":
                for number in range(30):
                    host = "home" if number % 2 else f"h{number % 3}"
                    yield Request(f"http://{host}:{8000 + number}/")

    told = {}

    def answer_of(call):
        told.setdefault(call.url.split(":")[1], set()).add(call.credentials is not None)
        return page()

    world = World(3, Ports, answer_of, http_user="me", http_password="secret", delay_s=0.3)
    world.begin().finish()
    world.assert_done()
    assert told.pop("//home") == told.pop("//home/0") == {True}
    assert set(map(frozenset, told.values())) == {frozenset({False})}
    home = {who for _, who, url in world.sent if url.startswith("http://home:")}
    assert home == {0, 1, 2}


def test_a_head_that_ran_alone_before_shares_what_it_has():
    world = World(3, Numbers)
    head = world.shards[0]
    head.begin()
    world.until(pages_are(world, 12))
    head.crawl.stop()
    world.finish()
    world.begin().finish()
    world.assert_done()
    assert world.items() == ALL
    assert max(Counter(world.urls()).values()) == 1


def test_depth_counts_over_shards():
    world = World(3, of_graph(CHAIN), max_depth=3).begin().finish()
    world.assert_done()
    assert world.pages() == 4
    assert world.filtered("depth") == 1


def test_a_spider_that_yields_a_link_often_offers_it_once():
    world = World(2, of_graph({0: (1,) * 50, 1: (0, 1) * 20}))
    offered = []
    for shard in world.shards:
        whole = shard.store.exchange

        def exchange(step, told, whole=whole):
            offered.extend(told.offers)
            return whole(step, told)

        shard.store.exchange = exchange
    world.begin().finish()
    world.assert_done()
    assert len(offered) <= 4
    assert world.filtered("duplicate") == 49 + 40


class FailsAhead(Failing):
    """A store that is reached no more from one of the calls ahead of a step on."""

    def exchange(self, step, exchange):
        return self._store.exchange(step, exchange)

    def offer(self, offers):
        self._left -= 1
        if self._left < 0:
            if self._takes_it:
                self._store.offer(offers)
            self.is_silent = True
            Event().wait()
        return self._store.offer(offers)


@pytest.mark.parametrize("takes_it", [False, True], ids=["not taken", "taken"])
@pytest.mark.parametrize("number", [0, 3, 40])
def test_a_page_with_very_many_links_is_not_kept_in_memory(monkeypatch, number, takes_it):
    """Whenever its shard dies in the middle of that page, each link is fetched once."""
    monkeypatch.setattr(shared_journal, "MOST_OFFERED", 20)
    most, offer = [0], SharedJournal._offer

    def watched(journal, waiting, mark):
        offer(journal, waiting, mark)
        most[0] = max(most[0], sum(each.mark > 0 for each in journal._offers))

    monkeypatch.setattr(SharedJournal, "_offer", watched)
    world = World(2, of_graph({0: [*range(1, 300), *range(1, 9)]}, hosts=5))
    for shard in world.shards:
        shard.begin(FailsAhead(shard.store, number, takes_it))
    world.finish().assert_done()
    assert most[0] <= 20
    assert world.items() == {(page,): 1 for page in range(300)}
    urls = Counter(world.urls())
    assert sum(urls.values()) == 300 + (urls["http://h0/0"] - 1)


def test_a_store_that_fails_in_the_middle_of_a_page_fails_the_crawl(monkeypatch):
    monkeypatch.setattr(shared_journal, "MOST_OFFERED", 5)
    world = World(1, of_graph({0: range(1, 30)}))
    [shard] = world.shards

    def full(offers):
        raise StoreFailed("Redis is full")

    monkeypatch.setattr(shard.store, "offer", full)
    world.begin().finish()
    assert world.outcomes() == [(State.FAILED, "Redis is full")]
    assert world.task.left == 1  # the page


def test_a_shard_remembers_no_more_urls_than_it_may():
    world = World(2, of_graph({0: range(1, 30)}), max_seen=10).begin().finish()
    world.assert_done()
    assert world.filtered("seen limit") == 20
