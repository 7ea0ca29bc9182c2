"""`--json`: each command that shows something prints the bodies of the HTTP interface."""

import json

import pytest

from crawler.api.http import bodies
from crawler.cli import cluster
from crawler.cli.base import commands
from crawler.model.alerts import Alert, AlertRule, When
from crawler.model.policy import PolicyChange
from crawler.model.projects import Version
from crawler.model.records import Query, Spec
from crawler.model.secrets import SecretWish
from tests.integration.test_cli_cluster import Emptying, ItsCrawls, left, run  # noqa: F401
from tests.unit.api.fakes import CALL, WORKER, FakeBackend


@pytest.fixture
def backend():
    backend = FakeBackend()
    for name in ("x", "y"):
        backend.add(Spec(name, "books", {"depth": 2}, {"site": "shop"}), CALL)
    backend.deploy("shop", Version("a" * 64, 5, "ann", 9, ("books",)), False, CALL)
    backend.set_secret(SecretWish("shop-login", "s"), CALL)
    backend.set_alert_rule(RULE, CALL)
    backend.known_alerts.append(ALERT)
    return backend


RULE = AlertRule("late", When.LATE, {"team": "b"}, ("ops",), 2.0, 5.0)
ALERT = Alert("late", When.LATE, "task x", "1", "it is late", 5, {"team": "b"}, owed=("ops",))
OBJECTS = {
    ("task", "x"): lambda backend: bodies.resource(backend.resources["x"]),
    ("again", "x"): lambda backend: bodies.resource(backend.resources["x"]),
    ("update", "x", "--set=priority=4"): lambda backend: bodies.resource(backend.resources["x"]),
    ("explain", "x"): lambda backend: bodies.explanation(backend.explain("x", CALL)),
    ("plugins",): lambda backend: bodies.scheduler(backend.scheduler(CALL)),
    ("strategy", "random"): lambda backend: bodies.scheduler(backend.scheduler(CALL)),
    ("strategy", "random", "--dry-run"): lambda backend: bodies.dry_run(
        backend.dry_run(PolicyChange("random"), CALL)
    ),
    ("drain", "2"): lambda backend: bodies.node(backend.drain("2", CALL)),
    ("rollback", "shop", "a" * 64): lambda backend: bodies.project(backend.project("shop", CALL)),
    ("uncordon", "2"): lambda backend: bodies.node(backend.uncordon("2", CALL)),
}
LISTS = {
    ("tasks",): lambda backend: bodies.page(backend.list(Query(), CALL))["resources"],
    ("tasks", "--label=site=none"): lambda backend: [],
    ("nodes",): lambda backend: bodies.nodes(backend.nodes(CALL))["nodes"],
    ("secret", "list"): lambda backend: bodies.secrets(backend.secrets(CALL))["secrets"],
    ("projects",): lambda backend: bodies.projects(backend.projects(CALL))["projects"],
    ("alert", "rule", "list"): lambda it: bodies.alert_rules(it.alert_rules(CALL))["rules"],
    ("alerts",): lambda backend: bodies.alerts(backend.alerts(CALL))["alerts"],
    ("token", "list"): lambda backend: [],
}


@pytest.mark.parametrize("arguments", OBJECTS, ids=" ".join)
def test_one_thing_is_one_object_as_over_http(run, backend, arguments):  # noqa: F811
    status, [line], error = run(backend, *arguments, "--json")
    assert (status, error) == (0, "")
    assert json.loads(line) == json.loads(bodies.write(OBJECTS[arguments](backend)))


@pytest.mark.parametrize("arguments", LISTS, ids=" ".join)
def test_a_list_is_an_object_a_line_as_over_http(run, backend, arguments):  # noqa: F811
    status, said, error = run(backend, *arguments, "--json")
    assert (status, error) == (0, "")
    wanted = json.loads(bodies.write(LISTS[arguments](backend)))
    assert [json.loads(line) for line in said] == wanted


def test_crawl_processes_are_objects_with_the_name_of_their_worker(run, monkeypatch):  # noqa: F811
    monkeypatch.setattr(cluster, "CrawlsClient", ItsCrawls)
    _, said, _ = run(Emptying(left(1)), "nodes", "--processes", "--json")
    wanted = [each.to_json() for each in ItsCrawls(WORKER.address, None, None).processes(CALL)]
    assert [json.loads(line) for line in said] == [{"worker": WORKER.id, **each} for each in wanted]


def test_who_waits_for_a_drained_worker_gets_its_end_alone(run):  # noqa: F811
    status, [line], _ = run(Emptying(left(2), left(1), left(0)), "drain", "2", "--wait", "--json")
    told = json.loads(line)
    assert (status, told["unfinished"], told["cordoned"]) == (0, 0, True)


def test_each_command_that_asks_a_master_and_shows_something_has_it():
    shows_nothing = {"delete", "login", "logout"}
    for name, command in commands.commands.items():
        options = {option for each in command.params for option in each.opts}
        if "--master" in options and name not in shows_nothing:
            assert "--json" in options, name
