"""Spiders that crawl a whole site by rules. A rule names links and the callback for their pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crawler.engine.http.link import Link
from crawler.engine.http.link_extractor import LinkExtractor
from crawler.engine.http.request import Request
from crawler.engine.spiders.callbacks import many
from crawler.engine.spiders.spider import Spider

if TYPE_CHECKING:
    from crawler.engine.http.failures import Failure
    from crawler.engine.http.response import Response

Method = Callable[..., Any] | str


class Rule:
    """A rule: which links to follow, which method of the spider gets their pages, and whether to go
    on.

    `follow` says whether the links of those pages are followed too. By default they are if there is
    no callback. `process_links` gets a list of links and returns one. `process_request` gets a
    request and the response in which it was found, and returns a request or None. Methods may be
    given by name.
    """

    def __init__(
        self,
        link_extractor: LinkExtractor | None = None,
        callback: Method | None = None,
        cb_kwargs: Mapping[str, Any] | None = None,
        follow: bool | None = None,
        process_links: Method | None = None,
        process_request: Method | None = None,
        errback: Method | None = None,
    ) -> None:
        self.link_extractor = link_extractor or LinkExtractor()
        self.callback = callback
        self.cb_kwargs = dict(cb_kwargs or {})
        self.follow = callback is None if follow is None else follow
        self.process_links = process_links
        self.process_request = process_request
        self.errback = errback


class CrawlSpider(Spider):
    """Follows the links of each page by its `rules`. The first rule that finds a link gets it."""

    rules: Sequence[Rule] = ()

    def __init__(self, *args: Any, **parameters: Any) -> None:
        super().__init__(*args, **parameters)
        for number, rule in enumerate(self.rules):
            for role in ("callback", "process_links", "process_request", "errback"):
                self._check(getattr(rule, role), f"rules[{number}].{role}")

    def parse_start_url(self, response: Response, **kwargs: Any) -> Any:
        """The callback of the first pages, and of requests without a callback."""
        return ()

    def process_results(self, response: Response, results: Iterable[Any]) -> Iterable[Any]:
        """Gets what a callback yields, and returns it. A subclass may change it."""
        return results

    def _parse(self, response: Response, **kwargs: Any) -> Any:
        return self._crawled(response, self.parse_start_url, kwargs, follow=True)

    def _callback(self, response: Response, **kwargs: Any) -> Iterator[Any]:
        rule = self.rules[response.meta["rule"]]
        callback = self._method(rule.callback)
        return self._crawled(response, callback, {**rule.cb_kwargs, **kwargs}, rule.follow)

    def _errback(self, failure: Failure) -> Any:
        errback = self._method(self.rules[failure.request.meta["rule"]].errback)
        return errback(failure) if errback is not None else None

    def _crawled(
        self,
        response: Response,
        callback: Callable[..., Any] | None,
        kwargs: Mapping[str, Any],
        follow: bool,
    ) -> Iterator[Any]:
        if callback is not None:
            yield from self.process_results(response, many(callback(response, **kwargs)))
        if follow and response.is_text:
            yield from self._requests_to_follow(response)

    def _requests_to_follow(self, response: Response) -> Iterator[Request]:
        seen: set[Link] = set()
        for number, rule in enumerate(self.rules):
            found = rule.link_extractor.extract_links(response)
            links: Iterable[Link] = [link for link in found if link not in seen]
            if (process_links := self._method(rule.process_links)) is not None:
                links = process_links(links)
            process_request = self._method(rule.process_request)
            for link in links:
                seen.add(link)
                request = self._build_request(number, link)
                if process_request is not None:
                    request = process_request(request, response)
                if request is not None:
                    yield request

    def _build_request(self, rule_index: int, link: Link) -> Request:
        rule = self.rules[rule_index]
        request = Request(
            link.url,
            self._callback,
            errback=self._errback if rule.errback is not None else None,
            meta={"rule": rule_index, "link_text": link.text},
        )
        request.link_policy = link.referrer_policy
        return request

    def _method(self, method: Method | None) -> Callable[..., Any] | None:
        if isinstance(method, str):
            found: Callable[..., Any] = getattr(self, method)
            return found
        return method

    def _check(self, method: Method | None, where: str) -> None:
        if isinstance(method, str) and not callable(getattr(self, method, None)):
            raise ValueError(
                f"{where}: {method!r} is not allowed; allowed: the name of a method of the spider"
            )
