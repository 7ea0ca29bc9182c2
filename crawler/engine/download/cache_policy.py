"""Decides what one crawl reads from the HTTP cache, and what it stores there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crawler.engine.download import rfc9111
from crawler.engine.download.cookies import by_place, received, sent
from crawler.engine.download.curl_transfer import fault
from crawler.engine.download.http_cache import Cache
from crawler.engine.download.rfc9111 import Entry
from crawler.engine.http import urls
from crawler.engine.http.messages import Done, FetchAnswer, FetchCall, FetchError
from crawler.settings.crawl import CACHE_RFC9111, CrawlSettings

MOST_NOTES = 100
"""How often a crawl notes the cookies of a request in vain."""


class CachePolicy:
    """Applies the crawl's settings to the answers of task `owner`. `now_s` returns wall time."""

    def __init__(
        self, store: Cache, owner: str, settings: CrawlSettings, now_s: Callable[[], float]
    ) -> None:
        self._store = store
        self._owner = owner
        self._settings = settings
        self._now_s = now_s
        self._varying: set[str] = set()
        """The hosts that have sent an answer that varies by Cookie."""
        self._notes = 0
        """How often the cookies of a request were noted, and its answer did not vary by them."""

    def fresh(self, call: FetchCall) -> FetchAnswer | None:
        """The stored answer, if it may be used without asking the site.

        The jar of the request gets the cookies that the answer had set, where it has none.
        """
        entry = self._store.get(self._owner, call) if is_cacheable(call) else None
        if entry is None or not self._is_fresh(entry):
            return None
        _restore_cookies(call, entry)
        return entry.answer()

    def asking(self, call: FetchCall, done: Done) -> Done:
        """Prepare a request that will be sent.

        The request asks the site whether the stored answer is still valid, and its answer will be
        stored, unless it varies by cookies that were not noted. Returns the function to call with
        the answer.
        """
        if not is_cacheable(call):
            return done
        entry = (
            self._store.get(self._owner, call) if self._settings.cache == CACHE_RFC9111 else None
        )
        if entry is not None:
            call.headers = (*call.headers, *rfc9111.validators(entry))
        cookies = sent(call) if self._may_vary(call) else None  # the answer may change the jar

        def arrived(result: FetchAnswer | FetchError) -> None:
            try:
                result = self._kept(call, entry, result, cookies)
            except Exception as error:
                result = fault(error, call)
            done(result)

        return arrived

    def _may_vary(self, call: FetchCall) -> bool:
        """Whether the answer may vary by Cookie. To find the cookies of a request takes long if the
        jar has many, and few hosts need it."""
        return self._notes < MOST_NOTES or urls.host(call.url) in self._varying

    def _is_fresh(self, entry: Entry) -> bool:
        now_s = self._now_s()
        if self._settings.cache == CACHE_RFC9111:
            return rfc9111.is_fresh(entry, now_s)
        most_s = self._settings.cache_expires_s
        return not most_s or now_s < entry.stored_s + most_s

    def _kept(
        self,
        call: FetchCall,
        entry: Entry | None,
        result: FetchAnswer | FetchError,
        cookies: str | None,
    ) -> FetchAnswer | FetchError:
        if isinstance(result, FetchError):
            return result
        if entry is not None and result.status == 304:
            _restore_cookies(call, entry)
            set_by_it = _renewed(entry.cookies, received(call, result.header_lines))
            result = rfc9111.validated(entry, result)
        elif self._is_worth_it(result):
            set_by_it = received(call, result.header_lines)
        else:
            return result
        self._learn(call, result, cookies)
        if cookies is not None or not rfc9111.varies_by_cookie(result):
            self._store.put(self._owner, call, result, self._now_s(), cookies or "", set_by_it)
        return result

    def _learn(self, call: FetchCall, answer: FetchAnswer, cookies: str | None) -> None:
        if rfc9111.varies_by_cookie(answer):
            self._varying.add(urls.host(call.url))
        elif cookies is not None:
            self._notes += 1

    def _is_worth_it(self, answer: FetchAnswer) -> bool:
        if self._settings.cache == CACHE_RFC9111:
            return rfc9111.is_storable(answer)
        return answer.status not in self._settings.retry_statuses


def _restore_cookies(call: FetchCall, entry: Entry) -> None:
    if call.jar is not None and entry.cookies:
        call.jar.restore(entry.cookies)


def _renewed(old: Sequence[str], new: Sequence[str]) -> Sequence[str]:
    """The cookies of a stored answer that the site has confirmed, and maybe set some anew."""
    return list({**by_place(old), **by_place(new)}.values())


def is_cacheable(call: FetchCall) -> bool:
    """Whether the cache stores this kind of request."""
    return call.method == "GET" and call.body is None
