"""Pages of many tasks: each is looked at once a page, and others get turns meanwhile."""

from collections import Counter

import pytest

from crawler.model.records import Pause, Query, Resource, Spec, State, ToldState
from crawler.node.master import listing
from crawler.node.master.name_index import NameIndex

A = {"team": "a"}
MANY = 2500


class Mirrored:
    """Many tasks, every fifth of which is of team a. It counts the looks at each."""

    def __init__(self):
        names = [f"t{number:04}" for number in range(MANY)]
        specs = [Spec(name, labels=A if at % 5 == 0 else {}) for at, name in enumerate(names)]
        self.stored = {spec.name: Resource(spec) for spec in specs}
        self.names = NameIndex(lambda: list(self.stored), self.stored.__contains__)
        self.looks = Counter()

    def resource(self, name):
        self.looks[name] += 1
        return self.stored.get(name)

    def count(self, state, shards):
        return len(self.stored)

    def remove(self, name):
        if self.stored.pop(name, None):
            self.names.changed(name)


@pytest.fixture
def mirrors():
    return Mirrored()


@pytest.fixture
def turns(monkeypatch):
    """What is done in each turn that others get."""
    done, acts = [], []

    def turn():
        done.append(1)
        for act in acts:
            act()

    monkeypatch.setattr(listing, "give_turn", turn)
    return done, acts


@pytest.mark.parametrize("query", [Query(100, labels=A), Query(100, state=State.DONE)])
def test_a_listing_of_many_tasks_gives_turns_and_looks_at_each_once(mirrors, turns, query):
    done, _ = turns
    listing.page_of(mirrors, query)
    assert len(done) == MANY // listing.LOOKED_A_TURN
    assert mirrors.looks == dict.fromkeys(mirrors.stored, 1)


def test_a_page_without_a_choice_looks_at_no_more_tasks_than_it_has(mirrors):
    page = listing.page_of(mirrors, Query(100, "t1000"))
    assert (len(page.resources), page.next_token, page.total) == (100, "t1100", MANY)
    assert mirrors.looks.total() == 101


def test_the_pages_of_a_label_have_each_of_its_tasks_once_and_the_same_total(mirrors):
    listed, token = [], ""
    while page := listing.page_of(mirrors, Query(60, token, labels=A)):
        listed += [each.name for each in page.resources]
        assert page.total == MANY // 5
        token = page.next_token
        if not token:
            break
    assert listed == [name for name, each in mirrors.stored.items() if each.spec.labels == A]


def test_tasks_that_go_meanwhile_are_left_out(mirrors, turns):
    _, acts = turns
    acts.append(lambda: [mirrors.remove(f"t{number}") for number in range(1500, MANY)])
    page = listing.page_of(mirrors, Query(1000, labels=A))
    assert [each.name for each in page.resources][-1] == "t1495"
    assert page.total == len(page.resources) == 300


def test_paused_and_stopped_tasks_are_listed_and_counted_by_these_words(mirrors):
    first, second, third, fourth = list(mirrors.stored)[:4]
    stored = mirrors.stored
    stored[first] = stored[first].replace(paused=Pause("loopback"))
    stored[second] = stored[second].replace(state=State.RUNNING, paused=Pause("loopback"))
    stored[third] = stored[third].replace(state=State.FAILED, stopped=True)
    stored[fourth] = stored[fourth].replace(state=State.FAILED)
    wanted = {ToldState.PAUSED: [first, second], ToldState.STOPPED: [third]}
    for state, names in wanted.items():
        page = listing.page_of(mirrors, Query(100, state=state))
        assert [each.name for each in page.resources] == names
        assert (page.total, page.next_token) == (len(names), "")
    page = listing.page_of(mirrors, Query(1, state=ToldState.PAUSED))
    assert ([each.name for each in page.resources], page.total) == ([first], 2)
    listed = listing.page_of(mirrors, Query(100, state=State.FAILED)).resources
    assert [each.name for each in listed] == [third, fourth]
