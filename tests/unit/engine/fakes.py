"""Stand-ins for the network and the disk, driven by the manual clock."""

from collections import Counter, deque

import gevent

from crawler.clock import ManualClock
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.shared import Shared
from crawler.engine.http.messages import FetchAnswer
from crawler.engine.politeness.hosts import Hosts
from crawler.engine.politeness.robots import Robots
from crawler.settings.crawl import CrawlSettings
from crawler.supervision import Supervisor


class ListSink(list):
    """Keeps the items; counts what else is asked of it."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.lost = Counter()
        self.urls = []

    def open(self):
        self.calls.append("open")

    def write(self, item, url=""):
        self.append(item)
        self.urls.append(url)

    def flush(self):
        self.calls.append("flush")

    def close(self):
        self.calls.append("close")


class FakeFetcher:
    """Answers each call with `answer_of(call)` after `delay_s` of the clock; None never answers."""

    def __init__(self, clock, answer_of=lambda call: page(), delay_s=0.0):
        self.sent = []
        """(moment, call) of each request."""
        self.cancelled = []
        self._answers = {}
        self._clock = clock
        self._answer_of = answer_of
        self._delay_s = delay_s

    def submit(self, call, done):
        self.sent.append((self._clock.monotonic(), call))
        answer = self._answer_of(call)
        if answer is not None:
            self._answers[id(call)] = gevent.spawn(self._answer, done, answer)
        return Sent(self, call)

    def cancel(self, call):
        self.cancelled.append(call)
        if id(call) in self._answers:
            self._answers[id(call)].kill(block=False)

    def fetch(self, call):
        self.sent.append((self._clock.monotonic(), call))
        self._clock.sleep(self._delay_s)
        answer = self._answer_of(call)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(self, done, answer):
        if self._delay_s:
            self._clock.sleep(self._delay_s)
        done(answer)

    def urls(self):
        return [call.url for _, call in self.sent]

    def moments(self, url=""):
        return [at_s for at_s, call in self.sent if call.url.startswith(url)]


class Sent:
    """A request that the fake fetcher was given."""

    def __init__(self, fetcher, call):
        self.fetcher, self.call = fetcher, call

    def cancel(self):
        self.fetcher.cancel(self.call)


def page(*links, status=200, headers=(), body=None):
    """An answer: a page with these links."""
    anchors = "".join(f'<a href="{link}">x</a>' for link in links)
    lines = [b"HTTP/1.1 200 OK", b"content-type: text/html", *headers]
    return FetchAnswer(status, lines, body if body is not None else anchors.encode(), 0.0)


def shared(fetcher, clock):
    supervisor = Supervisor("test", clock=clock)
    return Shared(fetcher, Hosts(clock), Robots(fetcher, supervisor, clock), clock)


def crawl_of(spider_class, parts, sink=None, **settings):
    """A crawl of a spider on fake parts, without robots.txt and delays unless asked for."""
    spider = spider_class()
    spider.settings = CrawlSettings(
        **{"delay_s": 0.0, "robots": False, "throttle_s": 0.0, **settings}
    )
    return Crawl("task", spider, sink if sink is not None else ListSink(), parts)


def drain(iterator):
    deque(iterator, maxlen=0)


class TransferDriver:
    """What a transfer asks of the fetcher that drives it, on a clock that a test moves."""

    def __init__(self) -> None:
        self.clock = ManualClock()

    def now_s(self) -> float:
        return self.clock.monotonic()
