"""The doors of a whole cluster: a token counts on all nodes, and a revoked one on none."""

import http.client
import json

import pytest

from crawler.errors import CrawlerError, NotFound, Rejected
from crawler.model.access import Role, TokenWish
from crawler.model.records import Query, Report, Spec, State
from crawler.settings.sections import ApiSettings
from tests.clients import Client
from tests.clusters import CALL, KEYS, Cluster
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def status(node, path, token="", **headers):
    """The status of a request to a node, with a token or without."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection(node.http_address, timeout=PATIENCE_S)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


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
