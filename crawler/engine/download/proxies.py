"""Uses proxies in turn. A failed proxy is left out for a while; the request tries the next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Protocol

from crawler.engine.http.messages import Done, FetchAnswer, FetchCall, FetchError, Sent
from crawler.settings.forms import PROXY

_REFUSED = 407


class Submits(Protocol):
    """What a relay needs from a fetcher."""

    def submit(self, call: FetchCall, done: Done) -> Sent:
        """Send a request. Raises FetchError if it cannot be sent."""
        ...


class Proxies:
    """The proxies of a crawl."""

    def __init__(self, proxies: Sequence[str], rest_s: float, now_s: Callable[[], float]) -> None:
        self._proxies = list(proxies)
        self._rest_s = rest_s
        self._now_s = now_s
        self._back_s: dict[str, float] = {}
        self._turn = 0

    def __bool__(self) -> bool:
        return bool(self._proxies)

    def next(self, tried: Collection[str] = ()) -> str:
        """The next proxy that is not left out and not tried yet. Raises FetchError if none is."""
        now_s = self._now_s()
        for _ in self._proxies:
            proxy = self._proxies[self._turn]
            self._turn = (self._turn + 1) % len(self._proxies)
            if proxy not in tried and self._back_s.get(proxy, now_s) <= now_s:
                return proxy
        raise FetchError("no proxy", f"all proxies failed recently: {len(self._proxies)}")

    def failed(self, proxy: str) -> None:
        """Leave a proxy out for a while."""
        self._back_s[proxy] = self._now_s() + self._rest_s


class Relay:
    """A request that tries one proxy after another, until one works."""

    def __init__(
        self,
        fetcher: Submits,
        proxies: Proxies,
        call: FetchCall,
        done: Done,
    ) -> None:
        self._sent: Sent | None = None
        self._fetcher = fetcher
        self._proxies = proxies
        self._call = call
        self._done = done
        self._tried: list[str] = []
        self._spent_s = 0.0

    def send(self) -> None:
        """Send the request through the next proxy. Raises FetchError if none is left."""
        proxy = self._proxies.next(self._tried)
        self._tried.append(proxy)
        left_s = self._call.timeout_s - self._spent_s
        call = replace(self._call, proxy=proxy, timeout_s=left_s)
        self._sent = self._fetcher.submit(call, self._arrived)

    def cancel(self) -> None:
        """Cancel the request, whichever proxy it uses."""
        if self._sent is not None:
            self._sent.cancel()

    def _arrived(self, result: FetchAnswer | FetchError) -> None:
        if not is_refusal(result):
            self._done(result)
            return
        self._spent_s += result.seconds
        self._proxies.failed(self._tried[-1])
        try:
            self.send()
        except FetchError as error:
            self._done(error)


def is_refusal(result: FetchAnswer | FetchError) -> bool:
    """Whether the proxy failed, and not the site behind it."""
    if isinstance(result, FetchError):
        return result.reason == "proxy"
    return result.status == _REFUSED


def checked(proxy: Any) -> str:
    """Check the proxy of one request. Raises FetchError if it is not a proxy URL."""
    if not proxy:
        return ""
    if isinstance(proxy, str) and PROXY.fits(proxy):
        return proxy
    raise FetchError("bad proxy", "allowed: http, https, socks4(a) or socks5(h)://host:port")
