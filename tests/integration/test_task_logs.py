"""The log of a task of a cluster, over all workers that have or had it."""

import json
from http.client import HTTPConnection

import gevent
import pytest

from crawler.api import workers
from crawler.api.rpc.crawls_client import CrawlsClient
from crawler.cli import main
from crawler.cli.base import commands
from crawler.errors import Forbidden, NotFound
from crawler.model.access import Role, TokenWish
from crawler.model.logs import LogQuery, PieceKey
from crawler.model.records import Spec, State
from crawler.settings.sections import LogSettings
from tests.clients import Client
from tests.clusters import CALL, Cluster
from tests.site import Site
from tests.waiting import eventually

SLOW = {"robots": False, "host_concurrency": 1, "delay_s": 0.1}
COUNT = 8
TALKING = """
from crawler import Spider
from crawler.logs import get_logger

log = get_logger("shop")


class Talking(Spider):
    name = "talking"

    def parse(self, response):
        log.warning("seen", url=response.url)
        yield {"url": response.url}
"""


@pytest.fixture
def site():
    with Site() as site:
        yield site


class Moving:
    """A task `a` on one of two workers, each with logs of its own."""

    def __init__(self, cluster, site):
        self.cluster, self.site = cluster, site
        self.master = cluster.master("1")
        self.client = cluster.client(self.master)
        self.workers = {}
        self.workers["1"] = self.worker("1")
        self.urls = [site.url(f"/page/{number}") for number in range(COUNT)]
        parameters = {"start_urls": self.urls, "settings": SLOW}
        self.id = self.client.add(Spec("a", "talking", parameters, {"team": "x"}), CALL).id

    def worker(self, name):
        logs = LogSettings(folder=str(self.cluster.tmp_path / f"logs-{name}"))
        return self.cluster.worker(name, ["talking.py"], logs=logs)

    def move(self):
        """Move it after two pages, to a second worker."""
        eventually(lambda: len(self.site.paths()) >= 2)
        self.workers["2"] = self.worker("2")
        self.client.drain("1", CALL)
        eventually(lambda: self.now.owner and self.now.owner.node_id.endswith("-2"))

    @property
    def now(self):
        return self.client.get("a", CALL)

    def ends(self):
        eventually(lambda: self.now.state is State.DONE, what="it is done")

    def read(self, name="a", client=None, **query):
        return list((client or self.client).logs(LogQuery(name, **query), CALL))


@pytest.fixture
def task(tmp_path, site, monkeypatch):
    # A busy machine must not make a node look silent: what is left out then is told by a note.
    monkeypatch.setattr(workers, "ASKED_S", CALL.timeout_s)
    (tmp_path / "talking.py").write_text(TALKING)
    cluster = Cluster(tmp_path)
    yield Moving(cluster, site)
    cluster.stop()


def lines(parts):
    return [json.loads(line) for part in parts for line in part.data.splitlines()]


def seen(parts):
    return [line["url"] for line in lines(parts) if line["msg"] == "seen"]


def places(parts):
    found = [(part.key.epoch, part.run, part.node[-1]) for part in parts if part.data]
    return list(dict.fromkeys(found))


def notes(parts):
    return [part.note for part in parts if part.note]


def test_who_follows_a_task_hears_of_it_where_it_moves_until_it_ends(task):
    following = gevent.spawn(lambda: task.read(follow=True))
    task.move()
    parts = following.get(timeout=60)
    assert task.now.state is State.DONE
    assert sorted(seen(parts)) == task.urls
    assert places(parts) == [(1, 1, "1"), (2, 1, "2")]
    assert notes(parts) == []
    assert lines(task.read()) == lines(parts)


def test_what_a_worker_had_that_is_gone_is_told_and_the_rest_is_shown(task):
    task.move()
    task.ends()
    task.workers["1"].stop()
    eventually(lambda: len(task.client.nodes(CALL)) == 2)
    parts = task.read()
    assert places(parts) == [(2, 1, "2")]
    [note] = notes(parts)
    assert note.startswith("the log of epoch 1 is missing: no worker has it")


def test_each_run_has_its_own_log_and_the_last_one_is_shown(task):
    task.ends()
    task.client.run("a", CALL)
    eventually(lambda: task.now.run == 2)
    task.ends()
    assert places(task.read()) == [(2, 2, "1")]
    assert places(task.read(run=1)) == [(1, 1, "1")]
    assert places(task.read(run=1, follow=True)) == [(1, 1, "1")]
    with pytest.raises(NotFound, match="run: 3 is not there; the last run of 'a' is 2"):
        task.read(run=3)
    with pytest.raises(NotFound, match="no such task"):
        task.read("b")


def get(node, path, token=""):
    """The status, and the lines of JSON that a node answers."""
    connection = HTTPConnection(node.http_address, timeout=60)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.read()
    connection.close()
    return answer.status, [json.loads(line) for line in found.splitlines() if line]


def test_any_master_streams_it_over_http_and_each_line_says_where_to_go_on(task):
    other = task.cluster.master("2")
    status, told = get(other, "/crawler/resource/a/logs?follow")
    assert status == 200
    assert [each["note"] for each in told if "note" in each] == []
    said = [each["line"] for each in told]
    assert [line["url"] for line in said if line["msg"] == "seen"] == task.urls
    assert {(each["epoch"], each["shard"], each["run"]) for each in told} == {(1, 0, 1)}
    middle = told[3]["offset"]
    assert get(other, f"/crawler/resource/a/logs?run=1&offset={middle}") == (200, told[4:])
    assert get(other, f"/crawler/resource/a/logs?offset={told[-1]['offset']}") == (200, [])
    for query, why in (("offset=x", "offset: 'x' is not allowed"), ("run=-1", "run: ")):
        status, [failure] = get(task.master, f"/crawler/resource/a/logs?{query}")
        assert status == 400
        assert why in failure["message"]
    assert get(task.master, "/crawler/resource/b/logs")[0] == 404


def test_a_caller_reads_the_logs_of_tasks_within_its_bounds_alone(task):
    task.ends()
    admin = task.client.create_token(TokenWish("all", Role.ADMIN), CALL).text
    client = Client(task.master.address, token=lambda: admin)
    made = client.create_token(TokenWish("x", Role.VIEWER, {"team": "x"}), CALL)
    other = client.create_token(TokenWish("y", Role.OPERATOR, {"team": "y"}), CALL)
    path = "/crawler/resource/a/logs"
    eventually(lambda: get(task.master, path)[0] == 401, what="tokens count")
    assert len(get(task.master, path, made.text)[1]) == COUNT
    assert get(task.master, path, other.text)[0] == 404
    metrics = client.create_token(TokenWish("m", Role.METRICS), CALL)
    client.close()
    assert get(task.master, path, metrics.text)[0] == 403
    worker = CrawlsClient(task.workers["1"].address, token=lambda: admin)
    for ask in (
        lambda: worker.log_pieces("a", CALL),
        lambda: worker.log_passage("a", task.id, PieceKey(1), 0, CALL),
    ):
        with pytest.raises(Forbidden):
            ask()
    worker.close()


@pytest.fixture
def command(task, monkeypatch, capsys):
    """Run `crawler logs`: its status, lines and errors."""

    def ran(*arguments):
        whole = commands.main
        monkeypatch.setenv("CRAWLER_MASTER", task.master.address)
        with monkeypatch.context() as patch:
            patch.setattr(commands, "main", lambda **more: whole(args=arguments, **more))
            status = main()
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err

    return ran


def test_people_read_it_with_a_command(task, command):
    task.move()
    status, said, errors = command("logs", "a", "-f")
    assert status == 0
    shown = [line[24:] for line in said if " seen " in line]
    assert sorted(shown) == [f"WARNING seen url={url}" for url in task.urls]
    assert "run 1, epoch 1, go.micro.server.worker-1:" in errors
    assert "run 1, epoch 2, go.micro.server.worker-2:" in errors
    status, said, _ = command("logs", "a", "--json")
    assert [json.loads(line)["line"]["url"] for line in said if '"seen"' in line] == seen(
        task.read()
    )
    status, said, errors = command("logs", "b")
    assert (status, said, errors) == (1, [], "crawler: no task 'b'; see crawler tasks\n")
    status, said, errors = command("logs", "a", "--run", "7")
    assert (status, said) == (1, [])
    assert "run: 7 is not there; the last run of 'a' is 1" in errors
