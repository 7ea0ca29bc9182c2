"""The examples of docs/spiders.md do what the text says."""

import json
import re
from pathlib import Path

import pytest
import yaml

import crawler
from crawler.demo.bookshop import BookshopServer
from crawler.engine.engine import Engine
from crawler.engine.items.sinks.json_lines import JsonLinesSink
from crawler.engine.spiders.loader import load_spiders
from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings
from tests.depth import deep

TEXT = (Path(crawler.__file__).parents[1] / "docs" / "spiders.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def shop():
    server = BookshopServer()
    server.start()
    yield server
    server.stop()


def crawled(folder, spiders, name, shop, **settings):
    """The items of a crawl of the demo shop."""
    engine = Engine(CrawlSettings(), spiders, private_targets=["all"])
    engine.start()
    quick = {"delay_s": 0, "host_concurrency": 32, "retries": 0, **settings}
    parameters = {"start_urls": [f"{shop.url}/"], "settings": quick}
    crawl = engine.crawl(Spec(name, parameters=parameters), JsonLinesSink(folder / "items"))
    crawl.run()
    engine.stop()
    return [json.loads(line) for line in (folder / "items").read_text().splitlines()]


@pytest.mark.parametrize(
    ("file", "pages"),
    [
        ("shop.py", 100),
        ("shop.yaml", 100),
        pytest.param("shop.py", 0, marks=deep),
        pytest.param("shop.yaml", 0, marks=deep),
    ],
)
def test_the_first_spider_and_the_same_as_data_find_every_book_of_the_demo(
    tmp_path, shop, file, pages
):
    """Or those on so many pages."""
    (tmp_path / "shop.py").write_text(blocks("python")[0])
    (tmp_path / "shop.yaml").write_text(blocks("yaml")[0])
    trial = yaml.safe_load(blocks("yaml")[1])
    assert trial["spiders"] == ["shop.py"]
    [task] = trial["tasks"]
    spiders = load_spiders([file], tmp_path)
    items = crawled(tmp_path, spiders, "books", shop, max_pages=pages)
    assert task["name"] in spiders
    assert len(items) > 20 if pages else len(items) == shop.shop.expected()["books"]
    assert all(item["title"] and item["price"] for item in items)


def test_the_declaration_in_place():
    entries = yaml.safe_load(blocks("yaml")[2])["spiders"]
    assert set(load_spiders([entries[-1]])) == {"front"}


def test_the_custom_settings():
    from crawler.settings.overrides import faults

    namespace = {"Spider": crawler.Spider}
    [block] = [block for block in blocks("python") if "custom_settings" in block]
    exec(block, namespace)
    assert faults(namespace["Books"].custom_settings, "custom_settings") == []


@deep
def test_the_rules_find_the_books_of_the_demo(tmp_path, shop):
    [block] = [block for block in blocks("python") if "CrawlSpider" in block]
    (tmp_path / "shelves.py").write_text(block)
    items = crawled(tmp_path, load_spiders(["shelves.py"], tmp_path), "shelves", shop)
    all_books = shop.shop.expected()["books"]
    assert 0.99 * all_books < len(items) <= all_books  # a few are led to from elsewhere
    assert all(item["title"] and item["price"] for item in items)


def test_the_names_of_scrapys_settings_are_those_that_are_understood():
    from crawler.settings.scrapy_names import NAMES, SWITCHES

    [table] = re.findall(r"\n\| Scrapy \| here \|\n\|---\|---\|\n(.*?)\n\n", TEXT, re.DOTALL)
    told = re.findall(r"`…?(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()))
    known = NAMES.keys() | SWITCHES.keys()
    assert all(any(name.endswith(each) for each in told) for name in known)
    assert all(any(name.endswith(each) for name in known) for each in told)
