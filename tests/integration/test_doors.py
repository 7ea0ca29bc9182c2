"""The doors of a whole cluster: a token counts on all nodes, and a revoked one on none."""

import http.client
import json
from dataclasses import replace

import pytest

from crawler.api.bounded import BoundedBackend
from crawler.errors import CrawlerError, NotFound, Rejected
from crawler.model.access import Caller, Role, TokenWish
from crawler.model.records import Query, Report, Spec, State
from crawler.settings.sections import ApiSettings
from crawler.settings.worker import IN_PROCESS
from tests.clients import Client
from tests.clusters import CALL, KEYS, Cluster
from tests.site import Site
from tests.waiting import PATIENCE_S, eventually

TITLES = """
from crawler import Spider
class Titles(Spider):
    name = "titles"
    def parse(self, response):
        yield {"title": response.css("title::text").get()}
"""


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def status(node, path, token="", **headers):
    """The status of a request to a node, with a token or without."""
    return answered(node, path, token, **headers)[0]


def answered(node, path, token="", **headers):
    """The status and the body of a request to a node, with a token or without."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection(node.http_address, timeout=PATIENCE_S)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def with_token(cluster, node, token):
    client = Client(node.address, token=lambda: token)
    cluster.clients.append(client)
    return client


def test_a_token_counts_on_all_nodes_and_a_revoked_one_on_none(cluster):
    masters = [cluster.master(f"m{n}") for n in (1, 2)]
    worker = cluster.worker("w1")
    paths = [*((node, "/crawler/resource") for node in masters), (worker, "/crawls")]
    before = cluster.client(masters[1])
    for node, path in paths:
        assert status(node, path) == 200, "protected mode answers this machine"
        assert status(node, path, **{"X-Forwarded-For": "127.0.0.1"}) == 403
    made = before.create_token(TokenWish("ours", Role.ADMIN), CALL)
    for node, path in paths:
        eventually(lambda node=node, path=path: status(node, path, made.text) == 200)
        assert status(node, path) == 401
        assert status(node, path, made.text[:-1]) == 401
        assert status(node, "/healthz") == 200
    admin = with_token(cluster, masters[0], made.text)
    viewer = admin.create_token(TokenWish("looks", Role.VIEWER), CALL)
    assert [each.name for each in admin.tokens(CALL)] == ["ours", "looks"]
    for node, path in paths:
        eventually(lambda node=node, path=path: status(node, path, viewer.text) == 200)
    assert admin.revoke_token(viewer.token.id, CALL).name == "looks"
    for node, path in paths:
        eventually(lambda node=node, path=path: status(node, path, viewer.text) == 401)
    with pytest.raises(NotFound, match="no token"):
        admin.revoke_token(viewer.token.id, CALL)


def test_nodes_need_no_configuration_to_work_behind_closed_doors(cluster):
    master = cluster.master("m1")
    cluster.worker("w1")
    first = cluster.client(master)
    made = first.create_token(TokenWish("ours", Role.ADMIN), CALL)
    admin = with_token(cluster, master, made.text)
    eventually(lambda: admin.list(Query(), CALL) is not None)
    admin.add(Spec("x", spider="absent"), CALL, wait_for_spider=True)
    follower = cluster.master("m2")
    through = with_token(cluster, follower, made.text)

    def passed_on():
        try:
            return through.get("x", CALL).state is State.PENDING
        except CrawlerError:
            return False  # it has not seen the leader yet

    eventually(passed_on)
    with pytest.raises(CrawlerError, match="needs a token"):
        with_token(cluster, follower, "").get("x", CALL)


def test_no_secret_of_a_token_is_in_etcd_nor_in_an_answer(cluster):
    master = cluster.master("m1")
    whole = cluster.client(master).create_token(TokenWish("whole", Role.ADMIN), CALL).text
    admin = with_token(cluster, master, whole)
    made = admin.create_token(TokenWish("ours", Role.ADMIN, {"team": "a"}), CALL)
    secret = made.text.split("_", 2)[2]
    stored = [kv.value for kv in cluster.store.range("/").items]
    assert json.loads(cluster.store.get(KEYS.token(made.token.id)).value)["Name"] == "ours"
    assert not [value for value in stored if secret.encode() in value]
    eventually(lambda: status(master, "/crawler/token", made.text) == 403, what="it is bounded")
    connection = http.client.HTTPConnection(master.http_address, timeout=PATIENCE_S)
    connection.request("GET", "/crawler/token", headers={"Authorization": f"Bearer {whole}"})
    answer = connection.getresponse().read()
    connection.close()
    assert b'"ours"' in answer
    assert secret.encode() not in answer


def test_a_foreign_follower_reports_through_open_doors_alone(cluster):
    closed = cluster.master("m1")
    client = cluster.client(closed)
    client.create_token(TokenWish("ours", Role.ADMIN), CALL)
    eventually(lambda: status(closed, "/crawler/resource") == 401)
    stranger = Client(closed.address)
    cluster.clients.append(stranger)
    with pytest.raises(Rejected):
        stranger.report("w", [Report("x", "1", 1, State.DONE)], CALL)
    closed.stop()
    opened = cluster.master("m2", api=ApiSettings(open=True))
    stranger = Client(opened.address)
    cluster.clients.append(stranger)

    def accepted():
        try:
            return stranger.report("w", [Report("x", "1", 1, State.DONE)], CALL) == ["x"]
        except CrawlerError:
            return False  # nobody leads yet

    eventually(accepted)


class Meanwhile:
    """The backend of a leader. Something happens right after a task was looked up."""

    def __init__(self, backend, act):
        self._backend, self._act = backend, act

    def get(self, name, call):
        found = self._backend.get(name, call)
        self._act()
        return found

    def __getattr__(self, name):
        return getattr(self._backend, name)


@pytest.mark.parametrize(
    "change",
    [
        lambda backend, call: backend.update(Spec("x", labels={"team": "a"}, priority=9), call),
        lambda backend, call: backend.again("x", call),
        lambda backend, call: backend.delete("x", call),
    ],
    ids=["update", "again", "delete"],
)
def test_a_task_that_became_anothers_after_the_look_is_not_changed(cluster, change):
    master = cluster.master("m1")
    client = cluster.client(master)
    client.add(Spec("x", spider="absent", labels={"team": "a"}), CALL, wait_for_spider=True)
    theirs = Spec("x", spider="absent", labels={"team": "b"})

    def swap():
        client.delete("x", CALL)
        client.add(theirs, CALL, wait_for_spider=True)

    caller = Caller("token", Role.OPERATOR, {"team": "a"})
    own = master._role.local_backend()
    backend = BoundedBackend(Meanwhile(own, swap), caller)
    with pytest.raises(NotFound, match="no such task"):
        change(backend, replace(CALL, caller=caller))
    found = client.get("x", CALL)
    assert (found.spec, found.generation) == (theirs, 0)


@pytest.mark.parametrize("processes", [IN_PROCESS, 1])
def test_nobody_learns_of_the_crawl_of_an_earlier_task_by_taking_its_name(cluster, processes):
    master = cluster.master("m1")
    settings = replace(cluster.settings().worker, processes=processes)
    (cluster.tmp_path / "titles.py").write_text(TITLES)
    worker = cluster.worker("w1", ["titles.py"], worker=settings)
    whole = cluster.client(master).create_token(TokenWish("whole", Role.ADMIN), CALL).text
    admin = with_token(cluster, master, whole)
    texts = {
        team: admin.create_token(TokenWish(team, Role.VIEWER, {"team": team}), CALL).text
        for team in ("a", "b")
    }

    def seen(team):
        """The tasks whose crawls somebody of that team sees, and whether it sees that of x."""
        status, body = answered(worker, "/crawls", texts[team])
        tasks = [each["task"] for each in json.loads(body).get("crawls", [])]
        return status, tasks, answered(worker, "/crawls/x", texts[team])[0]

    with Site() as site:
        urls = {"start_urls": [site.url("/page/a")]}
        theirs = Spec("x", spider="titles", parameters=urls, labels={"team": "a"})
        admin.add(theirs, CALL)
        eventually(lambda: admin.get("x", CALL).state is State.DONE)
        eventually(lambda: seen("a") == (200, ["x"], 200))
        assert seen("b") == (200, [], 404)
        admin.delete("x", CALL)
        urls = {"start_urls": [site.url("/status/404")]}
        own = replace(theirs, parameters=urls, labels={"team": "b"})
        admin.add(own, CALL)
        eventually(lambda: admin.get("x", CALL).owner is not None)
        eventually(lambda: seen("b")[2] == 200, what="its own crawl")
        assert seen("b") == (200, ["x"], 200)
        assert len(json.loads(answered(worker, "/crawls", whole)[1])["crawls"]) == 2
        assert json.loads(answered(worker, "/crawls/x", texts["b"])[1])["pages"] == 0
