"""Crawls of several processes with one Redis, and what their host has seen of them."""

import json
import os
from itertools import pairwise

import pytest

from tests import forks
from tests.integration.lab import ROOT, crawler_here
from tests.site import Site
from tests.waiting import PATIENCE_S

DELAY_S = 0.4
PAGES = 8
SPIDER = """
from crawler import Request, Spider


class {name}(Spider):
    name = "{name}"

    def start(self):
        for number in range({pages}):
            yield Request("{site}/page/{name}-%d" % number)

    def parse(self, response):
        yield {{"url": response.url}}
"""


@pytest.fixture
def site():
    with Site() as site:
        yield site


@pytest.fixture
def folder(tmp_path, site):
    for name in ("one", "two"):
        text = SPIDER.format(name=name, pages=PAGES, site=site.url(""))
        (tmp_path / f"{name}.py").write_text(text)
    tasks = {
        "spiders": ["two.py"],
        "crawl": {"delay_s": DELAY_S},
        "tasks": [{"name": "two", "spider": "two"}],
    }
    (tmp_path / "tasks.yaml").write_text(json.dumps(tasks))
    return tmp_path


def test_runspider_and_run_keep_the_pace_of_a_host_with_all_who_share_a_redis(
    folder, site, shared_redis
):
    """One names it as the place of its state, the other in its settings. robots.txt is fetched
    once for both."""
    commands = (
        ["runspider", "one.py", "-s", f"delay_s={DELAY_S}", "--resume", shared_redis.url],
        ["run", "-c", "tasks.yaml", "-o", "out"],
    )
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    settings = ({}, {"CRAWLER_FRONTIER_URL": shared_redis.url})
    processes = [
        forks.Piped(command, {**here, **given}, folder)
        for command, given in zip(commands, settings, strict=True)
    ]
    for process in processes:
        with process:
            _, err = process.communicate(timeout=2 * PATIENCE_S)
        assert process.returncode == 0, err
    assert len(site.hits) == 2 * PAGES
    assert len(site.robots_hits) == 1
    gaps = [after.at_s - before.at_s for before, after in pairwise(site.hits)]
    assert min(gaps) >= DELAY_S - 0.02


def test_a_redis_that_does_not_answer_is_told_at_start(folder, site, monkeypatch):
    monkeypatch.setenv("CRAWLER_FRONTIER_URL", "redis://127.0.0.1:1")
    for command in (["runspider", "one.py"], ["run", "-c", "tasks.yaml", "-o", "out"]):
        done = crawler_here(*command, cwd=folder)
        assert done.returncode == 2
        assert "frontier.url: Redis does not answer" in done.stderr
        assert "name none: then the pace of hosts is kept in this process alone" in done.stderr
    assert not site.hits
