"""What crawl processes say is in the logs of their runs, each line in that of its own run."""

import json

import pytest

from crawler.model.logs import PieceKey
from tests.crews import Place, ended
from tests.waiting import eventually

SPIDERS = """
import os, sys
from crawler import Spider
from crawler.logs import get_logger

log = get_logger("shop")


class Talking(Spider):
    name = "talking"

    def parse(self, response):
        print("printed by", self.who)
        log.warning("logged", by=self.who)
        print("{" * 70_000)
        os.write(2, b"raw\\n")
        yield {"url": response.url}
        if getattr(self, "dies", False):
            print("its last words")
            os._exit(7)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with Place(tmp_path_factory.mktemp("logs"), 1, spiders=SPIDERS) as place:
        yield place


@pytest.fixture
def runs(place):
    runs = place.runs()
    yield runs
    runs.stop_all()


def lines(place, name):
    data = place.logs.read(name, f"id-{name}", PieceKey(1), 0).data
    return [json.loads(line) for line in data.splitlines()]


def has_said(place, name, text):
    eventually(lambda: text in [line["msg"] for line in lines(place, name)], what=f"{text!r}")


def test_each_line_is_in_the_log_of_its_own_run(place, runs):
    for name in ("a", "b"):
        runs.start(place.resource(name, "talking", who=name))
    for name, other in ("ab", "ba"):
        ended(runs, name)
        has_said(place, name, "logged")
        said = [(line["msg"], line.get("by")) for line in lines(place, name)]
        assert (f"printed by {name}", None) in said
        assert ("logged", name) in said
        assert f"printed by {other}" not in [msg for msg, _ in said]


def test_what_a_process_said_before_it_died_is_there(place, runs):
    runs.start(place.resource("c", "talking", who="c", dies=True))
    ended(runs, "c")
    has_said(place, "c", "its last words")
