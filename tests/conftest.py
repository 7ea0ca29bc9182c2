"""Fixtures shared by all tests: a real etcd for the session, and a fresh store for each test."""

from __future__ import annotations

import logging

import pytest

from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Delete


@pytest.fixture(scope="session", autouse=True)
def own_settings_folder(tmp_path_factory):
    """Commands keep tokens in a folder of the session, and not in that of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("settings")))
        yield


@pytest.fixture
def former_logs():
    """What logs were set up before a test is put back after it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def shared_etcd():
    """One etcd for all tests that leave it as they found it."""
    from crawler.local.etcd import EmbeddedEtcd

    etcd = EmbeddedEtcd()
    etcd.start()
    yield etcd
    etcd.stop()


@pytest.fixture
def own_etcd():
    """An etcd that a test may kill, freeze or restart."""
    from crawler.local.etcd import EmbeddedEtcd

    etcd = EmbeddedEtcd()
    etcd.start()
    yield etcd
    etcd.stop()


@pytest.fixture
def etcd_store(shared_etcd):
    """A connection to the shared etcd, empty before and after the test."""
    store = EtcdStore([shared_etcd.endpoint])
    _empty(store)
    yield store
    _empty(store)
    store.close()


@pytest.fixture(scope="session")
def shared_redis():
    """One Redis for all tests, each of which takes names of its own."""
    yield from _started_redis()


@pytest.fixture(scope="module")
def redis():
    """A Redis for the tests of one file, which may kill it and start it again."""
    yield from _started_redis()


@pytest.fixture
def own_redis():
    """A Redis that a test may kill, freeze or empty."""
    yield from _started_redis()


def _started_redis():
    from tests.redis_servers import Redis

    with Redis() as server:
        yield server


@pytest.fixture
def memory_store():
    store = MemoryStore()
    yield store
    store.close()


@pytest.fixture(params=["memory", "etcd"])
def store(request):
    """The store under contract: each test that asks for it runs on both."""
    return request.getfixturevalue(f"{request.param}_store")


def _empty(store):
    for kv in store.range("/").items:
        store.txn([], [Delete(kv.key)])
        if kv.lease:
            store.lease_revoke(kv.lease)
