"""A site that never ends, and the spider that crawls it: whoever runs a task is seen doing so."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import NamedTuple

from gevent.pywsgi import WSGIServer

SPIDER = """
from uuid import uuid4

from crawler import Spider

class {title}(Spider):
    name = "{name}"

    def __init__(self, **parameters):
        super().__init__(**parameters)
        self.run = uuid4().hex[:8]
        self.start_urls = [f"{{url}}?{{self.run}}" for url in self.start_urls]

    def parse(self, response, page=1):
        yield {{"url": response.url}}
        yield response.follow(f"{{page}}?{{self.run}}", cb_kwargs={{"page": page + 1}})
"""


class Visit(NamedTuple):
    """One request to the site."""

    at_s: float
    """Monotonic."""
    worker: str
    run: str
    """What the run calls itself: each start of a crawl has another name."""


class EndlessSite:
    """Every page has a next one; remembers who asked for what, and when."""

    def __init__(self, own_hosts=False):
        """With `own_hosts` each task has a host of its own, so that no task waits for another."""
        interface = "0.0.0.0" if own_hosts else "127.0.0.1"
        self._server = WSGIServer((interface, 0), self._serve, log=None, backlog=2048)
        self._own_hosts = own_hosts
        self._hosts = {}
        self.visits = defaultdict(list)
        """Task → each request."""
        self.starts = defaultdict(int)
        """Task → how often its crawl began."""

    def start(self):
        self._server.start()

    def stop(self):
        self._server.stop(timeout=0.1)

    def url(self, task):
        """Where the crawl of a task begins."""
        return f"http://{self._host(task)}:{self._server.server_port}/{task}/first"

    def crawlers(self, task, since_s):
        """The workers that asked for pages of a task since then."""
        return {visit.worker for visit in self.visits[task] if visit.at_s >= since_s}

    def _host(self, task):
        """All of 127.0.0.0/8 is this machine."""
        number = self._hosts.setdefault(task, len(self._hosts) + 1) if self._own_hosts else 0
        return f"127.0.{number // 250}.{number % 250 + 1}"

    def _serve(self, environ, start_response):
        task, page = environ["PATH_INFO"].split("/")[1:]
        self.starts[task] += page == "first"
        agent, run = environ.get("HTTP_USER_AGENT", ""), environ["QUERY_STRING"]
        self.visits[task].append(Visit(time.monotonic(), agent, run))
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<p>more to come"]
