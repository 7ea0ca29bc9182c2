"""Users of etcd: every call carries a token, and a token that has aged costs no call."""

import time

import gevent
import pytest
import trustme

from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.store import Put
from crawler.errors import StoreRefused, Unavailable
from crawler.local.etcd import EmbeddedEtcd, ask
from crawler.settings.sections import EtcdSettings
from tests.depth import deep
from tests.waiting import PATIENCE_S, eventually

PASSWORD = "open-sesame"
AS_ROOT = "--user=root:top-secret"


TOKEN_TTL_S = 1
CHEAP = {"bcrypt-cost": "4"}
"""Passwords that etcd compares at once. With its usual cost each login computes for 0.1 s."""


def set_up_users(etcd):
    """The user `crawler`, who may read and write below /ours/."""
    etcd.etcdctl("user", "add", "root:top-secret")
    etcd.etcdctl("user", "grant-role", "root", "root")
    etcd.etcdctl("user", "add", f"crawler:{PASSWORD}")
    etcd.etcdctl("role", "add", "crawler")
    etcd.etcdctl("role", "grant-permission", "crawler", "--prefix=true", "readwrite", "/ours/")
    etcd.etcdctl("user", "grant-role", "crawler", "crawler")
    etcd.etcdctl("auth", "enable")


@pytest.fixture(scope="module")
def etcd():
    """An etcd with users, which forgets a token after a second without use."""
    started = EmbeddedEtcd(flags={"auth-token-ttl": str(TOKEN_TTL_S), **CHEAP})
    started.start()
    set_up_users(started)
    yield started
    started.stop()


@pytest.fixture
def store(etcd):
    made = opened(etcd)
    yield made
    made.close()


def opened(etcd, user="crawler", password=PASSWORD):
    settings = EtcdSettings(endpoints=[etcd.endpoint], user=user, password=password)
    return EtcdStore.open(settings, ".", silence_s=5.0)


def attempts(etcd):
    """How often anybody tried to sign in, by etcd's own count."""
    counts = ask(etcd.endpoint, "GET", "/metrics").decode().splitlines()
    wanted = [c for c in counts if 'grpc_method="Authenticate"' in c and "handled_total" in c]
    return sum(float(count.rpartition(" ")[2]) for count in wanted)


def test_calls_leases_and_watches_are_signed(etcd, store):
    before = attempts(etcd)
    revision = store.txn([], [Put("/ours/a", b"1")]).revision
    lease, _ = store.lease_grant(60)
    store.txn([], [Put("/ours/b", b"2", lease)])
    assert store.lease_keepalive(lease, 2.0) == 60
    assert next(iter(store.watch("/ours/", revision))).events[0].revision == revision
    store.lease_revoke(lease)
    assert [kv.key for kv in store.range("/ours/").items] == ["/ours/a"]
    assert store.logins == attempts(etcd) - before == 1


def test_what_the_user_may_not_do_is_refused(store):
    for refused in (
        lambda: store.txn([], [Put("/theirs/a", b"1")]),
        lambda: store.get("/theirs/a"),
        lambda: next(iter(store.watch("/theirs/", 1))),
    ):
        with pytest.raises(StoreRefused, match="permission denied"):
            refused()


def forget_tokens(etcd):
    """Let etcd forget the tokens of all users, as it does when a member restarts."""
    etcd.etcdctl("auth", "disable", AS_ROOT)
    etcd.etcdctl("auth", "enable", AS_ROOT)


def test_a_write_after_the_token_is_gone_is_carried_out_once(etcd, store):
    revision = store.txn([], [Put("/ours/a", b"1")]).revision
    forget_tokens(etcd)
    assert store.txn([], [Put("/ours/a", b"2")]).revision == revision + 1
    assert store.get("/ours/a").value == b"2"
    assert store.logins == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.get("/ours/a"),
        pytest.param(lambda store: store.range("/ours/"), marks=deep),
        pytest.param(lambda store: store.lease_grant(60), marks=deep),
        lambda store: next(iter(store.watch("/ours/", 1))),
        lambda store: [r.get() for r in [gevent.spawn(store.get, "/ours/a") for _ in range(20)]],
    ],
    ids=["get", "range", "grant", "watch", "many"],
)
def test_whatever_comes_after_the_token_is_gone_signs_in_once(etcd, store, call):
    store.txn([], [Put("/ours/a", b"1")])
    forget_tokens(etcd)
    before = attempts(etcd)
    assert call(store)
    assert store.logins == 2
    assert attempts(etcd) == before + 1


def test_a_token_that_nobody_used_for_long_is_renewed(etcd, store):
    store.txn([], [Put("/ours/a", b"1")])
    used_s = time.monotonic()
    # etcd looks for aged tokens each second.
    eventually(lambda: time.monotonic() > used_s + TOKEN_TTL_S + 1.5)
    assert store.get("/ours/a").value == b"1"
    assert store.logins == 2, "it was still known"


def test_a_restart_of_etcd_which_forgets_all_tokens_is_no_refusal(etcd, store):
    store.txn([], [Put("/ours/a", b"1")])
    lease, _ = store.lease_grant(60)
    watch, ended = store.watch("/ours/", 1), []
    following = gevent.spawn(lambda: [ended.append(b) for b in watch])
    eventually(lambda: ended)
    etcd.restart()
    with pytest.raises(Unavailable):
        following.get(timeout=PATIENCE_S)
    eventually(lambda: is_answered(store))
    assert store.lease_keepalive(lease, 2.0) == 60
    assert next(iter(store.watch("/ours/", 1))).events[0].key == "/ours/a"
    assert store.logins == 2


def is_answered(store):
    """Whether it answers; a refusal is an error, as the user did nothing wrong."""
    try:
        return store.get("/ours/a") is not None
    except Unavailable:
        return False


def test_a_wrong_password_is_told_and_not_tried_again_and_again(etcd):
    before = attempts(etcd)
    store = opened(etcd, password="guessed-wrong")
    for _ in range(20):
        with pytest.raises(StoreRefused, match=r"'crawler'.*CRAWLER_ETCD_PASSWORD") as refused:
            store.get("/ours/a")
        assert "guessed-wrong" not in str(refused.value)
    with pytest.raises(StoreRefused):
        store.watch("/ours/", 1)
    assert store.logins == attempts(etcd) - before == 1
    store.close()


def test_an_unknown_user_and_none_at_all_are_told(etcd):
    for user, password, complaint in (
        ("nobody", "x", "'nobody'"),
        ("", "", r"set etcd\.user, and CRAWLER_ETCD_PASSWORD"),
    ):
        store = opened(etcd, user, password)
        with pytest.raises(StoreRefused, match=complaint):
            store.txn([], [Put("/ours/a", b"1")])
        store.close()


def test_an_etcd_that_asks_nobody_takes_a_user_all_the_same(shared_etcd):
    store = opened(shared_etcd)
    assert store.txn([], [Put("/ours/a", b"1")]).succeeded
    store.close()


def test_users_that_come_later_are_signed_in(own_etcd):
    store = opened(own_etcd)
    store.txn([], [Put("/ours/a", b"1")])
    set_up_users(own_etcd)
    assert store.get("/ours/a").value == b"1"
    store.close()


@pytest.fixture(scope="module")
def signing_etcd(tmp_path_factory):
    """An etcd with signed tokens (JWT), with the users' revision in them, which end in a second."""
    key, path = (
        trustme.CA(key_type=trustme.KeyType.RSA).private_key_pem,
        tmp_path_factory.mktemp("jwt"),
    )
    key.write_to_path(path / "key")
    token = f"jwt,sign-method=RS256,priv-key={path / 'key'},ttl=1s"
    started = EmbeddedEtcd(flags={"auth-token": token, **CHEAP})
    started.start()
    set_up_users(started)
    yield started
    started.stop()


def test_a_signed_token_is_renewed_whenever_it_ends(signing_etcd):
    store = opened(signing_etcd)
    store.txn([], [Put("/ours/a", b"1")])
    eventually(lambda: store.get("/ours/a") and store.logins == 3)
    store.close()


def test_a_change_of_roles_which_ages_signed_tokens_costs_no_call(signing_etcd):
    store = opened(signing_etcd)
    revision = store.txn([], [Put("/ours/a", b"1")]).revision
    signing_etcd.etcdctl("role", "add", "another", AS_ROOT)
    assert store.txn([], [Put("/ours/a", b"2")]).revision == revision + 1
    assert store.logins == 2
    store.close()


def test_the_password_shows_nowhere():
    settings = EtcdSettings(user="crawler", password=PASSWORD)
    store = EtcdStore.open(settings, ".", silence_s=5.0)
    assert PASSWORD not in repr(settings) + repr(vars(store))
    store.close()
