"""The examples of docs/spiders.md do what the text says."""

import re
from pathlib import Path

import yaml

import crawler
from crawler import Request, Response
from crawler.engine.declarative import compile_declaration
from crawler.engine.loader import load_spiders

TEXT = (Path(crawler.__file__).parents[1] / "docs" / "spiders.md").read_text()
PAGE = b"""<article><h3><a href="/1">One</a></h3><p class="price">1.50 EUR</p></article>
<article><h3><a href="/2">Two</a></h3><p class="price">2 EUR</p></article>"""


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def outputs(spider):
    found = list(spider.parse(Response("http://127.0.0.1:8100/", body=PAGE)))
    items = [each for each in found if not isinstance(each, Request)]
    return items, [each.url for each in found if isinstance(each, Request)]


def test_the_first_spider_and_the_same_as_data(tmp_path):
    (tmp_path / "shop.py").write_text(blocks("python")[0])
    by_class = load_spiders(["shop.py"], tmp_path)["books"]()
    by_data = compile_declaration(yaml.safe_load(blocks("yaml")[0]))()
    assert by_class.start_urls == by_data.start_urls
    links = ["http://127.0.0.1:8100/1", "http://127.0.0.1:8100/2"]
    assert outputs(by_class) == (
        [{"title": "One", "price": "1.50 EUR"}, {"title": "Two", "price": "2 EUR"}],
        links,
    )
    assert outputs(by_data) == (
        [{"title": "One", "price": 1.5}, {"title": "Two", "price": 2.0}],
        links,
    )


def test_the_declaration_in_place():
    entries = yaml.safe_load(blocks("yaml")[1])["spiders"]
    assert set(load_spiders([entries[-1]])) == {"front"}


def test_the_custom_settings():
    from crawler.engine.overrides import faults

    namespace = {"Spider": crawler.Spider}
    exec(blocks("python")[1], namespace)
    assert faults(namespace["Books"].custom_settings, "custom_settings") == []
