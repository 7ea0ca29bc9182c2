"""What Scrapy itself makes of pages or of spiders; run in a process of its own.

python -m tests.scrapy_side extract < cases.json     results as JSON
python -m tests.scrapy_side crawl FILE …             [spider, item] as JSON lines
python -m tests.scrapy_side settings                 the names of all settings, as JSON
"""

from __future__ import annotations

import base64
import json
import logging
import runpy
import sys
import warnings
from typing import Any

SETTINGS = {
    "TELNETCONSOLE_ENABLED": False,
    "LOG_ENABLED": False,
    "ROBOTSTXT_OBEY": False,
    "RETRY_ENABLED": False,
}


def extract() -> None:
    from scrapy.http import FormRequest, HtmlResponse
    from scrapy.linkextractors import LinkExtractor

    from tests.extraction import one_by_one, results

    def made(page: dict[str, str]) -> Any:
        headers = {"Content-Type": page["content_type"]}
        return HtmlResponse(page["url"], headers=headers, body=base64.b64decode(page["body"]))

    pages = json.load(sys.stdin)
    found = [results(made(page), one_by_one, LinkExtractor, FormRequest) for page in pages]
    json.dump(found, sys.stdout)


def crawl(*files: str) -> None:
    from scrapy import Spider, signals
    from scrapy.crawler import CrawlerProcess
    from scrapy.signalmanager import dispatcher

    dispatcher.connect(
        lambda item, spider: print(json.dumps([spider.name, dict(item)]), flush=True),
        signal=signals.item_scraped,
        weak=False,
    )
    process = CrawlerProcess(SETTINGS, install_root_handler=False)
    for file in files:
        [spider] = [
            value
            for value in runpy.run_path(file).values()
            if isinstance(value, type)
            and issubclass(value, Spider)
            and getattr(value, "name", None)
        ]
        process.crawl(spider)
    process.start()


def settings() -> None:
    from scrapy.settings import default_settings

    json.dump([name for name in vars(default_settings) if name.isupper()], sys.stdout)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    {"extract": extract, "crawl": crawl, "settings": settings}[sys.argv[1]](*sys.argv[2:])
