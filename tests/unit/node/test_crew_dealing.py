"""Which process gets a run."""

from types import SimpleNamespace

import pytest

from crawler.model.records import Resource, Spec
from crawler.node.crew.dealing import Dealing, site_of
from crawler.node.crew.distant_run import DistantRun


def resource(**parameters):
    return Resource(Spec("t", parameters=parameters), id="t", epoch=1)


def run(number, url):
    return DistantRun(resource(start_urls=[url]), number)


def process(group=0):
    return SimpleNamespace(group=group, runs={})


def dealt(dealing, run, processes):
    chosen = dealing.choose(run, processes)
    if chosen is not None:
        chosen.runs[run.number] = run
    return chosen


@pytest.mark.parametrize(
    ("parameters", "site"),
    [
        ({"start_urls": ["http://Shop.example:8080/a?b#c"]}, "shop.example"),
        ({"start_urls": ("https://user:secret@shop.example/",)}, "shop.example"),
        ({"start_urls": "http://shop.example"}, "shop.example"),
        ({"start_urls": [], "allowed_domains": ["shop.example"]}, "shop.example"),
        ({"allowed_domains": "Shop.Example"}, "shop.example"),
        ({"start_urls": ["http://[::1]:80/"]}, "::1"),
        ({"start_urls": ["http://[::1"]}, ""),
        ({"start_urls": [7], "allowed_domains": {"a": 1}}, ""),
        ({"start_urls": ["http://"]}, ""),
        ({}, ""),
    ],
)
def test_the_site_of_a_task_is_that_of_its_first_address(parameters, site):
    assert site_of(resource(**parameters)) == site


def test_who_begins_at_the_same_site_shares_a_process():
    dealing, processes = Dealing(), [process(), process()]
    first = dealt(dealing, run(1, "http://a.example/1"), processes)
    second = dealt(dealing, run(2, "http://b.example/"), processes)
    assert first is not second
    for number in range(3, 9):
        assert dealt(dealing, run(number, "http://a.example/2"), processes) is first


def test_others_go_to_the_idlest():
    dealing, processes = Dealing(), [process(), process(), process()]
    for number in range(1, 10):
        dealt(dealing, run(number, f"http://{number}.example/"), processes)
    assert [len(each.runs) for each in processes] == [3, 3, 3]


def test_a_site_is_free_again_when_its_last_run_is_over():
    dealing, processes = Dealing(), [process(), process()]
    ended = run(1, "http://a.example/")
    first = dealt(dealing, ended, processes)
    dealt(dealing, run(2, "http://b.example/"), processes)
    del first.runs[1]
    dealing.forget(ended)
    first.runs |= {number: run(number, f"http://{number}.example/") for number in (8, 9)}
    assert dealt(dealing, run(3, "http://a.example/"), processes) is not first
    assert not dealing._sites.keys() - {2, 3}


def test_nobody_is_dealt_to_a_process_of_suspects():
    assert Dealing().choose(run(1, "http://a.example/"), [process(group=3)]) is None


def test_who_would_be_more_than_its_share_waits_for_a_process_that_comes():
    dealing, [busy, free] = Dealing(), [process(), process()]
    assert dealing.choose(run(1, "http://1.example/"), [busy], 2) is busy, "it is idle"
    busy.runs |= {number: run(number, f"http://{number}.example/") for number in (1, 2, 3)}
    assert dealing.choose(run(4, "http://4.example/"), [busy], 2) is None
    assert dealing.choose(run(4, "http://1.example/"), [busy], 2) is busy, "it is at that site"
    assert dealing.choose(run(4, "http://4.example/"), [busy, free], 2) is free
    assert dealing.choose(run(5, "http://5.example/"), [busy]) is busy, "none comes"
