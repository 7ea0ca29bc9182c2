"""The page in which a crawl process notes what it does."""

import gc
import os
import struct
import subprocess
import sys
import time

import pytest

from crawler import redaction
from crawler.node.crew.page import MOST_TEXT_BYTES, SIZE, Page


@pytest.fixture
def file():
    file = Page.create()
    yield file
    gc.collect()  # the pages of the test
    os.close(file)


@pytest.fixture
def now(monkeypatch):
    """Sets the time."""

    def at(now_s):
        monkeypatch.setattr(time, "monotonic", lambda: now_s)

    at(1000.0)
    return at


def test_another_sees_who_is_called_and_since_when(file):
    written, read = Page(file), Page(file)
    assert read.glance() == (0, 0, 0.0, 0.0, "", 0.0)
    written.tell("http://shop.example/ä", 2.5)
    written.enter(7)
    seen = read.glance()
    assert (seen.slot, seen.call, seen.about) == (7, 1, "http://shop.example/ä")
    assert seen.limit_s == 2.5
    assert seen.since_s > 0
    written.leave()
    assert read.glance()[:2] == (0, 1)
    written.enter(2**40)
    assert read.glance()[:2] == (2**40, 2)


def test_a_callback_is_sure_until_the_hub_turns(file):
    page = Page(file)
    assert not page.glance().is_sure
    page.turn()
    page.enter(1)
    assert page.glance().is_sure
    page.turn()
    assert not page.glance().is_sure
    page.enter(1)
    assert page.glance().is_sure
    page.leave()
    assert not page.glance().is_sure


def test_the_worst_lateness_of_the_hub_is_told_once(file, now):
    written, read = Page(file), Page(file)
    assert read.take_late_s() == 0
    for now_s in (1000.0, 1000.1, 1000.85, 1000.95):
        now(now_s)
        written.turn()
    assert read.take_late_s() == pytest.approx(0.65)
    assert read.take_late_s() == 0


def test_a_hub_that_does_not_turn_is_late_already(file, now):
    written, read = Page(file), Page(file)
    written.turn()
    now(1003.1)
    assert read.late_s() == pytest.approx(3)
    assert read.take_late_s() == pytest.approx(3)
    assert read.take_late_s() == pytest.approx(3), "it still does not turn"
    read.close()
    assert read.take_late_s() == 0


@pytest.mark.parametrize(
    ("written_s", "told_s"),
    [(float("nan"), 0), (float("inf"), 5), (-float("inf"), 0), (1e300, 5), (-1e300, 0)],
)
def test_no_lateness_is_told_that_cannot_be(file, now, written_s, told_s):
    read = Page(file)
    now(1005.0)
    os.pwrite(file, struct.pack("d", written_s), 7 * 8)
    assert read.take_late_s() == told_s
    os.pwrite(file, struct.pack("d", -written_s), 0)
    assert 0 <= read.late_s() <= 5


@pytest.mark.parametrize("text", ["", "u" * 10_000, "ä" * MOST_TEXT_BYTES, "\ud800"])
def test_any_text_fits(file, text):
    page = Page(file)
    page.tell("what was there before, and was longer than some")
    page.tell(text)
    about = page.glance().about
    assert len(about.encode()) <= MOST_TEXT_BYTES + 3
    assert text[:100].replace("\ud800", "?").startswith(about[:100])


@pytest.mark.parametrize("before", range(MOST_TEXT_BYTES - 12, MOST_TEXT_BYTES + 2))
def test_no_page_tells_a_part_of_a_value(file, monkeypatch, before):
    monkeypatch.setattr(redaction, "_known", redaction.Remembered())
    redaction.remember({"shop": "open-sesame"})
    page = Page(file)
    page.tell("u" * before + "open-sesame")
    assert "open" not in redaction.hide(page.glance().about)


def test_a_page_that_is_closed_says_what_it_said_last(file):
    page = Page(file)
    page.tell("http://a.example/")
    page.enter(3)
    before = page.glance()
    page.close()
    page.close()
    Page(file).enter(4)
    assert page.glance() == before


def test_it_outlives_the_process_that_wrote_it(file):
    code = (
        "import os, sys; from crawler.node.crew.page import Page;"
        "page = Page(int(sys.argv[1])); page.enter(5); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(file)], pass_fds=[file], check=False)
    assert Page(file).glance().slot == 5
    assert os.fstat(file).st_size == SIZE
