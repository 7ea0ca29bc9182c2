"""The crawl by Scrapy.

python -m bench.contenders.scrapy_crawl URL ITEMS
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from scrapy.crawler import CrawlerProcess

from bench.contenders.common import SPIDER, pin, tell

SETTINGS = {
    "CONCURRENT_REQUESTS": 64,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 64,
    "DOWNLOAD_DELAY": 0,
    "LOG_LEVEL": "WARNING",
    "ROBOTSTXT_OBEY": True,
    "TELNETCONSOLE_ENABLED": False,
}


def main(base: str, items: Path) -> None:
    """Crawl the site; its own statistics say how long it took."""
    names: dict[str, Any] = {}
    exec(SPIDER.format(package="scrapy"), names)
    feeds = {str(items): {"format": "jsonlines"}}
    process = CrawlerProcess({**SETTINGS, "FEEDS": feeds})
    crawler = process.create_crawler(names["Following"])
    process.crawl(crawler, start_urls=[f"{base}/p/0.html"])
    process.start()
    stats = crawler.stats.get_stats()
    took = stats["finish_time"] - stats["start_time"]
    tell(stats["item_scraped_count"], took.total_seconds())


if __name__ == "__main__":
    pin()
    main(sys.argv[1], Path(sys.argv[2]))
