"""/debug: what a node computes, where it stands, what fills its memory."""

import gc
import json
import re
import time
from xml.etree import ElementTree

import gevent
import pytest
from gevent import monkey
from gevent.event import Event

from crawler.clock import SystemClock
from crawler.debugging import sampler
from crawler.debugging.looks import Looks, Question, times_of
from crawler.debugging.profile_forms import folded, speedscope, svg
from crawler.debugging.sampler import OTHERS, THREAD, WAITS
from crawler.errors import Overloaded
from crawler.hub import run_beside
from crawler.supervision import Supervisor
from tests.unit.api.fakes import FakeBackend, Master, body_of
from tests.waiting import eventually

SECRET = "canary-5c1f"
TIMES = {("hub", "run <a> & b"): 3000, ("task; 1", "f (x.py)", "g\nh"): 1500, ("task; 1",): 500}


def compute_much(until):
    """Compute in small parts, so that the hub turns."""
    while not until.ready():
        sum(number * number for number in range(5000))
        gevent.sleep(0)


@pytest.fixture
def at_work():
    """A greenlet that computes, with a name."""
    until, supervisor = Event(), Supervisor("worker")
    supervisor.spawn("run fiction", compute_much, until)
    yield
    until.set()
    supervisor.stop()


def profile_of(web, **query):
    return web.get("/debug/profile", query_string={"seconds": "0.3", "format": "folded", **query})


def spent_of(web, **query):
    """A profile: how many microseconds went to each stack."""
    answer = profile_of(web, **query)
    assert answer.content_type == "text/plain; charset=utf-8"
    pairs = [line.rpartition(" ") for line in answer.text.splitlines()]
    return {stack: int(spent_us) for stack, _, spent_us in pairs}


def test_a_profile_tells_what_a_greenlet_computes_by_its_name(web, at_work):
    def tells():
        spent = spent_of(web)
        own = sum(
            us for stack, us in spent.items() if re.match(r"worker.run fiction;.*compute_", stack)
        )
        return own > sum(spent.values()) / 2 and sum(spent.values()) >= 200_000

    eventually(tells, what="a profile in which its thread could look often enough")


def test_a_node_that_waits_computes_nothing(web):
    def tells():
        spent = spent_of(web)
        return sum(us for stack, us in spent.items() if stack.startswith(WAITS)) > 150_000

    eventually(tells, what="a profile in which its thread could look often enough")


def test_a_profile_of_a_worker_says_in_which_processes_it_crawls():
    looks = Looks(SystemClock())
    looks.processes = lambda: [1, 2]
    told = f"{WAITS}, its crawls run in processes 1, 2: process=N "

    def tells():
        lines = folded(times_of(looks.answer(Question("profile", 0.2)))).splitlines()
        return [line for line in lines if line.startswith(told)]

    eventually(tells, what="its thread looks while it waits")


def test_native_threads_show_what_they_compute(web):
    stopped, native_sleep = [], monkey.get_original("time", "sleep")

    def spin_natively():
        while not stopped:
            pass

    def sleep_natively():
        while not stopped:
            native_sleep(0.001)

    told = r"^\(native thread\);.*spin_natively \(tests/unit/api/test_debug.py\) \d+$"
    run_beside(spin_natively)
    run_beside(sleep_natively)
    try:
        eventually(lambda: re.search(told, profile_of(web).text, re.MULTILINE))
    finally:
        stopped.append(1)


def test_there_is_one_look_at_a_time_and_the_hub_goes_on_meanwhile():
    web = Master(FakeBackend()).web
    first = gevent.spawn(profile_of, web)
    gevent.sleep(0)  # it begins, and goes on until it waits for the end of its time
    answer = web.get("/debug/stacks")
    assert answer.status_code == 429
    assert "(profile) is under way; there is one at a time" in body_of(answer)["message"]
    assert web.get("/healthz").status_code == 200
    assert not first.ready()
    first.join()
    assert web.get("/debug/stacks").status_code == 200


@pytest.mark.parametrize(("query", "fault"), [
    *(({"seconds": wrong}, "allowed is a number from 0.1 to 60")
      for wrong in ("0", "61", "nan", "inf", "-1", "x", "")),
    ({"format": "pprof"}, "format: 'pprof' is not allowed; allowed are svg, folded, speedscope"),
    *(({"process": wrong}, "allowed is the number of a crawl process")
      for wrong in ("-1", "x", "", "1" * 20, "²")),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused_by_field_value_and_what_is_allowed(web, query, fault):
    answer = profile_of(web, **query)
    assert answer.status_code == 400
    [name] = query
    assert body_of(answer)["message"].startswith(f"{name}: ")
    assert fault in body_of(answer)["message"]


@pytest.mark.parametrize("path", ["profile", "stacks", "memory"])
def test_a_node_without_crawl_processes_has_none_to_ask(web, path):
    answer = web.get(f"/debug/{path}?process=3")
    assert answer.status_code == 404
    assert body_of(answer)["message"] == "process: 3 is not there; this node has no crawl processes"


def test_stacks_show_lines_and_no_values(web):
    until = Event()

    def stand_here(given):
        password = given
        until.wait()
        return password

    supervisor = Supervisor("worker")
    for number in range(3):
        supervisor.spawn(f"run {number}", stand_here, SECRET)
    gevent.sleep(0)
    text = web.get("/debug/stacks").text
    until.set()
    supervisor.stop()
    _, _, rest = text.partition("3 greenlets: worker.run 0, worker.run 1, worker.run 2\n")
    assert re.search(r"^    .*stand_here \(tests/unit/api/test_debug.py:\d+\)$",
                     rest.partition("\n\n")[0], re.MULTILINE)  # fmt: skip
    assert "hub\n    Hub.run (gevent/hub.py:" in text
    assert re.search(r"\d+ native thread", text)
    assert SECRET not in text


def test_memory_tells_types_and_no_values(web):
    class Hoard(dict):
        pass

    kept = [Hoard({SECRET: number}) for number in range(3000)]
    answer = web.get("/debug/memory")
    found = body_of(answer)
    [own] = [each for each in found["types"] if each["type"].endswith("Hoard")]
    assert (own["count"], own["bytes"] >= len(kept) * 64) == (3000, True)
    assert found["rss_bytes"] > found["object_bytes"] > own["bytes"]
    assert found["gc"]["thresholds"] == list(gc.get_threshold())
    assert SECRET not in answer.text


def test_a_type_whose_module_is_no_text_has_its_name_alone(web):
    class Proxy(list):
        __module__ = property(lambda self: SECRET)

    kept = [Proxy([0] * 1000) for _ in range(300)]
    names = [each["type"] for each in body_of(web.get("/debug/memory"))["types"]]
    assert kept
    assert [name for name in names if name.endswith("<locals>.Proxy")]
    assert not [name for name in names if " at 0x" in name]


def test_an_object_that_does_not_tell_its_size_costs_nobody_the_answer(web):
    class Odd:
        def __sizeof__(self):
            raise RuntimeError("on purpose")

        __class__ = property(lambda self: 1 / 0)

    kept = [Odd() for _ in range(3)]
    assert web.get("/debug/memory").status_code == web.get("/debug/stacks").status_code == 200
    assert len(kept) == 3


def test_a_folded_profile_has_one_stack_a_line():
    assert folded(TIMES) == "hub;run <a> & b 3000\ntask: 1 500\ntask: 1;f (x.py);g h 1500\n"


def test_a_flame_graph_is_a_picture_without_a_script_and_with_all_names():
    found = ElementTree.fromstring(svg(TIMES))
    titles = [each.text for each in found.iter("{http://www.w3.org/2000/svg}title")]
    assert "hub: 3.0 ms, 60.0%" in titles
    assert "run <a> & b: 3.0 ms, 60.0%" in titles
    assert "g?h: 1.5 ms, 30.0%" in titles
    assert len(titles) == 6
    assert "script" not in svg(TIMES)
    assert ElementTree.fromstring(svg({})) is not None


def test_speedscope_gets_stacks_and_times():
    found = json.loads(speedscope(TIMES))
    [profile] = found["profiles"]
    names = [each["name"] for each in found["shared"]["frames"]]
    stacks = [tuple(names[at] for at in sample) for sample in profile["samples"]]
    assert dict(zip(stacks, profile["weights"], strict=True)) == TIMES
    assert profile["endValue"] == 5000


def test_different_stacks_are_bounded(monkeypatch, at_work):
    until, supervisor = Event(), Supervisor("worker")
    supervisor.spawn("run poetry", compute_much, until)
    monkeypatch.setattr(sampler, "MOST_STACKS", 1)

    def told():
        found = times_of(Looks(SystemClock()).answer(Question("profile", 0.2)))
        return {stack for stack in found if stack[0] != THREAD}

    found = eventually(lambda: (seen := told()) and (OTHERS,) in seen and seen)
    until.set()
    supervisor.stop()
    assert len(found) == 2


def test_a_look_that_is_cut_short_leaves_room_for_the_next():
    looks = Looks(SystemClock())
    first = gevent.spawn(looks.answer, Question("profile", 60.0))
    gevent.sleep(0)  # it begins, and goes on until it waits for the end of its time
    with pytest.raises(Overloaded, match="is under way"):
        looks.answer(Question("stacks", 0.0))
    first.kill()
    eventually(lambda: looks.answer(Question("profile", 0.1)))


def test_a_callback_that_keeps_the_hub_is_seen(web):
    def keep_the_hub():
        until_s = time.monotonic() + 0.4
        while time.monotonic() < until_s:
            pass

    def tells():
        Supervisor("worker").spawn("late", keep_the_hub)
        told = r"^worker.late;.*keep_the_hub \S+ \d{5,}$"
        return re.search(told, profile_of(web).text, re.MULTILINE)

    eventually(tells, what="a profile whose thread got a turn meanwhile")
