"""A task on several workers, as people ask for it and see it: over HTTP, gRPC and in etcd."""

import json
from contextlib import contextmanager
from urllib.request import urlopen

import pytest

from crawler.coordination.keys import WORKER
from crawler.coordination.registration import encode_node
from crawler.coordination.store import Delete, Put
from crawler.errors import AlreadyExists, InvalidArgument
from crawler.model.records import Counts, Node, Query, Report, Sort, Spec, State
from crawler.settings.worker import FrontierSettings
from tests.clusters import CALL, KEYS, Cluster, request
from tests.waiting import eventually

SHARED = FrontierSettings(url="redis://127.0.0.1:1/0")
"""A master needs to know that there is a Redis, and never asks it."""


class Shop(Cluster):
    """A master, and three workers that do what the test says."""

    def open(self, **sections):
        self.master("1", **sections)
        self.ids = [KEYS.node_id(WORKER, str(number)) for number in (1, 2, 3)]
        for number, id in enumerate(self.ids):
            node = Node(id, f"127.0.0.1:{number + 1}", spiders=frozenset({"books"}))
            value = encode_node(KEYS.service(WORKER), node)
            self.store.txn([], [Put(KEYS.registration(WORKER, id), value)])
        self.api = self.client()
        eventually(lambda: len(self.api.nodes(CALL)) == 4)
        return self

    def report(self, name, state, reason="", shards=(), **counts):
        present = self.resources()[name]
        told = Report(
            *(name, present.id, present.epoch, state, reason),
            counts=Counts(**counts),
            shard_counts=dict(shards),
        )
        assert self.api.report(present.owner.node_id, [told], CALL) == []

    def http(self, method, path, body=None):
        status, _, answer = request(self.nodes[0], method, f"/crawler{path}", body)
        return status, answer


@contextmanager
def opened(tmp_path, **sections):
    shop = Shop(tmp_path)
    try:
        yield shop.open(**sections)
    finally:
        shop.stop()


@pytest.fixture
def shop(tmp_path):
    with opened(tmp_path, frontier=SHARED) as shop:
        yield shop


def test_a_task_on_several_workers_is_several_resources_and_one_task(shop):
    assert shop.http("POST", "/resource", {"name": "books", "workers": 3})[0] == 200
    stored = shop.resources()
    assert sorted(stored) == ["books", "books~1", "books~2"]
    assert len({each.owner.node_id for each in stored.values()}) == 3
    shop.report("books", State.RUNNING, pages=5, items=1, seconds=2.0)
    shop.report("books~2", State.RUNNING, pages=7, failures=2, seconds=1.5)
    _, told = shop.http("GET", "/resource")
    [books] = told["resources"]
    assert (told["total"], books["workers"], books["running"]) == (1, 3, 2)
    assert books["counts"] == {"pages": "12", "items": "1", "failures": "2", "seconds": 2.0}
    assert shop.http("GET", "/resource/books")[1] == books
    _, told = shop.http("GET", "/resource?shards=true")
    by_name = {each["name"]: each for each in told["resources"]}
    assert (sorted(by_name), told["total"]) == (sorted(stored), 3)
    assert [by_name[name]["counts"]["pages"] for name in sorted(by_name)] == ["5", "0", "7"]
    assert (by_name["books~2"]["shard"], by_name["books~2"]["shardOf"]) == (2, "books")
    assert by_name["books~2"]["running"] == 1


def test_grpc_and_other_programs_see_the_same(shop):
    made = shop.api.add(Spec("books", workers=2), CALL)
    assert made.spec == Spec("books", workers=2)
    page = shop.api.list(Query(), CALL)
    assert [each.name for each in page.resources] == ["books"]
    page = shop.api.list(Query(shards=True), CALL)
    assert [(each.name, each.spec.shard) for each in page.resources] == [
        ("books", 0),
        ("books~1", 1),
    ]
    assert shop.api.list(Query(state=State.ASSIGNED), CALL).total == 1
    values = [json.loads(raw) for raw in shop.raw().values()]
    assert {value["ID"] for value in values} == {made.id}
    assert all({"ID", "Name", "AssignedNode", "CreationTime"} <= value.keys() for value in values)


def test_pages_of_a_listing_count_tasks(shop):
    for name in ("a", "b", "c"):
        shop.api.add(Spec(name, spider="books", workers=3), CALL)
    first = shop.api.list(Query(2), CALL)
    assert ([each.name for each in first.resources], first.total) == (["a", "b"], 3)
    rest = shop.api.list(Query(2, first.next_token), CALL)
    assert ([each.name for each in rest.resources], rest.next_token) == (["c"], "")


def test_tasks_are_sorted_by_the_counts_of_all_their_shards(shop):
    for name in ("a", "b", "c"):
        shop.api.add(Spec(name, spider="books", workers=2 if name == "b" else 1), CALL)
    shop.report("a", State.RUNNING, pages=6)
    shop.report("b", State.RUNNING, pages=4)
    shop.report("b~1", State.RUNNING, pages=4)

    def listed(**query):
        page = shop.api.list(Query(sort=Sort.PAGES, descending=True, **query), CALL)
        return [(each.name, each.counts.pages) for each in page.resources]

    assert listed() == [("b", 8), ("a", 6), ("c", 0)]
    assert listed(shards=True) == [("a", 6), ("b", 4), ("b~1", 4), ("c", 0)]
    own = shop.resources()["c"].owner.node_id
    found = {each.name for each in shop.api.list(Query(node=own, shards=True), CALL).resources}
    assert found == {name for name, each in shop.resources().items() if each.owner.node_id == own}
    short = own.removeprefix(KEYS.node_id(WORKER, ""))
    assert shop.api.list(Query(node=short, shards=True), CALL).total == len(found)
    assert shop.api.list(Query(node="7"), CALL).total == 0


def test_explaining_a_task_says_where_its_shards_are(shop):
    shop.api.add(Spec("books", workers=5), CALL)
    told = shop.api.explain("books", CALL)
    assert [each.name for each in told.shards] == [f"books~{number}" for number in range(1, 5)]
    assert {each.state for each in told.shards} == {"assigned"}
    assert {each.assigned_node for each in told.shards} == set(shop.ids)
    of_shard = shop.api.explain("books~1", CALL)
    assert not of_shard.shards
    assert "shards" in {
        score.plugin for each in of_shard.judgement.workers for score in each.scores
    }


def test_what_is_asked_of_a_shard_alone_is_refused(shop):
    shop.api.add(Spec("books", workers=2), CALL)
    for method, path in (
        ("DELETE", "/resource/books~1"),
        ("POST", "/resource/books~1/again"),
        ("PUT", "/resource/books~1"),
    ):
        status, told = shop.http(method, path, {} if method == "PUT" else None)
        assert (status, told["message"]) == (
            400,
            "name: 'books~1' is a shard of the task 'books'; name that task",
        )
    with pytest.raises(InvalidArgument, match="'other~7' is not allowed"):
        shop.api.add(Spec("other~7", spider="books"), CALL)
    assert sorted(shop.resources()) == ["books", "books~1"]


@pytest.mark.parametrize("workers", [0, 65, -1, "four", 2.5])
def test_a_number_of_workers_that_cannot_be_is_refused(shop, workers):
    status, told = shop.http("POST", "/resource", {"name": "books", "workers": workers})
    assert status == 400
    assert told["message"].startswith("workers: ")
    assert told["message"].endswith("is not allowed; allowed is an integer from 1 to 64")


def test_the_number_changes_over_http_and_nothing_is_assigned_anew(shop):
    shop.http("POST", "/resource", {"name": "books"})
    shop.http("PUT", "/resource/books", {"workers": 2})
    before = shop.resources()["books"]
    for workers in (3, 2, 1, 2, 1):
        status, told = shop.http("PUT", "/resource/books", {"workers": workers})
        assert (status, told["workers"]) == (200, workers)
        assert len(shop.resources()) == workers
        assert shop.resources()["books"].epoch == before.epoch
    status, told = shop.http("POST", "/resource", {"name": "books", "workers": 2})
    assert (status, told["code"]) == (409, 6), "it exists with another number"


def test_when_the_task_is_done_its_shards_are_too(shop):
    shop.api.add(Spec("books", workers=2), CALL)
    shop.report("books~1", State.DONE, pages=2)
    shop.report("books", State.DONE, pages=3)
    told = shop.api.get("books", CALL)
    assert (told.state, told.counts.pages, told.running) == (State.DONE, 5, 0)
    shop.api.again("books", CALL)
    assert {each.generation for each in shop.resources().values()} == {1}
    shop.api.delete("books", CALL)
    assert shop.resources() == {}


def test_what_removed_shards_have_counted_stays_with_their_task(shop):
    def told():
        counts = shop.api.get("books", CALL).counts
        [listed] = shop.api.list(Query(), CALL).resources
        assert listed.counts == counts
        return counts.pages, counts.items, counts.failures, counts.seconds

    shop.api.add(Spec("books", workers=3), CALL)
    shop.report("books~1", State.RUNNING, pages=20, items=21, failures=22, seconds=9.0)
    shop.report("books~2", State.RUNNING, pages=300, items=310, failures=320, seconds=8.0)
    heard = {1: Counts(19, 19, 19, 8.0), 2: Counts(305, 315, 325, 9.5)}
    shop.report("books", State.RUNNING, shards=heard, pages=1, items=1, failures=1, seconds=3.0)
    assert told() == (321, 332, 343, 9.0), "what is there tells for itself"
    shop.api.update(Spec("books", workers=2), CALL)
    assert told() == (326, 337, 348, 9.5)
    shop.api.update(Spec("books", workers=3), CALL)
    assert told() == (326, 337, 348, 9.5), "the shard is back, and has told nothing yet"
    shop.report("books~2", State.RUNNING, pages=400, items=400, failures=400, seconds=10.0)
    assert told()[0] == 421
    shop.api.update(Spec("books", workers=1), CALL)
    heard = {1: Counts(25), 2: Counts(402)}
    shop.report("books", State.DONE, shards=heard, pages=3)
    assert told()[0] == 430
    shop.nodes.pop(0).stop()
    shop.master("2", frontier=SHARED)
    shop.api = shop.client()
    eventually(lambda: told()[0] == 430, what="a new leader knows it, too")
    shop.api.again("books", CALL)
    eventually(lambda: shop.resources()["books"].owner is not None)
    assert told()[0] == 0


def test_what_a_shard_has_counted_stays_while_it_moves(shop):
    shop.api.add(Spec("books", workers=2), CALL)
    shop.report("books", State.RUNNING, pages=1)
    shop.report("books~1", State.RUNNING, pages=20)
    assert shop.api.get("books", CALL).counts.pages == 21
    shard = shop.api.get("books~1", CALL)
    told = Report(shard.name, shard.id, shard.epoch, State.FAILED, "gone", interrupted=True)
    shop.api.report(shard.owner.node_id, [told], CALL)
    assert shop.api.get("books~1", CALL).epoch > shard.epoch
    assert shop.api.get("books", CALL).counts.pages == 21


def test_metrics_count_tasks(shop):
    shop.api.add(Spec("books", workers=3), CALL)
    text = metrics(shop)
    assert 'crawler_tasks{state="assigned"} 1.0' in text


def metrics(shop):
    with urlopen(f"http://{shop.nodes[0].http_address}/metrics") as answer:
        return answer.read().decode()


def test_a_new_leader_makes_what_an_earlier_one_left_undone(shop):
    shop.api.add(Spec("books", workers=3), CALL)
    shop.nodes.pop(0).stop()
    lost = [KEYS.resource(name) for name in ("books~1", "books~2")]
    shop.store.txn([], [Delete(key) for key in lost])
    shop.master("2", frontier=SHARED)
    eventually(lambda: sorted(shop.resources()) == ["books", "books~1", "books~2"])


def test_without_a_redis_it_is_refused_with_the_reason(tmp_path):
    with opened(tmp_path) as shop:
        with pytest.raises(
            InvalidArgument, match=r"workers: more than 1 .* frontier.url to a Redis"
        ):
            shop.api.add(Spec("books", workers=2), CALL)
        shop.api.add(Spec("books"), CALL)
        with pytest.raises(InvalidArgument, match=r"workers: more than 1"):
            shop.api.update(Spec("books", workers=2), CALL)


def test_a_task_of_that_name_stands_in_the_way(shop):
    """Nobody can add one; it is from another program, or an older version."""
    raw = b'{"ID":"7","Name":"books~1","AssignedNode":"","CreationTime":1}'
    shop.store.txn([], [Put(KEYS.resource("books~1"), raw)])
    eventually(lambda: shop.api.list(Query(), CALL).total == 1)
    with pytest.raises(AlreadyExists, match="needs the name 'books~1', which another task has"):
        shop.api.add(Spec("books", workers=2), CALL)
