"""The history of a master: nothing waits for its database, and what was missed is told."""

import pytest
from gevent.monkey import get_original

from crawler.clock import SystemClock
from crawler.errors import NotFound, Unavailable
from crawler.history import kept
from crawler.history.failures import Away
from crawler.history.history import NoHistory
from crawler.history.kept import KeptHistory
from crawler.history.store import HistoryStore
from crawler.metrics import Metrics
from crawler.model.history import Kind, RunQuery, RunState
from crawler.model.run_statistics import RunStatistics
from crawler.supervision import Supervisor
from tests.history_stores import added, changes, life
from tests.waiting import eventually

ENDED = [Kind.ADDED, Kind.PLACED, Kind.BEGUN, Kind.ENDED]


class Scene:
    def __init__(self, tmp_path):
        self.folder = tmp_path / "data"
        self.resources, self.revision = [], 0
        self.supervisor = Supervisor("test")
        self.open()

    def open(self, keep_days=0.0):
        self.metrics = Metrics()
        url, clock = "sqlite:///history.db", SystemClock()
        self.history = KeptHistory(
            url, str(self.folder), keep_days, self.metrics, clock, lambda: "mine"
        )
        self.history.start(self.supervisor)

    def lead(self):
        self.history.lead(lambda: (self.resources, self.revision))

    def note(self, resources):
        self.history.note(changes(resources))

    def kinds(self, name="x-0"):
        try:
            return [event.kind for event in self.history.of_task(name, 100, 5.0)]
        except (NotFound, Unavailable):
            return []

    def metric(self, name):
        text = self.metrics.render()[0].decode()
        return sum(float(each.split()[-1]) for each in text.splitlines() if each.startswith(name))

    def close(self):
        self.supervisor.stop()
        self.history.close()


@pytest.fixture
def scene(tmp_path):
    scene = Scene(tmp_path)
    scene.folder.mkdir()
    yield scene
    scene.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(kept, "RETRY_S", 0.02)


def test_what_is_noted_is_written_and_read(scene):
    scene.note(life())
    eventually(lambda: scene.kinds() == ENDED, what="all is written")
    [run] = scene.history.runs(RunQuery(), 5.0)
    assert run.state is RunState.DONE
    assert scene.metric("crawler_history_events_total") == 4


def test_statistics_wait_for_a_database_that_is_away_but_not_without_limit(scene, monkeypatch):
    monkeypatch.setattr(kept, "MOST_STATISTICS", 2)
    scene.folder.rmdir()
    told = [RunStatistics("1000", 0, epoch, '{"pages":3}') for epoch in (1, 2, 3)]
    scene.history.note_statistics(told)
    scene.note(life())
    assert scene.metric('crawler_queue_refused_total{queue="history"}') == 1
    scene.folder.mkdir()
    eventually(lambda: scene.kinds() == ENDED, what="all is written")
    eventually(
        lambda: scene.history.runs(RunQuery(), 5.0)[0].statistics == {"pages": 3},
        what="the statistics are there, too",
    )


def test_callers_do_not_learn_what_the_database_says_of_itself(scene, monkeypatch, caplog):
    scene.note(life())
    eventually(lambda: scene.kinds() == ENDED, what="it is open")

    def refused(*given):
        raise Away("connection to 10.0.0.9, user crawler failed")

    monkeypatch.setattr(HistoryStore, "runs", refused)
    with pytest.raises(Unavailable, match="look into the log of the leader") as caught:
        scene.history.runs(RunQuery(), 5.0)
    assert "10.0.0.9" not in str(caught.value)
    assert "cannot be read" in caplog.text


def test_a_node_that_stops_writes_what_waits(scene):
    eventually(lambda: scene.history._store and scene.history._store.is_ready, what="it is open")
    scene.supervisor.stop()
    scene.note(life())
    scene.history.close()
    scene.supervisor = Supervisor("again")
    scene.open()
    eventually(lambda: scene.kinds() == ENDED, what="it is there")


def test_a_database_that_is_away_costs_nothing_and_gets_all_when_it_is_back(tmp_path, caplog):
    scene = Scene(tmp_path)
    try:
        scene.note(life())
        failures = "crawler_history_failures_total"
        eventually(lambda: scene.metric(failures) >= 2, what="it has failed twice")
        with pytest.raises(Unavailable):
            scene.history.runs(RunQuery(), 5.0)
        scene.folder.mkdir()
        eventually(lambda: scene.kinds() == ENDED, what="all is written")
        eventually(lambda: "written again" in caplog.text, what="that is told")
    finally:
        scene.close()
    assert caplog.text.count("cannot be written") == 1
    assert caplog.text.count("written again") == 1


def test_what_a_database_does_not_take_at_once_is_written_later(scene, monkeypatch):
    eventually(lambda: scene.history._store and scene.history._store.is_ready, what="it is open")
    with monkeypatch.context() as away:
        away.setattr(HistoryStore, "write", _away)
        away.setattr(HistoryStore, "write_statistics", _away)
        scene.history.note_statistics([RunStatistics("1000", 0, 1, '{"pages":3}')])
        scene.note(life())
        failures = "crawler_history_failures_total"
        eventually(lambda: scene.metric(failures), what="the database is away")
    eventually(lambda: scene.kinds() == ENDED, what="all is written")
    assert scene.history.runs(RunQuery(), 5.0)[0].statistics == {"pages": 3}


def test_the_database_of_another_cluster_is_neither_written_nor_read(scene):
    eventually(lambda: scene.history._store and scene.history._store.is_ready, what="it is open")
    url, metrics, ids = f"sqlite:///{scene.folder}/history.db", Metrics(), ["other", "mine"]
    other = KeptHistory(url, ".", 0.0, metrics, SystemClock(), lambda: ids[0])
    other.start(scene.supervisor)
    other.note(changes(life()))
    failures = "crawler_history_failures_total 0.0"
    eventually(lambda: failures not in metrics.render()[0].decode(), what="it is refused")
    with pytest.raises(Unavailable):
        other.runs(RunQuery(), 5.0)
    assert scene.kinds() == []
    del ids[0]
    eventually(lambda: scene.kinds() == ENDED, what="what waited is written once it may be")
    scene.supervisor.stop()
    other.close()


def test_a_database_that_hangs_is_told_of_while_it_does(scene, monkeypatch, caplog):
    monkeypatch.setattr(kept, "HANGS_S", 0.05)
    scene.note(life(0))
    eventually(lambda: scene.kinds() == ENDED, what="it is open")
    write, may_end = HistoryStore.write, get_original("threading", "Event")()
    monkeypatch.setattr(HistoryStore, "write", lambda *given: (may_end.wait(), write(*given))[1])
    scene.note(life(1))
    try:
        eventually(lambda: scene.metric("crawler_history_failures_total") == 1)
        assert "the history cannot be written" in caplog.text
    finally:
        may_end.set()
    eventually(lambda: scene.kinds("x-1") == ENDED, what="it goes on")
    eventually(lambda: "written again" in caplog.text, what="that is told")


def test_what_does_not_fit_into_the_queue_is_counted_and_found_in_the_resources(scene, monkeypatch):
    scene.lead()
    eventually(lambda: scene.history._store and not scene.history._is_behind, what="it leads")
    monkeypatch.setattr(kept, "MOST_WAITING", 4)
    with monkeypatch.context() as away:
        away.setattr(HistoryStore, "write", _away)
        scene.note(life(0))
        scene.note(life(1))
        assert scene.metric('crawler_queue_refused_total{queue="history"}') == 4
        failures = "crawler_history_failures_total"
        eventually(lambda: scene.metric(failures), what="the database is away")
        scene.resources, scene.revision = [life(0)[-1], life(1)[-1]], 500
    eventually(lambda: scene.kinds("x-1") == ENDED, what="what is left is found")
    assert scene.kinds("x-0") == ENDED


def _away(*given):
    raise Away("it is away")


def test_a_new_leader_writes_what_the_resources_say(scene):
    scene.resources, scene.revision = [life()[-1], added(1)], 500
    scene.lead()
    eventually(lambda: scene.kinds("x-1") == [Kind.ADDED], what="the tasks are found")
    assert scene.kinds("x-0") == ENDED
    scene.resources, scene.revision = [added(1)], 600
    scene.history.doubt()
    gone = [*ENDED, Kind.DELETED]
    eventually(lambda: scene.kinds("x-0") == gone, what="one is missed")


def test_a_leader_forgets_what_is_too_old(scene):
    scene.note(life())
    eventually(lambda: scene.kinds() == ENDED, what="all is written")
    scene.close()
    scene.supervisor = Supervisor("again")
    scene.open(keep_days=1.0)
    scene.lead()
    eventually(lambda: scene.history._clean_s, what="it has cleaned")
    assert scene.kinds() == []


def test_without_a_database_nothing_is_kept():
    history = NoHistory()
    history.note(changes(life()))
    for read in (lambda: history.of_task("x", 1, 1.0), lambda: history.runs(RunQuery(), 1.0)):
        with pytest.raises(NotFound, match="keeps no history"):
            read()


def test_a_driver_that_is_missing_is_told_and_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "_store_of", _no_driver)
    scene = Scene(tmp_path)
    scene.note(life())
    eventually(lambda: scene.metric("crawler_history_failures_total"), what="it is told")
    scene.close()


def _no_driver(url, folder):
    from crawler.errors import ConfigError

    raise ConfigError("no driver")
