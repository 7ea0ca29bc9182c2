"""A slow place slows down whoever brings items: nothing is lost, and little is held in memory."""

import errno
import threading
from collections import Counter

import gevent
import pytest

from crawler.clock import ManualClock, settle
from crawler.engine.items.sinks.batched import PATIENCE_S, BatchedSink
from crawler.engine.items.sinks.sink import Unreachable
from tests.unit.engine.fakes import FakeFetcher, crawl_of, page, shared
from tests.waiting import eventually


class Gate:
    """A writer that writes a batch only when it is let."""

    batch_records = 10
    batch_bytes = 1_000_000

    def __init__(self, faults=()):
        self.written = []
        self.began = 0
        self.closed = 0
        self.threads = set()
        self._faults = list(faults)
        self.turnstile = Turnstile()

    def encode(self, item, url):
        return item["n"], 8

    def open(self):
        pass

    def write(self, records):
        self.began += 1
        self.threads.add(threading.get_ident())
        self.turnstile.wait()
        if self._faults:
            raise self._faults.pop(0)
        assert not self.closed
        self.written += records
        return Counter()

    def close(self):
        self.closed += 1


class Turnstile:
    """Lets through as many as `let` has said; looked at from a native thread."""

    def __init__(self):
        self._free = 0
        self._always = False

    def let(self, count):
        self._free += count

    def open(self):
        self._always = True

    def wait(self):
        while not self._always:
            if self._free:
                self._free -= 1
                return
            gevent.sleep(0.001)


def bring(sink, count):
    for n in range(count):
        sink.write({"n": n}, "http://h/")


def test_whoever_brings_items_waits_while_two_batches_are_full():
    gate = Gate()
    sink = BatchedSink(gate)
    sink.open()
    brought = []

    def bring_all():
        for n in range(100):
            sink.write({"n": n}, "http://h/")
            brought.append(n)

    bringing = gevent.spawn(bring_all)
    eventually(lambda: gate.began == 1 and len(brought) >= 19)
    settle()
    assert len(brought) == 19
    gate.turnstile.let(1)
    eventually(lambda: gate.began == 2 and len(brought) >= 29)
    settle()
    assert len(brought) == 29
    gate.turnstile.open()
    bringing.join()
    sink.close()
    assert gate.written == list(range(100))


def test_the_hub_goes_on_while_a_batch_is_written():
    gate = Gate()
    sink = BatchedSink(gate)
    sink.open()
    bring(sink, 10)
    eventually(lambda: gate.began == 1)
    assert gate.threads != {threading.get_ident()}
    gate.turnstile.open()
    sink.close()
    assert gate.written == list(range(10))


def test_a_slow_sink_holds_up_the_fetches_and_loses_nothing():
    """Each page has an item; while none can be written, no more pages are asked for."""
    from tests.unit.engine.test_crawl import spider_of

    def parse(self, response):
        number = int(response.url.rpartition("/")[2])
        yield {"n": number}
        yield from ({"n": -1} for _ in range(4))

    gate = Gate()
    clock = ManualClock()
    fetcher = FakeFetcher(clock, lambda call: page())
    urls = [f"http://h/{n}" for n in range(200)]
    crawl = crawl_of(
        spider_of(urls, parse),
        shared(fetcher, clock),
        BatchedSink(gate),
        concurrency=8,
        host_concurrency=8,
    )
    running = gevent.spawn(crawl.run)
    eventually(lambda: gate.began == 1 and crawl.counters.items_taken >= 20)
    settle()
    assert (crawl.counters.items_taken, len(fetcher.sent) < 30) == (20, True)
    gate.turnstile.open()
    running.join(PATIENCE_S)
    assert len(fetcher.sent) == 200
    assert sorted(gate.written) == sorted([*range(200), *[-1] * 800])
    assert crawl.counts.items == 1000


def test_what_cannot_be_reached_is_tried_again_and_comes_once():
    clock = ManualClock()
    gate = Gate([Unreachable("down")] * 3)
    gate.turnstile.open()
    sink = BatchedSink(gate, clock=clock)
    sink.open()
    bring(sink, 10)
    eventually(lambda: gate.written or clock.advance(1.0))
    sink.close()
    assert gate.written == list(range(10))


class Late(Gate):
    """Cannot be opened at once."""

    def __init__(self, *errors):
        super().__init__()
        self.turnstile.open()
        self.errors = list(errors)

    def open(self):
        if self.errors:
            raise self.errors.pop(0)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_sink_waits_for_a_descriptor(number):
    clock = ManualClock()
    late = Late(OSError(number, "Too many open files"), RuntimeError("can't start new thread"))
    sink = BatchedSink(late, clock=clock)
    opening = gevent.spawn(sink.open)
    eventually(lambda: opening.dead or clock.advance(1.0))
    bring(sink, 10)
    sink.close()
    assert late.written == list(range(10))


def test_a_sink_does_not_wait_for_what_will_not_come():
    sink = BatchedSink(Late(OSError(errno.ENOENT, "no such folder")))
    with pytest.raises(OSError, match="no such folder"):
        sink.open()
    with pytest.raises(OSError, match="no such folder"):
        sink.close()


def test_a_place_that_stays_away_ends_it():
    clock = ManualClock()
    gate = Gate([Unreachable("down")] * 1000)
    gate.turnstile.open()
    sink = BatchedSink(gate, clock=clock)
    sink.open()
    bring(sink, 10)
    eventually(lambda: clock.advance(PATIENCE_S / 10) or sink._fault)
    with pytest.raises(OSError, match="down"):
        sink.flush()
    with pytest.raises(OSError, match="down"):
        sink.close()


def test_a_fault_of_the_place_is_raised_at_whoever_brings_the_next_items():
    gate = Gate([OSError("disk full")])
    gate.turnstile.open()
    sink = BatchedSink(gate)
    sink.open()
    bring(sink, 10)
    with pytest.raises(OSError, match="disk full"):
        bring(sink, 100)
    with pytest.raises(OSError, match="disk full"):
        sink.close()


def test_whoever_is_cut_off_while_it_closes_leaves_the_rest_to_be_written_and_closed():
    gate = Gate()
    sink = BatchedSink(gate)
    sink.open()
    bring(sink, 15)
    closing = gevent.spawn(sink.close)
    eventually(lambda: gate.began == 1)
    closing.kill()
    assert (gate.written, gate.closed) == ([], 0)
    gate.turnstile.open()
    eventually(lambda: gate.closed)
    sink.close()
    assert (gate.written, gate.closed) == (list(range(15)), 1)


def test_a_place_that_cannot_be_reached_is_not_waited_for_once_the_crawl_is_cut_off():
    """The clock stands still: no pause ends by itself."""
    gate = Gate([Unreachable("down")] * 1000)
    gate.turnstile.open()
    sink = BatchedSink(gate, clock=ManualClock())
    sink.open()
    bring(sink, 15)
    closing = gevent.spawn(sink.close)
    eventually(lambda: gate.began == 1)
    closing.kill()
    eventually(lambda: gate.closed)
    with pytest.raises(OSError, match="down"):
        sink.close()


def test_a_sink_that_never_opened_has_nothing_to_close():
    gate = Gate()
    BatchedSink(gate).close()
    assert not gate.closed
