"""The items of a task of a cluster, from all workers that have or had it: each once."""

import json
from functools import partial
from http.client import HTTPConnection

import gevent
import pytest

from crawler.api import workers
from crawler.api.rpc.crawls_client import CrawlsClient
from crawler.errors import Forbidden, InvalidArgument, NotFound
from crawler.items.far import shelf_of
from crawler.items.reader import items_at
from crawler.model.access import Role, TokenWish
from crawler.model.records import Spec, State
from crawler.node.run import shared_items
from crawler.node.run.item_mover import ItemMover
from crawler.settings.sections import ItemsSettings, WorkerSettings
from crawler.settings.worker import IN_PROCESS
from tests.clients import Client
from tests.clusters import CALL, Cluster
from tests.integration.test_stopped_runs import PAGES
from tests.integration.test_task_logs import command  # noqa: F401
from tests.site import Site
from tests.waiting import eventually

SLOW = {"robots": False, "host_concurrency": 1, "delay_s": 0.1}
COUNT = 8


@pytest.fixture
def site():
    with Site() as site:
        yield site


class Moving:
    """A task `a` on one of two workers, each with items of its own, as on two machines."""

    def __init__(self, cluster, site, shares=False, **settings):
        self.cluster, self.site, self.shares = cluster, site, shares
        self.master = cluster.master("1")
        self.client = cluster.client(self.master)
        self.workers = {"1": self.worker("1")}
        self.urls = [site.url(f"/page/{number}") for number in range(COUNT)]
        parameters = {"start_urls": self.urls, "settings": {**SLOW, **settings}}
        self.id = self.client.add(Spec("a", "pages", parameters, {"team": "x"}), CALL).id

    def worker(self, name):
        url = str(self.cluster.tmp_path / "shared") if self.shares else ""
        own = WorkerSettings(
            items=str(self.cluster.tmp_path / f"items-{name}"),
            report_s=0.1,
            private_targets=["127.0.0.0/8"],
            processes=IN_PROCESS,
        )
        return self.cluster.worker(name, ["pages.py"], worker=own, items=ItemsSettings(url))

    def move(self):
        eventually(lambda: len(self.site.paths()) >= 3)
        self.workers["2"] = self.worker("2")
        self.client.drain("1", CALL)
        eventually(lambda: self.now.owner and self.now.owner.node_id.endswith("-2"))

    @property
    def now(self):
        return self.client.get("a", CALL)

    def ends(self):
        eventually(lambda: self.now.state is State.DONE, what="it is done")

    def found(self, client=None, **which):
        client = client or self.client

        def read(node, path, begin, moved):
            return client.item_bytes("a", node, path, begin, CALL, moved)

        folders = client.item_files("a", CALL).folders
        return items_at("a", shelf_of(folders, read).folders(), **which)

    def seen(self):
        return sorted(item["url"] for item in self.found())


@pytest.fixture
def task(tmp_path, site, request, monkeypatch):
    monkeypatch.setattr(workers, "ASKED_S", CALL.timeout_s)  # as for the logs
    (tmp_path / "pages.py").write_text(PAGES)
    cluster = Cluster(tmp_path)
    yield Moving(cluster, site, **getattr(request, "param", {}))
    cluster.stop()


FORMATS = ("jsonl", "jsonl.gz", "json", "csv", "xml", "sqlite", "parquet")


@pytest.mark.parametrize("task", [{"sinks": [*FORMATS]}], indirect=True)
def test_each_item_is_there_once_in_whatever_format_it_is_read(task, tmp_path):
    task.move()
    task.ends()
    names = [{path.name for path in (tmp_path / f"items-{n}" / "a").iterdir()} for n in "12"]
    assert all(len(each) == len(FORMATS) + 1 for each in names), "files are on both"
    for format in FORMATS:
        assert sorted(item["url"] for item in task.found(format=format)) == task.urls, format


def get(node, path, token=""):
    connection = HTTPConnection(node.http_address, timeout=60)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    lines = [json.loads(line) for line in answer.read().splitlines()]
    connection.close()
    return answer, lines


def test_any_master_answers_them_over_http(task):
    task.move()
    task.ends()
    other = task.cluster.master("2")
    answer, lines = get(other, "/crawler/resource/a/items")
    assert (answer.status, answer.headers["Crawl-State"]) == (200, "ended")
    assert sorted(item["url"] for item in lines) == task.urls
    assert get(other, "/crawler/resource/b/items")[0].status == 404
    assert get(other, "/crawler/resource/a/items?epoch=9")[0].status == 404
    task.workers["1"].stop()
    eventually(lambda: len(task.client.nodes(CALL)) == 3)
    answer, [failure] = get(other, "/crawler/resource/a/items")
    assert answer.status == 400
    assert "in no folder" in failure["message"]
    answer, lines = get(other, "/crawler/resource/a/items?skip_missing=true")
    assert (answer.status, answer.headers["Crawl-State"]) == (200, "incomplete")
    assert 0 < len(lines) < COUNT


@pytest.fixture
def soon(monkeypatch):
    """Finished files move at once."""
    monkeypatch.setattr(shared_items, "MOVE_S", 0.1)
    monkeypatch.setattr(shared_items, "ItemMover", partial(ItemMover, idle_s=0.1))


@pytest.mark.parametrize("task", [{"shares": True}], indirect=True)
def test_with_a_shared_place_items_stay_when_their_worker_goes(soon, task, tmp_path, command):  # noqa: F811
    task.move()
    task.ends()
    folders = [tmp_path / f"items-{n}" / "a" for n in "12"]
    eventually(lambda: [each.name for path in folders for each in path.iterdir()] == [".runs"] * 2)
    assert task.seen() == task.urls
    task.workers["1"].stop()
    eventually(lambda: len(task.client.nodes(CALL)) == 2)
    assert task.seen() == task.urls
    answer, lines = get(task.master, "/crawler/resource/a/items")
    assert (answer.status, sorted(item["url"] for item in lines)) == (200, task.urls)
    status, said, errors = command("items", "a", "--folder", (tmp_path / "shared").as_uri())
    assert (status, sorted(json.loads(line)["url"] for line in said)) == (0, task.urls), errors


def test_people_get_them_with_a_command(task, command, tmp_path):  # noqa: F811
    following = gevent.spawn(lambda: command("items", "a", "-f"))
    task.move()
    status, said, errors = following.get(timeout=60)
    assert (status, sorted(json.loads(line)["url"] for line in said)) == (0, task.urls), errors
    file = tmp_path / "all.jsonl"
    file.write_text("of yesterday\n")
    assert command("items", "a", "-O", str(file))[0] == 0
    items = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(item["url"] for item in items) == task.urls
    status, _, errors = command("items", "b")
    assert status == 1
    assert "no worker that answers has items of 'b'" in errors


def test_a_file_is_replaced_as_a_whole_or_not_at_all(task, command, tmp_path):  # noqa: F811
    task.move()
    task.ends()
    file = tmp_path / "out" / "all.jsonl"
    file.parent.mkdir()
    file.write_text("of yesterday\n")
    [part] = (tmp_path / "items-2" / "a").glob("*.jsonl")
    part.write_bytes(part.read_bytes() + b"damaged\n")
    status, _, errors = command("items", "a", "-O", str(file))
    assert status == 1
    assert "go.micro.server.worker-2:" in errors
    assert [path.read_text() for path in file.parent.iterdir()] == ["of yesterday\n"]


def test_a_caller_gets_the_items_of_tasks_within_its_bounds_alone(task, tmp_path):
    task.ends()
    folder = tmp_path / "items-1" / "a"
    earlier = f"{int(task.id) - 1}-1"  # a task of the same name, which may have been anybody's
    (folder / f"{earlier}.jsonl").write_text('{"url": "of others"}\n')
    with (folder / ".runs").open("a") as runs:
        line = {"id": f"{int(task.id) - 1}", "epoch": 1, "files": [earlier]}
        runs.write(f"{json.dumps(line)}\n")
    admin = task.client.create_token(TokenWish("all", Role.ADMIN), CALL).text
    client = Client(task.master.address, token=lambda: admin)
    x = client.create_token(TokenWish("x", Role.VIEWER, {"team": "x"}), CALL).text
    y = client.create_token(TokenWish("y", Role.OPERATOR, {"team": "y"}), CALL).text
    path = "/crawler/resource/a/items"
    eventually(lambda: get(task.master, path)[0].status == 401, what="tokens count")
    assert len(get(task.master, path, x)[1]) == COUNT
    assert get(task.master, path, y)[0].status == 404
    assert [each["url"] for each in task.found(client, id=earlier[:-2])] == ["of others"]
    bounded = Client(task.master.address, token=lambda: x)
    with pytest.raises(NotFound):
        task.found(bounded, id=earlier[:-2])
    node = client.get("a", CALL).owner.node_id
    with pytest.raises(NotFound):
        list(bounded.item_bytes("a", node, f"{earlier}.jsonl", 0, CALL))
    with pytest.raises(InvalidArgument):
        list(client.item_bytes("a", node, "../../pages.py", 0, CALL))
    (folder / f"{earlier}.csv").symlink_to(tmp_path / "pages.py")
    with pytest.raises(NotFound):
        list(client.item_bytes("a", node, f"{earlier}.csv", 0, CALL))
    worker = CrawlsClient(task.workers["1"].address, token=lambda: admin)
    with pytest.raises(Forbidden):
        worker.item_folders("a", CALL)
    with pytest.raises(Forbidden):
        worker.item_passage("a", ".runs", 0, CALL)
    for each in (client, bounded, worker):
        each.close()
