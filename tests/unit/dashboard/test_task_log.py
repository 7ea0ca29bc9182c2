"""The log and the items of a task on the page."""

import gzip
import itertools
import json

import gevent
import pytest

from crawler.clock import SystemClock
from crawler.dashboard import log_tails
from crawler.dashboard.log_ends import END_BYTES, positions
from crawler.dashboard.log_tails import Tails, line_of
from crawler.errors import Unavailable
from crawler.model.access import Role
from crawler.model.logs import LogPart, Piece, PieceKey
from crawler.model.records import Resource, Spec, State
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import WORKER, Master
from tests.unit.dashboard.workers import FakeWorker
from tests.waiting import eventually

RUNS = {"id": "1", "shard": 0, "epoch": 1, "files": ["1-1"]}


@pytest.fixture
def worker():
    return FakeWorker()


@pytest.fixture
def master(backend, tokens, clock, worker):
    master = Master(
        backend, ApiSettings(rate=0), tokens=tokens, clock=clock, has_pages=True, reach=worker
    )
    yield master
    master.pages.stop()


@pytest.fixture(autouse=True)
def _shop(backend):
    backend.resources["shop"] = Resource(
        Spec("shop", "books"), id="1", state=State.DONE, owner=WORKER.as_owner, epoch=1
    )


def lines(count, first=0):
    told = (
        {"level": "INFO", "ts": "2026-12-01T01:02:03.004+00:00", "msg": f"<{n}>"}
        for n in range(first, first + count)
    )
    return b"".join(json.dumps(each).encode() + b"\n" for each in told)


def test_the_last_lines_are_there_without_a_script(signed_in, worker):
    worker.lines[1] = lines(3) + b"no <b>JSON\n"
    browser = signed_in(Role.VIEWER)
    text = browser.see("/tasks/shop/log")
    assert "01:02:03.004 INFO <0> worker-2" in text
    assert "no <b>JSON" in text
    assert b"<b>JSON" not in browser.answer.data


def test_of_a_long_log_its_end_alone_is_read(signed_in, worker):
    worker.lines[1] = lines(10_000)
    browser = signed_in()
    text = browser.see("/tasks/shop/log")
    assert "The last 200 lines are here; the whole log has more." in text
    shown = [each.text for each in browser.page.cssselect("#log li span")]
    assert shown == [f"<{n}>" for n in range(9_800, 10_000)]
    assert worker.read <= END_BYTES


def test_the_whole_log_can_be_kept(signed_in, worker):
    worker.lines[1] = lines(3)
    browser = signed_in()
    browser.open("/dashboard/tasks/shop/log/whole")
    found = [json.loads(each) for each in browser.answer.data.splitlines()]
    assert [each["line"]["msg"] for each in found] == ["<0>", "<1>", "<2>"]
    assert "shop.log.jsonl" in browser.answer.headers["Content-Disposition"]


def test_a_piece_that_is_missing_is_told_in_its_place(signed_in):
    assert "the log of epoch 1 is missing" in signed_in().see("/tasks/shop/log")


def test_a_run_that_is_not_there_is_told(signed_in):
    browser = signed_in()
    assert "the last run of 'shop' is 1" in browser.see("/tasks/shop/log?run=7")
    assert browser.status == 404
    assert "run: 'x' is not allowed" in browser.see("/tasks/shop/log?run=x")


def piece(epoch, size, shard=0, begin=0):
    return Piece(PieceKey(epoch, shard), "1", 1, begin, begin + size)


def test_the_end_of_a_log_goes_back_over_the_moves_of_a_task():
    assert positions([piece(1, 500), piece(2, 30)], 100) == {0: (1, 430)}
    assert positions([piece(1, 500), piece(2, 300, begin=50)], 100) == {0: (2, 250)}
    assert positions([piece(1, 50), piece(2, 30)], 100) == {}
    assert positions([piece(1, 500), piece(1, 200, shard=1)], 100) == {0: (1, 400), 1: (1, 100)}


# -- the tail -------------------------------------------------------------------------------------


class Log:
    """A log to which a test adds lines."""

    def __init__(self):
        self.parts = []
        self.begun = 0
        self.has_ended = False
        self.fault = None

    def begin(self):
        self.begun += 1
        return self._all()

    def _all(self):
        for at in itertools.count():
            while at >= len(self.parts):
                if self.fault:
                    raise self.fault
                if self.has_ended:
                    return
                gevent.sleep(0.005)
            yield self.parts[at]

    def add(self, count, first=0):
        self.parts.append(LogPart(node="w-1", data=lines(count, first)))


class Reader:
    def __init__(self, tails, log, seen=""):
        self.events = tails.watch("shop", log.begin, seen)
        assert next(self.events).startswith(b"retry:")
        self.id = ""

    def next(self):
        with gevent.Timeout(30):
            for event in self.events:
                if event.startswith(b"id: "):
                    head, _, data = event.partition(b"\n")
                    self.id = head[4:].decode()
                    return json.loads(data.removeprefix(b"data: "))
        return None

    def until(self, line):
        """The events up to the one with that line."""
        found = []
        while not found or line not in found[-1]["lines"]:
            found.append(self.next())
        return found


@pytest.fixture
def tails(monkeypatch):
    monkeypatch.setattr(log_tails, "PACE_S", 0.01)
    tails = Tails(SystemClock(), lambda line: line.text)
    yield tails
    tails.stop()


@pytest.fixture
def log():
    return Log()


def all_lines(events):
    return [line for event in events for line in event["lines"]]


def test_who_follows_a_log_gets_its_lines_once_and_in_order(tails, log):
    log.add(2)
    reader = Reader(tails, log)
    first = reader.until("<1>")
    assert first[0]["anew"]
    log.add(1, 2)
    second = reader.until("<2>")
    assert not second[0]["anew"]
    assert all_lines(first + second) == ["<0>", "<1>", "<2>"]


def test_all_who_follow_a_log_share_one_reading_of_it(tails, log):
    log.add(3)
    first = Reader(tails, log)
    first.until("<2>")
    assert all_lines(Reader(tails, log).until("<2>")) == ["<0>", "<1>", "<2>"]
    assert (log.begun, len(tails)) == (1, 1)


def test_of_a_flood_its_last_lines_are_written_and_the_rest_is_counted(tails, log):
    written = []
    tails._write = lambda line: written.append(line.text) or line.text
    log.add(20_000)
    events = Reader(tails, log).until("<19999>")
    assert len(all_lines(events)) == len(written) == log_tails.MOST_NEW
    assert sum(each["leftOut"] for each in events) == 20_000 - log_tails.MOST_NEW


def test_a_slow_reader_is_told_how_much_it_missed_and_nothing_is_kept_for_it(tails, log):
    log.add(1)
    slow, quick = Reader(tails, log), Reader(tails, log)
    slow.until("<0>")
    for first in range(1, 5000, 400):
        log.add(400, first)
        quick.until(f"<{first + 399}>")
    events = slow.until(f"<{first + 399}>")
    got = all_lines(events)
    assert len(got) == log_tails.KEPT
    assert len(got) + sum(each["leftOut"] for each in events) == first + 399


def test_who_comes_back_goes_on_where_it_was(tails, log):
    log.add(2)
    reader = Reader(tails, log)
    reader.until("<1>")
    log.add(1, 2)
    back = Reader(tails, log, reader.id).until("<2>")
    assert (back[0]["anew"], all_lines(back)) == (False, ["<2>"])
    assert Reader(tails, log, "another.7").until("<2>")[0]["anew"]
    assert Reader(tails, log, "é.x").until("<2>")[0]["anew"]


def test_the_end_of_the_run_ends_the_stream_and_says_so(tails, log):
    log.add(1)
    log.has_ended = True
    reader = Reader(tails, log)
    events = reader.until("<0>")
    while not events[-1]["ended"]:
        events.append(reader.next())
    assert reader.next() is None
    assert eventually(lambda: len(tails) == 0)


def test_why_a_log_cannot_be_followed_any_more_is_a_line(tails, log):
    log.fault = Unavailable("ask again")
    reader = Reader(tails, log)
    events = reader.until("ask again")
    assert not events[-1]["ended"]
    assert reader.next() is None


def test_a_log_that_cannot_begin_takes_no_place(tails, log):
    def refused():
        raise Unavailable("nobody leads")

    for _ in range(log_tails.MOST_TAILS + 1):
        with pytest.raises(Unavailable, match="nobody leads"):
            tails.watch("shop", refused)
    assert len(tails) == 0
    log.add(1)
    assert Reader(tails, log).until("<0>")


def test_two_who_begin_to_follow_a_log_at_once_share_its_tail(tails, log):
    log.add(1)
    closed = []

    def closing():
        try:
            yield LogPart()
        finally:
            closed.append(True)

    def late():
        Reader(tails, log).until("<0>")
        parts = closing()
        next(parts)
        return parts

    assert next(tails.watch("shop", late)).startswith(b"retry:")
    assert (len(tails), log.begun, closed) == (1, 1, [True])


def test_when_the_node_stops_all_logs_end(tails, log):
    reader = Reader(tails, log)
    tails.stop()
    assert not reader.next()["ended"]  # the run goes on, and another node tells how
    assert (reader.next(), len(tails)) == (None, 0)


def test_a_log_that_nobody_follows_is_read_no_further(tails, log, monkeypatch):
    monkeypatch.setattr(log_tails, "IDLE_S", 0.0)
    log.add(1)
    reader = Reader(tails, log)
    reader.until("<0>")
    reader.events.close()
    gevent.sleep(0.01)
    log.add(1, 1)
    assert eventually(lambda: len(tails) == 0)


def test_a_line_keeps_its_level_its_text_and_its_fields():
    line = line_of(b'{"level": "ERROR", "ts": "T", "msg": "no", "task": "shop", "n": [1]}', "w")
    assert (line.level, line.time, line.text, line.more, line.where) == (
        *("ERROR", "T", "no", "n=[1]"),
        "w",
    )
    assert line_of(b"\xff[]").text == "\ufffd[]"


# -- the items ------------------------------------------------------------------------------------


def items(count):
    rows = ({"n": n, "title": f"<{n}>", "tags": ["a"]} for n in range(count))
    return b"".join(json.dumps(each).encode() + b"\n" for each in rows)


def files(worker, data, name="1-1.jsonl"):
    worker.files = {".runs": json.dumps(RUNS).encode() + b"\n", name: data}


def rows(browser):
    return [
        [cell.text for cell in row.cssselect("td")] for row in browser.page.cssselect("tbody tr")
    ]


def test_the_first_and_the_last_items_are_a_table(signed_in, worker):
    files(worker, items(10_000))
    browser = signed_in(Role.VIEWER)
    browser.see("/tasks/shop/items")
    assert [each.text for each in browser.page.cssselect("thead th")] == ["n", "title", "tags"]
    assert rows(browser) == [[str(n), f"<{n}>", '["a"]'] for n in range(20)]
    browser.see("/tasks/shop/items?end=last")
    assert [row[0] for row in rows(browser)] == [str(n) for n in range(9_980, 10_000)]


def test_what_is_packed_is_read_from_its_beginning_and_no_further_than_some_way(signed_in, worker):
    files(worker, gzip.compress(items(100)), "1-1.jsonl.gz")
    browser = signed_in()
    browser.see("/tasks/shop/items?end=last")
    assert [row[0] for row in rows(browser)] == [str(n) for n in range(80, 100)]
    files(worker, gzip.compress(items(21_000)), "1-1.jsonl.gz")
    text = browser.see("/tasks/shop/items?end=last")
    assert "there are more items behind these" in text


def test_all_items_can_be_kept(signed_in, worker):
    files(worker, items(300))
    browser = signed_in()
    browser.open("/dashboard/tasks/shop/items/all")
    found = [json.loads(each) for each in browser.answer.data.splitlines()]
    assert found == [json.loads(each) for each in items(300).splitlines()]
    assert "shop.jsonl" in browser.answer.headers["Content-Disposition"]


def test_why_there_are_no_items_is_told(signed_in, worker):
    text = signed_in().see("/tasks/shop/items")
    assert "No items to see no worker that answers has items of 'shop'" in text
