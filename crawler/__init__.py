"""A distributed crawler. Whatever a spider needs is exported here, under Scrapy's names.

The exports are looked up on first use: importing the package loads nothing, so that the process
can be prepared for gevent (crawler.runtime) before anything else is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parsel import Selector

    from crawler.engine.crawl_spider import CrawlSpider, Rule
    from crawler.engine.exchange import FetchError
    from crawler.engine.failure import CloseSpider, Failure, HttpError, IgnoreRequest
    from crawler.engine.forms import FormRequest, JsonRequest
    from crawler.engine.item_classes import Field, Item, ItemLoader
    from crawler.engine.links import Link, LinkExtractor
    from crawler.engine.pipelines import DropItem
    from crawler.engine.request import Request
    from crawler.engine.response import Response
    from crawler.engine.sitemap_spider import SitemapSpider
    from crawler.engine.spider import Spider

__all__ = [
    "Spider",
    "CrawlSpider",
    "Rule",
    "SitemapSpider",
    "Request",
    "FormRequest",
    "JsonRequest",
    "Response",
    "Selector",
    "Link",
    "LinkExtractor",
    "Item",
    "Field",
    "ItemLoader",
    "CloseSpider",
    "Failure",
    "FetchError",
    "HttpError",
    "DropItem",
    "IgnoreRequest",
]

_MODULES = {
    "Spider": "spider",
    "CrawlSpider": "crawl_spider",
    "Rule": "crawl_spider",
    "SitemapSpider": "sitemap_spider",
    "Request": "request",
    "FormRequest": "forms",
    "JsonRequest": "forms",
    "Response": "response",
    "Selector": "response",
    "Link": "links",
    "LinkExtractor": "links",
    "Item": "item_classes",
    "Field": "item_classes",
    "ItemLoader": "item_classes",
    "CloseSpider": "failure",
    "Failure": "failure",
    "FetchError": "exchange",
    "HttpError": "failure",
    "DropItem": "pipelines",
    "IgnoreRequest": "failure",
}
"""The module of the engine that has it."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"crawler.engine.{_MODULES[name]}"), name)
