"""The fetchers of a worker by name: libcurl, and the fetchers of plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from crawler.engine.download.address_policy import AddressPolicy, numeric
from crawler.engine.download.curl import CurlFetcher
from crawler.engine.download.dns import Name, Resolver
from crawler.engine.hookspecs import Fetcher
from crawler.engine.http import urls
from crawler.engine.http.failures import FAULTS
from crawler.engine.http.messages import Done, FetchAnswer, FetchCall, FetchError, Sent
from crawler.logs import get_logger

log = get_logger(__name__)

BUILT_IN = "curl"

Makers = Mapping[str, Callable[[], Fetcher]]


class Downloader:
    """Sends each request with the fetcher that the request names. Crawls use it as one fetcher."""

    def __init__(
        self, curl: CurlFetcher, policy: AddressPolicy, resolver: Resolver, makers: Makers
    ) -> None:
        self._curl = curl
        self._policy = policy
        self._resolver = resolver
        self._makers = makers
        self._made: dict[str, Fetcher] = {}
        self.fetch = curl.fetch

    @property
    def names(self) -> Sequence[str]:
        """The names that the setting `fetcher` may have."""
        return [BUILT_IN, *sorted(self._makers)]

    @property
    def in_flight(self) -> int:
        """How many requests libcurl has in flight."""
        return self._curl.in_flight

    def start(self) -> None:
        """Start libcurl. Fetchers of plugins start when they are first used."""
        self._curl.start()

    def stop(self) -> None:
        """Stop all fetchers."""
        for fetcher in self._made.values():
            fetcher.stop()
        self._made.clear()
        self._curl.stop()

    def submit(self, call: FetchCall, done: Done) -> Sent:
        """Send a request. Raises FetchError if it cannot be sent."""
        if not call.fetcher or call.fetcher == BUILT_IN:
            return self._curl.submit(call, done)
        fetch = _PluginFetch(self._named(call.fetcher), call, done)
        target = numeric(urls.host(call.url))
        if self._policy.allows_all or (target and self._policy.allows(target)):
            fetch.submit()
        elif target:
            raise FetchError("forbidden address", target)
        else:
            self._judge(fetch)
        return fetch

    def _named(self, name: str) -> Fetcher:
        fetcher = self._made.get(name)
        if fetcher is not None:
            return fetcher
        if name not in self._makers:
            raise FetchError("no fetcher", f"{name!r}; this worker has: {', '.join(self.names)}")
        fetcher = self._makers[name]()
        fetcher.start()
        self._made[name] = fetcher
        return fetcher

    def _judge(self, fetch: _PluginFetch) -> None:
        """Check the target's addresses before a plugin fetches it: a plugin connects by itself."""

        def resolved(name: Name) -> None:
            refused = [each for each in name.addresses if not self._policy.allows(each)]
            if name.error:
                fetch.end(FetchError(name.reason, name.error))
            elif refused:
                fetch.end(FetchError("forbidden address", refused[0]))
            else:
                fetch.begin()

        self._resolver.ask(urls.origin(fetch.call.url), resolved)


class _PluginFetch:
    """A request that a plugin fetches or will fetch."""

    def __init__(self, fetcher: Fetcher, call: FetchCall, done: Done) -> None:
        self.call = call
        self._fetcher = fetcher
        self._done: Done | None = done
        self._sent: Sent | None = None

    def submit(self) -> None:
        """Pass the request to the plugin. Raises FetchError for any exception of the plugin."""
        try:
            if self.call.on_way is not None:
                self.call.on_way()  # a plugin cannot tell later
            self._sent = self._fetcher.submit(self.call, self.end)
        except FetchError:
            raise
        except FAULTS as error:  # a plugin may raise anything
            raise FetchError("fetcher failed", repr(error)) from error

    def begin(self) -> None:
        """Pass the request to the plugin, and deliver errors to `done`."""
        if self._done is None:
            return
        try:
            self.submit()
        except FetchError as error:
            self.end(error)

    def end(self, result: FetchAnswer | FetchError) -> None:
        """Deliver the result, once."""
        done, self._done = self._done, None
        if done is not None:
            done(result)

    def cancel(self) -> None:
        """Cancel the request: no result will be delivered."""
        done, self._done = self._done, None
        if done is None or self._sent is None:
            return
        try:
            self._sent.cancel()
        except FAULTS:  # a plugin may raise anything
            log.error(
                "a fetcher failed to cancel a request", url=urls.shown(self.call.url), exc_info=True
            )
