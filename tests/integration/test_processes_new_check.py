"""What `crawler new spider` writes runs as it stands; `crawler check` finds what would not."""

import re
import textwrap
from collections import Counter

import gevent
import pytest
from gevent.event import Event

from crawler.cli import local
from crawler.cli.base import commands
from crawler.demo.bookshop import BookshopServer
from tests.integration.lab import ROOT, crawler, crawler_here
from tests.site import Site
from tests.site.crawling import lines
from tests.site.pages import Reply, html
from tests.waiting import PATIENCE_S, eventually

QUICK = ("-s", "delay_s=0")
EVERY = ["/page/a", "/page/b", "/start"]


def sitemap(asked):
    """/sitemap.xml names three pages."""
    places = "".join(f"<url><loc>{root_of(asked)}{path}</loc></url>" for path in EVERY)
    text = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{places}</urlset>'
    return Reply(text.encode(), 200, [("Content-Type", "application/xml")])


def root_of(asked):
    return f"http://127.0.0.1:{asked.socket.getsockname()[1]}"


@pytest.fixture(scope="module")
def site():
    pages = {"start": lambda asked: html("start", "/page/a", "/page/b"), "sitemap.xml": sitemap}
    with Site(pages=pages) as site:
        site.robots = f"User-agent: *\nAllow: /\nSitemap: {site.url('/sitemap.xml')}\n"
        yield site


@pytest.mark.parametrize(
    ("template", "file", "paths"),
    [
        ("basic", "my_shop.py", ["/start"]),
        ("crawl", "my_shop.py", EVERY[:2]),
        ("sitemap", "my_shop.py", EVERY),
        ("yaml", "my-shop.yaml", EVERY),
    ],
)
def test_what_new_writes_is_sound_and_runs_as_it_stands(tmp_path, site, template, file, paths):
    made = crawler(
        "new", "spider", "my-shop", site.url("/start"), "--template", template, cwd=tmp_path
    )
    assert (made.returncode, made.stderr) == (0, "")
    command = f"crawler runspider {file} -o my-shop.jsonl"
    assert made.stdout == f"{file} is written; try it: {command}\n"
    assert command in (tmp_path / file).read_text()
    checked = crawler("check", file, cwd=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, f"{file}: ok: my-shop\n")
    assert crawler(*command.split()[1:], *QUICK, cwd=tmp_path).returncode == 0
    items = lines(tmp_path / "my-shop.jsonl")
    assert sorted(item["url"] for item in items) == [site.url(path) for path in paths]
    assert all(item["title"] for item in items)


def test_new_overwrites_nothing(tmp_path):
    (tmp_path / "shop.py").write_text("mine")
    done = crawler("new", "spider", "shop", "example.com", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "crawler: shop.py: exists already; choose another name, or remove it\n"
    assert (tmp_path / "shop.py").read_text() == "mine"


def test_a_host_alone_is_a_url_too(tmp_path):
    assert crawler("new", "spider", "shop", "example.com/a b", cwd=tmp_path).returncode == 0
    assert 'start_urls = ["https://example.com/a%20b"]' in (tmp_path / "shop.py").read_text()


@pytest.mark.parametrize(
    ("name", "url", "message"),
    [
        ("../x", "example.com", "NAME: '../x' is not allowed; allowed: up to 64 letters"),
        ("1x", "example.com", "NAME: '1x' is not allowed"),
        ("x", "ftp://example.com", "URL: 'ftp://example.com' is not allowed; allowed: an http"),
        ("x", "http://[", "URL: 'http://[' is not allowed"),
    ],
)
def test_new_refuses_what_no_spider_can_be_called_or_begin_at(tmp_path, name, url, message):
    done = crawler_here("new", "spider", name, url, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


FAULTY = """\
from crawler import Request, Spider


class One(Spider):
    name = "one"
    allowed_domains = ["http://example.com/"]
    start_urls = ["example.com"]

    def start_requests(self):
        yield Request("http://example.com/", self.pars)

    def parse(self, response):
        response.css("h1 >")
        for each in response.xpath("//a[").getall():
            yield response.follow(each, callback="parse_it", errback=self.failed)
        yield from response.follow_all(css="::nix(x)", callback=self.parse)


class Two(Spider):
    name = "two"
    start_urls = ["http://example.com/"]
    custom_settings = {}


class Three(Spider):
    name = "three"

    def __init__(self, category, **parameters):
        super().__init__(**parameters)
        self.start_urls = [f"http://example.com/{category}"]

    def parse(self, response):
        raise NotImplementedError
"""


def test_check_tells_every_fault_with_its_line(tmp_path):
    (tmp_path / "faulty.py").write_text(FAULTY)
    done = crawler("check", "faulty.py", cwd=tmp_path)
    assert done.returncode == 1
    told = [line.split(": ", 1) for line in done.stdout.splitlines()]
    assert [place for place, _ in told] == [
        f"faulty.py:{number}" for number in (4, 4, 10, 13, 14, 15, 15, 16, 19, 25)
    ]
    messages = [message for _, message in told]
    assert messages[0].startswith("one: allowed_domains: 'http://example.com/' is not allowed")
    assert messages[1].startswith("one: start_urls: 'example.com' is not allowed; allowed: an http")
    assert messages[2] == "callback: spider 'one' has no method 'pars'"
    assert messages[3].startswith("css: 'h1 >' is not allowed; not a valid CSS selector")
    assert messages[4].startswith("xpath: '//a[' is not allowed; not valid XPath")
    assert messages[5] == "callback: spider 'one' has no method 'parse_it'"
    assert messages[6] == "errback: spider 'one' has no method 'failed'"
    assert messages[7].startswith("css: '::nix(x)' is not allowed")
    assert messages[8] == "two: no method parse, which gets the pages of start_urls"
    assert "missing 1 required positional argument: 'category'" in messages[9]


def test_arguments_that_a_spider_needs_can_be_given(tmp_path):
    (tmp_path / "three.py").write_text(
        FAULTY[: FAULTY.index("class One")] + FAULTY[FAULTY.index("class Three") :]
    )
    done = crawler("check", "three.py", "-a", "category=x", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "three.py: ok: three\n"


def test_check_tells_the_lines_of_a_declaration(tmp_path):
    (tmp_path / "shop.yaml").write_text(
        "- name: one\n"
        "  start_urls: [http://example.com/]\n"
        "  items:\n"
        "  - fields:\n"
        "      title: h1\n"
        "      price: {css: 'b >', type: money}\n"
        "- name: two\n"
        "  follow:\n"
        "  - allow: ['(']\n"
        "  settings: {delay_s: soon}\n"
    )
    done = crawler("check", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 1
    told = sorted(done.stdout.splitlines())
    assert [line.split(": ")[0] for line in told] == [
        f"shop.yaml:{number}" for number in (10, 6, 6, 9)
    ]
    assert "[1].settings.delay_s: 'soon' is not allowed" in told[0]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "x.py",
            "import nix\n",
            "x.py:1: cannot be imported (ModuleNotFoundError: No module named 'nix')\n",
        ),
        ("x.py", "\n\nclass\n", "x.py:3:6: cannot be imported (SyntaxError: invalid syntax)\n"),
        ("x.yaml", "a: [\n", "is not YAML"),
        ("x.yaml", "1\n", "x.yaml"),
        ("x.py", "import sys\nsys.exit(3)\n", "x.py:2: cannot be imported (SystemExit: 3)\n"),
    ],
)
def test_files_that_cannot_be_read_are_faults_without_a_traceback(tmp_path, file, text, message):
    (tmp_path / file).write_text(text)
    done = crawler_here("check", file, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stdout
    assert done.stdout.count(file) == 1 or file == "x.yaml"


def test_a_fault_in_an_imported_file_is_told_with_its_place(tmp_path):
    (tmp_path / "x.py").write_text("import helper_of_x\n")
    (tmp_path / "helper_of_x.py").write_text("\nclass\n")
    done = crawler_here("check", "x.py", cwd=tmp_path)
    assert done.stdout == (
        "x.py: cannot be imported (SyntaxError: invalid syntax) at helper_of_x.py:2:6\n"
    )
    assert done.stderr == ""


def test_what_has_no_effect_in_a_spider_for_scrapy_is_told_once_and_is_no_fault(tmp_path):
    (tmp_path / "ported.py").write_text(
        "from crawler import Spider\n\n\nclass Ported(Spider):\n    name = 'ported'\n"
        "    start_urls = ['http://example.com/']\n"
        "    custom_settings = {'FEEDS': {}, 'JOBDIR': 'x', 'LOG_LEVEL': 'INFO'}\n\n"
        "    @classmethod\n    def from_crawler(cls, crawler):\n        return cls()\n\n"
        "    def parse(self, response):\n        yield {}\n"
    )
    done = crawler_here("check", "ported.py", cwd=tmp_path)
    *warned, ok = done.stderr.splitlines()
    assert (done.returncode, done.stdout, ok) == (0, "", "ported.py: ok: ported")
    for line, name in zip(warned, ("FEEDS", "JOBDIR", "LOG_LEVEL", "from_crawler"), strict=True):
        assert f"{name} " in line


def test_each_of_several_files_is_checked(tmp_path):
    (tmp_path / "good.yaml").write_text("{name: good, start_urls: ['http://example.com/']}\n")
    done = crawler("check", "nix.py", "nix.yaml", ".", "good.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == (
        "nix.py: no such file; give the path of a spider, .py or .yaml\n"
        "nix.yaml: no such file; give the path of a spider, .py or .yaml\n"
        ".: is a folder; give the path of a spider in it, .py or .yaml\n"
    )
    assert done.stderr == "good.yaml: ok: good\n"


KEPT = """
from crawler import Spider


class Kept(Spider):
    name = "kept"
    start_urls = ["{site}/start"]

    def parse(self, response):
        \"\"\"A page of links.

        @url {site}/start
        @returns requests 2 2
        @returns items 0 0
        \"\"\"
        yield from response.follow_all(css="a", callback=self.parse_page)

    def parse_page(self, response, kind="none"):
        \"\"\"@url {site}{path}
        @cb_kwargs {{"kind": "given"}}
        @meta {{"shelf": 7}}
        @returns {returns}
        @scrapes title {name}
        \"\"\"
        yield {{"title": response.css("title::text").get(), kind: response.meta["shelf"]}}
"""


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"returns": "items 2 16"}, "kept.py:18: parse_page: 1 item, not 2 to 16\n"),
        ({"name": "price"}, "kept.py:18: parse_page: item 1 has no price\n"),
        ({"path": "/nix"}, "kept.py:18: parse_page: {site}/nix: HTTP 404\n"),
        (
            {"returns": "some"},
            "kept.py: kept: parse_page: @returns some: is not allowed; allowed: @returns"
            " items|requests [LEAST [MOST]]\n",
        ),
    ],
)
def test_callbacks_are_held_to_what_their_docstrings_state(tmp_path, site, changes, told):
    values = {"path": "/page/a", "returns": "items 1", "name": "given", **changes}
    (tmp_path / "kept.py").write_text(KEPT.format(site=site.url(""), **values))
    done = crawler("check", "kept.py", "--contracts", *QUICK, cwd=tmp_path)
    assert done.stdout == told.format(site=site.url(""))
    assert done.returncode == (1 if told else 0)
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def shop():
    server = BookshopServer()
    server.start()
    yield server
    server.stop()


def test_the_first_spider_of_the_readme_takes_two_commands(tmp_path, shop):
    text = (ROOT / "README.md").read_text().replace("http://127.0.0.1:8100", shop.url)
    section = text[text.index("## A first spider") : text.index("## On several machines")]
    new, run = re.findall(r"^    crawler (.+)$", section, re.MULTILINE)
    assert crawler(*new.split(), cwd=tmp_path).returncode == 0
    some = ("-s", "delay_s=0", "-s", "max_pages=100")
    assert crawler(*run.split(), *some, cwd=tmp_path).returncode == 0
    found = lines(tmp_path / "shop.jsonl")
    assert len({item["url"] for item in found}) == len(found) > 80
    source = section[section.index("    from crawler") : section.index("\nRun it with")]
    (tmp_path / "titles.py").write_text(textwrap.dedent(source))
    command = ("runspider", "titles.py", *some, "-o", "titles.jsonl")
    assert crawler(*command, cwd=tmp_path).returncode == 0
    assert all(item["title"] for item in lines(tmp_path / "titles.jsonl"))


def test_the_bookshop_says_what_to_do_when_its_port_is_taken(tmp_path, shop):
    port = shop.url.rpartition(":")[2]
    done = crawler("site", "--listen", f"127.0.0.1:{port}", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"crawler: cannot listen at 127.0.0.1:{port}: Address already in use; choose another port,"
        " such as --listen 127.0.0.1:8101\n"
    )


def test_the_bookshop_says_now_and_then_what_it_has_served(monkeypatch, capsys):
    monkeypatch.setattr(local, "TELL_S", 0.01)
    served, wanted = Counter({200: 1}), Event()
    telling = gevent.spawn(local._tell_served, served, wanted)
    told = [capsys.readouterr().err]
    eventually(lambda: told.append(capsys.readouterr().err) or "".join(told))
    served.update({200: 2, 404: 1})
    eventually(lambda: told.append(capsys.readouterr().err) or "404" in "".join(told))
    wanted.set()
    telling.get(timeout=PATIENCE_S)
    assert "".join(told) == "served 1 request: 1 × 200\nserved 3 requests: 2 × 200, 1 × 404\n"


def test_every_command_and_option_of_the_guide_is_there():
    text = (ROOT / "docs" / "spiders.md").read_text()
    shown = re.findall(r"(?:^    |^    \$ |`)crawler ([a-z]+)([^`\n]*)", text, re.MULTILINE)
    assert {"runspider", "new", "check", "shell", "parse", "stats"} <= {name for name, _ in shown}
    for name, rest in shown:
        command = commands.commands[name]
        command = command.commands["spider"] if name == "new" else command
        options = {option for each in command.params for option in each.opts}
        assert set(re.findall(r"(?<= )--?[a-zA-Z]+", rest)) <= options, name
