"""The states that all workers share, while their Redis does not answer."""

from pathlib import Path

from crawler.clock import ManualClock
from crawler.node.run.shared_states import SharedStates


class Passing(ManualClock):
    """A clock whose sleepers wake at once."""

    def sleep(self, seconds):
        self.advance(seconds)


class Away:
    """A Redis that answers after so many questions."""

    silence = "Redis does not answer (refused); is it running?"

    def __init__(self, questions):
        self.left = questions

    def check(self):
        self.left -= 1
        return self.left < 0


def logged(caplog, questions):
    SharedStates(Away(questions), Passing(), Path()).prepare()
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_a_worker_that_waits_for_redis_says_so_at_once_and_then_each_minute(caplog):
    caplog.set_level("INFO")
    told = logged(caplog, questions=150)
    assert [level for level, _ in told] == ["WARNING"] * 3 + ["INFO"]
    assert all("takes no tasks yet" in message for _, message in told[:3])


def test_a_worker_whose_redis_answers_says_nothing(caplog):
    caplog.set_level("INFO")
    assert logged(caplog, questions=0) == []
