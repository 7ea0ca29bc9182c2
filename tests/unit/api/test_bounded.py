"""A caller that is bounded by labels sees and changes only tasks that have them."""

import json
from dataclasses import replace

import pytest
from gevent.event import Event

from crawler.api.backend import Call
from crawler.api.bounded_crawls import owned_by
from crawler.clock import ManualClock, settle
from crawler.engine.stats.counters import Counters
from crawler.engine.stats.registry import StatisticsRegistry
from crawler.errors import NotFound, Rejected, Unavailable
from crawler.model.access import Caller, Role
from crawler.model.alerts import Alert, AlertRule, When
from crawler.model.records import Query, Spec
from crawler.model.schedules import ScheduleWish
from crawler.node.crew import distant_crawls
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import CALL, WORKER, FakeBackend, Known, Master, client_of, running
from tests.unit.api.test_worker_statistics import FOUND
from tests.unit.node.test_crew_crawls import Process, Run, crawls_of

A, B = {"team": "a"}, {"team": "b"}
SETTINGS = ApiSettings(rate=0)
TASKS = "/crawler/resource"


@pytest.fixture
def tokens():
    return Known()


@pytest.fixture
def backend():
    backend = FakeBackend()
    for name, labels in (("mine", {**A, "zone": "x"}), ("theirs", B), ("nobodys", {})):
        backend.add(Spec(name, labels=labels), CALL)
    return backend


@pytest.fixture
def ask(backend, tokens):
    """Ask as an operator of team a. Returns status and body."""
    web = Master(backend, SETTINGS, tokens=tokens).web
    headers = {"Authorization": f"Bearer {tokens.make(Role.OPERATOR, labels=A)}"}

    def ask(method, path, **body):
        found = web.open(path, method=method, json=body or None, headers=headers)
        return found.status_code, json.loads(found.data)

    return ask


def test_it_reads_its_own_tasks_and_others_do_not_exist(ask):
    assert ask("GET", f"{TASKS}/mine")[0] == 200
    assert ask("GET", f"{TASKS}/mine/explain")[0] == 200
    absent = ask("GET", f"{TASKS}/nothing")
    for path in ("theirs", "nobodys", "nothing/explain", "theirs/explain"):
        status, body = ask("GET", f"{TASKS}/{path}")
        assert (status, body) == absent == (404, body), "no answer tells whether it is there"


def test_a_list_has_its_own_tasks_alone_whatever_it_asks_for(ask):
    for query in ("", "?label=team%3Da", "?shards=true", "?pageSize=1", "?label=zone%3Dx"):
        status, body = ask("GET", TASKS + query)
        assert (status, [each["name"] for each in body["resources"]]) == (200, ["mine"])
        assert (body["total"], body["nextPageToken"]) == (1, "")
        assert sum(body["counts"].values()) == body["counts"]["assigned"] == 1, (
            "others do not count"
        )
    for query in ("?search=E", "?sort=pages&descending=true", f"?node={WORKER.id}"):
        status, body = ask("GET", TASKS + query)
        assert (status, [each["name"] for each in body["resources"]]) == (200, ["mine"])
        assert sum(body["counts"].values()) == body["total"] == 1
    for query in ("?label=team%3Db", "?label=zone%3Dy", "?label=team%3D"):
        status, body = ask("GET", TASKS + query)
        assert (status, body["resources"], body["total"]) == (200, [], 0)
        assert set(body["counts"].values()) == {0}
    status, body = ask("GET", f"{TASKS}?label=team")
    assert (status, body["message"]) == (400, "label: 'team' is not allowed; allowed is KEY=VALUE")


def test_it_adds_tasks_with_its_labels_alone(ask, backend):
    assert ask("POST", TASKS, name="new", labels={**A, "x": "y"})[0] == 200
    for labels in ({}, B, {"team": ""}):
        status, body = ask("POST", TASKS, name="other", labels=labels)
        assert status == 403
        assert "may only have tasks with team=a" in body["message"]
    assert "other" not in backend.resources


def test_a_name_that_others_have_is_taken_and_nothing_is_said_of_their_task(ask):
    status, body = ask("POST", TASKS, name="theirs", labels=A)
    assert (status, body["message"]) == (409, "the name 'theirs' is taken; choose another")
    status, body = ask("POST", TASKS, name="mine", labels=A)
    assert (status, body["message"]) == (409, "task 'mine' exists with another specification")


def test_it_changes_its_own_tasks_alone_and_cannot_give_them_away(ask, backend):
    assert ask("PUT", f"{TASKS}/mine", labels={**A, "x": "y"})[0] == 200
    assert ask("PUT", f"{TASKS}/mine", labels=B)[0] == 403
    assert ask("PUT", f"{TASKS}/theirs", labels=A)[0] == 404
    assert ask("POST", f"{TASKS}/theirs/again")[0] == 404
    for verb in ("pause", "resume", "stop", "run"):
        assert ask("POST", f"{TASKS}/theirs/{verb}")[0] == 404
        assert ask("POST", f"{TASKS}/mine/{verb}")[0] == 200
    assert not backend.resources["theirs"].stopped
    assert ask("DELETE", f"{TASKS}/theirs")[0] == 404
    assert ask("DELETE", TASKS, name="nobodys")[0] == 404
    assert backend.resources["theirs"].spec.labels == B
    assert backend.resources["mine"].spec.labels == {**A, "x": "y"}
    assert ask("POST", f"{TASKS}/mine/again")[0] == 200
    assert ask("DELETE", f"{TASKS}/mine")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/crawler/scheduler", {"strategy": "random"}),
        ("POST", "/crawler/scheduler/dry-run", {"strategy": "random"}),
        ("DELETE", "/crawler/scheduler", {}),
        ("POST", "/crawler/node/2/drain", {}),
        ("POST", "/crawler/node/2/uncordon", {}),
        ("POST", "/crawler/token", {"role": "admin"}),
        ("GET", "/crawler/token", {}),
        ("DELETE", "/crawler/token/1", {}),
        ("POST", "/crawler/alerts/channels/ops/test", {}),
    ],
)
def test_even_an_admin_changes_nothing_that_concerns_others(backend, tokens, method, path, body):
    web = Master(backend, SETTINGS, tokens=tokens).web
    headers = {"Authorization": f"Bearer {tokens.make(Role.ADMIN, labels=A)}"}
    before, known = backend.policy, dict(backend.known)
    found = web.open(path, method=method, json=body, headers=headers)
    assert found.status_code == 403
    assert "is bounded to tasks with team=a" in json.loads(found.data)["message"]
    assert (backend.policy, backend.known) == (before, known)


@pytest.mark.parametrize("look", ["stacks", "profile?seconds=0.1", "memory"])
def test_nobody_with_bounds_looks_into_a_node(backend, tokens, look):
    """Greenlets have the names of the tasks and hosts of everybody."""
    web = Master(backend, SETTINGS, tokens=tokens).web

    def ask(**more):
        headers = {"Authorization": f"Bearer {tokens.make(Role.ADMIN, **more)}"}
        return web.get(f"/debug/{look}", headers=headers)

    refused = ask(labels=A)
    assert refused.status_code == 403
    assert (
        "/debug shows names of tasks and hosts of everybody" in json.loads(refused.data)["message"]
    )
    assert ask().status_code == 200


def test_the_bounds_hold_when_a_follower_passes_a_call_on(backend, tokens):
    text = tokens.make(Role.OPERATOR, labels=A)
    leader, follower = (
        Master(backend, SETTINGS, tokens=tokens),
        Master(None, SETTINGS, tokens=tokens),
    )
    with running(leader, follower):
        follower.follow(leader.address)
        with client_of(follower, token=lambda: text) as client:
            assert [each.name for each in client.list(Query(), CALL).resources] == ["mine"]
            with pytest.raises(NotFound):
                client.delete("theirs", CALL)
            with pytest.raises(Rejected, match="may only have tasks with team=a"):
                client.add(Spec("other"), CALL)
    names = {call.caller.name for call in backend.calls if call.caller}
    assert names == {f"token {text.split('_')[1]} (t)"}, "the leader knows who asks"


VIEWER = Caller("token", Role.VIEWER, A)


class Crawl:
    """A crawl that has ended, once its end is set."""

    def __init__(self, statistics, clock):
        self.statistics, self.counters, self.ended = statistics, Counters(clock), Event()


def in_this_process(*ended):
    """The crawls of a worker that crawls by itself."""
    clock = ManualClock()
    registry = StatisticsRegistry(clock)
    for found in ended:
        crawl = Crawl(found, clock)
        registry.watch(crawl)
        crawl.ended.set()
        settle()
    return registry


def in_a_crew(*ended):
    """The crawls of a worker that has crawl processes."""
    crawls = crawls_of(Process())
    for found in ended:
        crawls.ended(found.to_json())
    return crawls


@pytest.fixture(params=[in_this_process, in_a_crew])
def crawls_after(request):
    """Makes the crawls of a worker of which these have ended, in that order."""
    return request.param


def test_of_a_workers_crawls_it_sees_its_own_alone(crawls_after):
    names = ["mine", "theirs", "nobodys"]
    crawls = crawls_after(*(replace(FOUND, task=name) for name in names))
    labels = {"mine": A, "theirs": B, "nobodys": {}}
    owns = owned_by(VIEWER, lambda name, id: labels.get(name))
    assert [found.task for found in crawls.all(owns)] == ["mine"]
    assert crawls.of("mine", owns).task == crawls.of_task("mine", owns).task == "mine"
    for other in ("theirs", "nobodys", "absent"):
        for ask in (crawls.of, crawls.of_task):
            with pytest.raises(NotFound, match=f"no statistics of task '{other}' here; it did not"):
                ask(other, owns)
    for everybody in (None, Caller("token", Role.VIEWER)):
        owns = owned_by(everybody, lambda name, id: None)
        assert sorted(found.task for found in crawls.all(owns)) == sorted(names)


def test_a_crawl_of_an_earlier_task_of_the_same_name_stays_hidden(crawls_after):
    """Another tenant had the name, deleted the task, and its crawl has ended."""
    theirs = replace(FOUND, task="x", task_id="1", pages=4711, began_ns=1, ended_ns=5)
    part = replace(theirs, task="x~1", ended_ns=8)
    own = replace(theirs, task_id="2", pages=3, began_ns=6, ended_ns=9)
    owns = owned_by(VIEWER, lambda name, id: A if (name, id) == ("x", "2") else None)
    crawls = crawls_after(theirs, part, own)
    assert crawls.all(owns) == [own]
    assert crawls.of("x", owns) == crawls.of_task("x", owns) == own
    crawls = crawls_after(theirs, part)  # its own crawl has not begun
    assert crawls.all(owns) == []
    for ask in (crawls.of, crawls.of_task):
        with pytest.raises(NotFound, match="it did not run here lately"):
            ask("x", owns)


def test_of_the_crawls_of_its_task_the_latest_are_told_together(crawls_after):
    old = replace(FOUND, task="x", pages=1, began_ns=1, ended_ns=2)
    head, part = replace(old, pages=10, began_ns=3, ended_ns=6), replace(old, task="x~1", pages=5)
    part = replace(part, began_ns=4, ended_ns=5)
    owns = owned_by(VIEWER, lambda name, id: A)
    told = crawls_after(old, part, head).of_task("x", owns)
    assert (told.task, told.pages) == ("x", 15)
    crawls = crawls_of(Process(replace(old, pages=7, ended_ns=0)))
    for found in (old, part, head):
        crawls.ended(found.to_json())
    assert crawls.of_task("x", owns).pages == 7, "it runs"


def test_it_is_told_when_a_process_of_its_own_task_does_not_answer(monkeypatch):
    monkeypatch.setattr(distant_crawls, "ANSWER_S", 0.05)
    mute = Process(is_mute=True)
    mute.runs, mute.computes = {1: Run("theirs"), 2: Run("mine")}, 1
    crawls = crawls_of(mute)
    owns = owned_by(VIEWER, lambda name, id: {"mine": A, "theirs": B}[name])
    for ask in (crawls.of, crawls.of_task):
        with pytest.raises(Unavailable, match=r"'mine' .*a callback of another task computes"):
            ask("mine", owns)
        with pytest.raises(NotFound, match="'theirs' here; it did not run here lately"):
            ask("theirs", owns)


def test_it_is_told_of_its_own_task_alone_that_a_crawl_is_about_to_begin():
    process = Process()
    process.runs = {1: Run("theirs"), 2: Run("mine")}
    crawls = crawls_of(process)
    owns = owned_by(VIEWER, lambda name, id: {"mine": A, "theirs": B}[name])
    for ask in (crawls.of, crawls.of_task):
        with pytest.raises(NotFound, match="'mine' yet; its crawl is about to begin"):
            ask("mine", owns)
        with pytest.raises(NotFound, match="'theirs' here; it did not run here lately"):
            ask("theirs", owns)


def test_a_call_of_this_process_itself_has_no_bounds(backend):
    master = Master(backend, SETTINGS)
    assert master.service.backend(Call(5.0)) is backend


def test_it_has_schedules_of_its_own_tasks_alone(ask, backend):
    path, when = "/crawler/schedule", "@every 1h"
    for name, labels in (("b", B), ("c", {})):
        backend.add_schedule(ScheduleWish(name, when, Spec(name, labels=labels)), CALL)
    assert ask("POST", path, name="a", when=when, task={"labels": A})[0] == 200
    assert [each["name"] for each in ask("GET", path)[1]["schedules"]] == ["a"]
    for method, end in (
        *(("GET", ""), ("DELETE", ""), ("POST", "/pause")),
        *(("POST", "/resume"), ("POST", "/run")),
    ):
        status, body = ask(method, f"{path}/b{end}")
        absent = ask(method, f"{path}/d{end}")[1]["message"].replace("'d'", "'b'")
        assert (status, body["message"]) == (404, absent), "no answer tells whether it is there"
    assert ask("PUT", f"{path}/b", when=when, task={"labels": A})[0] == 404
    assert ask("PUT", f"{path}/a", when=when, task={"labels": B})[0] == 403
    assert ask("POST", path, name="d", when=when)[0] == 403
    for name in ("theirs", "nobodys"):
        status, body = ask("POST", path, name="d", when=when, task={"name": name, "labels": A})
        assert (status, "is a task of others" in body["message"]) == (403, True)
    assert ask("POST", f"{path}/a/run")[0] == 200
    assert set(backend.kept_schedules) == {"a", "b", "c"}


def test_it_has_rules_and_alerts_about_its_own_tasks_alone(ask, backend):
    rules, late = "/crawler/alerts/rules", When.LATE
    backend.set_alert_rule(AlertRule("theirs", late, B), CALL)
    backend.set_alert_rule(AlertRule("all", late), CALL)
    for name, labels in (("mine", A), ("theirs", B), ("all", {})):
        backend.known_alerts.append(Alert("all", late, f"task {name}", "1", "late", 5, labels))
    assert ask("PUT", f"{rules}/a", when="late", labels=A)[0] == 200
    assert [each["name"] for each in ask("GET", rules)[1]["rules"]] == ["a"]
    found = ask("GET", "/crawler/alerts")[1]["alerts"]
    assert [each["subject"] for each in found] == ["task mine"]
    for wrong in ({"labels": B}, {}, {"labels": A, "when": "disk"}):
        assert ask("PUT", f"{rules}/b", **{"when": "late", **wrong})[0] == 403
    for name in ("theirs", "all"):
        status, body = ask("PUT", f"{rules}/{name}", when="late", labels=A)
        assert (status, "is a rule of others" in body["message"]) == (403, True)
        assert ask("DELETE", f"{rules}/{name}")[0] == 404
    assert ask("DELETE", f"{rules}/a")[0] == 200
    assert set(backend.kept_rules) == {"theirs", "all"}
