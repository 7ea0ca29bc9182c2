"""The page of one task: how it stands, what it does, and what can be done with it."""

import pytest

from crawler.dashboard.rates import OVER_S, Rates
from crawler.dashboard.run_bars import LEAST, WIDTH, bars
from crawler.dashboard.standing import standing
from crawler.dashboard.task_page import PARTS
from crawler.dashboard.task_seen import TaskWatch
from crawler.model.access import Role
from crawler.model.history import Event, Kind, RunState, Step
from crawler.model.records import Counts, Owner, Pause, Resource, Spec, State
from crawler.model.statistics import HostLoad, Statistics
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import CALL, WORKER, Master
from tests.unit.dashboard.workers import FakeWorker

S = 10**9


@pytest.fixture
def worker():
    return FakeWorker()


@pytest.fixture
def master(backend, tokens, clock, worker):
    master = Master(
        backend, ApiSettings(rate=0), tokens=tokens, clock=clock, has_pages=True, reach=worker
    )
    yield master
    master.pages.stop()


def resource(name="shop", state=State.RUNNING, owner=WORKER.as_owner, **fields):
    spec = fields.pop("spec", Spec(name, "books", {"depth": 2}, {"team": "a"}))
    return Resource(spec, id="1", state=state, owner=owner, epoch=1, **fields)


@pytest.fixture
def shop(backend):
    backend.resources["shop"] = resource(counts=Counts(1234, 56, 7, 90.0))
    return backend


def test_it_says_how_the_task_stands_and_what_it_is(signed_in, shop):
    text = signed_in().see("/tasks/shop")
    assert "running on worker-2 run 1, epoch 1" in text
    assert "1,234" in text
    assert '"depth": 2' in text
    assert "team=a" in text
    assert "No worker tells" not in text


def test_what_is_not_there_is_told_as_such(signed_in, shop):
    browser = signed_in()
    assert "no such task" in browser.see("/tasks/nowhere")
    assert browser.status == 404


def test_no_part_of_a_task_is_markup(signed_in, backend):
    evil = "<b>bold"
    backend.resources[evil] = resource(
        evil, State.PENDING, None, reason=evil, spec=Spec(evil, evil, {evil: evil}, {evil: evil})
    )
    browser = signed_in()
    for path in ("/tasks/%3Cb%3Ebold", "/tasks/%3Cb%3Ebold/change", "/tasks/new?like=%3Cb%3Ebold"):
        browser.see(path)
        assert browser.status == 200
        assert b"<b>bold" not in browser.answer.data
        assert "<b>bold" in browser.answer.get_data(as_text=True).replace("&lt;", "<").replace(
            "&gt;", ">"
        )


def test_the_workers_tell_what_the_crawl_met(signed_in, shop, worker):
    hosts = {"shop.example": HostLoad(4, 1, rests_s=30.0, pause_s=0.5)}
    worker.told = Statistics(
        "shop",
        "books",
        1,
        statuses={200: 40, 503: 2},
        hosts=hosts,
        pending_hosts=3,
        pending=5,
        resting={"hosts": 2, "longest_s": 30.0},
    )
    text = signed_in().see("/tasks/shop")
    assert "503 2" in text
    assert "shop.example 4 1 every 500 ms rests for 30 s" in text
    assert "and 2 other hosts. 2 hosts rest, for 30 s at most." in text


def test_a_silent_worker_is_told(signed_in, shop, worker):
    worker.is_silent = True
    assert "it sleeps (worker-2 does not answer)" in signed_in().see("/tasks/shop")


def test_a_task_whose_worker_is_gone_is_unknown_and_not_running(signed_in, backend, clock):
    gone = Owner("go.micro.server.worker-9", "h:1", 5)
    backend.resources["shop"] = resource(owner=gone)
    browser = signed_in()
    text = browser.see("/tasks/shop")
    assert "unknown since" in text
    assert "go.micro.server.worker-9 is gone; it was running there when it was last seen" in text
    assert not browser.page.cssselect("#task-head .running")


def test_since_when_it_is_unknown_stays_the_same_while_somebody_watches(master, backend, clock):
    backend.resources["shop"] = resource(owner=Owner("go.micro.server.worker-9", "h:1", 5))
    watch = TaskWatch(master.app.extensions["crawler.dashboard"], "shop")
    first = watch.look(CALL).standing
    clock.advance(10.0)
    assert watch.look(CALL).standing == first
    backend.resources["shop"] = resource()
    assert watch.look(CALL).standing.word == "running"


def test_a_paused_task_that_its_worker_still_crawls_says_both(signed_in, backend, worker):
    backend.resources["shop"] = resource(
        state=State.PENDING, owner=None, paused=Pause("paused by me", WORKER.id)
    )
    worker.told = Statistics("shop", "books", began_ns=1)
    browser = signed_in()
    text = browser.see("/tasks/shop")
    assert "paused" in text
    assert "go.micro.server.worker-2 still crawls it: its crawl ends in order." in text
    worker.told = Statistics("shop", "books", began_ns=1, ended_ns=2)
    assert "still crawls it" not in browser.see("/tasks/shop")


def test_what_is_not_yet_as_it_was_asked_for_is_told():
    nodes = [type("Load", (), {"node": WORKER})]
    assigned = standing(resource(state=State.ASSIGNED), nodes)
    assert assigned.differs == ["go.micro.server.worker-2 has it, and has not begun it yet"]
    some = standing(resource(spec=Spec("x", workers=3), running=1), nodes)
    assert some.differs == ["it was asked for on 3 workers, and runs on 1 now"]
    assert standing(resource(running=1), nodes).differs == []


@pytest.mark.parametrize(
    ("fields", "buttons"),
    [
        ({}, {"Pause", "Stop", "Begin anew", "Delete"}),
        (
            {"state": State.PENDING, "owner": None, "paused": Pause("by me")},
            {"Resume", "Stop", "Begin anew", "Delete"},
        ),
        ({"state": State.DONE}, {"Run once more", "Delete"}),
    ],
    ids=["running", "paused", "done"],
)
def test_the_buttons_are_those_that_make_sense_for_those_who_may(
    signed_in, backend, fields, buttons
):
    backend.resources["shop"] = resource(**fields)
    operator, viewer = signed_in(Role.OPERATOR), signed_in(Role.VIEWER)
    operator.see("/tasks/shop")
    assert set(operator.buttons()) == buttons
    viewer.see("/tasks/shop")
    assert not viewer.buttons()
    assert "Change" not in viewer.text


def test_an_action_says_what_came_of_it(signed_in, shop):
    browser = signed_in(Role.OPERATOR)
    browser.see("/tasks/shop")
    browser.send("/tasks/shop/pause")
    assert (browser.where, browser.told) == ("/dashboard/tasks/shop", ["shop is paused."])
    browser.send("/tasks/shop/again")
    assert browser.told == ["shop is begun anew."]
    assert shop.resources["shop"].generation == 1
    browser.send("/tasks/nowhere/stop")
    assert browser.told == ["no such task"]
    browser.send("/tasks/shop/delete", back="/dashboard/tasks")
    assert (browser.where, browser.told) == ("/dashboard/tasks", ["shop is deleted."])


def test_why_it_is_where_it_is_has_the_verdict_of_each_plugin(signed_in, shop):
    text = signed_in().see("/tasks/shop")
    assert "w-1 gpu: has no GPU" in text
    assert "w-2 first choice 1 -2 spread zone=a 0.5 × 10 3" in text
    assert "w-3 if no other can" in text
    assert "The plugin gold was skipped at filter_nodes: KeyError: 'karat'" in text


def event(step, at_s, state, epoch=1, run=1, **fields):
    kinds = {Step.PLACED: Kind.PLACED, Step.BEGUN: Kind.BEGUN, Step.ENDED: Kind.ENDED}
    return Event(at_s * S, kinds[step], step, "shop", "1", epoch, run=run, state=state, **fields)


MOVED = [
    event(Step.PLACED, 10, RunState.PLACED, worker="w-1"),
    event(Step.BEGUN, 12, RunState.RUNNING, worker="w-1"),
    event(Step.ENDED, 20, RunState.MOVED, worker="w-1", reason="w-1 is gone"),
    event(Step.PLACED, 22, RunState.PLACED, 2, worker="w-2"),
    event(Step.BEGUN, 22, RunState.RUNNING, 2, worker="w-2"),
    event(Step.ENDED, 30, RunState.DONE, 2, worker="w-2", counts=Counts(5, 4)),
    event(Step.PLACED, 100, RunState.PLACED, 3, run=2, worker="w-2"),
    event(Step.BEGUN, 100, RunState.RUNNING, 3, run=2, worker="w-2"),
]


def test_a_run_has_a_piece_for_each_worker_on_one_scale():
    task = resource(run=2, counts=Counts(9, 8))
    second, first = bars(MOVED, task, 110 * S, 20)
    assert (first.run, first.workers, first.seconds) == (1, ["w-1", "w-2"], 20.0)
    assert (first.pages, first.items, first.state) == (5, 4, RunState.DONE)
    [move] = first.moves
    assert (move.worker, move.reason) == ("w-1", "w-1 is gone")
    one, other = first.pieces
    assert (one.x, one.wide, one.waited) == (0.0, WIDTH / 2, WIDTH / 10)
    assert (other.x, other.wide) == (WIDTH * 0.6, WIDTH * 0.4)
    assert (second.state, second.pages) == (RunState.RUNNING, 9)
    assert (second.pieces[0].wide, second.seconds) == (WIDTH / 2, 10.0)


def test_what_is_short_can_still_be_seen_and_others_events_do_not_count():
    long = [event(Step.PLACED, 0, RunState.PLACED), event(Step.ENDED, 10**6, RunState.DONE)]
    short = [event(Step.PLACED, 5, RunState.PLACED, 2, run=2)]
    task = resource()
    last, _ = bars([*long, *short], task, 5 * S, 20)
    assert last.pieces[0].wide == LEAST
    assert bars(long, task.replace(id="2"), 5 * S, 20) == []
    assert len(bars([*long, *short], task, 5 * S, 1)) == 1


def test_the_runs_and_their_moves_are_shown(signed_in, shop):
    shop.events = MOVED
    text = signed_in().see("/tasks/shop")
    assert "w-1 → w-2" in text
    assert "left w-1: w-1 is gone" in text


def test_a_rate_is_that_of_the_last_seconds():
    rates = Rates()
    assert rates.chart().seconds == 0
    for second in range(100):
        rates.add(second, pages=second * (1 if second < 50 else 3), items=second)
    chart = rates.chart()
    assert (chart.pages_per_s, chart.items_per_s, chart.top) == (3.0, 1.0, 50.0)
    assert chart.seconds == 60
    last_x, last_y = chart.pages.split()[-1].split(",")
    assert float(last_x) == chart.wide
    assert float(last_y) == round(chart.high * (1 - 3 / 50), 1)


def test_another_run_begins_another_line():
    rates = Rates()
    for second in range(10):
        rates.add(second, second, second)
    rates.add(10, 0, 0)
    assert rates.chart().seconds == 0
    rates.add(10 + OVER_S, 10, 0)
    assert (rates.chart().pages_per_s, rates.chart().items_per_s) == (2.0, 0.0)


def test_each_part_that_changes_is_on_the_page(signed_in, shop):
    browser = signed_in()
    browser.see("/tasks/shop")
    assert [each for each in PARTS if not browser.page.cssselect(f"#task-{each}")] == []


def test_what_costs_more_is_asked_now_and_then(master, shop):
    watch = TaskWatch(master.app.extensions["crawler.dashboard"], "shop")
    asked = []
    shop.explain = lambda name, call: asked.append(name)
    for _ in range(5):
        watch.look(CALL)
    assert asked == ["shop"]
    shop.resources["shop"] = shop.resources["shop"].replace(epoch=2)
    watch.look(CALL)
    assert asked == ["shop"] * 2
