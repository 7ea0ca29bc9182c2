"""The history of whole nodes: over a change of leader, from any master, within bounds."""

import json

import gevent
import pytest

from crawler.coordination.store import Put
from crawler.errors import CrawlerError, OutcomeUnknown, Unavailable
from crawler.model.access import Role, TokenWish
from crawler.model.history import Kind, RunQuery, RunState
from crawler.model.records import Spec, State
from crawler.model.schedules import ScheduleWish
from crawler.settings.sections import HistorySettings
from tests.clusters import CALL, KEYS, Cluster, Shared, request
from tests.databases import Postgres, started
from tests.integration.test_audit import run
from tests.integration.test_doors import with_token
from tests.integration.test_nodes import SPIDER, HoldingSite, task
from tests.waiting import eventually


@pytest.fixture
def site():
    site = HoldingSite()
    site.released.set()
    yield site
    site.stop()


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request):
    if request.param == "sqlite":
        yield HistorySettings()
        return
    server = started(Postgres)
    yield HistorySettings(url=server.url)
    server.remove()


def kinds(client, name):
    try:
        return [event.kind for event in client.history(name, 100, CALL)]
    except CrawlerError:
        return []


WHOLE = [Kind.ADDED, Kind.PLACED, Kind.BEGUN, Kind.ENDED]


def test_each_event_is_there_once_over_a_change_of_leader(kept, cluster, site, monkeypatch, capsys):
    first = cluster.master("m1", history=kept)
    second = cluster.master("m2", history=kept)
    cluster.worker("w1", [SPIDER])
    before, after = cluster.client(first), cluster.client(second)
    for number in range(5):
        before.add(task(site, f"a-{number}", labels={"team": "a"}), CALL)
    eventually(lambda: all(kinds(after, f"a-{n}") == WHOLE for n in range(5)), what="all ended")
    first.stop()
    cluster.nodes.remove(first)
    client = cluster.client(second)
    for number in range(5):
        client.add(task(site, f"b-{number}"), CALL)
    client.again("a-0", CALL)
    eventually(lambda: all(kinds(client, f"b-{n}") == WHOLE for n in range(5)), what="all ended")
    anew = [*WHOLE, Kind.AGAIN, Kind.PLACED, Kind.BEGUN, Kind.ENDED]
    eventually(lambda: kinds(client, "a-0") == anew, what="it ran again")
    assert [kinds(client, f"a-{n}") for n in range(1, 5)] == [WHOLE] * 4
    runs = client.runs(RunQuery(), CALL)
    assert len(runs) == 11
    assert {run.state for run in runs} == {RunState.DONE}
    _, _, body = request(second, "GET", "/crawler/runs?limit=1&state=done")
    assert [each["task"] for each in body["runs"]] == [runs[0].task]
    _, _, body = request(second, "GET", "/crawler/resource/b-0/history")
    assert [each["kind"] for each in body["events"]] == [kind.value for kind in WHOLE]
    said = run(monkeypatch, capsys, "history", "a-0", "--json", node=second).splitlines()
    assert [json.loads(line)["kind"] for line in said] == [kind.value for kind in anew]
    table = run(monkeypatch, capsys, "runs", "--limit", "3", node=second).splitlines()
    assert table[0].split()[:3] == ["TASK", "RUN", "EPOCH"]
    assert len(table) == 4


def test_a_bounded_caller_sees_its_own_tasks_alone_and_deleted_ones_too(cluster):
    master = cluster.master("m1", history=HistorySettings())
    open_door = cluster.client(master)
    text = open_door.create_token(TokenWish("whole", Role.ADMIN), CALL).text
    admin = with_token(cluster, master, text)
    eventually(lambda: _admits(admin), what="the token is known")
    for team in ("a", "b"):
        admin.add(Spec(f"of-{team}", labels={"team": team}), CALL)
        admin.delete(f"of-{team}", CALL)
    text = admin.create_token(TokenWish("a", Role.VIEWER, {"team": "a"}), CALL).text
    bounded = with_token(cluster, master, text)
    eventually(lambda: kinds(admin, "of-b") == [Kind.ADDED, Kind.DELETED], what="it is written")
    eventually(lambda: _admits(bounded), what="the token is known")
    assert kinds(bounded, "of-a") == [Kind.ADDED, Kind.DELETED]
    assert kinds(bounded, "of-b") == []
    assert bounded.runs(RunQuery(), CALL) == []
    assert "(whole)" in admin.history("of-a", 10, CALL)[0].who


def _admits(client):
    try:
        return client.runs(RunQuery(), CALL) is not None
    except CrawlerError:
        return False


def test_a_database_that_is_away_costs_no_task(cluster, site, tmp_path):
    away = HistorySettings(url=f"sqlite:///{tmp_path}/absent/history.db")
    master = cluster.master("m1", history=away)
    cluster.worker("w1", [SPIDER])
    client = cluster.client(master)
    client.add(task(site, "x"), CALL)
    eventually(lambda: client.get("x", CALL).state is State.DONE, what="it ran")
    (tmp_path / "absent").mkdir()
    eventually(lambda: _admits(client) and kinds(client, "x") == WHOLE, what="it is written")


def test_the_history_names_the_schedule_that_began_a_run_and_its_number(cluster, site, tmp_path):
    kept = HistorySettings(url=f"sqlite:///{tmp_path}/history.db")
    client = cluster.client(cluster.master("m1", history=kept))
    cluster.worker("w1", [SPIDER])
    client.add(task(site, "x"), CALL)
    eventually(lambda: kinds(client, "x") == WHOLE, what="it ran")
    client.add_schedule(ScheduleWish("nightly", "@every 1h", task(site, "x")), CALL)
    client.run_schedule("nightly", CALL)
    again = [*WHOLE, Kind.AGAIN, Kind.PLACED, Kind.BEGUN, Kind.ENDED]
    eventually(lambda: kinds(client, "x") == again, what="it ran once more")
    events = client.history("x", 100, CALL)
    assert events[4].who == "schedule nightly"
    assert [each.run for each in events] == [1] * 4 + [2] * 4
    [latest, first] = client.runs(RunQuery(), CALL)
    assert (latest.run, latest.who, first.run) == (2, "schedule nightly", 1)


def test_the_history_has_the_statistics_of_runs_that_ended_or_were_paused(
    cluster, site, tmp_path, monkeypatch, capsys
):
    kept = HistorySettings(url=f"sqlite:///{tmp_path}/history.db")
    master = cluster.master("m1", history=kept)
    client = cluster.client(master)
    cluster.worker("w1", [SPIDER])
    client.add(task(site, "x"), CALL)
    eventually(lambda: statistics(client, "x"), what="its statistics are told")
    site.released.clear()
    client.add(task(site, "rests"), CALL)
    eventually(lambda: client.get("rests", CALL).state is State.RUNNING, what="it runs")
    client.pause("rests", CALL)
    site.released.set()
    eventually(lambda: statistics(client, "rests"), what="its statistics are told")
    assert statistics(client, "rests")["finish_reason"] == "stopped"
    ended = json.loads(
        run(monkeypatch, capsys, "history", "x", "--json", node=master).splitlines()[-1]
    )
    found = ended["statistics"]
    assert (found["finish_reason"], found["pages"]) == ("finished", ended["pages"])
    assert found["statuses"] == {"200": found["requests"]}
    line = run(monkeypatch, capsys, "runs", "--state", "done", "--json", node=master)
    assert json.loads(line)["statistics"] == found


def statistics(client, name):
    """The statistics of the run of a task that ended last."""
    try:
        runs = [run for run in client.runs(RunQuery(), CALL) if run.task == name and run.ended_ns]
    except CrawlerError:
        return {}
    return runs[0].statistics if runs else {}


class Answering(Shared):
    """A store that carries out each write of a task at once, and answers late or never."""

    def __init__(self, store):
        super().__init__(store)
        self.late_s = 0.0
        self.lost = 0
        """So many answers get lost."""
        self.is_away = self.goes_away = False
        """Whether it answers nothing, and whether it goes away when an answer gets lost."""

    def txn(self, compares, success, failure=()):
        self._check()
        result = self._store.txn(compares, success, failure)
        puts = (each.key for each in success if isinstance(each, Put))
        if any(key.startswith(KEYS.resources) and KEYS.resource_name(key) for key in puts):
            gevent.sleep(self.late_s)
            if self.lost:
                self.lost -= 1
                self.is_away = self.goes_away
                raise OutcomeUnknown("the answer was lost")
        return result

    def range(self, *given):
        self._check()
        return self._store.range(*given)

    def watch(self, *given, **more):
        return Holding(self, self._store.watch(*given, **more))

    def _check(self):
        if self.is_away:
            raise Unavailable("etcd is away")


class Holding:
    """A watch that tells nothing while its store is away."""

    def __init__(self, store, watch):
        self._store, self._watch = store, watch

    def __iter__(self):
        for batch in self._watch:
            while self._store.is_away:
                gevent.sleep(0.01)
            yield batch

    def close(self):
        self._watch.close()


@pytest.mark.parametrize(("late_s", "lost"), [(0.15, 0), (0.0, 1)], ids=["late", "lost"])
def test_a_change_is_told_though_the_watch_knows_it_before_the_answer_comes(
    cluster, site, late_s, lost
):
    """The mirror waits for the answer to an own write for a moment only."""
    store = Answering(cluster.store)
    client = cluster.client(cluster.master("m1", store=store, history=HistorySettings()))
    cluster.worker("w1", [SPIDER])
    store.late_s, store.lost = late_s, lost
    client.add(task(site, "x"), CALL)
    eventually(lambda: kinds(client, "x") == WHOLE, what="all is told")


def test_what_was_written_while_nobody_could_tell_is_looked_for_once_it_can_be_read(cluster, site):
    store = Answering(cluster.store)
    client = cluster.client(cluster.master("m1", store=store, history=HistorySettings()))
    cluster.worker("w1", [SPIDER])

    store.goes_away = True
    for name in ("x", "y"):
        store.lost = 1
        with pytest.raises(CrawlerError):
            client.add(task(site, name), CALL)
        store.is_away = False
        eventually(lambda name=name: kinds(client, name) == WHOLE, what=f"all of {name} is told")
