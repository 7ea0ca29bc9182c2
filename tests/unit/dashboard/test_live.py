"""Open pages stay true: who watches gets what has changed, and costs others nothing."""

import json

import gevent
import pytest
from gevent.event import Event

from crawler.clock import SystemClock
from crawler.dashboard import live
from crawler.dashboard.live import TROUBLE, Shown, Streams
from crawler.errors import CrawlerError, Unavailable
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(live, "EVERY_S", 0.01)


@pytest.fixture
def streams():
    streams = Streams(SystemClock(), lambda why: f"<p>{why}</p>")
    yield streams
    streams.stop()


class Page:
    """A page that a test changes."""

    def __init__(self, **parts):
        self.parts = parts
        self.looks = 0
        self.fault = None

    def look(self):
        self.looks += 1
        if self.fault:
            raise self.fault
        return Shown(dict(self.parts), {"rows": list(self.parts)})


class Reader:
    """Somebody who watches."""

    def __init__(self, streams, page, key="a"):
        self.events = streams.watch(key, page.look)
        assert next(self.events).startswith(b"retry:")

    def next(self):
        with gevent.Timeout(30):
            for event in self.events:
                if event.startswith(b"data: "):
                    return json.loads(event[6:])
        return None


def test_who_watches_gets_the_whole_page_and_then_what_has_changed(streams):
    page = Page(a="1", b="1")
    reader = Reader(streams, page)
    first = reader.next()
    assert first == {
        "parts": {"a": "1", "b": "1", TROUBLE: "<p></p>"},
        "orders": {"rows": ["a", "b"]},
    }
    page.parts["b"] = "2"
    assert reader.next() == {"parts": {"b": "2"}, "orders": {}}
    page.parts = {"c": "1", "b": "2"}
    assert reader.next() == {"parts": {"c": "1"}, "orders": {"rows": ["c", "b"]}}
    page.parts = {"b": "2"}
    assert reader.next() == {"parts": {}, "orders": {"rows": ["b"]}}


class Ticks(SystemClock):
    """A clock whose sleepers wake when a test says so."""

    def __init__(self):
        self.woken = Event()

    def sleep(self, seconds):
        self.woken.wait()

    def tick(self):
        woken, self.woken = self.woken, Event()
        woken.set()


def test_all_who_watch_the_same_cost_one_look():
    clock, page, other = Ticks(), Page(a="1"), Page(a="other")
    streams = Streams(clock, str)
    readers = [Reader(streams, page) for _ in range(20)]
    stranger = Reader(streams, other, key="b")
    assert [each.next()["parts"]["a"] for each in readers] == ["1"] * 20
    assert stranger.next()["parts"]["a"] == "other"
    assert (len(streams), page.looks, other.looks) == (2, 1, 1)
    page.parts["a"] = "2"
    clock.tick()
    assert [each.next()["parts"] for each in readers] == [{"a": "2"}] * 20
    assert page.looks == 2
    streams.stop()


def test_whoever_comes_later_never_sees_what_was_before_the_page():
    clock, page = Ticks(), Page(a="1")
    streams = Streams(clock, str)
    Reader(streams, page).next()
    page.parts["a"] = "2"
    later = gevent.spawn(Reader(streams, page).next)  # its page has the 2 already
    gevent.sleep(0)
    assert not later.ready()
    clock.tick()
    assert later.get(timeout=30)["parts"]["a"] == "2"
    streams.stop()


def test_a_slow_reader_gets_the_latest_state_and_nothing_is_kept_for_it(streams):
    page = Page(a="0")
    slow, fast = Reader(streams, page), Reader(streams, page)
    slow.next(), fast.next()
    for number in range(1, 6):
        page.parts["a"] = str(number)
        assert fast.next()["parts"] == {"a": str(number)}
    assert slow.next()["parts"] == {"a": "5"}


def test_while_nobody_can_say_the_page_stays_as_it_was_with_the_reason(streams):
    page = Page(a="1")
    reader = Reader(streams, page)
    reader.next()
    page.fault = Unavailable("nobody leads")
    assert reader.next() == {"parts": {TROUBLE: "<p>nobody leads</p>"}, "orders": {}}
    page.fault = None
    assert reader.next() == {"parts": {TROUBLE: "<p></p>"}, "orders": {}}


def test_a_page_that_nobody_watches_is_forgotten(streams):
    page = Page(a="1")
    reader = Reader(streams, page)
    reader.next()
    reader.events.close()
    eventually(lambda: len(streams) == 0)
    looks = page.looks
    gevent.sleep(0)
    assert page.looks == looks
    again = Reader(streams, page)
    assert again.next()["parts"]["a"] == "1"


def test_a_defect_of_a_page_ends_its_streams_and_no_other(streams, caplog):
    page, other = Page(a="1"), Page(a="1")
    reader, stranger = Reader(streams, page), Reader(streams, other, key="b")
    reader.next(), stranger.next()
    page.fault = ZeroDivisionError()
    assert reader.next() is None
    assert "greenlet ended with an error" in caplog.text
    other.parts["a"] = "2"
    assert stranger.next()["parts"] == {"a": "2"}


def test_a_stream_ends_now_and_then_so_that_its_token_is_asked_again(streams, monkeypatch):
    monkeypatch.setattr(live, "MOST_S", 0.0)
    reader = Reader(streams, Page(a="1"))
    assert reader.next() is None


def test_a_stream_shows_that_it_is_alive(streams, monkeypatch):
    monkeypatch.setattr(live, "ALIVE_S", 0.01)
    reader = Reader(streams, Page(a="1"))
    reader.next()
    assert next(reader.events) == b":\n\n"


def test_when_the_node_stops_all_streams_end(streams):
    watched = Reader(streams, Page(a="1"))
    watched.next()
    fresh = Reader(streams, Page(a="1"), key="not begun")
    streams.stop()
    assert (watched.next(), fresh.next(), len(streams)) == (None, None, 0)


def test_there_is_a_bound_on_what_is_watched(streams, monkeypatch):
    monkeypatch.setattr(live, "MOST_CHANNELS", 1)
    Reader(streams, Page(a="1"))
    with pytest.raises(CrawlerError, match="too many different pages"):
        Reader(streams, Page(a="1"), key="b")
