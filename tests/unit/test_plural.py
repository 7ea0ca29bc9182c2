"""What is counted agrees with its number."""

import pytest

from crawler.cli.cluster import task_lines
from crawler.model.records import Counts, Resource, Spec, State
from crawler.plural import counted, plural


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 pages"), (1, "1 page"), (2, "2 pages"), (1360, "1,360 pages")],
)
def test_a_count_and_its_noun_agree(count, text):
    assert counted(count, "page") == text
    assert plural(count, "page") == text.split()[1]


def test_a_task_tells_one_of_each_without_a_plural():
    counts = Counts(pages=1, items=1, failures=1, seconds=2.0)
    found = Resource(Spec("a"), state=State.FAILED, counts=counts, kills=1)
    told = dict(line.split(None, 1) for line in task_lines(found))
    assert told["killed"] == "1 worker"
    assert told["counts"] == "1 page, 1 item, 1 failure, 2.0 s"
