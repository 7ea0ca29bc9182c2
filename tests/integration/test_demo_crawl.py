"""The demo's five tasks, run by the engine on the shop as it is served."""

import dataclasses
from collections import Counter

import gevent
import pytest

from crawler.demo.bookshop import BookshopServer
from crawler.demo.catalogue import all_books
from crawler.engine.engine import Engine
from crawler.engine.spiders.loader import load_spiders
from crawler.local.demo import DEMO_FILE
from crawler.model.records import State
from crawler.settings import config
from tests.depth import deep
from tests.waiting import PATIENCE_S

CONFIG = DEMO_FILE
# The pauses of the demo are for people to watch.
HASTE = {"delay_s": 0.0, "host_concurrency": 8, "retry_delay_s": 0.05}


class ListSink(list):
    """Keeps the items."""

    def __init__(self):
        super().__init__()
        self.lost = Counter()

    def open(self):
        pass

    def write(self, item, url=""):
        self.append(item)

    def flush(self):
        pass

    def close(self):
        pass


@pytest.fixture(scope="module")
def shop_server():
    server = BookshopServer()
    server.start()
    yield server
    server.stop(deadline_s=0)


@pytest.fixture(scope="module")
def crawls(shop_server):
    """One task of each spider."""
    return ended_crawls(shop_server, {"history", "children"})


def ended_crawls(shop_server, names=None):
    """The ended crawl and its items by the name of the task."""
    settings = config.load(str(CONFIG), {"BOOKSHOP_URL": shop_server.url})
    spiders = load_spiders(settings.spiders, settings.folder)
    engine = Engine(settings.crawl, spiders, private_targets=["all"])
    engine.start()
    tasks = [task for task in settings.tasks if names is None or task.name in names]
    crawls = {task.name: prepared(engine, task) for task in tasks}
    running = [gevent.spawn(crawl.run) for crawl, _ in crawls.values()]
    gevent.joinall(running, timeout=PATIENCE_S, raise_error=True)
    engine.stop()
    return crawls


def prepared(engine, task):
    sink = ListSink()
    parameters = {**task.parameters, "settings": HASTE}
    return engine.crawl(dataclasses.replace(task, parameters=parameters), sink), sink


@deep
def test_each_book_that_may_be_read_is_found_once_in_all(shop_server):
    crawls = ended_crawls(shop_server)
    isbns = Counter(item["isbn"] for _, items in crawls.values() for item in items)
    reachable = shop_server.shop.reachable_books()
    assert set(isbns) == {book.isbn for book in all_books() if book.id in reachable}
    assert set(isbns.values()) == {1}


def test_each_task_stays_in_its_department(shop_server, crawls):
    counts = shop_server.shop.expected()["by_department"]
    assert {name: len(items) for name, (_, items) in crawls.items()}.items() <= counts.items()
    for name, (_, items) in crawls.items():
        assert {item["department"] for item in items} == {name}


def test_items_say_what_the_pages_say(shop_server, crawls):
    books = {book.isbn: book for book in all_books()}
    for _, items in crawls.values():
        for item in items:
            book = books[item["isbn"]]
            assert item["title"] == book.title
            assert item["price"] == book.pence / 100
            assert item["url"].startswith(f"{shop_server.url}{book.address.partition('?')[0]}")


def test_both_spiders_work_and_what_is_broken_is_counted(crawls):
    assert {crawl.spider.name for crawl, _ in crawls.values()} == {"books", "books-declared"}
    for name, (crawl, _) in crawls.items():
        assert crawl.outcome() == (State.DONE, "")
        broken = {"HTTP 404": 2, "HTTP 500": 1} if name == "history" else {"HTTP 404": 2}
        assert crawl.failures_by_reason == broken
