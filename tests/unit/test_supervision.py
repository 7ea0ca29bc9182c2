"""No greenlet dies unnoticed."""

import contextlib
import itertools

import gevent
import pytest
from gevent.event import Event

from crawler.clock import ManualClock, settle
from crawler.errors import ConfigError
from crawler.supervision import OnEnd, Supervisor, do_all, run_aside
from tests.waiting import PATIENCE_S


def fail():
    raise ValueError("broken")


def refuse():
    raise ConfigError("id taken")


@pytest.fixture
def fatal():
    return []


@pytest.fixture
def supervisor(fatal):
    clock = ManualClock()
    supervisor = Supervisor("part", on_fatal=lambda *what: fatal.append(what), clock=clock)
    supervisor.clock = clock
    yield supervisor
    supervisor.stop()


@pytest.mark.parametrize("function", [fail, lambda: None], ids=["raises", "returns"])
def test_what_must_not_end_takes_its_node_down(supervisor, fatal, function):
    supervisor.spawn("loop", function, on_end=OnEnd.FATAL)
    settle()
    [(name, error)] = fatal
    assert name == "part.loop"
    assert (error is None) is (function is not fail)


def test_an_error_is_logged_by_name(supervisor, fatal, caplog):
    supervisor.spawn("once", fail)
    settle()
    assert fatal == []
    [record] = caplog.records
    assert record.fields["greenlet"] == "part.once"
    assert "ValueError: broken" in caplog.text


def test_an_error_that_was_raised_on_purpose_is_told_without_a_traceback(supervisor, caplog):
    supervisor.spawn("once", refuse)
    settle()
    [record] = caplog.records
    assert record.fields["error"] == "id taken"
    assert not record.exc_info


def test_what_is_to_be_restarted_is_with_growing_pauses(supervisor):
    began = []

    def run():
        began.append(supervisor.clock.monotonic())
        fail()

    supervisor.spawn("again", run, on_end=OnEnd.RESTART)
    settle()
    for _ in range(200):
        supervisor.clock.advance(0.05)
    pauses = [later - earlier for earlier, later in itertools.pairwise(began)]
    assert len(pauses) >= 4
    assert pauses[0] < pauses[1] < pauses[2]


def test_stopping_ends_all_and_is_no_failure(supervisor, fatal):
    running = [supervisor.spawn("loop", Event().wait, on_end=OnEnd.FATAL) for _ in range(3)]
    settle()
    assert supervisor.count == 3
    assert supervisor.stop()
    assert all(greenlet.dead for greenlet in running)
    settle()
    assert supervisor.count == 0
    assert fatal == []
    assert supervisor.stop(), "repeating it is harmless"


def test_what_does_not_end_in_time_is_told(supervisor):
    released = Event()

    def stubborn():
        while not released.is_set():
            with contextlib.suppress(gevent.GreenletExit):
                released.wait()

    greenlet = supervisor.spawn("stubborn", stubborn)
    settle()
    assert not supervisor.stop(deadline_s=0.05)
    assert not greenlet.dead
    released.set()
    greenlet.join(PATIENCE_S)
    assert greenlet.dead


def test_what_hangs_is_left_behind_and_what_ends_is_waited_for():
    ended = []
    assert run_aside("quick", lambda: ended.append(1))
    assert ended
    released = Event()
    assert not run_aside("hangs", released.wait, patience_s=0.05)
    released.set()


def test_each_kill_costs_an_end_one_step_and_none_of_the_others():
    done = []
    first, second = Event(), Event()
    ending = gevent.spawn(do_all, first.wait, second.wait, lambda: done.append("last"))
    settle()
    ending.kill(block=False)
    settle()
    assert done == []
    ending.kill()
    assert done == ["last"]


def test_the_first_of_several_errors_is_raised_and_the_others_are_logged(caplog):
    done = []
    with pytest.raises(ConfigError, match="id taken"):
        do_all(refuse, fail, lambda: done.append("last"))
    assert done == ["last"]
    assert "another step of an end failed" in caplog.text
