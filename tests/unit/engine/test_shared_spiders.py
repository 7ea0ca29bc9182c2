"""What spiders and settings ask for works over shards as it does in one crawl."""

from collections import Counter

import pytest

from crawler import Request, SitemapSpider, Spider
from crawler.model.records import State
from tests.unit.engine.fakes import page
from tests.unit.engine.shards import World
from tests.unit.engine.test_checkpoints import DECLARED, PAGES, Ruled
from tests.unit.engine.test_sitemap import index, urlset


def site_of(call):
    return call.url.split("/")[2]


def path_of(call):
    return "/" + call.url.split("/", 3)[3]


def crawled(shards, spider_class, answer_of, **more):
    world = World(shards, spider_class, answer_of, **more).begin().finish()
    world.assert_done()
    return world


def same_as_alone(spider_class, answer_of, **more):
    """Three shards bring what one crawl brings, and count the same ends; the world of the three."""
    alone, together = (crawled(count, spider_class, answer_of, **more) for count in (1, 3))
    assert together.items() == alone.items()
    for name in ("failures", "filtered"):
        sums = [
            sum((Counter(getattr(each.statistics, name)) for each in world.shards), Counter())
            for world in (alone, together)
        ]
        assert sums[0] == sums[1], name
    assert Counter(together.urls()) == Counter(alone.urls())
    return together


@pytest.mark.parametrize("spider_class", [Ruled, DECLARED], ids=["rules", "yaml"])
def test_rules_and_declared_spiders(spider_class):
    def answer_of(call):
        number = int(path_of(call)[1:])
        later = [to for to in range(3 * number + 1, 3 * number + 4) if to < PAGES]
        return page(*(f"http://{'ab'[to % 2]}.h/{to}" for to in later))

    world = same_as_alone(spider_class, answer_of)
    assert sum(world.items().values()) == PAGES


def test_sitemaps():
    class Mapped(SitemapSpider):
        name = "mapped"
        sitemap_urls = ("http://a/sitemap.xml",)

        def parse(self, response):
            yield {"page": response.url}

    bodies = {
        "http://a/sitemap.xml": index("http://a/one.xml", "http://b/two.xml"),
        "http://a/one.xml": urlset(*(f"http://a/{number}" for number in range(6))),
        "http://b/two.xml": urlset(*(f"http://{site}/9" for site in "bcdef"), "http://a/1"),
    }

    def answer_of(call):
        return page(body=bodies.get(call.url, b"<html>"))

    world = same_as_alone(Mapped, answer_of)
    assert sum(world.items().values()) == 11


class Linked(Spider):
    """Pages of four sites."""

    name = "linked"
    start_urls = ("http://h0/0",)

    def parse(self, response):
        yield {"page": response.url}
        if response.url == "http://h0/0":
            for number in range(1, 25):
                yield Request(f"http://h{number % 4}/{'no/' * (number % 3 == 0)}{number}")


def test_robots_txt_counts_and_is_asked_once_for_each_site():
    asked = Counter()

    def answer_of(call):
        if path_of(call) == "/robots.txt":
            asked[site_of(call)] += 1
            return page(body=b"User-agent: *\nDisallow: /no/\n")
        return page()

    world = World(3, Linked, answer_of, robots=True).begin().finish()
    world.assert_done()
    assert world.filtered("robots") == 8
    assert len(world.items()) == 17
    assert set(asked) == {"h0", "h1", "h2", "h3"}


def test_a_page_that_sends_elsewhere_in_its_markup():
    class Sent(Spider):
        name = "sent"
        start_urls = ("http://h0/0",)

        def parse(self, response):
            yield {"page": response.url}
            if response.url == "http://h0/0":
                for number in range(1, 7):
                    yield Request(f"http://h{number % 3}/go/{number}")

    def answer_of(call):
        if "/go/" in call.url:
            number = call.url.rsplit("/", 1)[1]
            return page(
                body=b'<meta http-equiv=refresh content="0; url=http://g/%b">' % number.encode()
            )
        return page()

    world = same_as_alone(Sent, answer_of, meta_refresh=True)
    assert {url for (url,) in world.items() if "//g/" in url} == {
        f"http://g/{number}" for number in range(1, 7)
    }


def test_failures_and_errbacks():
    class Failing(Linked):
        def parse(self, response):
            for output in super().parse(response):
                if isinstance(output, Request):
                    output = output.replace(errback=self.fail)
                yield output

        def fail(self, failure):
            yield {"failed": failure.request.url}
            yield Request(f"http://f/{failure.request.url.rsplit('/', 1)[1]}")

    def answer_of(call):
        return page(status=404 if "/no/" in call.url else 200)

    world = same_as_alone(Failing, answer_of, retries=0)
    assert world.sum(lambda found: found.failures.get("HTTP 404", 0)) == 8


def test_cookies_of_a_login_go_with_the_shard_that_serves_the_site():
    class Login(Spider):
        name = "login"
        start_urls = ("http://shop/login",)

        def parse(self, response):
            yield Request("http://shop/session", self.inside, method="POST", body=b"me")

        def inside(self, response):
            for number in range(12):
                yield Request(f"http://shop/{number}", self.item)

        def item(self, response):
            yield {"page": response.url}

    def answer_of(call):
        if path_of(call) == "/session":
            return page(status=303, headers=[b"Location: /home"])
        return page()

    world = crawled(3, Login, answer_of)
    assert len(world.items()) == 12
    assert len({who for _, who, _ in world.sent}) == 1


def test_a_spider_of_which_every_callback_raises_fails():
    class Broken(Linked):
        def parse(self, response):
            if response.url == "http://h0/0":
                yield from map(Request, [f"http://h{number}/" for number in range(24)])
            raise KeyError("a defect")

    world = World(3, Broken).begin().finish()
    assert [state for state, _ in world.outcomes()[1:]] == [State.DONE] * 2
    assert world.sum(lambda found: found.failures.get("callback raised KeyError", 0)) == 25
