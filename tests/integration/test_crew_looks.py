"""Looks into crawl processes, as /debug asks for them with `process=N`."""

import itertools
import re

import gevent
import pytest

from crawler.debugging.looks import MEMORY, PROFILE, STACKS, Question, times_of
from crawler.errors import NotFound, Overloaded, Unavailable
from crawler.node.crew import distant_looks
from tests.crews import Place
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with Place(tmp_path_factory.mktemp("looks"), 1) as place:
        place.full()
        yield place


@pytest.fixture
def process(place):
    [process] = place.full()
    return process


def ask(place, what, process, seconds=0.0):
    return place.crew.look(Question(what, seconds, process.number))


def test_a_crawl_process_shows_its_stacks_and_its_memory(place, process):
    assert "crawl process.tell\n" in ask(place, STACKS, process)
    found = ask(place, MEMORY, process)
    assert found["rss_bytes"] > 1_000_000
    assert found["types"][0]["count"] > 0


def test_the_profile_of_a_crawl_process_shows_the_callback_that_computes(
    place, process, monkeypatch
):
    monkeypatch.setattr(distant_looks, "ANSWER_S", PATIENCE_S)
    runs = place.runs()
    epochs = itertools.count(1)

    def shown():
        asked = gevent.spawn(ask, place, PROFILE, process, 1.0)
        gevent.sleep(0)  # the question is on its way
        one = {"max_pages": 1}
        runs.start(place.resource("slow", "odd", epoch=next(epochs), do="be_slow", settings=one))
        times = times_of(asked.get())
        runs.stop_all()
        eventually(lambda: not runs.running)
        return [
            (stack, spent_us)
            for stack, spent_us in times.items()
            if any(name.startswith("Odd.be_slow") for name in stack)
        ]

    [(stack, spent_us)] = eventually(shown, what="the callback begins within a profile")
    assert stack[0] == "crawl process.run slow"
    assert spent_us > 500_000


def test_a_process_that_computes_shows_its_stack_and_nothing_else(place, process, monkeypatch):
    monkeypatch.setattr(distant_looks, "ANSWER_S", 0.2)
    runs = place.runs()
    runs.start(place.resource("busy", "odd", do="be_slow"))  # on each page

    def stack():
        text = ask(place, STACKS, process)
        return "the process does not answer; its hub's thread executes:" in text and text

    def refused():
        try:
            return ask(place, MEMORY, process) and ""
        except Unavailable as error:
            return str(error)

    assert "in be_slow" in eventually(stack, what="it computes when it is asked")
    told = eventually(refused, what="it computes when it is asked")
    assert re.search(r"does not answer.*/debug/stacks tells where it is", told)
    runs.stop_all()
    eventually(lambda: not runs.running)


def test_a_process_that_is_not_there_is_not_found(place, process):
    with pytest.raises(NotFound, match=rf"process: 77 is no crawl process.*: {process.number}$"):
        place.crew.look(Question(STACKS, process=77))


def test_what_is_no_profile_is_not_shown(place, process):
    asked = gevent.spawn(ask, place, PROFILE, process, 60.0)
    eventually(lambda: place.crew._looks._asked)
    [number] = place.crew._looks._asked
    with pytest.raises(Overloaded, match="is under way"):
        ask(place, STACKS, process)
    place.crew._looks.take(number, [["hub", "many"]], "")
    with pytest.raises(Unavailable, match="tells what is no profile"):
        asked.get()
