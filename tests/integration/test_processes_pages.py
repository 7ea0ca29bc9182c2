"""`crawler parse` and `crawler shell`: what they show of a page, and what they refuse."""

import json
import os
import subprocess
import sys

import pytest

from tests.integration.lab import ROOT, crawler, crawler_here
from tests.site import Site
from tests.site.asked import Reply
from tests.site.pages import html
from tests.waiting import PATIENCE_S

QUICK = ("-s", "delay_s=0", "-s", "retries=0")

SPIDER = """
from crawler import Request, Spider


class Books(Spider):
    name = "books"
    allowed_domains = ["elsewhere.example"]
    word = "none"

    def parse(self, response):
        yield {"title": response.css("title::text").get(), "word": self.word}
        yield from response.follow_all(css="a", callback=self.parse_book)

    def parse_book(self, response):
        if response.url.endswith("/1"):
            raise KeyError("price")
        yield {"book": response.url[-1]}
        more = {"book": response.url[-1]}
        yield Request(response.urljoin("/page/more"), self.parse_more, cb_kwargs=more)

    def parse_more(self, response, book):
        return {"more of": book}
"""


def some(asked):
    """/some: two links, and a cookie."""
    page = html("some", "/page/2", "/page/3")
    return Reply(page.body, 200, [*page.headers, ("Set-Cookie", "who=me")])


def greet(asked):
    """/greet: the cookies it was sent."""
    return html(asked.headers.get("HTTP_COOKIE", "nobody"))


@pytest.fixture(scope="module")
def site():
    with Site(pages={"some": some, "greet": greet}) as site:
        yield site


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "books.py").write_text(SPIDER)
    (tmp_path / "books.yaml").write_text("spiders: [books.py]\n")
    return tmp_path


def parse(folder, *arguments):
    sys.modules.pop("books", None)
    return crawler_here("parse", "--file", "books.py", *QUICK, *arguments, cwd=folder)


def shell(folder, *arguments):
    return crawler_here("shell", *QUICK, *arguments, cwd=folder)


def test_a_page_is_shown_with_what_its_callback_yields(folder, site):
    done = parse(folder, site.url("/some"), "-a", "word=given")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"200 {site.url('/some')} → parse: 1 item, 2 requests",
        "  {'title': 'some', 'word': 'given'}",
        f"  GET {site.url('/page/2')} → parse_book",
        f"  GET {site.url('/page/3')} → parse_book",
    ]


def test_levels_below_are_parsed_by_the_callbacks_asked_for(folder, site):
    done = parse(folder, site.url("/some"), "--depth", "3", "--json")
    pages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [page["callback"] for page in pages] == [
        *("parse", "parse_book", "parse_book", "parse_more", "parse_more")
    ]
    assert [page["items"] for page in pages[1:]] == [
        *([{"book": "2"}], [{"book": "3"}], [{"more of": "2"}], [{"more of": "3"}])
    ]
    assert pages[1]["requests"] == [
        {"url": site.url("/page/more"), "callback": "parse_more", "cb_kwargs": {"book": "2"}}
    ]


RULES = """
from crawler import CrawlSpider, LinkExtractor, Rule


class Ruled(CrawlSpider):
    name = "ruled"
    rules = [Rule(LinkExtractor(allow="/page/2"), callback="parse_book"), Rule(LinkExtractor())]

    def parse_book(self, response):
        yield {"book": response.url[-1]}
"""


def test_the_rules_of_a_spider_say_who_gets_what(folder, site):
    (folder / "ruled.py").write_text(RULES)
    done = crawler(
        *("parse", site.url("/some"), "--file", "ruled.py", "--depth", "2", *QUICK), cwd=folder
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"200 {site.url('/some')} → parse: 0 items, 2 requests",
        f"  GET {site.url('/page/2')} → parse_book",
        f"  GET {site.url('/page/3')}",
        f"200 {site.url('/page/2')} → parse_book: 1 item, 0 requests",
        "  {'book': '2'}",
        f"200 {site.url('/page/3')} → parse: 0 items, 0 requests",
    ]


def test_cookies_stay_for_the_session(folder, site):
    code = "fetch(response.urljoin('/greet')).css('title::text').get()"
    assert shell(folder, site.url("/some"), "-c", code).stdout == "who=me\n"
    assert shell(folder, site.url("/page/2"), "-c", code).stdout == "nobody\n"


def test_the_spider_may_be_one_of_the_settings(folder, site):
    given = ("-c", "books.yaml", "--spider", "books", *QUICK)
    done = crawler("parse", site.url("/redirect?n=1"), *given, cwd=folder)
    assert done.stdout.startswith(f"200 {site.url('/page/end')} → parse: 1 item")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["{site}/status/404"], 1, "{site}/status/404: HTTP 404"),
        (["{site}/page/1", "--callback=parse_book"], 1, "raised KeyError: 'price' at books.py:16"),
        (["{site}/some", "--callback=nix"], 2, "--callback: spider 'books' has no method 'nix'"),
        (["{site}/some", "--spider=nix"], 2, "books.py has no spider 'nix'; allowed: books"),
        (["{site}/some", "-s", "delay_s=x"], 2, "-s delay_s: 'x' is not allowed"),
        (["ftp://example.com/"], 1, "start URLs begin with http:// or https://"),
        (["http://127.0.0.1:1/"], 1, "http://127.0.0.1:1/: connection refused: "),
    ],
)
def test_what_cannot_be_parsed_is_told_without_a_traceback(
    folder, site, arguments, status, message
):
    given = [each.format(site=site.url("")) for each in arguments]
    done = crawler_here("parse", "--file", "books.py", *QUICK, *given, cwd=folder)
    assert done.returncode == status
    assert message.format(site=site.url("")) in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_file_or_settings_there_is_no_spider(tmp_path):
    done = crawler("parse", "http://127.0.0.1:1/", "--spider=x", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "crawler: no spiders are known; name a file with --file FILE\n",
    )


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("css('title::text').get()", "some"),
        ("response.status, request.url == response.url", "(200, True)"),
        ("fetch(response.urljoin('/status/404')).status", "404"),
        ("fetch(Request(response.urljoin('/echo'), method='PUT')).text[19:22]", "PUT"),
        ("[fetch(response.urljoin(f'/page/{i}')).url[-1] for i in range(3)]", "['0', '1', '2']"),
        ("spider.name, settings.retries", "('shell', 0)"),
        ("title = xpath('//title/text()').get(); print(title)", "some"),
    ],
)
def test_an_expression_sees_the_page_and_may_fetch_others(folder, site, code, printed):
    done = crawler_here("shell", *QUICK, site.url("/some"), "-c", code, cwd=folder)
    assert (done.stderr, done.stdout) == ("", f"{printed}\n")
    assert done.returncode == 0


def test_code_that_computes_for_long_is_no_slow_callback(folder, site):
    """A callback of the session waits meanwhile, as a warning of the worker names it."""
    code = "import time; until = time.monotonic() + 0.4\nwhile time.monotonic() < until: pass"
    options = (*QUICK, "-s", "slow_callback_s=0.1")
    done = crawler_here("shell", *options, site.url("/some"), "-c", code, cwd=folder)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def test_pages_fetched_by_hand_have_no_depth(folder, site):
    code = "[fetch(response.urljoin(f'/page/{i}')).status for i in range(4)]"
    assert shell(folder, site.url("/some"), "-s", "max_depth=1", "-c", code).stdout == (
        "[200, 200, 200, 200]\n"
    )


@pytest.mark.parametrize("path", ["./page.html", "page.html"])
def test_a_file_is_a_page_too(folder, path):
    (folder / "page.html").write_text("<title>déjà</title>")
    done = shell(folder, path, "-c", "css('title::text').get()")
    assert done.stdout == "déjà\n"


def test_a_page_is_viewed_with_its_links_as_on_the_site(folder, site):
    command = ("shell", *QUICK, site.url("/some"), "-c", "open(view(response)).read()")
    done = crawler(*command, cwd=folder, BROWSER="true")
    assert f'<head><base href="{site.url("/some")}">' in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["./nix.html", "-c", "1"], "nix.html: cannot be read: No such file"),
        (["http://127.0.0.1:1/", "-c", "1"], "http://127.0.0.1:1/: connection refused"),
        (["-c", "nix"], "-c: NameError: name 'nix' is not defined"),
        (["-c", "fetch('http://127.0.0.1:1/')"], "http://127.0.0.1:1/: connection refused"),
    ],
)
def test_what_fails_in_the_shell_is_told_without_a_traceback(folder, arguments, message):
    done = shell(folder, *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_lines_are_read_and_evaluated_until_the_end_of_the_input(folder, site):
    lines = f"fetch('{site.url('/page/a')}')\n1 / 0\nresponse.url[-1]\n"
    done = subprocess.run(
        [sys.executable, "-m", "crawler", "shell", *QUICK],
        input=lines,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0
    assert f"<Response 200 {site.url('/page/a')}>" in done.stdout
    assert "'a'" in done.stdout
    assert "ZeroDivisionError" in done.stderr
