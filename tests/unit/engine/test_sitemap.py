"""Sitemaps, and the spiders that begin at them."""

import gzip
import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler import SitemapSpider
from crawler.engine.spiders.sitemap_xml import Sitemap, named_in_robots
from tests.site.crawling import crawled
from tests.site.pages import Reply, html
from tests.site.site import Site

XMLNS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def urlset(*locs, more=""):
    entries = "".join(f"<url><loc> {loc} </loc>{more}</url>" for loc in locs)
    return f'<?xml version="1.0"?><urlset {XMLNS}>{entries}</urlset>'.encode()


def index(*locs):
    entries = "".join(f"<sitemap><loc>{loc}</loc></sitemap>" for loc in locs)
    return f"<sitemapindex {XMLNS}>{entries}</sitemapindex>".encode()


def entries(body, most=10**6):
    return list(Sitemap(body, most))


def test_the_entries_of_a_sitemap():
    alternate = (
        '<lastmod>2026-01-01</lastmod><x:link xmlns:x="w" rel="alternate" href="http://h/de"/>'
    )
    [entry] = entries(urlset("http://h/1", more=alternate))
    assert entry == {"loc": "http://h/1", "lastmod": "2026-01-01", "alternate": ["http://h/de"]}
    assert Sitemap(urlset(), 10).kind == "urlset"
    assert Sitemap(index("http://h/2"), 10).kind == "sitemapindex"


@pytest.mark.parametrize(
    "body", [b"", b"<html><url><loc>x</loc></url></html>", b"text", b"\x1f\x8b\x08"]
)
def test_what_is_no_sitemap_has_no_entries(body):
    sitemap = Sitemap(body, 100)
    assert (sitemap.kind, list(sitemap)) == ("", [])


def test_a_packed_sitemap_is_read_as_far_as_allowed():
    body = gzip.compress(urlset(*(f"http://h/{n}" for n in range(10_000))))
    assert len(entries(body)) == 10_000
    sitemap = Sitemap(body, 200_000)
    assert 1000 < len(list(sitemap)) < 10_000
    assert sitemap.trouble == f"more than 200000 bytes unpacked, behind entry {sitemap.entries}"


def test_a_bomb_is_not_expanded():
    bomb = gzip.compress(b"<urlset>" + b" " * 50_000_000)
    sitemap = Sitemap(bomb, 1_000_000)
    assert list(sitemap) == []
    assert "bytes unpacked" in sitemap.trouble


def test_entities_are_not_expanded():
    laughs = "".join(f'<!ENTITY l{n} "&l{n - 1};&l{n - 1};">' for n in range(1, 30))
    body = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><urlset><url><loc>http://h/&l29;</loc></url></urlset>'
    assert [entry["loc"] for entry in entries(body.encode())] == ["http://h/&l29;"]


def test_a_broken_sitemap_gives_what_is_whole():
    assert [entry["loc"] for entry in entries(urlset("http://h/1", "http://h/2")[:-30])] == [
        "http://h/1"
    ]


@given(st.binary(max_size=300), st.integers(0, 300), st.booleans())
def test_broken_bytes_break_nothing(noise, at, packed):
    body = urlset("http://h/1", "http://h/2")
    body = body[:at] + noise + body[at:]
    body = gzip.compress(body)[:-9] if packed else body
    for entry in entries(body):
        assert isinstance(entry["loc"], str)


@given(st.binary())
def test_any_bytes_are_read_as_robots_txt(body):
    assert all(isinstance(url, str) for url in named_in_robots(body))


def test_robots_txt_names_sitemaps():
    body = b"\xef\xbb\xbfSitemap: /a.xml\nUser-agent: *\n sitemap : http://h/b.xml\r\nSitemap:\n"
    assert list(named_in_robots(body)) == ["/a.xml", "http://h/b.xml"]


class Mapped(SitemapSpider):
    name = "mapped"
    sitemap_rules = (("/item/", "parse_item"), (r"/page/[0-9]+$", "parse"))
    sitemap_follow = ("part",)

    def parse_item(self, response):
        yield {"item": response.css("title::text").get()}

    def parse(self, response):
        yield {"page": response.css("title::text").get()}


def xml(body):
    return Reply(body, headers=[("Content-Type", "application/xml")])


@pytest.fixture
def site():
    with Site(robots="Sitemap: /map.xml") as site:
        site._pages["map.xml"] = lambda asked: xml(
            index(site.url("/part1.xml"), site.url("/part2.xml.gz"), site.url("/not.xml"))
        )
        site._pages["part1.xml"] = lambda asked: xml(
            urlset(*map(site.url, ("/item/1", "/page/2", "/page/no")))
        )
        alternate = f'<link href="{site.url("/item/de")}"/>'
        site._pages["part2.xml.gz"] = lambda asked: Reply(
            gzip.compress(urlset(site.url("/item/3"), more=alternate)),
            headers=[("Content-Type", "application/gzip")],
        )
        site._pages["item"] = lambda asked: html(asked.path)
        yield site


def counted(items):
    return Counter(value for item in items for value in item.values())


def test_a_spider_begins_at_sitemaps_and_rules_choose_callbacks(site):
    spider = type("Own", (Mapped,), {"sitemap_urls": [site.url("/map.xml")]})
    _, items = crawled(spider)
    assert counted(items) == Counter(["/item/1", "/page/2", "/item/3"])
    assert "/not.xml" not in site.paths()


def test_robots_txt_leads_to_sitemaps_and_alternates_count_if_asked_for(site):
    spider = type(
        "Own",
        (Mapped,),
        {"sitemap_urls": [site.url("/robots.txt")], "sitemap_alternate_links": True},
    )
    _, items = crawled(spider)
    assert counted(items) == Counter(["/item/1", "/page/2", "/item/3", "/item/de"])


def test_entries_can_be_filtered(site):
    class Filtering(Mapped):
        name = "filtering"
        sitemap_urls = (site.url("/map.xml"),)

        def sitemap_filter(self, entries):
            return (entry for entry in entries if not entry["loc"].endswith("/1"))

    _, items = crawled(Filtering)
    assert counted(items) == Counter(["/page/2", "/item/3"])


def test_index_files_that_lead_on_without_end_are_left(site):
    numbers = itertools.count()
    site._pages["endless"] = lambda asked: xml(index(site.url(f"/endless/part{next(numbers)}")))
    spider = type("Own", (Mapped,), {"sitemap_urls": [site.url("/endless/part")]})
    crawled(spider)
    assert len(site.paths()) == 6
