"""What a worker tells of its crawls: the same by gRPC, by HTTP and to the command line."""

import json
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest

from crawler.api.health import Health
from crawler.api.http.app import build_app
from crawler.api.rpc.crawls_client import CrawlsClient
from crawler.api.rpc.server import RpcServer
from crawler.api.rpc.worker import CrawlsServicer
from crawler.cli import main
from crawler.errors import InvalidArgument, NotFound, Unavailable
from crawler.metrics import Metrics
from crawler.model.processes import ProcessLoad
from crawler.model.records import Owner, Resource, Spec, State
from crawler.model.shards import shard_spec
from crawler.model.statistics import HostLoad, Statistics
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import CALL, FakeBackend, Master, running

FOUND = Statistics(
    task="fiction",
    spider="books",
    began_ns=1_700_000_000_000_000_000,
    ended_ns=1_700_000_009_000_000_000,
    finish_reason="finished",
    seconds=9.5,
    pages=3_000_000_000,
    pages_per_s=1.5,
    items=11,
    requests=14,
    retries=1,
    redirects=2,
    from_cache=3,
    bytes_received=2**50 + 1,
    bytes_expanded=2**51 + 1,
    statuses={200: 12, 404: 2},
    failures={"HTTP 404": 2},
    items_dropped={"price": 1},
    items_failed={"price raised KeyError": 2},
    resting={"hosts": 1, "longest_s": 59.5},
    hosts={"a.example": HostLoad(3, 1, 59.5, 0.5)},
    memory={"known": 20, "known_bytes": 2**40 + 1, "waiting": 6, "on_disk": 1},
    filtered={"duplicate": 5, "robots": 1},
    pending=7,
    latency_s={"p50": 0.01, "p90": 0.1, "p99": 0.5, "max": 1.25},
    slow_callbacks=4,
)


PROCESSES = [ProcessLoad(3, 4711, True, 12, 61_000_000, 0.25), ProcessLoad(5, 4712, False, 0, 1, 0)]


class FakeCrawls:
    def all(self, owns):
        return [found for found in [FOUND] if owns(found)]

    def of(self, task, owns):
        if task != FOUND.task or not owns(FOUND):
            raise NotFound(f"no statistics of task {task!r} here")
        return FOUND

    def processes(self):
        return PROCESSES

    def of_task(self, task, owns):
        return self.of(task.replace("novels", "fiction"), owns)


@contextmanager
def serving(crawls, offered=tuple):
    """The address of a worker's gRPC server."""
    servicer = CrawlsServicer(crawls, offered=offered)
    server = RpcServer("127.0.0.1:0", Health(), Metrics(), ApiSettings(), servicer=servicer)
    server.start()
    yield f"127.0.0.1:{server.port}"
    server.stop(0)


@pytest.fixture
def address():
    """Of a worker's gRPC server."""
    with serving(FakeCrawls()) as address:
        yield address


@pytest.fixture
def web():
    return build_app(None, Health(), Metrics(), ApiSettings(), crawls=FakeCrawls()).test_client()


def test_the_crawl_processes_are_told_by_both_ways(address, web):
    client = CrawlsClient(address)
    assert client.processes(CALL) == PROCESSES
    client.close()
    assert web.get("/processes").json["processes"][0] == {
        **{"number": 3, "pid": 4711, "takes_tasks": True, "tasks": 12},
        **{"memory_bytes": 61_000_000, "late_s": 0.25},
    }


def test_nothing_is_lost_on_the_way(address):
    client = CrawlsClient(address)
    assert client.statistics("fiction", CALL) == FOUND
    with pytest.raises(NotFound, match="no statistics of task 'novels' here"):
        client.statistics("novels", CALL)  # who asks so adds up what all workers have
    with pytest.raises(NotFound, match="no statistics of task 'travel' here"):
        client.statistics("travel", CALL)
    with pytest.raises(InvalidArgument):
        client.statistics("", CALL)
    client.close()


def test_workers_of_other_versions_can_be_asked():
    told = {"task": "fiction", "spider": "books", "pages": 3.0, "of another version": 1}
    assert Statistics.from_json(told) == Statistics("fiction", "books", pages=3)


def test_http_tells_the_same(web):
    [listed] = web.get("/crawls").json["crawls"]
    assert listed == web.get("/crawls/fiction").json
    assert listed == json.loads(json.dumps(FOUND.to_json()))
    assert (listed["pages"], listed["statuses"]) == (3_000_000_000, {"200": 12, "404": 2})
    assert web.get("/crawls/novels").status_code == 200, "the crawls of a task together"
    refused = web.get("/crawls/travel")
    assert refused.status_code == 404
    assert refused.json["message"] == "no statistics of task 'travel' here"


def stats(monkeypatch, capsys, owner, *arguments, **about):
    backend = FakeBackend()
    name = about.pop("name", "fiction")
    for shard in about.pop("shards", ()):
        backend.resources[shard.name] = shard
    spec = about.pop("spec", Spec(name))
    backend.resources[name] = Resource(spec, owner=owner, **about)
    with running(Master(backend)) as (master,):
        monkeypatch.setenv("CRAWLER_MASTER", master.address)
        monkeypatch.setattr(sys, "argv", ["crawler", "stats", name, *arguments])
        status = main()
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_command_line_shows_what_the_worker_tells_that_has_the_task(
    monkeypatch, capsys, address
):
    status, said, _ = stats(monkeypatch, capsys, Owner("w-1", address), "--json")
    assert (status, json.loads(said)) == (0, FOUND.to_json())
    status, said, _ = stats(monkeypatch, capsys, Owner("w-1", address))
    assert status == 0
    assert "filtered   duplicate: 5, robots: 1\n" in said


def test_a_task_without_a_worker_has_no_statistics(monkeypatch, capsys):
    status, _, said = stats(monkeypatch, capsys, None)
    assert status == 1
    assert said == "crawler: fiction has no worker; crawler explain fiction says why\n"


def test_a_worker_that_is_gone_is_told(monkeypatch, capsys):
    status, _, said = stats(monkeypatch, capsys, Owner("w-1", "127.0.0.1:1"))
    assert status == 1
    assert said.startswith(
        "crawler: worker w-1 does not give its statistics: cannot reach 127.0.0.1:1"
    )


class ComputingCrawls(FakeCrawls):
    def of(self, task, owns):
        raise Unavailable(f"the crawl of task {task!r} has begun, and nothing was counted yet")


@pytest.mark.parametrize(
    ("crawls", "state", "reason", "told"),
    [
        (FakeCrawls, State.ASSIGNED, "", "worker w-1: the crawl of x has not begun yet"),
        (
            FakeCrawls,
            State.FAILED,
            "no spider 'x' here",
            "worker w-1: no statistics of task 'x' here; the task is failed: no spider 'x' here",
        ),
        (
            ComputingCrawls,
            State.RUNNING,
            "",
            "worker w-1 does not give its statistics: the crawl of task 'x' has begun, and nothing"
            " was counted yet",
        ),
    ],
    ids=["has not begun", "never ran", "computes"],
)
def test_why_a_crawl_has_no_statistics_is_told(monkeypatch, capsys, crawls, state, reason, told):
    with serving(crawls()) as address:
        owner = Owner("w-1", address)
        status, _, said = stats(monkeypatch, capsys, owner, name="x", state=state, reason=reason)
    assert (status, said) == (1, f"crawler: {told}\n")


class SharedCrawls(FakeCrawls):
    """Those of a worker with one crawl of a task on several workers."""

    def __init__(self, found):
        self._found = found

    def of(self, task, owns):
        if task == self._found.task:
            return self._found
        raise Unavailable(f"the crawl of task {task!r} has begun; its process does not answer")


def shard_of(number, pages, **more):
    return Statistics(f"x~{number}", "books", pages=pages, **more)


HEAD = Statistics("x", "books", pages=100, shards={1: shard_of(1, 20), 2: shard_of(2, 3)})
SILENT = "worker w-{} does not give its statistics: the crawl of task '{}' has begun;"


@pytest.mark.parametrize(
    ("told", "workers", "pages", "missed"),
    [
        (HEAD, 3, 123, {1: "x~1: what the head of the task knows of it counts", 2: "x~2: what"}),
        (replace(HEAD, shards={}), 2, 100, {1: "x~1: it is left out"}),
        (shard_of(1, 21, ended_ns=9, finish_reason="finished"), 2, 21, {0: "x: it is left out"}),
    ],
    ids=["the head knows them", "the head does not know it", "the head is silent"],
)
def test_a_silent_worker_keeps_back_only_its_own(monkeypatch, capsys, told, workers, pages, missed):
    head = Spec("x", "books", workers=workers)
    with serving(SharedCrawls(told)) as address:
        shards = [
            Resource(shard_spec(head, number), owner=Owner(f"w-{number}", address))
            for number in range(1, workers)
        ]
        status, said, error = stats(
            *(monkeypatch, capsys, Owner("w-0", address), "--json"),
            **{"name": "x", "state": State.RUNNING, "spec": head, "shards": shards},
        )
    found = json.loads(said)
    assert (status, found["task"], found["pages"]) == (0, "x", pages)
    assert found["finish_reason"] == "", "the task is not over"
    lines = error.splitlines()
    assert len(lines) == len(missed)
    for line, (number, begin) in zip(lines, missed.items(), strict=True):
        assert line.startswith(f"crawler: {begin}")
        assert SILENT.format(number, f"x~{number}" if number else "x") in line
