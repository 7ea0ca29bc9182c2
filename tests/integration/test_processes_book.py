"""The commands that docs/operations/*.md and docs/operations.md show, in their order, on one
cluster."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.demo.bookshop import BookshopServer
from crawler.local.etcd_binary import binary
from tests.integration.lab import ROOT, Lab, crawler
from tests.waiting import eventually

DOCS = ROOT / "docs"
BOOK = sorted((DOCS / "operations").glob("*.md"))
ORDER = ("install", "size", "nightly", "collect", "upgrade", "backup", "trouble")
"""As somebody reads them: the first token is made on the first page."""


def blocks(page):
    """The blocks of code of a page: what they are, and what they say."""
    return re.findall(r"^ *```(\w*)\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(name):
    """The commands that a page shows with a `$` before them."""
    shown = [text for kind, text in blocks(DOCS / f"{name}.md") if kind == "console"]
    lines = [line.strip() for text in shown for line in text.splitlines()]
    return [line[2:] for line in lines if line.startswith("$ ")]


class Reader:
    """Somebody who types what the book says, in the folder of the cluster."""

    def __init__(self, lab, shop, redis):
        self._folder = lab.folder
        self._refusal = ""
        self._master = lab["master-1"]
        self._places = {
            "http://127.0.0.1:8100": shop.url,
            "http://127.0.0.1:8081": f"http://127.0.0.1:{self._master.http}",
            "redis-cli": f"redis-cli -p {redis.port}",
        }
        path = f"{Path(binary('etcdctl')).parent}:{Path(sys.executable).parent}"
        self._environment = {
            "CRAWLER_MASTER": f"127.0.0.1:{self._master.grpc}",
            "ETCDCTL_ENDPOINTS": lab.endpoints[0],
            "HOME": str(self._folder),
            "PATH": f"{path}:{os.environ['PATH']}",
        }

    def type(self, command):
        """Run a command until it is done: the one before may take a moment to have its effect."""
        for shown, here in self._places.items():
            command = command.replace(shown, here)
        self._refusal = ""
        try:
            done = eventually(lambda: self._done(command), what=command, every_s=0.2)
        except AssertionError:
            pytest.fail(f"{command}\n{self._refusal}")
        if "token create" in command:
            [token] = re.findall(r"\bcrawler_\S+|\b[\w.-]{40,}\b", done.stdout)[:1]
            self._environment["CRAWLER_TOKEN"] = token

    def _done(self, command):
        if command.startswith("crawler ") and ">" not in command:  # without the cost of its start
            words = shlex.split(command)[1:]
            done = crawler(*words, cwd=self._folder, **self._environment)
        else:
            env = {**os.environ, **self._environment}
            shell = ["bash", "-c", command]
            done = subprocess.run(shell, cwd=self._folder, env=env, capture_output=True, text=True)
        self._refusal = done.stderr
        assert done.returncode != 2, "it is no such command"
        return done if done.returncode == 0 else None


@pytest.fixture(scope="module")
def reader(tmp_path_factory, redis):
    shop = BookshopServer()
    shop.start()
    with Lab(tmp_path_factory.mktemp("book"), delay_s=0.01) as lab:
        (lab.folder / ".config" / "fish" / "completions").mkdir(parents=True)
        lab.write_settings("shop", "crawler.demo.spiders.bookshop")
        lab.start("master-1", "worker-1", "worker-2", config="shop")
        yield Reader(lab, shop, redis)
    shop.stop()


def test_the_book_has_no_other_pages_and_each_block_says_what_it_is():
    assert {page.stem for page in BOOK} == set(ORDER)
    kinds = {(page.stem, kind) for page in BOOK for kind, _ in blocks(page)}
    assert {kind for _, kind in kinds} == {"console", "sh"}, "console is run here, sh is not"


@pytest.mark.parametrize("name", [*(f"operations/{name}" for name in ORDER), "operations"])
def test_the_commands_of_the_book_do_what_they_are_shown_for(reader, name):
    shown = commands(name)
    assert shown
    for command in shown:
        reader.type(command)
