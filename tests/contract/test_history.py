"""The history in SQLite and PostgreSQL: each event once, whoever writes it, and found again."""

import pytest
import sqlalchemy as sa

from crawler.history.database import Database
from crawler.history.events import Seen, events_of
from crawler.history.failures import Away
from crawler.history.migrations.steps import HEAD, current, migrate
from crawler.history.store import SLACK, HistoryStore
from crawler.history.tables import METADATA
from crawler.model.history import Event, Kind, RunQuery, RunState, Step
from crawler.model.records import State
from crawler.model.run_statistics import RunStatistics
from crawler.node.master.pauses import as_stored, paused, resumed
from tests.databases import Postgres, started
from tests.history_stores import SECOND, added, changes, life

ENDED = [Kind.ADDED, Kind.PLACED, Kind.BEGUN, Kind.ENDED]


@pytest.fixture(scope="module")
def postgres():
    server = started(Postgres)
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    server = request.getfixturevalue("postgres")
    with engine_of(server.url).begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    return server.url


@pytest.fixture
def store(url):
    store = HistoryStore(url, ".")
    store.prepare("mine")
    yield store
    store.close()


def engine_of(url):
    driver = url.replace("postgresql://", "postgresql+psycopg://")
    return sa.create_engine(driver, poolclass=sa.pool.NullPool)


def kinds(store, name="x-0"):
    return [event.kind for event in store.of_task(name, 100)]


def states(store, **query):
    return [(run.task, run.epoch, run.state) for run in store.runs(RunQuery(**query))]


def test_each_event_is_there_once_however_often_it_is_written(store):
    told = changes(life(), who="ann")
    for _ in range(3):
        store.write(told, False)
    assert kinds(store) == ENDED
    [run] = store.runs(RunQuery())
    assert (run.placed_ns, run.begun_ns, run.ended_ns) == (20, 1002, 1003)
    assert (run.state, run.worker, run.who) == (RunState.DONE, "w-1", "ann")
    assert (run.counts.pages, run.counts.seconds) == (3, 0.5)


def test_a_new_leader_writes_what_the_old_one_has_not(store):
    resources = life()
    store.write(changes(resources[:2]), False)
    last = [resources[-1].replace(mod_revision=300)]
    for _ in range(2):
        assert store.changed(last, 300) == last
        store.write_standing(last, 5000)
        store.write_missing(last, 300, 5000)
    assert kinds(store) == ENDED
    event = store.of_task("x-0", 10)[-1]
    assert (event.late, event.time_ns, event.counts.items) == (True, 5000, 2)


def test_a_new_leader_ends_the_runs_that_are_over_and_the_tasks_that_are_gone(store):
    for number in range(3):
        store.write(changes(life(number)[:3]), False)
    moved = life(1)[2].given_to(SECOND, 4, 700).replace(mod_revision=200)
    present = [life(0)[2], moved]
    for _ in range(2):
        store.write_standing(present, 5000)
        store.write_missing(present, 300, 5000)
    assert set(states(store)) == {
        ("x-2", 1, RunState.STOPPED),
        ("x-1", 1, RunState.UNKNOWN),
        ("x-0", 1, RunState.RUNNING),
        ("x-1", 4, RunState.PLACED),
    }
    assert kinds(store, "x-2")[-1] is Kind.DELETED


def test_what_a_leader_told_of_its_own_changes_counts_more_than_what_a_later_one_found(store):
    """The earlier leader writes last, for its database was slow."""
    resources = life()
    store.write(changes(resources[:2]), False)
    anew = resources[-1].replace(generation=1, run=2).given_to(SECOND, 2, 2000)
    anew = anew.replace(mod_revision=300)
    for _ in range(2):
        store.write_standing([anew], 5000)
        store.write_missing([anew], 300, 5000)
        assert ("x-0", 1, RunState.UNKNOWN) in states(store)
    told = [*changes(resources, who="ann"), Seen(resources[-1], anew, 2000, "bob")]
    store.write(told, False)
    store.write_standing([anew], 6000)
    ran, first = store.runs(RunQuery())
    assert (first.state, first.ended_ns, first.counts.pages) == (RunState.DONE, 1003, 3)
    assert (first.who, ran.who) == ("ann", "bob")
    assert not [event for event in store.of_task("x-0", 100) if event.late]


def test_a_run_whose_pause_nobody_told_is_paused(store):
    running = life()[2]
    store.write(changes(life()[:3]), False)
    rests = paused(running, "paused by ann", as_stored).replace(mod_revision=300)
    store.write_missing([rests], 300, 5000)
    assert states(store) == [("x-0", 1, RunState.PAUSED)]


def test_of_pauses_in_an_epoch_the_last_one_is_kept(store):
    rests = paused(life()[2], "paused by ann", as_stored)
    waits = resumed(rests)
    again = paused(waits, "paused by bob", as_stored)
    told = [Seen(rests, waits, 20, "carl"), Seen(waits, again, 30, "bob")]
    for _ in range(2):
        store.write([Seen(life()[2], rests, 10, "ann"), *told], False)
    wishes = [(each.kind, each.who) for each in store.of_task("x-0", 100)[-2:]]
    assert wishes == [(Kind.UNPAUSED, "carl"), (Kind.PAUSED, "bob")]
    while store.forget(10**15):
        pass
    assert store.of_task("x-0", 100) == []


def test_what_is_older_than_the_database_ends_nothing(store):
    """A leader that was paused has old resources. They say nothing of later runs and tasks."""
    later = life(0, revision=900)
    store.write(changes(later[:3]), False)
    store.write_missing([], 300, 5000)
    old = [later[0].replace(mod_revision=5)]
    store.write_missing(old, 2000, 5000)
    assert states(store) == [("x-0", 1, RunState.RUNNING)]


def test_a_leader_looks_only_at_what_changed_since_the_mark(store):
    store.write(changes(life(0, revision=5000)), False)
    near, far = added(1), added(2).replace(mod_revision=4900)
    assert store.changed([near, far], 6000) == [far]
    assert near.mod_revision < 5000 - SLACK
    assert store.changed([near, far], 4950) == [near, far], "it is of another etcd"


def test_a_leader_that_lost_changes_does_not_move_the_mark(store):
    store.write(changes(life(0, revision=5000)), True)
    assert store.changed([added(1)], 6000) == [added(1)]


def test_a_run_that_goes_on_elsewhere_is_resumed(store):
    running = life()[2]
    moved = running.given_to(SECOND, 2, 1003)
    told = [*life()[:3], moved, moved.replace(state=State.RUNNING)]
    store.write(changes(told), False)
    assert kinds(store)[-3:] == [Kind.MOVED, Kind.PLACED, Kind.RESUMED]
    assert [event.kind for event in store.of_task("x-0", 1)] == [Kind.RESUMED]


def test_runs_are_found_by_state_and_by_labels_the_latest_first(store):
    for number in range(4):
        resources = life(number, labels={"team": "a" if number % 2 else "b", 'o"d.d': "é"})
        store.write(changes(resources[: 3 if number == 3 else 4], 1000 * number), False)
    assert states(store, limit=2) == [("x-3", 1, RunState.RUNNING), ("x-2", 1, RunState.DONE)]
    assert states(store, state=RunState.RUNNING) == [("x-3", 1, RunState.RUNNING)]
    assert [name for name, *_ in states(store, labels={"team": "a"})] == ["x-3", "x-1"]
    assert len(states(store, labels={'o"d.d': "é"})) == 4
    assert states(store, labels={"team": "c"}) == []


def test_reads_look_runs_up_and_walk_over_none_but_by_time(tmp_path):
    """A million events would take seconds otherwise. SQLite tells what it does."""
    store = HistoryStore(f"sqlite:///{tmp_path}/history.db", ".")
    store.prepare("mine")
    for number in range(3):
        store.write(changes(life(number)), False)
    plans = []

    @sa.event.listens_for(store._database._engine, "before_cursor_execute")
    def explain(connection, cursor, statement, parameters, *_):
        if statement.startswith("SELECT"):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(line for *_, line in cursor.fetchall())

    assert len(store.runs(RunQuery())) == 3
    assert len(store.runs(RunQuery(state=RunState.DONE))) == 3
    assert len(store.of_task("x-0", 10)) == 4
    scans = {line for line in plans if "SCAN events" in line}
    assert scans == {"SCAN events USING INDEX events_by_time"}
    assert any("SEARCH events USING INDEX events_by_state" in line for line in plans)
    store.close()


def test_of_tasks_that_are_gone_none_is_missed_however_many_there_are(store, monkeypatch):
    monkeypatch.setattr("crawler.history.database.IDS_AT_ONCE", 2)
    for number in range(5):
        store.write(changes(life(number)), False)
    store.write_missing([life(3)[-1]], 2000, 5000)
    gone = [number for number in range(5) if Kind.DELETED in kinds(store, f"x-{number}")]
    assert gone == [0, 1, 2, 4]


def test_a_label_that_no_database_takes_hides_no_other_run(store):
    store.write(changes(life(0, labels={"team": "a"})), False)
    store.write(changes(life(1, labels={"team": "a", "note": "x\0y"})), False)
    assert [name for name, *_ in states(store, labels={"team": "a"})] == ["x-1", "x-0"]
    for note in ("x\0y", "x\ufffdy"):
        assert states(store, labels={"note": note}) == [], "a caller of such a label sees nothing"


def test_what_is_old_is_forgotten_but_no_run_that_goes_on(store):
    store.write(changes(life(0), 1000), False)
    store.write(changes(life(1)[:3], 1000), False)
    store.write(changes(life(2), 9000), False)
    while store.forget(5000):
        pass
    assert kinds(store, "x-0") == []
    assert kinds(store, "x-1") == [Kind.PLACED, Kind.BEGUN]
    assert Kind.ENDED in kinds(store, "x-2")


def test_nothing_that_is_forgotten_looks_unfinished_meanwhile(url, monkeypatch):
    """In whatever order the database has the rows: a new leader would end it once more."""
    monkeypatch.setattr("crawler.history.database.DELETED_AT_ONCE", 1)
    database = Database(url)
    database.migrate()
    for number in range(3):
        seen = [*changes(life(number)), Seen(life(number)[-1], None, 2000)]
        for event in [event for each in reversed(seen) for event in events_of(each)]:
            database.write([event])
    while database.forget(10**15):
        assert database.open_runs() == []
        assert database.task_ids() == []
    assert database.of_task("x-0", 10) == []
    database.close()


def statistics(store, name="x-0"):
    """The statistics of the events of a task, and of its runs."""
    runs = [run.statistics for run in store.runs(RunQuery()) if run.task == name]
    return [event.statistics for event in store.of_task(name, 100)], runs


def told(epoch=1, text='{"pages":3}', number=0):
    return RunStatistics(str(1000 + number), 0, epoch, text)


@pytest.mark.parametrize("is_first", [False, True], ids=["after the end", "before it"])
def test_the_statistics_of_a_run_are_told_with_its_end(store, is_first):
    if is_first:
        store.write_statistics([told()], 1000)
    store.write(changes(life()), False)
    if not is_first:
        assert statistics(store) == ([{}] * 4, [{}])
        store.write_statistics([told(2), told(text="no JSON"), told()], 1000)
    assert statistics(store) == ([{}, {}, {}, {"pages": 3}], [{"pages": 3}])


def test_the_last_statistics_of_a_run_are_kept(store):
    store.write(changes(life()), False)
    for pages in (1, 2):
        assert store.write_statistics([told(text=f'{{"pages":{pages}}}')], 1000) == (0, 0)
    assert statistics(store)[1] == [{"pages": 2}]


def test_statistics_that_the_database_refuses_cost_no_others(store):
    store.write(changes(life()), False)
    assert store.write_statistics([told(2**70), told(text='{"pages":3}\0'), told()], 1) == (0, 1)
    assert statistics(store)[1] == [{"pages": 3}]


def test_old_statistics_are_forgotten(store):
    for number, time_ns in ((0, 1000), (1, 9000)):
        store.write(changes(life(number), 9000), False)
        store.write_statistics([told(number=number)], time_ns)
    while store.forget(5000):
        pass
    assert statistics(store, "x-0")[1] == [{}]
    assert statistics(store, "x-1")[1] == [{"pages": 3}]


def test_an_event_that_the_database_refuses_costs_no_other(store):
    too_much = changes(life(1))
    odd = [too_much[0]._replace(after=added(1).replace(creation_time=2**70)), *too_much[1:]]
    written, refused = store.write([*odd, *changes(life(0))], False)
    assert (written, refused) == (8, 1)
    assert kinds(store) == ENDED


def test_texts_of_every_kind_are_kept(url):
    database = Database(url)
    database.migrate()
    event = Event(1, Kind.ADDED, Step.ASKED, "é", "7", 0, reason="a\0b\ud800c", who="名")
    assert database.write([event]) == 0
    [found] = database.of_task("é", 1)
    assert (found.reason, found.who) == ("a\ufffdb?c", "名")
    database.close()


@pytest.mark.parametrize("start", ["", "0001", "0003", HEAD])
def test_tables_of_each_revision_come_up_to_date_and_keep_what_they_have(url, start):
    if start:
        engine = engine_of(url)
        migrate(engine, start)
        engine.dispose()
    store = HistoryStore(url, ".")
    store.prepare("mine")
    store.write(changes(life()), False)
    store.close()
    again = HistoryStore(url, ".")
    again.prepare("mine")
    assert kinds(again) == ENDED
    again.close()
    with engine_of(url).connect() as connection:
        assert current(connection) == HEAD


def test_a_database_is_for_one_cluster(url, store):
    store.write(changes(life()[:3]), False)
    other = HistoryStore(url, ".")
    for _ in range(2):
        with pytest.raises(Away, match=r"history\.url.*'cluster mine'"):
            other.prepare("other")
        assert not other.is_ready
    assert store.write(changes(life()), False) == (4, 0)
    again = HistoryStore(url, ".")
    again.prepare("mine")
    assert kinds(again) == ENDED
    with engine_of(url).begin() as connection:
        connection.execute(sa.text("DELETE FROM marks WHERE name LIKE 'cluster %'"))
    other.prepare("other")
    assert kinds(other) == ENDED
    for each in (again, other):
        each.close()


def test_what_migrations_make_is_what_the_program_knows(store, url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine_of(url).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_tables_of_a_later_version_stay_as_they_are(url, store):
    with engine_of(url).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    later = HistoryStore(url, ".")
    later.prepare("mine")
    later.write(changes(life()), False)
    assert kinds(later) == ENDED
    later.close()


def test_a_migration_that_was_cut_off_is_made_again(url):
    engine = engine_of(url)
    migrate(engine, "0001")
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM alembic_version"))
    migrate(engine)
    with engine.connect() as connection:
        assert current(connection) == HEAD
    engine.dispose()


def test_a_database_that_is_away_says_so(tmp_path):
    store = HistoryStore(f"sqlite:///{tmp_path}/absent/history.db", ".")
    with pytest.raises(Away, match="unable to open"):
        store.prepare("mine")
    store.close()
