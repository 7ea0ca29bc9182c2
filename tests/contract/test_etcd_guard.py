"""A guard revokes a lease through etcd's JSON gateway: plain, with TLS, and as a user."""

import shutil
import socket

import gevent
import pytest

from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.store import Put
from crawler.local.etcd import EmbeddedEtcd
from crawler.node.guard import revoking
from crawler.node.guard.revoking import Etcd
from crawler.settings.sections import EtcdSettings
from tests.contract.certificates import files, issue
from tests.contract.test_etcd_users import CHEAP, PASSWORD, set_up_users


def held(store, key="/ours/key"):
    """A lease, and a key under it."""
    lease, _ = store.lease_grant(300)
    store.txn([], [Put(key, b"1", lease)])
    return lease


def test_the_lease_is_gone_and_its_keys_too(etcd_store, shared_etcd):
    lease = held(etcd_store)
    assert Etcd([shared_etcd.endpoint]).revoke(lease) == ""
    assert etcd_store.get("/ours/key") is None


def test_a_lease_that_has_ended_is_no_error_and_no_other_is_touched(etcd_store, shared_etcd):
    """A guard may be late: by then its node may be back, under the same key."""
    earlier = held(etcd_store)
    etcd_store.lease_revoke(earlier)
    later = held(etcd_store)
    assert Etcd([shared_etcd.endpoint]).revoke(earlier) == ""
    assert etcd_store.get("/ours/key").lease == later
    etcd_store.lease_revoke(later)


def test_the_next_endpoint_is_asked_if_one_does_not_answer(etcd_store, shared_etcd):
    lease = held(etcd_store)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = f"127.0.0.1:{closed.getsockname()[1]}"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = f"127.0.0.1:{silent.getsockname()[1]}"
        assert Etcd([gone, mute, shared_etcd.endpoint]).revoke(lease) == ""
    assert etcd_store.get("/ours/key") is None


def test_an_etcd_that_was_too_slow_is_asked_again(etcd_store, shared_etcd, monkeypatch):
    """By then it may have done what it was asked first."""
    monkeypatch.setattr(revoking, "CALL_S", 0.05)
    lease = held(etcd_store)
    shared_etcd.pause()
    waking = gevent.spawn_later(0.2, shared_etcd.resume)
    assert Etcd([shared_etcd.endpoint]).revoke(lease) == ""
    waking.join()
    assert etcd_store.get("/ours/key") is None


@pytest.mark.parametrize("answer", [b"", b"no HTTP", b"HTTP/1.0 500 No\r\n\r\nsorry"])
def test_what_is_no_etcd_is_named(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        served = gevent.spawn(serve)
        assert endpoint in Etcd([endpoint]).revoke(7, 0.0)
        served.join()


def test_an_address_of_ipv6_is_understood(etcd_store, shared_etcd):
    port = shared_etcd.endpoint.rpartition(":")[2]
    lease = held(etcd_store)
    assert Etcd([f"[::ffff:127.0.0.1]:{port}"]).revoke(lease) == ""
    assert etcd_store.get("/ours/key") is None


def test_with_tls_it_shows_the_certificate_of_the_node(tmp_path):
    issue(tmp_path, "ours")
    issue(tmp_path, "theirs")
    shutil.copytree(tmp_path, tmp_path / "of etcd")
    etcd = EmbeddedEtcd(tls=files(tmp_path / "of etcd", "ours"))
    etcd.start()
    names = {"ca": "ours-ca.pem", "cert": "ours.pem", "key": "ours.key"}
    store = EtcdStore.open(
        EtcdSettings(endpoints=[etcd.endpoint], **names), str(tmp_path), silence_s=5.0
    )
    lease = held(store)

    def reached(**named):
        return Etcd([etcd.endpoint], **{name: str(tmp_path / of) for name, of in named.items()})

    assert "certificate" in reached(**(names | {"ca": "theirs-ca.pem"})).revoke(lease, 0.0)
    assert Etcd([etcd.endpoint]).revoke(lease, 0.0)
    assert store.get("/ours/key")
    ready = reached(**names)
    for name in names.values():
        (tmp_path / name).unlink()  # it has read them
    assert ready.revoke(lease) == ""
    assert store.get("/ours/key") is None
    store.close()
    etcd.stop()


def test_as_a_user_it_signs_in():
    etcd = EmbeddedEtcd(flags=CHEAP)
    etcd.start()
    open_to_all = Etcd([etcd.endpoint], user="crawler", password=PASSWORD)
    assert open_to_all.revoke(7) == "", "an etcd without users asks for no password"
    set_up_users(etcd)
    known = EtcdSettings(endpoints=[etcd.endpoint], user="crawler", password=PASSWORD)
    store = EtcdStore.open(known, ".", silence_s=5.0)
    lease = held(store)
    assert "user name is empty" in Etcd([etcd.endpoint]).revoke(lease, 0.0)
    wrong = Etcd([etcd.endpoint], user="crawler", password="wrong").revoke(lease, 0.0)
    assert "authentication failed" in wrong
    assert "wrong" not in wrong
    assert store.get("/ours/key")
    assert Etcd([etcd.endpoint], user="crawler", password=PASSWORD).revoke(lease) == ""
    assert store.get("/ours/key") is None
    store.close()
    etcd.stop()
