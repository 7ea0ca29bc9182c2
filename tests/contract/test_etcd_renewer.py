"""Renewals past the hub: the same certificates and users as every other call to etcd."""

from concurrent import futures

import gevent
import grpc
import pytest
from pyetcd.etcdrpc import rpc_pb2, rpc_pb2_grpc

from crawler.coordination.etcd.store import EtcdStore
from crawler.errors import LeaseLost, Unavailable
from crawler.local.etcd import EmbeddedEtcd
from crawler.settings.sections import EtcdSettings
from tests.contract.certificates import issue
from tests.faults.proxy import Link


def renewed(store, lease):
    """The renewal as it happens, in a native thread."""
    renewer = store.renewer()
    try:
        return gevent.get_hub().threadpool.apply(renewer.renew, (lease, 2.0))
    finally:
        renewer.close()


def opened(endpoint, folder=".", **settings):
    made = EtcdSettings(endpoints=[endpoint], **settings)
    return EtcdStore.open(made, str(folder), silence_s=5.0)


def test_a_lease_is_renewed_and_one_that_is_gone_is_lost(shared_etcd):
    store = opened(shared_etcd.endpoint)
    lease, _ = store.lease_grant(60)
    assert renewed(store, lease) == 60
    store.lease_revoke(lease)
    with pytest.raises(LeaseLost):
        renewed(store, lease)
    store.close()


def test_a_connection_that_led_nowhere_is_not_used_again(shared_etcd):
    """As after a firewall forgot it: no word comes of its end, and a new one works at once."""
    link = Link(shared_etcd.endpoint)
    link.start()
    store = opened(link.endpoint)
    lease, _ = store.lease_grant(60)
    renewer, in_thread = store.renewer(), gevent.get_hub().threadpool.apply
    assert in_thread(renewer.renew, (lease, 2.0)) == 60
    link.forget()
    with pytest.raises(Unavailable, match="timed out"):
        in_thread(renewer.renew, (lease, 0.5))
    assert in_thread(renewer.renew, (lease, 2.0)) == 60
    renewer.close()
    store.close()
    link.stop()


def test_certificates_are_shown_and_looked_at(tmp_path):
    issue(tmp_path, "theirs")
    etcd = EmbeddedEtcd(tls=issue(tmp_path, "ours"))
    etcd.start()
    ours = {"ca": "ours-ca.pem", "cert": "ours.pem", "key": "ours.key"}
    store = opened(etcd.endpoint, tmp_path, **ours)
    lease, _ = store.lease_grant(60)
    assert renewed(store, lease) == 60
    for wrong in (
        {"ca": "theirs-ca.pem"},
        {"cert": "", "key": ""},
        {"cert": "theirs.pem", "key": "theirs.key"},
        {"ca": "", "cert": "", "key": ""},
    ):
        other = opened(etcd.endpoint, tmp_path, **{**ours, **wrong})
        with pytest.raises(Unavailable):
            renewed(other, lease)
        other.close()
    store.close()
    etcd.stop()


class StrictEtcd(rpc_pb2_grpc.LeaseServicer, rpc_pb2_grpc.AuthServicer):
    """Renews leases for the present token only, as a later etcd may."""

    def __init__(self):
        self.tokens = 0
        self.renewals = 0

    def Authenticate(self, request, context):
        if (request.name, request.password) != ("crawler", "open-sesame"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: authentication failed")
        self.tokens += 1
        return rpc_pb2.AuthenticateResponse(token=f"token-{self.tokens}")

    def LeaseKeepAlive(self, requests, context):
        shown = dict(context.invocation_metadata()).get("token")
        if shown != f"token-{self.tokens}":
            why = "invalid auth token" if shown else "user name is empty"
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"etcdserver: {why}")
        for request in requests:
            self.renewals += 1
            yield rpc_pb2.LeaseKeepAliveResponse(ID=request.ID, TTL=60)


@pytest.fixture
def strict():
    """A strict etcd and where it listens."""
    etcd = StrictEtcd()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    rpc_pb2_grpc.add_LeaseServicer_to_server(etcd, server)
    rpc_pb2_grpc.add_AuthServicer_to_server(etcd, server)
    endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield etcd, endpoint
    server.stop(None).wait()


def test_it_signs_in_where_etcd_wants_it_and_anew_when_the_token_has_aged(strict):
    etcd, endpoint = strict
    renewer = opened(endpoint, user="crawler", password="open-sesame").renewer()
    renew = gevent.get_hub().threadpool.apply
    assert [renew(renewer.renew, (7, 2.0)) for _ in range(3)] == [60] * 3
    assert etcd.tokens == 1
    etcd.tokens = 5  # the one that was given is not known any more
    assert renew(renewer.renew, (7, 2.0)) == 60
    assert (etcd.tokens, etcd.renewals) == (6, 4)
    renewer.close()


@pytest.mark.parametrize("user", [{"user": "crawler", "password": "guessed-wrong"}, {}])
def test_what_etcd_refuses_is_no_renewal(strict, user):
    etcd, endpoint = strict
    with pytest.raises(Unavailable, match=r"authentication failed|user name is empty") as refused:
        renewed(opened(endpoint, **user), 7)
    assert "guessed-wrong" not in str(refused.value)
    assert etcd.renewals == 0
