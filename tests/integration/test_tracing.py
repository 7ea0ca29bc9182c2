"""Traces of real nodes, as a collector gets them."""

import http.client
import json
import logging
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest
from gevent.server import StreamServer

from crawler.errors import NotFound
from crawler.model.records import Spec
from crawler.model.schedules import ScheduleWish
from crawler.settings.tracing import TracingSettings
from tests.clusters import CALL, Cluster, request
from tests.collector import Collector
from tests.integration.lab import ROOT
from tests.integration.test_nodes import SPIDER, HoldingSite, states, task
from tests.waiting import PATIENCE_S, eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BEFORE = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{BEFORE}-01"


@pytest.fixture
def site():
    site = HoldingSite()
    yield site
    site.stop()


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture
def cluster(tmp_path, collector):
    cluster = Cluster(tmp_path)
    cluster.traced = {"tracing": TracingSettings(collector.url)}
    yield cluster
    cluster.stop()


def post(node, spec, **headers):
    """Add a task over HTTP, as a client does that has a trace."""
    connection = http.client.HTTPConnection(node.http_address, timeout=PATIENCE_S)
    body = {"name": spec.name, "spider": spec.spider, "parameters": spec.parameters}
    connection.request(
        "POST",
        "/crawler/resource",
        json.dumps(body),
        {"content-type": "application/json", **headers},
    )
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_request_to_a_follower_its_placement_and_the_run_are_one_trace(cluster, collector, site):
    leader = cluster.master("1", **cluster.traced)
    client = cluster.client(leader)
    follower = cluster.master("2", **cluster.traced)
    cluster.worker("1", [SPIDER], **cluster.traced)
    cluster.client(follower)
    site.released.set()
    assert post(follower, task(site, "x"), traceparent=PARENT) == 200
    eventually(lambda: len(collector.spans) == 5, what="all spans arrive")
    assert set(collector.paths) == {"/v1/traces"}
    found = collector.of(TRACE)
    (asked,), (placed,), (ran,) = found["POST /crawler/resource"], found["place"], found["run"]
    told, heard = sorted(found["CrawlerMaster/AddResource"], key=lambda span: span.kind)
    path = [asked, told, heard, placed, ran]
    assert [span.kind for span in path] == ["server", "client", "server", "internal", "internal"]
    assert [span.parent for span in path] == [BEFORE, *(span.id for span in path[:-1])]
    assert [span.service for span in path] == [*["crawler-master"] * 4, "crawler-worker"]
    resource = client.get("x", CALL)
    task_of = {
        "crawler.task": "x",
        "crawler.task.id": resource.id,
        "crawler.spider": "holding",
        "crawler.run": 1,
        "crawler.epoch": resource.epoch,
        "crawler.node": "go.micro.server.worker-1",
    }
    counts = {"crawler.pages": 1, "crawler.items": 1, "crawler.failures": 0}
    assert placed.told == {**task_of, "crawler.strategy": "least-load"}
    assert ran.told == {**task_of, **counts, "crawler.outcome": "done"}
    assert not any(span.failed for span in path)
    assert asked.seconds >= told.seconds > 0
    assert ran.seconds > 0


def test_the_runs_of_a_task_that_moves_are_of_the_trace_of_its_request(cluster, collector, site):
    client = cluster.client(cluster.master("1", **cluster.traced))
    settings = {**SPIDER["settings"], "resume": False}  # else its run would end in order: slowly
    for name in ("1", "2"):
        cluster.worker(name, [{**SPIDER, "settings": settings}], **cluster.traced)
    start = f"start_urls={site.url}/x"
    command = [sys.executable, "-m", "crawler", "add", "x", "--spider", "holding", "-a", start]
    given = {"CRAWLER_MASTER": cluster.nodes[0].address, "TRACEPARENT": PARENT}
    environment = {**os.environ, **given}
    subprocess.run(command, check=True, cwd=ROOT, env=environment, timeout=3 * PATIENCE_S)
    eventually(lambda: site.asked)
    first = cluster.owners()["x"]
    client.drain(first, CALL)
    eventually(lambda: cluster.owners()["x"] not in (None, first) and len(site.asked) == 2)
    site.released.set()
    found = eventually(lambda: len((found := collector.of(TRACE)).get("run", ())) == 2 and found)
    (asked,) = found["CrawlerMaster/AddResource"]
    assert asked.parent == BEFORE
    assert [span.parent for span in found["place"]] == [asked.id, asked.id]
    assert [span.parent for span in found["run"]] == [span.id for span in found["place"]]
    assert [span.told["crawler.outcome"] for span in found["run"]] == ["stopped", "done"]
    before, after = (span.told["crawler.node"] for span in found["place"])
    assert found["place"][1].told["crawler.node.before"] == before != after


def test_what_begins_without_a_trace_begins_one(cluster, collector, site):
    """A call without a trace, a firing of a schedule, and a task that nobody asked for."""
    client = cluster.client(cluster.master("1", tasks=(task(site, "seed"),), **cluster.traced))
    client.add_schedule(ScheduleWish("nightly", "@every 1h", task(site, "fired")), CALL)
    client.run_schedule("nightly", CALL)
    client.add(task(site, "added"), CALL, wait_for_spider=True)
    eventually(lambda: "fired" in states(client))
    site.released.set()
    cluster.worker("1", [SPIDER], **cluster.traced)
    runs = eventually(lambda: len(runs := spans(collector, "run")) == 3 and runs)
    places = spans(collector, "place")
    assert [runs[name].parent for name in places] == [span.id for span in places.values()]
    assert len({span.trace for span in runs.values()}) == 3
    named = {span.id: span for span in collector.spans}
    assert named[places["added"].parent].name == "CrawlerMaster/AddResource"
    fired = named[places["fired"].parent]
    assert (fired.name, fired.told["crawler.schedule"]) == ("fire schedule", "nightly")
    firsts = {named[places["added"].parent].parent, fired.parent, places["seed"].parent}
    assert firsts == {""}


def spans(collector, name):
    """The spans of a name, by their tasks."""
    return {span.told["crawler.task"]: span for span in collector.spans if span.name == name}


def test_a_trace_that_its_caller_does_not_record_is_not_recorded_here(cluster, collector, site):
    client = cluster.client(cluster.master("1", **cluster.traced))
    cluster.worker("1", [SPIDER], **cluster.traced)
    site.released.set()
    client.add(task(site, "x"), replace(CALL, trace=f"00-{TRACE}-{BEFORE}-00"))
    client.add(task(site, "y"), replace(CALL, trace=PARENT))
    eventually(lambda: "run" in collector.of(TRACE))
    assert {span.told["crawler.task"] for span in collector.of(TRACE)["run"]} == {"y"}
    assert len(collector.spans) == 3


def test_a_call_that_fails_says_how(cluster, collector):
    client = cluster.client(cluster.master("1", **cluster.traced))
    with pytest.raises(NotFound):
        client.stop("x", replace(CALL, trace=PARENT))
    assert request(cluster.nodes[0], "POST", "/crawler/resource/x/stop")[0] == 404
    eventually(lambda: len(collector.spans) == 2)
    assert [span.told["crawler.outcome"] for span in collector.spans] == ["NOT_FOUND"] * 2
    assert [span.name for span in collector.spans] == [
        "CrawlerMaster/StopResource",
        "POST /crawler/resource/<name>/stop",
    ]
    assert not any(span.failed for span in collector.spans), "the fault is the caller's"


def test_without_an_endpoint_nothing_of_a_trace_is_kept(tmp_path, site):
    cluster = Cluster(tmp_path)
    try:
        node = cluster.master("1")
        client = cluster.client(node)
        assert post(node, Spec("x"), traceparent=PARENT) == 200
        client.add(Spec("y"), replace(CALL, trace=PARENT))
        assert len(cluster.raw()) == 2
        assert not any(b"Trace" in value for value in cluster.raw().values())
    finally:
        cluster.stop()


@pytest.mark.parametrize("how", ["away", "silent", "refusing"])
def test_a_collector_in_trouble_holds_nobody_up(tmp_path, how, monkeypatch, said):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    cluster = Cluster(tmp_path)
    with in_trouble(how) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        node = cluster.master("1")
        try:
            client = cluster.client(node)
            client.add(Spec("x"), CALL)
            dropped = "crawler_spans_dropped_total 1.0"
            eventually(lambda: dropped in metrics_of(node), what="the span is dropped")
            assert "x" in states(client)
        finally:
            cluster.stop()
    (told,) = [record for record in said if "span" in record.getMessage()]
    assert told.getMessage() == "spans are dropped; all else goes on"
    assert told.fields["error"]


@pytest.fixture
def said(monkeypatch):
    """What reaches the log of the process."""
    records = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", records.append)
    logging.getLogger().addHandler(handler)
    yield records
    logging.getLogger().removeHandler(handler)


@contextmanager
def in_trouble(how):
    """The URL of a collector that takes nothing."""
    if how == "refusing":
        refuse = StreamServer(("127.0.0.1", 0), lambda sock, _: sock.sendall(BAD))
        refuse.start()
        yield f"http://127.0.0.1:{refuse.server_port}"
        refuse.stop()
        return
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        if how == "away":
            silent.close()
        yield url


BAD = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def metrics_of(node):
    connection = http.client.HTTPConnection(node.http_address, timeout=PATIENCE_S)
    connection.request("GET", "/metrics")
    body = connection.getresponse().read().decode()
    connection.close()
    return body
