"""`crawler runspider` as a person types it: from a spider's file to items, and what it refuses."""

import csv
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys

import gevent
import pytest

from crawler.cli import options
from tests import forks
from tests.integration.lab import ROOT, crawler, crawler_here
from tests.site import Site
from tests.site.crawling import lines
from tests.waiting import PATIENCE_S, eventually

QUICK = ("-s", "delay_s=0", "-s", "robots=false")

SPIDER = """
from beside import WORD
from crawler import Request, Spider


class Titles(Spider):
    name = "titles"
    site = "{site}"
    path = "/links?n=5"

    def start(self):
        yield Request(self.site + self.path)

    def parse(self, response):
        yield {{"title": response.css("title::text").get(), "word": WORD}}
        yield from response.follow_all(css="a")
"""

OTHER = """

class Other(Titles):
    name = "other"
    path = "/page/other"
"""


PIPELINE = """
class Loud:
    def process_item(self, item, spider):
        return {**item, "word": WORD.upper()}
"""


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


@pytest.fixture
def folder(tmp_path, site):
    (tmp_path / "titles.py").write_text(SPIDER.format(site=site.url("")))
    (tmp_path / "both.py").write_text(SPIDER.format(site=site.url("")) + OTHER)
    (tmp_path / "beside.py").write_text("WORD = 'beside'\n" + PIPELINE)
    return tmp_path


def runspider(folder, *arguments):
    return crawler("runspider", *QUICK, *arguments, cwd=folder)


def test_from_a_file_to_items_in_one_command(folder):
    done = runspider(folder, "titles.py", "-o", "items.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    items = lines(folder / "items.jsonl")
    assert sorted(item["title"] for item in items) == [*(f"/page/{i}" for i in range(5)), "links"]
    assert all(item["word"] == "beside" for item in items)
    shown = dict(re.findall(r"^(\S+(?: \S+)?) {2,}(.+)$", done.stdout, re.M))
    assert shown["spider"] == "titles"
    assert shown["result"] == "finished"
    assert re.fullmatch(r"[\d,.]+ \w+ \([\d,.]+ \w+ over the network\)", shown["data"])
    assert shown["pages"] == shown["items"] == shown["requests"] == "6"
    assert shown["statuses"] == "200: 6"
    assert float(shown["seconds"]) > 0
    assert "p50" in shown["latency"]
    assert shown["items in"] == "items.jsonl"


def test_items_are_appended_unless_the_file_is_to_be_overwritten(folder):
    for option, count in (("-o", 6), ("-o", 12), ("-O", 6)):
        done = runspider(folder, "titles.py", option, "items.jsonl")
        assert done.returncode == 0
        assert len(lines(folder / "items.jsonl")) == count
        [told] = re.findall(r"^items in +items.jsonl(.*)$", done.stdout, re.M)
        added = " (added to what it had before; -O instead of -o begins it anew)"
        assert told == (added if count == 12 else "")


def test_the_suffix_of_a_file_says_its_format(folder):
    outputs = ("-o", "items.csv", "-o", "items.db", "-O", "items.parquet")
    done = runspider(folder, "titles.py", *outputs, "-s", "item_key=title")
    assert (done.returncode, done.stderr) == (0, "")
    titles = [*(f"/page/{i}" for i in range(5)), "links"]
    with (folder / "items.csv").open(newline="") as file:
        assert sorted(row["title"] for row in csv.DictReader(file)) == titles
    connection = sqlite3.connect(folder / "items.db")
    rows = connection.execute("SELECT _task, title, _key FROM titles ORDER BY title").fetchall()
    connection.close()
    assert rows == [("titles", title, f'["{title}"]') for title in titles]
    assert (folder / "items.parquet" / "part-00000.parquet").is_file()


def test_the_password_of_a_database_is_shown_nowhere(folder):
    for target in ("postgresql://me:hidden@127.0.0.1:1/x", "oracle://me:hidden@127.0.0.1/x"):
        done = runspider(folder, "titles.py", "-o", target, "-L", "debug")
        assert done.returncode != 0
        assert "hidden" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_standard_output_has_items_and_nothing_else(folder):
    done = runspider(folder, "titles.py", "-o", "-", "-o", "too.jsonl", "-L", "info")
    items = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(items) == 6
    assert "crawl ends" in done.stderr
    assert re.search(r"^items in +too.jsonl$", done.stderr, re.M)
    assert lines(folder / "too.jsonl") == items


def test_arguments_reach_the_spider_and_settings_the_crawl(folder, site):
    seen = len(site.hits)
    agent = ("-s", "user_agent=a=b", "-s", "max_depth=1")
    done = runspider(folder, "titles.py", "-a", "path=/chain/1", *agent)
    assert done.returncode == 0
    hits = site.hits[seen:]
    assert [hit.url for hit in hits] == ["/chain/1", "/chain/2"]
    assert {hit.agent for hit in hits} == {"a=b"}
    assert "nowhere; -o FILE keeps them" in done.stdout


def test_settings_may_have_the_names_that_scrapy_gives_them(folder, site):
    seen = len(site.hits)
    theirs = ("-s", "USER_AGENT=theirs", "-s", "DEPTH_LIMIT=1", "-s", "RETRY_ENABLED=False")
    known = ("-s", "RETRY_HTTP_CODES=500,503", "-s", "LOG_LEVEL=INFO")
    done = runspider(folder, "titles.py", "-a", "path=/chain/1", *theirs, *known)
    assert (done.returncode, done.stderr) == (0, "")
    assert [hit.agent for hit in site.hits[seen:]] == ["theirs"] * 2


def test_a_setting_is_read_as_what_it_is():
    texts = ["RETRY_ENABLED=False", "DOWNLOAD_DELAY=2", "RETRY_HTTP_CODES=500,503", "max_depth=3"]
    assert options.settings_of(texts) == {
        **{"retries": 0, "delay_s": 2, "retry_statuses": [500, 503], "max_depth": 3}
    }


def test_of_several_spiders_one_is_chosen(folder):
    done = runspider(folder, "both.py")
    assert done.returncode == 2
    assert done.stderr == (
        "crawler: both.py has several spiders: other, titles; choose one with --spider,"
        " or name another file\n"
    )
    assert runspider(folder, "both.py", "--spider", "other", "-O", "one.jsonl").returncode == 0
    assert [item["title"] for item in lines(folder / "one.jsonl")] == ["/page/other"]


def test_a_declaration_runs_too(folder, site):
    (folder / "pages.yaml").write_text(
        f"name: pages\nstart_urls: ['{site.url('/links?n=2')}']\nfollow: [{{css: a}}]\n"
        "items: [{fields: {title: title}}]\n"
    )
    assert runspider(folder, "pages.yaml", "-o", "items.jsonl").returncode == 0
    assert len(lines(folder / "items.jsonl")) == 3


FAULTS = {
    "folder": (["."], ".: is a folder; give the path of a spider in it, .py or .yaml"),
    "no file": (["nix.py"], "nix.py: no such file; give the path of a spider"),
    "no spider's file": (["beside.txt"], "beside.txt: not a spider's file; allowed: a file .py"),
    "no spider in it": (["beside.py"], "beside.py: no spider in it; allowed:"),
    "no such spider": (
        ["titles.py", "--spider", "nix"],
        "titles.py has no spider 'nix'; allowed: titles",
    ),
    "broken file": (["broken.py"], "broken.py:2: cannot be imported (NameError: name 'nix' is"),
    "no Python": (["syntax.py"], "syntax.py:3:7: cannot be imported (SyntaxError: invalid"),
    "no pair": (["titles.py", "-a", "x"], "-a 'x' is not allowed; allowed: NAME=VALUE"),
    "method": (["titles.py", "-a", "parse=x"], "-a parse: not allowed, the spider needs that"),
    "settings": (["titles.py", "-a", "settings=x"], "-a settings: not allowed; give settings of"),
    "value": (
        ["titles.py", "-s", "delay_s=soon", "-s", "nix=1"],
        "-s delay_s: 'soon' is not allowed; allowed: a number from 0 to 3600 s\n-s nix: unknown",
    ),
    "value under Scrapy's name": (
        ["titles.py", "-s", "DOWNLOAD_DELAY=soon", "-s", "MEMUSAGE_LIMIT_MB=3"],
        "-s DOWNLOAD_DELAY: 'soon' is not allowed; allowed: a number from 0 to 3600 s\n"
        "-s MEMUSAGE_LIMIT_MB: the setting MEMUSAGE_LIMIT_MB has no effect: max_pending",
    ),
    "misspelt name of Scrapy": (
        ["titles.py", "-s", "DOWNLOAD_DELAYS=3"],
        "neither this program nor Scrapy has such a setting; did you mean DOWNLOAD_DELAY?",
    ),
    "start": (["idle.py"], "-a start_urls: spider 'idle' has no start URL of its own; allowed:"),
    "settings file": (["titles.py", "-c", "nix.yaml"], "nix.yaml: no such file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_run_is_told_and_nothing_is_started(folder, site, fault):
    (folder / "beside.txt").touch()
    (folder / "broken.py").write_text("import json\nnix\n")
    (folder / "syntax.py").write_text("import json\n\nclass :\n")
    (folder / "idle.py").write_text(
        "from crawler import Spider\nclass Idle(Spider):\n    name = 'idle'\n"
    )
    arguments, message = FAULTS[fault]
    before = len(site.hits)
    run = crawler if fault == "broken file" else crawler_here
    done = run("runspider", *QUICK, *arguments, cwd=folder)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert len(site.hits) == before


def test_a_crawl_that_fails_is_told_by_status_and_reason(folder):
    done = runspider(folder, "titles.py", "-a", "path=/status/404")
    assert done.returncode == 1
    assert "crawler: the crawl failed: no page could be fetched: HTTP 404" in done.stderr
    assert re.search(r"^failed +HTTP 404: 1$", done.stdout, re.M)


def start(folder, *arguments, stderr=None):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return forks.Piped(["runspider", *arguments, *QUICK], environment, folder, stderr)


def test_ctrl_c_ends_it_in_order_and_items_are_written(folder, site):
    seen = len(site.hits)
    with start(folder, "titles.py", "-a", "path=/chain/1", "-o", "items.jsonl") as process:
        eventually(lambda: len(site.hits) > seen + 20)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert re.search(r"^result +stopped$", out, re.M)
    first, last = err.splitlines()
    assert first.startswith("crawler: stopping: it lets the running callback end")
    assert "Press Ctrl-C again to cut the callback off; the items yielded so far are" in first
    assert last == "crawler: the crawl was stopped before it was done; its items so far are written"
    told = re.search(r"^items +([\d,]+)$", out, re.M)
    assert len(lines(folder / "items.jsonl")) == int(told[1].replace(",", "")) >= 20


BUSY = """
import time
from crawler import Spider

class Busy(Spider):
    name = "busy"
    start_urls = ["{url}"]

    def parse(self, response):
        for number in range(7):
            yield {{"number": number}}
        print("computing", flush=True)
        {body}
"""


@pytest.mark.parametrize("body", ["while True: pass", "time.sleep(60)"])
def test_a_second_ctrl_c_ends_a_callback_that_never_returns_and_keeps_its_items(folder, site, body):
    (folder / "busy.py").write_text(BUSY.format(url=site.url("/page/busy"), body=body))
    with start(folder, "busy.py", "-o", "busy.jsonl") as process:
        assert process.stdout.readline() == "computing\n"
        process.send_signal(signal.SIGINT)
        assert "Press Ctrl-C again" in process.stderr.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
    assert [item["number"] for item in lines(folder / "busy.jsonl")] == list(range(7))


def test_a_callback_that_refuses_to_end_is_ended_with_its_process(folder, site):
    """It says when it is in its loop: before that, the second Ctrl-C ends it."""
    body = """
        while True:
            try:
                print("holding on", flush=True)
                while True: pass
            except BaseException:
                pass
    """
    (folder / "busy.py").write_text(BUSY.format(url=site.url("/page/busy"), body=body))
    with start(folder, "busy.py") as process:
        assert [process.stdout.readline() for _ in range(2)] == ["computing\n", "holding on\n"]
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130, "a third does not even wait"


def test_on_a_terminal_a_line_shows_how_it_goes(folder, site):
    mine, theirs = pty.openpty()
    with start(folder, "titles.py", "-a", "path=/slow?s=0.5", stderr=theirs) as process:
        os.close(theirs)
        out, _ = process.communicate(timeout=PATIENCE_S)
    shown = gevent.os.tp_read(mine, 10_000).decode()
    os.close(mine)
    assert "0 pages (0.0/s)  0 items  1 to go  0 bytes  0 s" in shown
    assert shown.endswith("\r\x1b[K")
    assert re.search(r"^pages +1$", out, re.M)


@pytest.mark.parametrize("given", ["pipelines=beside:Loud", 'ITEM_PIPELINES={"beside.Loud": 300}'])
def test_who_runs_a_spider_may_name_its_pipelines(folder, given):
    done = runspider(folder, "titles.py", "-s", given, "-o", "items.jsonl")
    assert done.returncode == 0, done.stderr
    assert {item["word"] for item in lines(folder / "items.jsonl")} == {"BESIDE"}


MANY_HOSTS = """
from crawler import Request, Spider


class Many(Spider):
    name = "many"

    def start(self):
        for host in range(2, 100):
            yield Request("{url}".replace("127.0.0.1", f"127.0.0.{{host}}"))

    def parse(self, response):
        yield {{"url": response.url}}
"""


def test_few_open_files_slow_a_crawl_down_and_cost_no_page(tmp_path, site):
    (tmp_path / "many.py").write_text(MANY_HOSTS.format(url=site.url("/slow?s=0.1")))
    command = f"ulimit -n 48; exec {sys.executable} -m crawler runspider many.py -o items.jsonl"
    options = "-s delay_s=0 -s robots=false -s retries=0 -L error"
    ran = subprocess.run(
        ["bash", "-c", f"{command} {options}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert len({line["url"] for line in lines(tmp_path / "items.jsonl")}) == 98
    assert "ERROR" not in ran.stderr
