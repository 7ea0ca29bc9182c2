"""Masters and workers together, in one process: what a cluster does as seen from outside."""

import json
from dataclasses import replace

import gevent
import pytest
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from crawler.coordination.store import Delete, Put
from crawler.errors import AlreadyExists, InvalidArgument, NotFound, Unavailable
from crawler.model.records import Query, Report, Spec, State
from tests.clusters import CALL, KEYS, Cluster, Shared, Unreachable, request
from tests.waiting import PATIENCE_S, eventually

SPIDER = {
    "name": "holding",
    "start_urls": ["http://127.0.0.1:1/"],
    "settings": {"robots": False, "delay_s": 0, "retries": 0, "host_concurrency": 100},
    "items": [{"fields": {"title": "h1::text"}}],
}


class HoldingSite:
    """Answers each request only once it is released, and remembers who asked."""

    def __init__(self):
        self.asked = []
        self.open = 0
        self.released = Event()
        self._server = WSGIServer(("127.0.0.1", 0), self._answer, log=None)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self):
        self.released.set()
        self._server.stop(timeout=1)

    def _answer(self, environ, start_response):
        self.asked.append(environ["PATH_INFO"])
        self.released.wait(PATIENCE_S)
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<h1>a title</h1>"]


@pytest.fixture
def site():
    site = HoldingSite()
    yield site
    site.stop()


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def task(site, name, **about):
    parameters = {"start_urls": [f"{site.url}/{name}"]}
    return Spec(name, spider="holding", parameters=parameters, **about)


def add_five(client, site):
    for number in range(5):
        client.add(task(site, f"task-{number}"), CALL)


def states(client):
    return {r.name: r.state for r in client.list(Query(), CALL).resources}


def test_five_tasks_are_split_run_and_done(cluster, site, tmp_path):
    master = cluster.master("1")
    for name in ("1", "2"):
        cluster.worker(name, [SPIDER])
    client = cluster.client(master)
    add_five(client, site)
    assert sorted(cluster.owners().values()) in (list("11122"), list("11222"))
    eventually(lambda: set(states(client).values()) == {State.RUNNING})
    assert eventually(lambda: len(site.asked) == 5)
    site.released.set()
    eventually(lambda: set(states(client).values()) == {State.DONE})
    assert client.get("task-0", CALL).counts.items == 1
    files = sorted((tmp_path / "items").glob("task-*/*.jsonl"))
    assert [json.loads(file.read_text()) for file in files] == [{"title": "a title"}] * 5
    assert sorted(site.asked) == [f"/task-{number}" for number in range(5)], "each by one worker"


def test_a_worker_that_leaves_or_dies_has_its_tasks_moved_and_nothing_else(cluster, site):
    client = cluster.client(cluster.master("1"))
    one = cluster.worker("1", [SPIDER])
    cluster.worker("2", [SPIDER])
    add_five(client, site)
    before = cluster.resources()
    one.stop()
    eventually(lambda: set(cluster.owners().values()) == {"2"})
    after = cluster.resources()
    for name, resource in after.items():
        moved = before[name].owner.node_id.endswith("-1")
        assert (resource.id, resource.creation_time) == (
            before[name].id,
            before[name].creation_time,
        )
        assert resource.epoch == before[name].epoch + moved
    third = cluster.worker("3", [SPIDER])
    cluster.store.txn([], [Delete(KEYS.registration("worker", KEYS.node_id("worker", "2")))])
    eventually(lambda: set(cluster.owners().values()) == {"3"})
    assert third.failure == ""


def test_a_change_of_leader_moves_nothing(cluster, site):
    first, second = cluster.master("1"), cluster.master("2")
    for name in ("1", "2"):
        cluster.worker(name, [SPIDER])
    client = cluster.client(second)
    add_five(client, site)
    eventually(lambda: set(states(client).values()) == {State.RUNNING})
    before = cluster.raw()
    assert request(second, "GET", "/crawler/leader")[2]["address"] == first.address
    first.stop()
    eventually(
        lambda: request(second, "GET", "/crawler/leader")[2].get("address") == second.address
    )
    cluster.client(second)
    assert cluster.raw() == before


def test_requests_reach_the_leader_through_any_master(cluster, site):
    cluster.master("1")
    follower = cluster.master("2")
    worker = cluster.worker("1", [SPIDER])
    cluster.client(follower)
    body = {"id": "zjx", "name": "task-test-4"}
    status, _, answer = request(follower, "POST", "/crawler/resource", body)
    assert (status, answer) == (
        200,
        {"id": "go.micro.server.worker-1", "Address": worker.address},
    )
    assert request(follower, "DELETE", "/crawler/resource", {"name": "task-test-4"})[::2] == (
        200,
        {},
    )
    status, _, answer = request(follower, "DELETE", "/crawler/resource", {"name": "task-test-4"})
    assert (status, answer) == (404, {"code": 5, "message": "no such task", "details": []})


def test_without_a_leader_requests_are_refused_with_the_time_to_try_again(cluster):
    cluster.store.txn([], [Put(KEYS.candidate(1), b"somebody else")])
    master = cluster.master("1")
    status, headers, answer = eventually(
        lambda: request(master, "POST", "/crawler/resource", {"name": "x"})
    )
    assert (status, answer["code"]) == (503, 14)
    assert int(headers["Retry-After"]) >= 1
    assert request(master, "GET", "/healthz")[0] == 200


def test_a_request_takes_one_hop_at_the_most(cluster):
    """A master that is taken for the leader, and is not, does not pass the request on again."""
    one, two = cluster.master("1"), cluster.master("2")
    others = [kv for kv in cluster.store.range(KEYS.election).items]
    cluster.store.txn([], [Delete(kv.key) for kv in others])
    cluster.store.txn([], [Put(KEYS.candidate(1), f"master2-{two.address}".encode())])
    eventually(lambda: request(one, "GET", "/crawler/leader")[2].get("address") == two.address)
    eventually(lambda: request(two, "GET", "/crawler/leader")[2].get("address") == two.address)
    status, _, answer = request(one, "GET", "/crawler/resource")
    assert (status, answer["code"]) == (503, 14)
    assert "does not lead any more" in answer["message"]


def test_a_name_added_twice_is_one_task_or_an_error(cluster, site):
    client = cluster.client(cluster.master("1"))
    cluster.worker("1", [SPIDER])
    first = client.add(task(site, "a"), CALL)
    again = client.add(task(site, "a"), CALL)
    assert (again.id, again.epoch) == (first.id, first.epoch)
    with pytest.raises(AlreadyExists):
        client.add(task(site, "a", priority=1), CALL)
    assert client.nodes(CALL)[-1].unfinished == 1


def test_tasks_wait_for_a_worker_and_say_so(cluster, site):
    client = cluster.client(cluster.master("1"))
    waiting = client.add(task(site, "a"), CALL)
    assert (waiting.state, waiting.owner) == (State.PENDING, None)
    assert "no worker is registered" in client.get("a", CALL).reason
    cluster.worker("1", [SPIDER])
    eventually(lambda: client.get("a", CALL).state is State.RUNNING)
    placed = client.get("a", CALL)
    assert (placed.reason, placed.id) == ("", waiting.id)


def test_deleting_stops_the_crawl(cluster, site):
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", [SPIDER])
    client.add(task(site, "a"), CALL)
    eventually(lambda: site.asked)
    client.delete("a", CALL)
    eventually(lambda: not worker._role._runs.all())
    with pytest.raises(NotFound):
        client.get("a", CALL)
    assert cluster.resources() == {}


def test_updating_what_is_crawled_runs_it_anew(cluster, site):
    client = cluster.client(cluster.master("1"))
    cluster.worker("1", [SPIDER])
    first = client.add(task(site, "a"), CALL)
    eventually(lambda: site.asked == ["/a"])
    other = Spec("a", spider="holding", parameters={"start_urls": [f"{site.url}/other"]})
    changed = client.update(other, CALL)
    assert (changed.id, changed.epoch) == (first.id, first.epoch + 1)
    eventually(lambda: site.asked == ["/a", "/other"])


def test_a_task_without_its_spider_fails_by_name_and_is_placed_anew_when_one_has_it(cluster, site):
    client = cluster.client(cluster.master("1"))
    client.add(task(site, "a"), CALL)
    cluster.worker("1", [{**SPIDER, "name": "another"}])
    eventually(lambda: client.get("a", CALL).state is State.FAILED)
    failed = client.get("a", CALL)
    assert "holding" in failed.reason
    assert "another" in failed.reason
    cluster.worker("2", [SPIDER])
    eventually(lambda: client.get("a", CALL).state is State.RUNNING)
    assert cluster.owners() == {"a": "2"}
    assert client.get("a", CALL).epoch == failed.epoch + 1


def test_a_task_that_may_wait_for_its_spider_waits_until_a_worker_offers_it(cluster, site):
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", [{**SPIDER, "name": "another"}])
    client.add(task(site, "a"), CALL, wait_for_spider=True)
    client.add(replace(task(site, "b"), spider="another"), CALL)
    client.update(task(site, "b"), CALL, wait_for_spider=True)
    for name in "ab":
        waiting = client.get(name, CALL)
        assert (waiting.state, waiting.owner) == (State.PENDING, None)
        assert "no live worker that takes tasks offers 'holding'" in waiting.reason
    assert client.explain("a", CALL).waits_for.startswith(
        "a worker that offers its spider 'holding'"
    )
    assert not [run for run in worker._role._runs.all() if run.name == "a"]
    cluster.worker("2", [SPIDER])
    eventually(lambda: set(states(client).values()) == {State.RUNNING})
    assert cluster.owners() == {"a": "2", "b": "2"}


def test_a_task_that_failed_for_want_of_its_spider_says_what_places_it_again(cluster, site):
    client = cluster.client(cluster.master("1"))
    cluster.worker("1", [{**SPIDER, "name": "another"}])
    client.add(Spec("holding"), CALL)  # a bare name is never refused
    eventually(lambda: client.get("holding", CALL).state is State.FAILED)
    do = "list its file under spiders: in a worker's settings, and start that worker"
    reason = "no spider 'holding' here; this worker has: another"
    reason += f"; it is placed again when a worker offers its spider: {do}"
    assert client.get("holding", CALL).reason == reason
    explained = client.explain("holding", CALL)
    assert explained.reason == reason
    assert explained.waits_for == f"a worker that offers its spider 'holding': {do}"
    assert explained.judgement.chosen == ""
    (verdict,) = explained.judgement.workers
    assert verdict.refusals == {"spider": "does not have its spider"}
    cluster.worker("2", [SPIDER])
    eventually(lambda: cluster.owners() == {"holding": "2"})
    again = client.explain("holding", CALL)
    assert (again.waits_for, again.judgement.chosen) == ("", "go.micro.server.worker-2")
    assert "is placed again" not in again.reason


def test_politeness_changes_on_the_running_crawl(cluster, site):
    site.released.set()
    client = cluster.client(cluster.master("1"))
    cluster.worker("1", [SPIDER])
    urls = [f"{site.url}/{number}" for number in range(5)]
    parameters = {"start_urls": urls, "settings": {"delay_s": 3600}}
    first = client.add(Spec("a", "holding", parameters), CALL)
    eventually(lambda: len(site.asked) == 1)
    quicker = Spec("a", "holding", {**parameters, "settings": {"delay_s": 0.0, "max_pages": 4}})
    changed = client.update(quicker, CALL, restart=False)
    assert (changed.epoch, changed.spec) == (first.epoch, quicker)
    eventually(lambda: client.get("a", CALL).state is State.DONE)
    done = client.get("a", CALL)
    assert (done.epoch, done.counts.pages) == (first.epoch, 4)


def test_any_master_refuses_parameters_that_no_worker_takes(cluster, site):
    """A follower too, over HTTP and gRPC, and without any worker."""
    leader, follower = cluster.master("1"), cluster.master("2")
    bad = {"start_urls": ["h/1"], "settings": {"deny_urls": ["/x/(?!y)"], "delay_s": -3}}
    body = {"name": "a", "spider": "holding", "parameters": bad}
    for node in (leader, follower):
        client = cluster.client(node)
        with pytest.raises(InvalidArgument, match=r"delay_s: -3 is not.*deny_urls: .*look-around"):
            client.add(Spec("a", "holding", bad), CALL)
        status, _, told = request(node, "POST", "/crawler/resource", body)
        assert (status, "deny_urls: ['/x/(?!y)'] is not allowed" in told["message"]) == (400, True)
        assert "parameters.start_urls[0]: 'h/1' is not allowed; allowed: an" in told["message"]
    client.add(Spec("a", "holding"), CALL)
    with pytest.raises(InvalidArgument, match="deny_urls"):
        client.update(Spec("a", "holding", bad), CALL)
    assert request(follower, "PUT", "/crawler/resource/a", body)[0] == 400
    assert client.get("a", CALL).spec.parameters == {}


def test_a_spider_that_no_live_worker_offers_is_told(cluster, site):
    client = cluster.client(cluster.master("1"))
    early = client.add(Spec("early", "nobodys"), CALL)
    assert early.owner is None, "without any worker nothing is known"
    client.delete("early", CALL)
    cluster.worker("1", [SPIDER])
    with pytest.raises(InvalidArgument, match=r"spider: 'nobodys' is offered by no .*: holding;"):
        client.add(Spec("a", "nobodys"), CALL)
    assert client.submit(Spec("a", "nobodys"), CALL, wait_for_spider=True).new
    assert not client.submit(Spec("a", "nobodys"), CALL).new, "it exists, so it is no news"
    with pytest.raises(InvalidArgument, match=r"spider: 'b' is offered by no .*: holding;"):
        client.add(Spec("b", priority=1), CALL)  # its name is that of its spider
    assert client.add(Spec("of the plain form"), CALL).owner is not None


def test_an_update_to_a_spider_that_no_live_worker_offers_is_told(cluster, site):
    client = cluster.client(cluster.master("1"))
    cluster.worker("1", [SPIDER])
    first = client.add(task(site, "a"), CALL)
    elsewhere = replace(task(site, "a"), spider="elsewhere")
    with pytest.raises(InvalidArgument, match=r"spider: 'elsewhere' is offered by no .*holding"):
        client.update(elsewhere, CALL)
    assert client.get("a", CALL).epoch == first.epoch, "it still runs"
    assert client.update(elsewhere, CALL, wait_for_spider=True).spec == elsewhere
    later = replace(elsewhere, priority=3)
    assert client.update(later, CALL).spec == later, "the spider is no news to it"


def test_who_cannot_reach_the_leader_says_that_nobody_leads_to_clients_and_to_who_asks(cluster):
    leader, follower = cluster.master("1"), cluster.master("2")
    client = cluster.client(follower)
    client.add(Spec("a"), CALL)
    assert follower._role.unready_reason() == ""
    leader._faces._rpc.stop(0.0)
    with pytest.raises(
        Unavailable, match=r"^nobody leads: cannot reach .*; try again in 1 s"
    ) as told:
        client.add(Spec("b"), CALL)
    assert follower._role.unready_reason() == str(told.value)


def test_what_another_program_writes_is_placed(cluster, site):
    cluster.client(cluster.master("1"))
    cluster.worker("1", [{**SPIDER, "name": "theirs", "start_urls": [f"{site.url}/theirs"]}])
    cluster.store.txn([], [Put("/resources/theirs", b'{"Name":"theirs","By":"them"}')])
    eventually(lambda: site.asked == ["/theirs"])
    value = json.loads(cluster.store.get("/resources/theirs").value)
    assert value["AssignedNode"].startswith("go.micro.server.worker-1|")
    assert int(value["ID"]) > 0
    assert value["By"] == "them"


def test_seed_tasks_are_added_once(cluster):
    seeds = (Spec("seed-1"), Spec("seed-2", priority=3))
    first = cluster.master("1", tasks=seeds)
    eventually(lambda: len(cluster.resources()) == 2)
    before = cluster.raw()
    second = cluster.master("2", tasks=(*seeds, Spec("seed-3")))
    first.stop()
    eventually(lambda: len(cluster.resources()) == 3)
    assert {key: value for key, value in cluster.raw().items() if key in before} == before
    assert second.failure == ""


def test_a_report_of_an_old_epoch_is_refused(cluster, site):
    client = cluster.client(cluster.master("1"))
    cluster.worker("1", [SPIDER])
    added = client.add(task(site, "a"), CALL)
    worker_id = KEYS.node_id("worker", "1")
    old = Report("a", added.id, added.epoch - 1, State.DONE)
    assert client.report(worker_id, [old], CALL) == ["a"]
    assert client.report(
        "go.micro.server.worker-9", [Report("a", added.id, added.epoch, State.DONE)], CALL
    ) == ["a"]
    assert not client.get("a", CALL).state.finished


def test_a_worker_that_lost_its_lease_stops_and_comes_back_as_another_incarnation(cluster, site):
    client = cluster.client(cluster.master("1"))
    worker = cluster.worker("1", [SPIDER])
    client.add(task(site, "a"), CALL)
    eventually(lambda: len(site.asked) == 1)
    first = worker._membership.session.node.incarnation
    cluster.store.lease_revoke(worker._membership.session.lease.id)
    worker._membership.session.lease.end("the test says so")
    eventually(lambda: len(site.asked) == 2, what="the task is started anew")
    assert worker._membership.session.node.incarnation > first
    assert client.get("a", CALL).epoch == 2
    assert len(worker._role._runs.all()) == 1


def test_a_node_that_comes_back_announces_the_address_that_it_has_then(cluster, monkeypatch):
    worker = cluster.worker("1")
    eventually(lambda: worker._membership.session)
    first = worker._membership.session
    monkeypatch.setattr(type(worker), "address", "10.9.9.9:9090")
    first.lease.end("the test says so")
    eventually(lambda: worker._membership.session not in (None, first))
    assert worker._membership.session.node.address == "10.9.9.9:9090"


def test_a_worker_that_is_cut_off_stops_before_anyone_else_may_start_its_tasks(tmp_path, site):
    cluster = Cluster(tmp_path, ttl_s=5)
    try:
        client = cluster.client(cluster.master("1"))
        network = Unreachable(cluster.store)
        worker = cluster.worker("1", [SPIDER], store=network)
        client.add(task(site, "a"), CALL)
        eventually(lambda: len(site.asked) == 1)
        registered = KEYS.registration("worker", KEYS.node_id("worker", "1"))
        network.cut = True
        eventually(lambda: not worker._role._runs.all())
        assert cluster.store.get(registered), "its registration has not expired yet"
        cluster.worker("2", [SPIDER])
        eventually(lambda: cluster.owners() == {"a": "2"})
        network.cut = False
        eventually(lambda: cluster.store.get(registered), what="it comes back")
    finally:
        cluster.stop()


def test_a_new_leader_reads_before_it_decides_even_if_its_watch_lags(cluster, site):
    """What the first leader stored last must be known to the next, watch or no watch."""
    first = cluster.master("1")
    lagging = Shared(cluster.store)
    second = cluster.master("2", store=lagging, tasks=(Spec("seed", priority=1),))
    client = cluster.client(first)
    second._role._mirrors.resources._take_batch = lambda batch: None
    client.add(Spec("seed"), CALL)
    client.add(Spec("late"), CALL)
    before = cluster.raw()
    first.stop()
    again = cluster.client(second)
    assert cluster.raw() == before
    assert again.get("seed", CALL).spec.priority == 0
    assert again.get("late", CALL).name == "late"


def test_a_master_that_lost_its_lease_campaigns_with_a_new_one(cluster):
    master = cluster.master("1")
    cluster.client(master)
    session = master._membership.session
    cluster.store.lease_revoke(session.lease.id)
    session.lease.end("the test says so")
    eventually(lambda: master._membership.session not in (None, session))
    cluster.client(master).add(Spec("a"), CALL)


def test_counts_of_running_tasks_are_live_and_cost_no_write(cluster, site):
    client = cluster.client(cluster.master("1"))
    cluster.worker("1", [SPIDER])
    added = client.add(task(site, "a"), CALL)
    eventually(lambda: client.get("a", CALL).state is State.RUNNING)
    before = cluster.raw()
    eventually(lambda: client.get("a", CALL).counts.seconds > 0.3)
    assert cluster.raw() == before
    assert added.counts.seconds == 0


def test_listing_is_paged_in_the_order_of_names(cluster):
    client = cluster.client(cluster.master("1"))
    for number in range(7):
        client.add(Spec(f"n{number}"), CALL)
    names, token = [], ""
    while True:
        page = client.list(Query(3, token), CALL)
        assert page.total == 7
        names += [resource.name for resource in page.resources]
        token = page.next_token
        if not token:
            break
    assert names == [f"n{number}" for number in range(7)]
    assert client.list(Query(state=State.DONE), CALL).total == 0


def test_64_clients_at_once_share_transactions(cluster):
    client = cluster.client(cluster.master("1"))
    cluster.worker("1", [SPIDER])
    before = cluster.store.range("/").revision
    adds = [gevent.spawn(client.add, Spec(f"n{n}", spider="holding"), CALL) for n in range(64)]
    gevent.joinall(adds, timeout=PATIENCE_S, raise_error=True)
    ids = {greenlet.value.id for greenlet in adds}
    assert len(ids) == 64
    assert len(cluster.resources()) == 64
    assert cluster.store.range("/").revision - before < 200


@pytest.mark.parametrize("spiders", [[], [SPIDER]], ids=["without", "with"])
def test_a_worker_without_spiders_says_so_once_and_how_to_name_some(cluster, caplog, spiders):
    cluster.worker("1", spiders)
    told = [r.getMessage() for r in caplog.records if "offers no spider" in r.getMessage()]
    assert len(told) == (not spiders)
    assert all("list your spiders' files under spiders:" in each for each in told)


def test_workers_that_come_and_go_are_logged_as_the_reference_does(cluster, caplog):
    caplog.set_level("INFO")
    cluster.client(cluster.master("1"))
    worker = cluster.worker("2")

    def logged():
        return [
            (r.getMessage(), r.fields)
            for r in caplog.records
            if r.name == "crawler.node.master.mirrors"
        ]

    service = {"id": "go.micro.server.worker-2", "address": worker.address}
    joined = ("worker joined: [go.micro.server.worker-2], left: [], changed: []", {})
    eventually(lambda: joined in logged())
    assert ("watch worker change", {"action": "create", "service": service}) in logged()
    worker.stop()
    left = ("worker joined: [], left: [go.micro.server.worker-2], changed: []", {})
    eventually(lambda: left in logged())
    assert ("watch worker change", {"action": "delete", "service": service}) in logged()


def test_a_task_of_a_project_that_is_not_deployed_says_so_when_it_is_explained(cluster):
    client = cluster.client(cluster.master("m1"))
    eventually(lambda: client.leader(CALL), what="somebody leads")
    client.submit(Spec("x", "books", project="shop"), CALL, True)
    waits_for = client.explain("x", CALL).waits_for
    assert "project: 'shop' is not deployed" in waits_for
    assert "crawler deploy --project shop" in waits_for
