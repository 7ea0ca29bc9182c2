"""A distributed crawler. This package exports what a spider needs, under Scrapy's names.

The exports are looked up on first use. Importing the package loads nothing, so that the process can
be prepared for gevent (crawler.runtime) before anything else is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.engine.http.failures import CloseSpider, Failure, HttpError, IgnoreRequest
    from crawler.engine.http.forms import FormRequest, JsonRequest
    from crawler.engine.http.link import Link
    from crawler.engine.http.link_extractor import LinkExtractor
    from crawler.engine.http.messages import FetchError
    from crawler.engine.http.page_selector import Selector
    from crawler.engine.http.request import Request
    from crawler.engine.http.response import Response
    from crawler.engine.items.item_classes import Field, Item, ItemLoader
    from crawler.engine.items.pipelines import DropItem
    from crawler.engine.spiders.crawl_spider import CrawlSpider, Rule
    from crawler.engine.spiders.sitemap import SitemapSpider
    from crawler.engine.spiders.spider import Spider

__version__ = "0.1.0"

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
    "Spider": "spiders.spider",
    "CrawlSpider": "spiders.crawl_spider",
    "Rule": "spiders.crawl_spider",
    "SitemapSpider": "spiders.sitemap",
    "Request": "http.request",
    "FormRequest": "http.forms",
    "JsonRequest": "http.forms",
    "Response": "http.response",
    "Selector": "http.page_selector",
    "Link": "http.link",
    "LinkExtractor": "http.link_extractor",
    "Item": "items.item_classes",
    "Field": "items.item_classes",
    "ItemLoader": "items.item_classes",
    "CloseSpider": "http.failures",
    "Failure": "http.failures",
    "FetchError": "http.messages",
    "HttpError": "http.failures",
    "DropItem": "items.pipelines",
    "IgnoreRequest": "http.failures",
}
"""The name of an export → the engine's module that has it."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"crawler.engine.{_MODULES[name]}"), name)
