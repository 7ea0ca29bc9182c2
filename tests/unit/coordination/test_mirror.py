"""A mirror shows what the store holds, whatever happens to its watch."""

import itertools

import gevent
import pytest

from crawler.clock import TURN_S, settle
from crawler.coordination.codec import decode_resource
from crawler.coordination.memory import MemoryStore
from crawler.coordination.mirror import KEYS_A_TURN, Mirror
from crawler.coordination.store import Batch, Delete, Event, KeyValue, Put
from tests.waiting import PATIENCE_S, eventually


class Seen:
    """A mirror of /m/ and all it told."""

    def __init__(self, store, clock, supervisor):
        self.changes = []
        self.mirror = Mirror(store, "/m/", decode, clock, self.changes.extend)
        self.mirror.start(supervisor)
        settle()

    @property
    def values(self):
        return dict(self.mirror.values)

    def told(self):
        """Replay what was told: it must lead to the same state."""
        state = {}
        for change in self.changes:
            assert state.get(change.key) == change.before
            if change.after is None:
                del state[change.key]
            else:
                state[change.key] = change.after
        return state


def decode(kv):
    if kv.value == b"bad":
        raise ValueError("bad value")
    return kv.value.decode()


def put(store, key, value):
    revision = store.txn([], [Put(key, value.encode())]).revision
    settle()
    return revision


def delete(store, key):
    store.txn([], [Delete(key)])
    settle()


@pytest.fixture
def seen(store, clock, supervisor):
    put(store, "/m/old", "1")
    return Seen(store, clock, supervisor)


def test_it_lists_then_follows(seen, store):
    put(store, "/m/a", "1")
    put(store, "/m/a", "2")
    delete(store, "/m/old")
    put(store, "/other", "x")
    assert seen.values == {"/m/a": "2"} == seen.told()


def test_it_resumes_where_a_broken_watch_stopped(seen, store, clock):
    store.break_watches()
    put(store, "/m/a", "1")
    put(store, "/m/a", "2")
    clock.advance(5)
    assert seen.values == {"/m/old": "1", "/m/a": "2"} == seen.told()
    assert [c.after for c in seen.changes if c.key == "/m/a"] == ["1", "2"], "nothing was skipped"


def test_it_lists_anew_after_compaction_and_works_out_the_deletes(seen, store, clock):
    put(store, "/m/a", "1")
    store.break_watches()
    delete(store, "/m/old")
    put(store, "/m/a", "2")
    store.compact(put(store, "/m/b", "1"))
    clock.advance(5)
    assert seen.values == {"/m/a": "2", "/m/b": "1"} == seen.told()


def test_a_backup_whose_revision_was_raised_is_taken_as_it_is(seen, store, clock):
    """As `etcdutl snapshot restore --bump-revision` leaves it: its revision is above all that was
    known, and those of the values are not."""
    backup = MemoryStore(clock)
    put(backup, "/m/a", "saved")
    for value in ("1", "2", "3"):
        put(store, "/m/a", value)
    put(store, "/m/late", "1")
    revision = max(put(backup, "/other", str(number)) for number in range(20))
    backup.compact(revision)
    seen.mirror._store = backup
    store.break_watches()
    settle()  # it waits a little before it watches again
    clock.advance(5)
    assert seen.values == {"/m/a": "saved"} == seen.told()
    put(backup, "/m/a", "4")
    assert seen.values == {"/m/a": "4"} == seen.told()
    backup.close()


def test_a_value_that_cannot_be_read_is_left_out_and_the_rest_goes_on(seen, store):
    put(store, "/m/old", "bad")
    put(store, "/m/a", "1")
    assert seen.values == {"/m/a": "1"} == seen.told()


def test_own_writes_are_there_at_once_and_not_told_again(seen, store):
    revision = store.txn([], [Put("/m/a", b"mine")]).revision
    seen.mirror.apply("/m/a", KeyValue("/m/a", b"mine", revision, revision), revision)
    assert seen.values["/m/a"] == "mine"
    settle()
    assert all(change.key != "/m/a" for change in seen.changes)


def test_the_absence_of_what_was_never_there_is_not_remembered(store, clock):
    """Whoever asks for ever new names must not fill the memory."""
    mirror = Mirror(store, "/m/", decode, clock)
    for number in range(100):
        mirror.apply(f"/m/{number}", None, 5)
    assert not mirror._revisions


def test_it_never_goes_back(seen, store):
    late = put(store, "/m/a", "1")
    put(store, "/m/a", "2")
    seen.mirror.apply("/m/a", KeyValue("/m/a", b"1", late, late), late)
    assert seen.values["/m/a"] == "2"
    delete(store, "/m/a")
    seen.mirror.apply("/m/a", KeyValue("/m/a", b"1", late, late), late)
    assert "/m/a" not in seen.values


def test_old_news_after_a_list_raises_no_dead(store, clock):
    """The watch lags behind a list that has seen the delete already."""
    mirror = Mirror(store, "/m/", decode, clock)
    revision = put(store, "/m/a", "1")
    delete(store, "/m/a")
    mirror.refresh()
    late = Event("/m/a", KeyValue("/m/a", b"1", revision, revision), None, revision)
    mirror._take_batch(Batch([late], revision))
    assert mirror.values == {}


MANY = 20 * KEYS_A_TURN


def many(store):
    """So many keys that taking a list of them takes turns."""
    keys = [f"/m/{number:05}" for number in range(MANY)]
    for start in range(0, MANY, 100):
        store.txn([], [Put(key, b"1") for key in keys[start : start + 100]])


def between_turns(store, clock, action):
    """A mirror that has taken a list of many keys while the action ran, with its own greenlet
    between the turns, and what it has told."""
    told = []
    mirror = Mirror(store, "/m/", decode, clock, told.append)
    refreshing = gevent.spawn(mirror.refresh)
    eventually(lambda: mirror.values, every_s=TURN_S)
    assert len(mirror.values) < MANY, "the list is not taken yet"
    action(mirror)
    refreshing.get(timeout=PATIENCE_S)
    return mirror, told


def test_everything_else_gets_turns_while_a_long_list_is_taken(store, clock):
    many(store)
    turns = itertools.count()
    turning = gevent.spawn(lambda: [gevent.sleep(TURN_S) for _ in turns])
    mirror = Mirror(store, "/m/", decode, clock)
    mirror.refresh()
    turning.kill()
    assert next(turns) >= MANY / KEYS_A_TURN
    assert len(mirror.values) == MANY


def test_old_news_while_a_list_is_taken_raises_no_dead(store, clock):
    late = put(store, "/m/dead", "1")
    delete(store, "/m/dead")
    many(store)
    event = Event("/m/dead", KeyValue("/m/dead", b"1", late, late), None, late)
    mirror, told = between_turns(store, clock, lambda m: m._take_batch(Batch([event], late)))
    assert "/m/dead" not in mirror.values
    last = [change for changes in told for change in changes if change.key == "/m/dead"][-1]
    assert last.after is None, "who was told of it is told that it is gone"


def test_what_happens_while_a_list_is_taken_outlives_it(store, clock):
    many(store)
    last = f"/m/{MANY - 1:05}"

    def tell(mirror):
        for key, value in ((last, None), ("/m/new", b"2")):
            operation = Delete(key) if value is None else Put(key, value)
            revision = store.txn([], [operation]).revision
            current = value and KeyValue(key, value, revision, revision)
            mirror._take_batch(Batch([Event(key, current, None, revision)], revision))

    mirror, _ = between_turns(store, clock, tell)
    assert last not in mirror.values
    assert mirror.values["/m/new"] == "2"


def test_a_list_cut_short_has_no_part_of_the_news_ignored(store, clock):
    """A term that ends while it reads must not leave the mirror with a gap."""
    many(store)
    after = put(store, "/m/new", "2")
    mirror = Mirror(store, "/m/", decode, clock)
    refreshing = gevent.spawn(mirror.refresh)
    eventually(lambda: mirror.values, every_s=TURN_S)
    refreshing.kill()
    assert len(mirror.values) < MANY
    event = Event("/m/new", KeyValue("/m/new", b"2", after, after), None, after)
    mirror._take_batch(Batch([event], after))
    assert mirror.values["/m/new"] == "2"


def test_of_two_lists_at_once_the_later_one_stands(store, clock):
    many(store)
    earlier = store.range("/m/")
    delete(store, f"/m/{MANY - 1:05}")
    mirror = Mirror(store, "/m/", decode, clock)
    taking = [gevent.spawn(mirror._take_list, listed) for listed in (store.range("/m/"), earlier)]
    gevent.joinall(taking, timeout=PATIENCE_S, raise_error=True)
    assert len(mirror.values) == MANY - 1


def test_a_value_nested_too_deeply_to_read_is_left_out(store, clock):
    mirror = Mirror(store, "/m/", lambda kv: decode_resource("a", kv.value, 1), clock)
    put(store, "/m/a", "[" * 100_000)
    mirror.refresh()
    assert mirror.values == {}


def test_refresh_reads_what_the_watch_has_not_brought_yet(store, clock):
    mirror = Mirror(store, "/m/", decode, clock)
    put(store, "/m/a", "1")
    revision = mirror.refresh()
    put(store, "/m/a", "2")
    assert mirror.values == {"/m/a": "1"}
    mirror.refresh(revision)
    assert mirror.values == {"/m/a": "1"}
