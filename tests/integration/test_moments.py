"""Findings of a review; each test fails on the code it was written for."""

import contextlib
import sys
import types

import gevent
import gevent.socket
import pytest

from crawler.errors import CrawlerError
from crawler.model.constraints import Constraints, Neighbour
from crawler.model.policy import PolicyChange
from crawler.model.records import Spec
from crawler.scheduler.hookspecs import Strategy, hookimpl
from crawler.settings.scheduler import SchedulerSettings
from tests.clusters import CALL, Cluster
from tests.integration.test_policy_switch import WAITING
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def test_a_task_added_and_deleted_within_one_pass_is_answered(cluster):
    node = cluster.master("1")
    cluster.client()
    backend = node._role.local_backend()
    answers = []

    def call(function, *args):
        try:
            function(*args)
        except Exception as error:
            answers.append(repr(error))

    gevent.joinall(
        [
            gevent.spawn(call, backend.submit, Spec("a"), CALL),
            gevent.spawn(call, backend.delete, "a", CALL),
        ]
    )
    assert "somebody deleted it at the same moment" in "".join(answers) or answers == []
    assert "KeyError" not in "".join(answers)


def test_a_task_that_waits_for_another_to_be_near_to_is_placed_as_soon_as_that_is(cluster):
    """The cluster of the tests checks every second, which hides it."""
    cluster.master("1", scheduler=SchedulerSettings(check_s=60))
    (cluster.tmp_path / "waiting.py").write_text(WAITING)
    cluster.worker("1", ["waiting.py"])
    client = cluster.client()
    client.add(
        Spec("web", "waiting", constraints=Constraints(near=(Neighbour("app", "db"),))), CALL
    )
    client.add(Spec("db", "waiting", labels={"app": "db"}), CALL)
    eventually(lambda: cluster.resources()["db"].owner, what="db is placed")
    eventually(lambda: cluster.resources()["web"].owner, what="web is placed")


def test_draining_the_only_worker_with_a_spider_makes_no_task_fail_round_and_round(cluster):
    (cluster.tmp_path / "waiting.py").write_text(WAITING)
    (cluster.tmp_path / "other.py").write_text(WAITING.replace('"waiting"', '"other"'))
    cluster.master("1")
    cluster.worker("1", ["waiting.py"])
    cluster.worker("2", ["other.py"])
    client = cluster.client()
    client.add(Spec("a", "waiting"), CALL)
    eventually(lambda: cluster.owners()["a"] == "1", what="a is placed")
    client.drain("1", CALL)
    for n in range(10):  # each of these takes a pass at least
        client.add(Spec(f"b{n}", "other"), CALL)
        eventually(lambda n=n: cluster.owners()[f"b{n}"] == "2")
    assert (cluster.owners()["a"], cluster.resources()["a"].epoch) == ("1", 1)


def test_a_strategy_that_cannot_be_made_leaves_a_leader(cluster, monkeypatch):
    def broken(random):
        raise OSError("its file of prices is not on this master")

    class Broken(Strategy):
        def __init__(self, random):
            broken(random)

    made = types.ModuleType("broken_plugin")
    made.strategies = hookimpl(strategies_of(Broken))
    monkeypatch.setitem(sys.modules, "broken_plugin", made)
    cluster.master("1", scheduler=SchedulerSettings(plugins=("broken_plugin",)))
    client = cluster.client()
    with contextlib.suppress(CrawlerError):
        client.update_scheduler(PolicyChange("broken"), CALL)
    client.reset_scheduler(CALL)
    client.add(Spec("a"), CALL)


def strategies_of(broken):
    def strategies():
        return {"broken": broken}

    return strategies


def test_a_request_to_upgrade_does_not_cost_the_next_one_its_head(cluster):
    """gevent hands out its raw stream then, so the body that the shortcut reads is not counted, and
    as many bytes of the next request are dropped as what is left of it."""
    node = cluster.master("1")
    cluster.client()
    host, port = node.http_address.rsplit(":", 1)
    body = b'{"name":"a"}'
    lines = (b"POST /crawler/resource HTTP/1.1", b"Host: localhost", b"Upgrade: websocket")
    head = b"\r\n".join((*lines, b"Content-Length: %d", b"", b""))
    follows = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with gevent.socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(head % len(body) + body + follows)
        answers = b""
        while piece := connection.recv(65536):
            answers += piece
    assert b"400 Bad Request" not in answers, answers
