"""A plugin of the engine: a fetcher that answers by itself, as a browser would after a while."""

import gevent

from crawler.engine.hookspecs import FetchAnswer, FetchError, hookimpl

asked = []
"""URLs that fetchers of this plugin were asked for."""
life = []
"""What else happened to them."""


class Canned:
    """Answers with the URL as title; paths that begin with /bad make it fail."""

    def start(self):
        life.append("start")

    def stop(self):
        life.append("stop")

    def submit(self, call, done):
        asked.append(call.url)
        if "/raise" in call.url:
            raise RuntimeError("no display")
        error = FetchError("crashed") if "/bad" in call.url else None
        body = f"<title>canned {call.url}</title>".encode()
        answer = FetchAnswer(200, [b"HTTP/1.1 200 OK", b"Content-Type: text/html"], body, 0.01)
        return Sent(gevent.spawn(done, error or answer))


class Sent:
    """A page that is on its way."""

    def __init__(self, greenlet):
        self.cancel = greenlet.kill


@hookimpl
def fetchers():
    return {"canned": Canned}
