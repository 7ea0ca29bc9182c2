"""What the worker says of a look into one of its crawl processes that did not succeed."""

import pytest

from crawler.debugging.looks import BROKEN, STACKS, Question
from crawler.errors import Overloaded, Unavailable
from crawler.node.crew.distant_looks import DistantLooks


class Process:
    """A crawl process that answers each look in the same way, or cannot be told anything."""

    number = 3

    def __init__(self, fault):
        self._fault = fault
        self.looks = DistantLooks(lambda: [self])

    def tell(self, kind, number, question):
        if isinstance(self._fault, Exception):
            raise self._fault
        self.looks.take(number, None, self._fault)


@pytest.mark.parametrize(
    ("fault", "told", "words"),
    [
        ("another look is under way", Overloaded, "another look"),
        (f"{BROKEN}: KeyError(1)", Unavailable, "crawl process 3: the look failed: KeyError"),
        (OSError("the channel is closed"), OSError, "closed"),
    ],
)
def test_why_it_did_not_is_told_and_nothing_waits_for_it(fault, told, words):
    process = Process(fault)
    with pytest.raises(told, match=words):
        process.looks.answer(Question(STACKS, 0.0, 3))
    assert not process.looks._asked
