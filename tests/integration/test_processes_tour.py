"""docs/tour.md, as somebody types it: what each step promises has come true after it."""

import json
import re
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import gevent
import pytest
import yaml
from gevent.lock import BoundedSemaphore

from crawler.demo.bookshop import Bookshop, BookshopServer
from tests.integration.lab import ROOT, Lab
from tests.integration.test_processes_book import Reader
from tests.site.crawling import lines
from tests.waiting import eventually

TOUR = ROOT / "docs" / "tour.md"
BLOCK = re.compile(r"^```(\w+)(?: title=(\S+))?(?: until=(\w+))?\n(.*?)^```", re.M | re.S)
LOOKED_S = 150.0
"""A leader looks for alerts seldom when each look takes long, as on a busy machine."""
TOLD = [("broken", "firing"), ("broken", "recovered")]
BEGUN = 30
"""So many pages are asked for before somebody has written the next version."""


class Counting(Bookshop):
    """It knows which pages it has served. Those that fail on purpose are asked for again.

    Once some pages were asked for it is slow, until the next version is there: that must come in
    the middle of the crawl, also on a busy machine.
    """

    def __init__(self):
        super().__init__()
        self.asked = Counter()
        self.has_next_version = False
        self._turn = BoundedSemaphore()

    def __call__(self, environ, start_response):
        if self.asked.total() >= BEGUN and not self.has_next_version:
            with self._turn:
                gevent.sleep(0.5)
        page = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"

        def noting(status, headers):
            self.asked[page] += status.startswith("200")
            return start_response(status, headers)

        return super().__call__(environ, noting)


class Chat:
    """The webhook of the tour."""

    def __init__(self):
        self.states = []
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                chat.states += [(each["rule"], each["state"]) for each in told["alerts"]]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def chat():
    chat = Chat()
    yield chat
    chat.close()


@pytest.fixture
def shop():
    shop = BookshopServer()
    shop.shop = Counting()
    shop.start()
    yield shop
    shop.stop()


def test_the_tour_comes_true(tmp_path, chat, shop):
    steps = BLOCK.findall(TOUR.read_text())
    settings = yaml.safe_load(next(text for _, title, _, text in steps if title == "config.yaml"))
    settings["alerts"]["channels"]["ops"]["url"] = chat.url
    with Lab(tmp_path) as lab:
        lab.write_settings("tour", "crawler.demo.spiders.bookshop", f"alerts: {settings['alerts']}")
        lab.start("master-1", "master-2", "worker-1", "worker-2", config="tour")
        reader, told = Reader(lab, shop, None), 0
        for kind, title, until, text in steps:
            if until:
                eventually(lambda until=until: _state(lab) == until, what=f"it is {until}")
            if title and title != "config.yaml":
                _write(lab.folder / title, text)
            for command in re.findall(r"^\$ (.*)", text, re.M) if kind == "console" else []:
                reader.type(command)
                shop.shop.has_next_version |= "--roll" in command
                _check(command, lab, shop)
                if command == "crawler alerts":  # the reader goes on when it is there
                    told += 1
                    eventually(lambda told=told: len(chat.states) >= told, LOOKED_S, "ops is told")
        assert chat.states == TOLD


def _state(lab):
    return (lab.resource("nightly") or {}).get("State")


def _write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def _check(command, lab, shop):
    """What a command of the tour promises."""
    if command == "crawler tasks":
        eventually(lambda: shop.shop.asked.total() >= BEGUN, what="the crawl is under way")
        assert _state(lab) == "running", "the next version comes in the middle"
    elif command.startswith("crawler items"):
        asked = {path: n for path, n in shop.shop.asked.items() if n and path != "/robots.txt?"}
        twice = {path: n for path, n in asked.items() if n > 1}
        assert not twice, "no page is fetched twice"
        found = lines(lab.folder / "books.jsonl")
        assert len({item["url"] for item in found}) == len(found) >= 50
        assert len({"price" in item for item in found}) == 2, "both versions had their part"
    elif command == "crawler projects shop":
        eventually(lambda: _offered(lab) == 2, what="both workers offer the project")


def _offered(lab):
    _, _, body = lab["master-1"].call("GET", "/crawler/node")
    return sum("shop/books" in node.get("spiders", []) for node in json.loads(body)["nodes"])
