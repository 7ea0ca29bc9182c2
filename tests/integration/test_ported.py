"""Spiders written for Scrapy, whose import alone was changed, yield what they do under Scrapy."""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from crawler.engine.spiders.loader import load_spiders
from tests.site import Site
from tests.site.crawling import HASTE, run, running_engine, spec
from tests.site.crawling import ListSink as Sink
from tests.site.ported import PORTED
from tests.waiting import PATIENCE_S

FOLDER = Path(__file__).parents[2] / "examples" / "ported"
IMPORTS = {
    "import crawler as scrapy": "import scrapy",
    "from crawler import FormRequest, Request, Spider": (
        "from scrapy import FormRequest, Request, Spider"
    ),
    "from crawler import CrawlSpider, Field, Item, ItemLoader, LinkExtractor, Rule": (
        "from scrapy import Field, Item\n"
        "from scrapy.linkextractors import LinkExtractor\n"
        "from scrapy.loader import ItemLoader\n"
        "from scrapy.spiders import CrawlSpider, Rule"
    ),
}
ITEMS = {"quotes": 35 + 6, "shop": 24, "login": 5}


NAMES = [path.stem for path in sorted(FOLDER.glob("*.py"))]


@pytest.fixture(scope="module")
def site():
    with Site(pages=PORTED) as site:
        yield site


@pytest.fixture(scope="module")
def scrapys(tmp_path_factory, site):
    """What they yield under Scrapy, by the name of the spider, and what they asked for."""
    folder = tmp_path_factory.mktemp("theirs")
    for name in NAMES:
        (folder / f"{name}.py").write_text(for_scrapy(text_of(name, site)))
    items = by_scrapy([folder / f"{name}.py" for name in NAMES])
    return items, site.paths()


def text_of(name, site):
    """The file of a spider, which then crawls the site of the test."""
    text = (FOLDER / f"{name}.py").read_text()
    assert "http://127.0.0.1:8100/" in text
    return text.replace("http://127.0.0.1:8100/", site.url("/"))


def for_scrapy(text):
    """The text as it was before it was ported."""
    [line] = [line for line in text.splitlines() if line in IMPORTS]
    return text.replace(f"\n{line}\n", f"\n{IMPORTS[line]}\n")


def by_scrapy(paths):
    command = [sys.executable, "-m", "tests.scrapy_side", "crawl", *map(str, paths)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE_S)
    assert run.returncode == 0, run.stderr
    items = defaultdict(list)
    for spider, item in map(json.loads, run.stdout.splitlines()):
        items[spider].append(item)
    return items


def by_us(path):
    """The name of the spider, and its items."""
    [spider] = load_spiders([path.name], path.parent).values()
    sink = Sink()
    with running_engine(spider, **HASTE) as engine:
        crawl = engine.crawl(spec(spider), sink)
        run(crawl)
    assert "raised" not in str(crawl.failures_by_reason)
    return spider.name, [dict(item) for item in sink.items]


def in_order(items):
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_ported_spider_yields_what_it_did(tmp_path, site, scrapys, name):
    (tmp_path / "ours.py").write_text(text_of(name, site))
    site.hits.clear()
    spider, ours = by_us(tmp_path / "ours.py")
    asked = sorted(site.paths())
    items, paths = scrapys
    assert in_order(ours) == in_order(items[spider])
    assert len(ours) == ITEMS[name]
    parts = {path.split("/")[1] for path in asked}
    assert asked == sorted(path for path in paths if path.split("/")[1] in parts)
