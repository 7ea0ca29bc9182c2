"""What a checkpoint keeps, and what all crawls count together, has no value of a secret."""

import pytest

from crawler import redaction
from crawler.clock import ManualClock
from crawler.engine.stats.counters import Counters
from crawler.engine.stats.totals import Totals

CANARY = "a word for counters"


@pytest.fixture(autouse=True)
def _forgets(monkeypatch):
    """What one test reads is hidden in no other."""
    monkeypatch.setattr(redaction, "_known", redaction.Remembered())


def test_neither_reasons_nor_examples_have_a_value_and_the_counts_stay_right():
    redaction.remember({"counted": CANARY})
    counters = Counters(ManualClock())
    counters.fail(f"no {CANARY}", f"http://h/?q={CANARY.replace(' ', '+')}")
    counters.items_dropped[f"{CANARY} dropped"] += 1
    kept = counters.kept()
    assert kept["failed"] == {"no secret:counted": 1}
    assert kept["items_dropped"] == {"secret:counted dropped": 1}
    assert kept["examples"] == {"no secret:counted": "http://h/?q=secret:counted"}
    later = Counters(ManualClock())
    later.go_on(kept)
    later.fail(f"no {CANARY}", "")
    totals = Totals()
    for each in (counters, later):
        totals.add(each)
    assert totals.failures == {"no secret:counted": 2}
