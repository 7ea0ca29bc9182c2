"""The examples of docs/spiders.md do what the text says."""

import json
import re
from pathlib import Path

import pytest
import yaml

import crawler
from crawler.crawl_settings import CrawlSettings
from crawler.demo.bookshop import BookshopServer
from crawler.engine.engine import Engine
from crawler.engine.loader import load_spiders
from crawler.engine.sinks.json_lines import JsonLinesSink
from crawler.records import Spec

TEXT = (Path(crawler.__file__).parents[1] / "docs" / "spiders.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def shop():
    server = BookshopServer()
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("file", ["shop.py", "shop.yaml"])
def test_the_first_spider_and_the_same_as_data_find_every_book_of_the_demo(tmp_path, shop, file):
    (tmp_path / "shop.py").write_text(blocks("python")[0])
    (tmp_path / "shop.yaml").write_text(blocks("yaml")[0])
    trial = yaml.safe_load(blocks("yaml")[1])
    assert trial["spiders"] == ["shop.py"]
    [task] = trial["tasks"]
    spiders = load_spiders([file], tmp_path)
    engine = Engine(CrawlSettings(), spiders, private_targets=["all"])
    engine.start()
    quick = {"delay_s": 0, "host_concurrency": 32, "retries": 0}
    parameters = {"start_urls": [f"{shop.url}/"], "settings": quick}
    crawl = engine.crawl(Spec("books", parameters=parameters), JsonLinesSink(tmp_path / "items"))
    crawl.run()
    engine.stop()
    items = [json.loads(line) for line in (tmp_path / "items").read_text().splitlines()]
    assert task["name"] in spiders
    assert len(items) == shop.shop.expected()["books"]
    assert all(item["title"] and item["price"] for item in items)


def test_the_declaration_in_place():
    entries = yaml.safe_load(blocks("yaml")[2])["spiders"]
    assert set(load_spiders([entries[-1]])) == {"front"}


def test_the_custom_settings():
    from crawler.engine.overrides import faults

    namespace = {"Spider": crawler.Spider}
    exec(blocks("python")[1], namespace)
    assert faults(namespace["Books"].custom_settings, "custom_settings") == []
