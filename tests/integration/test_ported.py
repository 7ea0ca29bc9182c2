"""Spiders written for Scrapy, whose import alone was changed, yield what they do under Scrapy."""

import json
import subprocess
import sys
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


@pytest.fixture
def site():
    with Site(pages=PORTED) as site:
        yield site


def text_of(name, site):
    """The file of a spider, which then crawls the site of the test."""
    text = (FOLDER / f"{name}.py").read_text()
    assert "http://127.0.0.1:8100/" in text
    return text.replace("http://127.0.0.1:8100/", site.url("/"))


def for_scrapy(text):
    """The text as it was before it was ported."""
    [line] = [line for line in text.splitlines() if line in IMPORTS]
    return text.replace(f"\n{line}\n", f"\n{IMPORTS[line]}\n")


def by_scrapy(path):
    command = [sys.executable, "-m", "tests.scrapy_side", "crawl", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE_S)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def by_us(path):
    [spider] = load_spiders([path.name], path.parent).values()
    sink = Sink()
    with running_engine(spider, **HASTE) as engine:
        crawl = engine.crawl(spec(spider), sink)
        run(crawl)
    assert "raised" not in str(crawl.failures_by_reason)
    return [dict(item) for item in sink.items]


def in_order(items):
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


@pytest.mark.parametrize("name", [path.stem for path in sorted(FOLDER.glob("*.py"))])
def test_a_ported_spider_yields_what_it_did(tmp_path, site, name):
    text = text_of(name, site)
    (tmp_path / "ours.py").write_text(text)
    (tmp_path / "theirs.py").write_text(for_scrapy(text))
    ours = by_us(tmp_path / "ours.py")
    asked = sorted(site.paths())
    site.hits.clear()
    theirs = by_scrapy(tmp_path / "theirs.py")
    assert in_order(ours) == in_order(theirs)
    assert len(ours) == ITEMS[name]
    assert asked == sorted(site.paths())
