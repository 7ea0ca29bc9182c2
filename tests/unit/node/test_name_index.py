"""The names of resources in their order, whatever comes and goes."""

import bisect

from hypothesis import given
from hypothesis import strategies as st

from crawler.node.master.name_index import NameIndex

NAMES = st.text("abc", min_size=1, max_size=3)


class Listed:
    """NameIndex that come and go, and how often all of them were asked for."""

    def __init__(self, *present):
        self.present = set(present)
        self.asked = 0
        self.names = NameIndex(self.all, self.present.__contains__)

    def all(self):
        self.asked += 1
        return list(self.present)

    def turn(self, name):
        """That one comes, or goes."""
        self.present ^= {name}
        self.names.changed(name)


@given(st.sets(NAMES), st.lists(st.tuples(st.lists(NAMES), st.just("") | NAMES)))
def test_names_are_those_present_in_their_order(present, steps):
    listed = Listed(*present)
    for turned, after in steps:
        for name in turned:
            listed.turn(name)
        wanted = sorted(listed.present)
        assert list(listed.names.after(after)) == wanted[bisect.bisect_right(wanted, after) :]


def test_all_are_sorted_once_and_what_changed_is_put_among_them():
    listed = Listed(*map(str, range(100, 200)))
    for number in range(40):
        listed.turn(str(100 + 2 * number))
        assert next(listed.names.after("180")) == "181"
    assert listed.asked == 1


def test_while_nobody_asks_little_is_remembered():
    listed = Listed("a", "b")
    list(listed.names.after(""))
    for number in range(1000):
        listed.turn(f"n{number}")
    assert len(listed.names._changed) <= 3
    assert len(list(listed.names.after(""))) == 1002
    assert listed.asked == 2
