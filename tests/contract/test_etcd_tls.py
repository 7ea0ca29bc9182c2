"""TLS to etcd: both sides show certificates, and whatever is wrong with them is told."""

import gevent
import pytest

from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.store import Put
from crawler.errors import ConfigError, Unavailable
from crawler.local.etcd import EmbeddedEtcd
from crawler.node.node import Node
from crawler.settings.sections import EtcdSettings, Settings
from tests.contract.certificates import files, issue, lock
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With the certificates `ours` and `theirs`, of two authorities."""
    made = tmp_path_factory.mktemp("certificates")
    issue(made, "theirs")
    issue(made, "ours")
    lock(made / "ours.key", made / "locked.key")
    (made / "empty").write_bytes(b"")
    return made


@pytest.fixture(scope="module")
def etcd(folder):
    """An etcd that takes clients with certificates of `ours` only."""
    started = EmbeddedEtcd(tls=files(folder, "ours"))
    started.start()
    yield started
    started.stop()


OURS = {"ca": "ours-ca.pem", "cert": "ours.pem", "key": "ours.key"}


def opened(etcd, folder, **settings):
    made = EtcdSettings(endpoints=[etcd.endpoint], timeout_s=2.0, **settings)
    return EtcdStore.open(made, str(folder), silence_s=5.0)


def test_calls_leases_and_watches_go_through_it(etcd, folder):
    store = opened(etcd, folder, **OURS)
    revision = store.txn([], [Put("/a", b"1")]).revision
    assert store.get("/a").value == b"1"
    lease, _ = store.lease_grant(60)
    assert store.lease_keepalive(lease, 2.0) == 60
    watch = store.watch("/a", revision)
    assert next(iter(watch)).revision == revision
    assert etcd.etcdctl("get", "/a", "--print-value-only").strip() == "1"
    store.close()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ca": "theirs-ca.pem"}, "not signed by etcd.ca"),
        ({"cert": "", "key": ""}, "etcd.cert"),
        ({"cert": "theirs.pem", "key": "theirs.key"}, "etcd.cert"),
        ({"ca": "", "cert": "", "key": ""}, "set etcd.ca"),
    ],
)
def test_a_certificate_that_does_not_fit_is_told_and_nothing_hangs(etcd, folder, change, complaint):
    store = opened(etcd, folder, **{**OURS, **change})
    with gevent.Timeout(PATIENCE_S), pytest.raises(Unavailable, match=complaint):
        store.txn([], [Put("/refused", b"1")])
    with pytest.raises(Unavailable):
        next(iter(store.watch("/", 1)))
    store.close()


def test_a_certificate_for_another_host_is_refused(etcd, folder):
    elsewhere = EtcdSettings(endpoints=[etcd.endpoint.replace("127.0.0.1", "localhost")], **OURS)
    store = EtcdStore.open(elsewhere, str(folder), silence_s=5.0)
    with pytest.raises(Unavailable, match="names other hosts"):
        store.get("/a")
    store.close()


def test_an_etcd_without_tls_is_named(shared_etcd, folder):
    store = opened(shared_etcd, folder, **OURS)
    with pytest.raises(Unavailable, match=r"no TLS, but etcd\.ca"):
        eventually(lambda: store.get("/a"))
    store.close()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ca": "none.pem"}, r"etcd\.ca: .*none\.pem: cannot be read"),
        ({"key": "none.key"}, r"etcd\.key: .*none\.key: cannot be read"),
        ({"cert": "."}, r"etcd\.cert: .*: cannot be read"),
        ({"ca": "empty"}, r"etcd\.ca: .*empty: contains no certificate"),
        ({"ca": "ours.key"}, r"etcd\.ca: .*ours\.key: contains no certificate"),
        ({"cert": "empty"}, r"etcd\.cert: .*empty: contains no certificate"),
        ({"key": "theirs.key"}, r"etcd\.key: .*theirs\.key: .* belongs to etcd\.cert"),
        ({"key": "locked.key"}, r"etcd\.key: .*locked\.key: is no private key without a password"),
        ({"key": "ours.pem"}, r"etcd\.key: .*ours\.pem: is no private key"),
    ],
)
def test_bad_files_are_named_before_anything_starts(folder, change, complaint):
    etcd = EtcdSettings(**{**OURS, **change})
    with pytest.raises(ConfigError, match=complaint):
        Node("worker", Settings(etcd=etcd, folder=str(folder)))
