"""Looks into crawl processes, as /debug asks for them with `process=N`."""

import gevent
import pytest

from crawler.debugging.looks import MEMORY, PROFILE, STACKS, Question, times_of
from crawler.errors import NotFound, Overloaded, Unavailable
from crawler.node.crew import distant_looks
from tests.crews import Place
from tests.waiting import eventually


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


def test_the_profile_of_a_crawl_process_shows_the_callback_that_computes(place, process):
    runs = place.runs()
    asked = gevent.spawn(ask, place, PROFILE, process, 0.3)
    gevent.sleep(0)  # the question is on its way
    with pytest.raises(Overloaded, match="is under way"):  # so the profile has begun
        ask(place, STACKS, process)
    runs.start(place.resource("slow", "odd", do="be_slow", settings={"max_pages": 1}))
    times = times_of(asked.get())
    runs.stop_all()
    eventually(lambda: not runs.running)
    [stack] = [stack for stack in times if any(name.startswith("Odd.be_slow") for name in stack)]
    assert stack[0] == "crawl process.run slow"
    assert times[stack] > 500_000


def test_a_process_that_computes_shows_its_stack_and_nothing_else(place, process, monkeypatch):
    monkeypatch.setattr(distant_looks, "ANSWER_S", 0.2)
    runs = place.runs()
    runs.start(place.resource("busy", "odd", do="be_slow", settings={"max_pages": 1}))
    eventually(lambda: process.glance().slot)
    text = ask(place, STACKS, process)
    assert "the process does not answer; its hub's thread executes:" in text
    assert "in be_slow" in text
    with pytest.raises(Unavailable, match=r"does not answer.*/debug/stacks tells where it is"):
        ask(place, MEMORY, process)
    runs.stop_all()
    eventually(lambda: not runs.running)


def test_a_process_that_is_not_there_is_not_found(place, process):
    with pytest.raises(NotFound, match=rf"process: 77 is no crawl process.*: {process.number}$"):
        place.crew.look(Question(STACKS, process=77))


def test_what_is_no_profile_is_not_shown(place, process):
    asked = gevent.spawn(ask, place, PROFILE, process, 60.0)
    eventually(lambda: place.crew._looks._asked)
    [number] = place.crew._looks._asked
    place.crew._looks.take(number, [["hub", "many"]], "")
    with pytest.raises(Unavailable, match="tells what is no profile"):
        asked.get()
