"""At its start a node tells who may come in, if that is more or less than one might think."""

import logging
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from crawler.model.access import Role, TokenWish
from crawler.node.membership.addresses import parse_listen
from crawler.settings.sections import ApiSettings, NodeSettings
from tests.clients import Client
from tests.clusters import CALL, Cluster, answers
from tests.waiting import PATIENCE_S, eventually

EVERYWHERE = {"node": NodeSettings(id="1", http="0.0.0.0:0", grpc="0.0.0.0:0", drain_s=0.05)}
OPEN = "api.open is true: everybody who reaches a port of this node may do everything"
LOCAL = "the cluster has no token yet, so whoever connects from this machine may do everything"
PROTECTED = "the cluster has no token yet, so this node refuses callers of other machines"


@pytest.fixture
def cluster(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def told(caplog, words):
    return [record for record in caplog.records if words in record.message]


def first_token(node):
    """Make the first token, as this machine may do."""
    client = Client(f"127.0.0.1:{node.address.rpartition(':')[2]}")
    eventually(lambda: answers(client), what="a leader is ready")
    text = client.create_token(TokenWish("ours", Role.ADMIN), CALL).text
    client.close()
    return text


def admits(node, text):
    request = Request(
        f"http://{node.http_address}/crawls", headers={"Authorization": f"Bearer {text}"}
    )
    try:
        with urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status == 200
    except HTTPError:
        return False


def test_open_doors_are_a_warning_at_each_start(cluster, caplog):
    for name in ("1", "2"):
        cluster.master(name, api=ApiSettings(open=True))
    eventually(lambda: len(told(caplog, OPEN)) == 2, what="both have warned")
    assert {record.levelname for record in told(caplog, OPEN)} == {"WARNING"}
    assert "crawler token create --role admin" in told(caplog, OPEN)[0].message


def test_a_node_that_others_reach_tells_once_that_it_refuses_them(cluster, caplog):
    first = cluster.master("1", **EVERYWHERE)
    eventually(lambda: told(caplog, PROTECTED), what="it is told")
    text = first_token(first)
    second = cluster.worker("2", **EVERYWHERE)
    eventually(lambda: admits(second, text), what="it has read the tokens")
    [record] = told(caplog, PROTECTED)
    assert record.levelname == "INFO"


def test_a_node_on_loopback_tells_once_that_its_machine_may_do_everything(cluster, caplog):
    node = cluster.master("1")
    eventually(lambda: told(caplog, LOCAL), what="it is told")
    text = first_token(node)
    second = cluster.worker("2")
    eventually(lambda: admits(second, text), what="it has read the tokens")
    [record] = told(caplog, LOCAL)
    assert record.levelname == "INFO"
    assert "before you put a proxy in front" in record.message
    assert not told(caplog, PROTECTED)
    assert not told(caplog, OPEN)


@pytest.mark.parametrize(
    ("address", "is_local"),
    [
        ("127.0.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        (":1", False),
        ("0.0.0.0:1", False),
        ("10.0.0.5:1", False),
        ("crawler.example:1", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(address, is_local):
    assert parse_listen(address).is_local == is_local
