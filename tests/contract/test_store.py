"""The contract of the store, the same tests for etcd and for memory."""

import gevent
import pytest

from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import (
    Delete,
    Get,
    Put,
    absent,
    created_at,
    unchanged,
    unchanged_below,
)
from crawler.errors import Compacted, LeaseLost
from tests.waiting import PATIENCE_S, eventually


def put(store, key, value=b"v", lease=0):
    return store.txn([], [Put(key, value, lease)]).revision


def collect(watch, into):
    """Gather a watch's events in a greenlet; its error, if any, comes last."""

    def run():
        try:
            for batch in watch:
                into.extend(batch.events)
        except Exception as error:
            into.append(error)

    return gevent.spawn(run)


def compact(store, revision, request):
    if isinstance(store, MemoryStore):
        store.compact(revision)
    else:
        # Without --physical etcd answers before it has forgotten anything.
        request.getfixturevalue("shared_etcd").etcdctl("compact", "--physical", str(revision))


def test_get_of_a_missing_key_is_none(store):
    assert store.get("/a") is None


def test_put_and_get_with_revisions(store):
    first = put(store, "/a", b"1")
    second = put(store, "/a", b"2")
    kv = store.get("/a")
    assert (kv.key, kv.value, kv.create_revision, kv.mod_revision) == ("/a", b"2", first, second)
    assert second > first


def test_a_key_created_anew_has_another_create_revision(store):
    first = put(store, "/a")
    store.txn([], [Delete("/a")])
    again = put(store, "/a")
    assert store.get("/a").create_revision == again > first


def test_range_is_sorted_and_keeps_to_its_prefix(store):
    for key in ("/a/2", "/a/1", "/ab", "/b"):
        put(store, key)
    assert [kv.key for kv in store.range("/a/").items] == ["/a/1", "/a/2"]


def test_range_at_an_older_revision_shows_what_stood_then(store):
    put(store, "/a/1", b"old")
    revision = put(store, "/a/2", b"kept")
    put(store, "/a/1", b"new")
    store.txn([], [Delete("/a/2")])
    then = store.range("/a/", revision)
    assert [(kv.key, kv.value) for kv in then.items] == [("/a/1", b"old"), ("/a/2", b"kept")]
    assert then.revision == revision
    assert [kv.value for kv in store.range("/a/").items] == [b"new"]


def test_range_of_more_keys_than_a_page_is_whole(store, monkeypatch):
    monkeypatch.setattr("crawler.coordination.etcd.store.PAGE", 7)
    for start in range(0, 30, 10):
        store.txn([], [Put(f"/p/{n:02}", b"") for n in range(start, start + 10)])
    assert [kv.key for kv in store.range("/p/").items] == [f"/p/{n:02}" for n in range(30)]


def test_range_below_the_compacted_revision_is_refused(store, request):
    revision = put(store, "/a")
    later = put(store, "/a")
    compact(store, later, request)
    with pytest.raises(Compacted):
        store.range("/a", revision)


def test_transaction_carries_out_one_of_two_lists(store):
    made = store.txn([absent("/a")], [Put("/a", b"mine")], [Get("/a")])
    refused = store.txn([absent("/a")], [Put("/a", b"theirs")], [Get("/a"), Get("/none")])
    assert made.succeeded
    assert not refused.succeeded
    assert refused.gets[0].value == b"mine"
    assert refused.gets[1] is None
    assert store.get("/a").value == b"mine"


def test_transaction_is_all_or_nothing(store):
    revision = put(store, "/a")
    put(store, "/b")
    result = store.txn(
        [unchanged("/a", revision), absent("/b")], [Put("/a", b"x"), Put("/c", b"x")]
    )
    assert not result.succeeded
    assert store.get("/a").value == b"v"
    assert store.get("/c") is None


def test_writes_of_a_transaction_share_its_revision(store):
    result = store.txn([], [Put("/a", b"1"), Put("/b", b"2")])
    assert {kv.mod_revision for kv in store.range("/").items} == {result.revision}


@pytest.mark.parametrize(
    ("compare", "holds"),
    [
        (lambda first, second: created_at("/a", first), True),
        (lambda first, second: created_at("/a", second), False),
        (lambda first, second: unchanged("/a", second), True),
        (lambda first, second: unchanged("/a", first), False),
        (lambda first, second: unchanged("/none", 0), True),
        (lambda first, second: absent("/none"), True),
        (lambda first, second: unchanged_below("/a", second), True),
        (lambda first, second: unchanged_below("/a", second - 1), False),
        (lambda first, second: unchanged_below("/none", 0), True),
    ],
)
def test_comparisons(store, compare, holds):
    first = put(store, "/a")
    second = put(store, "/a")
    assert store.txn([compare(first, second)], []).succeeded is holds


def test_watch_replays_from_its_revision_and_goes_on(store):
    put(store, "/w/0")
    start = put(store, "/w/1", b"1")
    put(store, "/x/1")
    events = []
    watch = store.watch("/w/", start, previous=True)
    collect(watch, events)
    eventually(lambda: len(events) == 1)
    put(store, "/w/1", b"2")
    store.txn([], [Delete("/w/1")])
    eventually(lambda: len(events) == 3)
    watch.close()
    assert [
        (e.key, e.current and e.current.value, e.previous and e.previous.value) for e in events
    ] == [("/w/1", b"1", None), ("/w/1", b"2", b"1"), ("/w/1", None, b"2")]
    assert events[0].revision == start
    assert [e.revision for e in events] == sorted({e.revision for e in events})


def test_a_watch_tells_what_stood_there_only_when_asked(store):
    start = put(store, "/w/1", b"1")
    put(store, "/w/1", b"2")
    events = []
    collect(store.watch("/w/", start), events)
    eventually(lambda: len(events) == 2)
    assert [event.previous for event in events] == [None, None]


def test_a_watch_knows_how_far_it_has_seen_even_in_a_long_history(store):
    """etcd sends it in parts of 1,000 revisions: what is still to come must not count as seen."""
    first = put(store, "/w/0")
    for number in range(1, 1100):
        put(store, f"/w/{number}")
    watch = store.watch("/w/", first)
    seen = 0
    for batch in watch:
        seen += len(batch.events)
        assert batch.revision == batch.events[-1].revision == first + seen - 1
        if seen == 1100:
            break
    watch.close()


def test_watch_of_one_exact_key(store):
    revision = put(store, "/w")
    events = []
    watch = store.watch("/w", revision, exact=True)
    collect(watch, events)
    put(store, "/w/below")
    put(store, "/w", b"2")
    eventually(lambda: len(events) == 2)
    watch.close()
    assert [e.key for e in events] == ["/w", "/w"]


def test_watch_from_compacted_history_is_refused(store, request):
    first = put(store, "/w")
    put(store, "/w")
    last = put(store, "/w")
    compact(store, last, request)
    ended = []
    collect(store.watch("/w", first), ended)
    assert isinstance(eventually(lambda: ended)[0], Compacted)


def test_a_delete_at_the_compacted_revision_is_never_missed_in_silence(store, request):
    """etcd 3.5.1 forgets the delete and says nothing, if it is asked for that very revision."""
    put(store, "/w")
    deleted = store.txn([], [Delete("/w")]).revision
    compact(store, deleted, request)
    told = []
    collect(store.watch("/w", deleted), told)
    eventually(lambda: told, what="it is told of the delete, or to list anew")
    assert isinstance(told[0], Compacted) or told[0].revision == deleted


def test_a_watch_tells_nothing_from_before_its_revision(store):
    put(store, "/w", b"before")
    put(store, "/w", b"asked for")
    revision = store.get("/w").mod_revision
    events = []
    collect(store.watch("/w", revision), events)
    put(store, "/w", b"later")
    eventually(lambda: len(events) >= 2)
    assert [event.current.value for event in events] == [b"asked for", b"later"]


def test_closing_a_watch_ends_its_iteration(store):
    watch = store.watch("/w", put(store, "/w"))
    ended = collect(watch, [])
    watch.close()
    ended.join(PATIENCE_S)
    assert ended.dead


def test_keys_go_with_their_lease(store):
    lease, granted_s = store.lease_grant(60)
    revision = put(store, "/l/1", lease=lease)
    put(store, "/l/2", lease=lease)
    assert granted_s == 60
    assert store.get("/l/1").lease == lease
    events = []
    watch = store.watch("/l/", revision + 2)
    collect(watch, events)
    store.lease_revoke(lease)
    eventually(lambda: len(events) == 2)
    watch.close()
    assert {(e.key, e.current) for e in events} == {("/l/1", None), ("/l/2", None)}
    assert store.range("/l/").items == []


def test_revoking_twice_is_harmless(store):
    lease, _ = store.lease_grant(60)
    store.lease_revoke(lease)
    store.lease_revoke(lease)


def test_a_lease_that_is_gone_cannot_be_renewed_or_used(store):
    lease, _ = store.lease_grant(60)
    store.lease_revoke(lease)
    with pytest.raises(LeaseLost):
        store.lease_keepalive(lease, 1.0)
    with pytest.raises(LeaseLost):
        put(store, "/a", lease=lease)
    assert store.get("/a") is None


def test_a_lease_lives_while_renewed_and_ends_when_not(store):
    lease, ttl_s = store.lease_grant(2)
    assert ttl_s == 2
    revision = put(store, "/l", lease=lease)
    for _ in range(3):
        gevent.sleep(0.8)  # longer in all than the lease would live by itself
        assert store.lease_keepalive(lease, 1.0) == 2
    assert store.get("/l") is not None
    events = []
    watch = store.watch("/l", revision + 1)
    collect(watch, events)
    eventually(lambda: events, what="the lease expires")
    watch.close()
    assert events[0].current is None
