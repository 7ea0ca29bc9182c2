"""Several sinks at once: what one of them does not take, and what becomes of the others."""

import pytest

from crawler.engine.items.sinks.many import ManySinks
from tests.unit.engine.fakes import ListSink


class Closed(ListSink):
    """Cannot be opened."""

    def open(self):
        super().open()
        raise OSError("no such place")


def test_an_item_that_several_refuse_counts_once():
    one, two = ListSink(), ListSink()
    sinks = ManySinks([one, two])
    one.lost.update(twice=3, often=1)
    two.lost.update(twice=2, other=4)
    assert sinks.lost == {"twice": 3, "often": 1, "other": 4}


def test_when_one_cannot_be_opened_all_that_were_begun_are_closed():
    one, two, three = ListSink(), Closed(), ListSink()
    sinks = ManySinks([one, two, three])
    with pytest.raises(OSError, match="no such place"):
        sinks.open()
    sinks.close()
    assert (one.calls, two.calls, three.calls) == (["open", "close"], ["open", "close"], [])
