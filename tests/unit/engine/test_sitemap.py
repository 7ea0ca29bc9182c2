"""Sitemaps, and the spiders that begin at them."""

import gzip
import itertools
import time
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


def locs(body, url="http://h/dir/map.xml"):
    return [entry["loc"] for entry in Sitemap(body, 10**6, url)]


@pytest.mark.parametrize(
    ("broken", "read"),
    [
        ("?a=1&b=2", "?a=1&b=2"),
        ("?a=1&amp;b=2&copy=3", "?a=1&b=2&copy=3"),
        ("&", "&"),
        ("&nbsp;", "&nbsp;"),
        ("&#233;&#xE9;", "éé"),
        ("<", "<"),
        ("<b", "<b"),
        ("?a<b&c>d", "?a<b&c>d"),
        ("<![CDATA[?a&amp;b<c>]]>", "?a&amp;b<c>"),
        ("<!-- </loc></url> -->", ""),
        ("</b></loc></x>", ""),
        ("\x00\x08", None),
        ("]]>", "]]>"),
        ("<?x </loc> ?>", ""),
    ],
)
def test_what_is_broken_in_an_entry_costs_at_most_that_entry(broken, read):
    urls = [f"http://h/{n}{broken if n == 3 else ''}" for n in range(50)]
    file = Sitemap(urlset(*urls), 10**6, "http://h/")
    found = [entry["loc"] for entry in file]
    assert len(found) == 50
    assert found[:3] + found[4:] == [f"http://h/{n}" for n in range(50) if n != 3]
    assert read is None or found[3] == f"http://h/3{read}"
    assert file.trouble == ""


@pytest.mark.parametrize(
    "body",
    [
        "<urlset><url><loc>/1</loc><url><loc>/2</loc></url></urlset>",
        "<urlset><url><loc>/1<lastmod>x</lastmod></url><url><loc>/2</url></urlset>",
        "<URLSET>\n<URL>\n<LOC>/1</LOC></URL><Url><Loc>/2</Loc></Url></URLSET>",
        "\n\n <?xml version='1.0'?><urlset><url><loc>/1</loc></url><url><loc>/2</loc></url>",
        "<a:urlset xmlns:a='x'><a:url><a:loc>/1</a:loc></a:url><url><loc>/2</loc></url></a:urlset>",
        "<urlset xmlns=''><url><x:loc>/1</x:loc></url><!-- <url><loc>/0</loc></url> --><url><loc>/2"
        "</loc><image:image><image:loc>/9</image:loc></image:image></url></urlset>",
        "<!DOCTYPE urlset [<!ELEMENT loc (a)>]><urlset><url><loc a='>'>/1</loc></url><url><loc>/2"
        "</loc></url></urlset>",
        "<urlset><url><loc>/1</loc></url></urlset><urlset><url><loc>/2</loc></url></urlset>",
        "<rss><channel><link>/0</link><item><link>/1</link></item><item><guid>/2</guid></item>"
        "<item><guid isPermaLink='false'>/0</guid></item></channel></rss>",
        "<rdf:RDF><channel/><item><link>/1</link></item><item><link>/2</link></item></rdf:RDF>",
        "<feed><link href='/0'/><entry><link rel='self' href='/0'/><link href='/1'/></entry><entry>"
        "<link rel='Alternate' href='/2'></link></entry></feed>",
        "http://h/1\r\n\r\n  http://h/2  \nno url\n",
        "\ufeffhttp://h/1\rhttp://h/2",
        "# our pages\nhttp://h/1\nhttp://h/2",
        "<br />\n<b>Warning</b>: x<br />\n<urlset><url><loc>/1</loc></url><url><loc>/2</loc></url>",
        "Warning: x\n<?xml?><urlset><url><loc>/1</loc></url><url><loc>/2</loc></url></urlset>",
    ],
)
def test_sitemaps_are_read_in_every_form(body):
    assert locs(body.encode()) == ["http://h/1", "http://h/2"]
    assert locs(gzip.compress(body.encode())) == ["http://h/1", "http://h/2"]
    assert locs(body.replace("\ufeff", "").encode("utf-16")) == ["http://h/1", "http://h/2"]


@pytest.mark.parametrize("order", ["le", "be"])
def test_an_xml_declaration_in_utf_16_needs_no_byte_order_mark(order):
    body = "<?xml version='1.0' encoding='utf-16'?><urlset><url><loc>/é</loc></url></urlset>"
    assert locs(body.encode(f"utf-16-{order}")) == ["http://h/%C3%A9"]


def test_a_line_without_end_is_no_url():
    file = Sitemap(b"http://h/1\nhttp://h/" + b"/x" * 200_000 + b"\nhttp://h/3", 10**6, "http://h/")
    assert [entry["loc"] for entry in file] == ["http://h/1", "http://h/3"]
    assert file.ignored == [2]


def test_an_entry_of_a_feed_has_the_names_of_a_sitemap():
    item = "<item><link>/1?a=1&amp;b</link><pubDate>today</pubDate><title>T &lt; U</title></item>"
    [entry] = Sitemap(f"<rss>{item}</rss>".encode(), 100, "http://h/")
    assert entry["loc"] == "http://h/1?a=1&b"
    assert (entry["lastmod"], entry["title"]) == ("today", "T < U")


def test_urls_are_joined_with_that_of_the_sitemap():
    more = "<link rel='alternate' hreflang='de' href='de?a&amp;b'/><link href='mailto:x'/>"
    [entry] = Sitemap(urlset("../a", more=more), 100, "http://h/dir/map.xml")
    assert (entry["loc"], entry["alternate"]) == ("http://h/a", ["http://h/dir/de?a&b"])


def test_each_piece_of_a_file_may_end_anywhere(monkeypatch):
    body = urlset("http://h/1", "<![CDATA[http://h/2?a&b]]>", "http://h/é", "http://h/<4&amp;")
    wanted = ["http://h/1", "http://h/2?a&b", "http://h/é", "http://h/<4&"]
    for size in range(1, 40):
        monkeypatch.setattr("crawler.engine.spiders.sitemap_xml.PIECE_BYTES", size)
        assert locs(b"<!-- <url> -->" + body) == wanted
        assert locs(gzip.compress(body)) == wanted


def test_all_members_of_a_packed_file_are_read():
    one, two = (gzip.compress(urlset(f"http://h/{n}")) for n in "12")
    assert locs(one + b"\0\0" + two) == ["http://h/1", "http://h/2"]
    halves = urlset("http://h/12")
    at = halves.index(b"12") + 1
    assert locs(gzip.compress(halves[:at]) + gzip.compress(halves[at:])) == ["http://h/12"]


def test_an_empty_member_of_a_packed_file_ends_nothing():
    one, two, empty = (
        gzip.compress(part) for part in (urlset("http://h/1"), urlset("http://h/2"), b"")
    )
    file = Sitemap(empty + one + empty + two + empty, 10**6)
    assert [entry["loc"] for entry in file] == ["http://h/1", "http://h/2"]
    assert file.trouble == ""


@pytest.mark.timeout(60)
def test_many_small_members_take_no_long_time_and_are_bounded():
    one = gzip.compress(urlset("http://h/1"))
    began_s = time.process_time()
    file = Sitemap(one + gzip.compress(b"") * 60_000, 10**6)
    assert [entry["loc"] for entry in file] == ["http://h/1"]
    assert "members of gzip; allowed" in file.trouble
    assert time.process_time() - began_s < 3


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        (urlset("http://h/1", "http://h/2")[:-9], "the file ends before </urlset>, behind entry 2"),
        (
            urlset("http://h/1", "http://h/2")[:-25],
            "the file ends before </urlset>, behind entry 1",
        ),
        (
            gzip.compress(urlset("http://h/1"))[:-8],
            "the packed file ends too early, behind entry 1",
        ),
        (
            gzip.compress(urlset("http://h/1")) + b"more",
            "the packed file goes on with what is no gzip, behind entry 1",
        ),
        (urlset("http://h/1"), ""),
    ],
)
def test_a_sitemap_that_is_not_read_to_its_end_says_where(body, trouble):
    file = Sitemap(body, 10**6)
    list(file)
    assert file.trouble == trouble


@pytest.mark.parametrize(
    ("rest", "found"),
    [
        ("<url><loc>/2</loc><lastmod>2020-0", {"loc": "http://h/2"}),
        ("<url><lastmod>2020</lastmod><loc>/2</loc>", {"loc": "http://h/2", "lastmod": "2020"}),
        ("<url><loc>/2", None),
        ("<url><loc>/2</lo", None),
        ("<url>", None),
    ],
)
def test_of_an_entry_in_which_the_file_ends_counts_what_is_complete(rest, found):
    body = b"<urlset><url><loc>/1</loc></url>" + rest.encode()
    file = Sitemap(body, 10**6, "http://h/")
    assert list(file) == [{"loc": "http://h/1"}] + ([found] if found else [])
    assert file.trouble == "the file ends before </urlset>, behind entry 1"
    assert file.ignored == []


def test_of_a_feed_in_whose_entry_the_file_ends_the_link_counts():
    body = b"<rss><item><title>t</title><link>/1</link><guid>/n"
    assert [each["loc"] for each in Sitemap(body, 10**6, "http://h/")] == ["http://h/1"]
    body = b"<feed><entry><link href='/1'/><id>urn"
    assert [each["loc"] for each in Sitemap(body, 10**6, "http://h/")] == ["http://h/1"]


def test_entries_without_a_page_are_counted_and_cost_nothing_else():
    file = Sitemap(
        urlset("http://h/1", "", "http://[x", "mailto:a", "http://h/5"), 10**6, "http://h/"
    )
    assert [entry["loc"] for entry in file] == ["http://h/1", "http://h/5"]
    assert (file.entries, file.ignored) == (2, [2, 3, 4])


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "body",
    [
        *(b"<" * 90_000, b"<a " * 50_000, b"<!--" * 90_000, b"<a b='" * 50_000),
        *(b"<url><loc>" * 20_000, b"<url>" + b"<x>" * 50_000),
        *(b"<![CDATA[" * 90_000, b"<url><loc>" + b"&" * 300_000),
    ],
    ids=["lt", "tags", "comments", "quotes", "open", "depth", "cdata", "entities"],
)
def test_large_nonsense_takes_no_long_time(body):
    file = Sitemap(b"<urlset>" + body, 10**7, "http://h/")
    assert len(list(file)) < 50_000
    assert file.trouble


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
    body = b"Sitemap: http://h/a.xml # all\r# Sitemap: no\rSITEMAP:/b.xml#x\r"
    assert list(named_in_robots(body)) == ["http://h/a.xml", "/b.xml"]


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


def test_relative_urls_lead_from_robots_txt_to_pages(site):
    site._pages["map.xml"] = lambda asked: xml(index("part1.xml", "http://[broken"))
    site._pages["part1.xml"] = lambda asked: Reply(b"<urlset><url><loc>item/7</loc></url>")
    spider = type("Own", (Mapped,), {"sitemap_urls": [site.url("/robots.txt")]})
    _, items = crawled(spider)
    assert counted(items) == Counter(["/item/7"])


def test_what_is_not_read_of_a_sitemap_is_told(site, caplog):
    site._pages["map.xml"] = lambda asked: xml(index("/part1.xml", "/part2.xml", ""))
    site._pages["part1.xml"] = lambda asked: xml(urlset("/item/1")[:-9])
    site._pages["part2.xml"] = lambda asked: html("no sitemap")
    spider = type("Own", (Mapped,), {"sitemap_urls": [site.url("/map.xml")]})
    crawled(spider)
    for words in (
        "a sitemap is not read to its end",
        "entries of a sitemap have no URL",
        "a sitemap is ignored",
    ):
        assert words in caplog.text


def test_robots_txt_without_a_sitemap_is_told(site, caplog):
    spider = type("Own", (Mapped,), {"sitemap_urls": [site.url("/page/robots.txt")]})
    assert crawled(spider)[1] == []
    assert "robots.txt names no sitemap; give the address of one in sitemap_urls" in caplog.text


def test_a_text_alone_stands_for_a_list_of_it():
    """As on the command line: `-a sitemap_urls=URL -a sitemap_follow=/books`."""
    spider = SitemapSpider(sitemap_urls="http://h/sitemap.xml", sitemap_follow="/books")
    assert [request.url for request in spider.start_requests()] == ["http://h/sitemap.xml"]
    [follow] = spider._follow
    assert follow.search("http://h/books/1.xml")
    assert not follow.search("http://h/films/1.xml")


@pytest.mark.parametrize(
    ("feed", "found"),
    [
        (
            "<feed xml:base='http://b/x/'><link href='/'/><entry><link href='1'/></entry>"
            "<entry><link href='/2'/></entry></feed>",
            ["http://b/x/1", "http://b/2"],
        ),
        (
            "<feed xml:base='sub/'><entry xml:base='one/'><link href='1'/></entry>"
            "<entry><link xml:base='two/' href='2'/></entry><entry><link href='3'/></entry>",
            ["http://h/dir/sub/one/1", "http://h/dir/sub/two/2", "http://h/dir/sub/3"],
        ),
        (
            "<rss xml:base='/r/'><channel xml:base=\"c/\"><image xml:base='/i/'><url/></image>"
            "<item xml:base='&amp;/'><link>1</link></item><item><guid xml:base='g/'>2</guid></item>"
            "</channel><item><link>3</link></item></rss>",
            ["http://h/r/c/&/1", "http://h/r/c/g/2", "http://h/r/3"],
        ),
        (  # what is absolute needs none, and what is none does no harm
            "<feed xml:base='http://['><entry xml:base='mailto:x'><link href='1'/></entry>"
            "<entry xml:base='/b/'><link href='http://o/2'/></entry></feed>",
            ["http://h/dir/1", "http://o/2"],
        ),
        (  # only the attribute of that name counts
            "<feed base='/no/'><entry title=\" xml:base='/no/'\"><link href='1' ml:base='/no/'/>"
            "</entry><entry><a xml:base='/no/'/><p xml:base='/no/'></p><link href='2'/></entry>",
            ["http://h/dir/1", "http://h/dir/2"],
        ),
        (
            "<urlset><url xml:base='/u/'><loc xml:base='v/'>1</loc></url></urlset>"
            "<urlset xml:base='/w/'><url><loc>2</loc></url></urlset><url><loc>3</loc></url>",
            ["http://h/u/v/1", "http://h/w/2", "http://h/dir/3"],
        ),
    ],
)
def test_urls_are_joined_with_the_bases_around_them(feed, found):
    assert [entry["loc"] for entry in Sitemap(feed.encode(), 10**6, "http://h/dir/feed")] == found


def test_alternate_urls_have_the_base_of_their_element():
    more = "<a:link xml:base='/de/' href='1'/><a:link href='2'/>"
    body = urlset("0", more=more).replace(b"<urlset", b"<urlset xml:base='http://b/x/'")
    [entry] = Sitemap(body, 1000, "http://h/")
    assert entry["alternate"] == ["http://b/de/1", "http://b/x/2"]


def test_elements_without_end_do_not_pile_up():
    body = b"<feed xml:base='/a/'>" + b"<p xml:base='b/'>" * 100_000 + b"</feed><feed><entry>"
    [entry] = Sitemap(body + b"<link href='1'/></entry></feed>", 10**7, "http://h/")
    assert entry["loc"] == "http://h/1"
