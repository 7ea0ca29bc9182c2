"""A draft commits what was decided on what was seen then, whatever the mirror has learned since."""

import pytest

from crawler.model.records import Resource, Spec
from crawler.node.master.draft import Draft


@pytest.fixture
def mirrored():
    return {"a": Resource(Spec("a"), id="1", creation_time=1, mod_revision=5)}


@pytest.fixture
def draft(mirrored):
    return Draft(mirrored.get, lambda: 2, lambda: 2)


def decide_put(draft):
    draft.put(draft.get("a").replace(reason="new"))


def decide_delete(draft):
    draft.delete("a")


def decide_keep(draft):
    draft.keep("a")


def add_and_delete(draft):
    draft.put(Resource(Spec("b")))
    draft.delete("b")


@pytest.mark.parametrize("decide", [decide_put, decide_delete, decide_keep])
def test_news_after_the_decision_does_not_become_its_base(mirrored, draft, decide):
    decide(draft)
    mirrored["a"] = mirrored["a"].replace(mod_revision=6)
    assert [change.based_on for change in draft.changes()] == [5]


@pytest.mark.parametrize("decide", [decide_put, decide_delete])
def test_what_vanished_after_the_decision_is_not_created_anew(mirrored, draft, decide):
    decide(draft)
    del mirrored["a"]
    assert [change.based_on for change in draft.changes()] == [5]


def test_what_appeared_after_the_decision_is_not_overwritten(mirrored, draft):
    draft.put(Resource(Spec("b")))
    mirrored["b"] = Resource(Spec("b"), id="3", mod_revision=7)
    assert [change.based_on for change in draft.changes()] == [0]


@pytest.mark.parametrize("before", [lambda draft: None, add_and_delete])
def test_an_absence_is_answered_for_too(draft, before):
    before(draft)
    draft.keep("b")
    [change] = draft.changes()
    assert (change.name, change.keeps, change.based_on) == ("b", True, 0)


def test_what_was_added_and_taken_out_again_is_no_change(draft):
    draft.put(Resource(Spec("b")))
    draft.delete("b")
    assert not draft.changes()
