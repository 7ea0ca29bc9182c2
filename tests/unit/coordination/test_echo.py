"""What one wrote oneself comes back through the watch: it is not read again, and nothing else is
missed for it."""

import gevent
import pytest

from crawler.clock import settle
from crawler.coordination.mirror import ECHO_S, MOST_OWN, Mirror
from crawler.coordination.store import Batch, Event, KeyValue, Put
from crawler.model.records import Node, Resource, Spec


class Reader:
    """Decodes, and remembers what."""

    def __init__(self):
        self.read = []

    def __call__(self, kv):
        self.read.append(kv.value)
        return kv.value.decode()


@pytest.fixture
def reader():
    return Reader()


@pytest.fixture
def told():
    return []


@pytest.fixture
def mirror(store, clock, supervisor, reader, told):
    mirror = Mirror(store, "/m/", reader, clock, told.extend)
    mirror.start(supervisor)
    settle()
    return mirror


def write(store, *values):
    """One transaction; its revision, before the watch has told of it."""
    puts = [Put(f"/m/{n}", value.encode()) for n, value in enumerate(values)]
    return store.txn([], puts).revision


def take_in(mirror, revision, *values):
    mirror.adopt([(f"/m/{n}", value) for n, value in enumerate(values)], revision)
    mirror.pass_over(revision)


def event(key, value, revision):
    return Event(key, KeyValue(key, value, 1, revision), None, revision)


def test_an_echo_is_not_read(mirror, store, reader, told):
    take_in(mirror, write(store, "a", "b"), "a", "b")
    settle()
    assert dict(mirror.values) == {"/m/0": "a", "/m/1": "b"}
    assert (reader.read, told) == ([], [])


def test_what_others_write_between_is_seen(mirror, store, reader, told):
    take_in(mirror, write(store, "a"), "a")
    theirs = store.txn([], [Put("/m/0", b"theirs"), Put("/m/9", b"theirs")]).revision
    take_in(mirror, write(store, "mine", "mine"), "mine", "mine")
    settle()
    assert dict(mirror.values) == {"/m/0": "mine", "/m/1": "mine", "/m/9": "theirs"}
    assert [change.key for change in told] == ["/m/9"]
    store.txn([], [Put("/m/0", b"later")])
    settle()
    assert mirror.values["/m/0"] == "later"
    assert theirs < mirror.refresh()


def test_what_others_write_between_is_seen_in_one_message_too(mirror, reader):
    """A watch that lagged gets several revisions at once."""
    for own in (101, 103):
        take_in(mirror, own, "mine")
    theirs = event("/m/9", b"theirs", 102)
    batch = [event("/m/0", b"mine", 101), theirs, event("/m/0", b"mine", 103)]
    mirror._take_batch(Batch(batch, 103))
    assert dict(mirror.values) == {"/m/0": "mine", "/m/9": "theirs"}
    assert reader.read == [b"theirs"]


def test_an_echo_that_comes_before_the_answer_is_waited_for(mirror, store, reader):
    with mirror.writing():
        revision = write(store, "a")
        settle()
        assert mirror.values == {}
        take_in(mirror, revision, "a")
        settle()
    assert dict(mirror.values) == {"/m/0": "a"}
    assert reader.read == []


def test_what_others_write_meanwhile_waits_only_a_little(mirror, store, clock):
    with mirror.writing():
        write(store, "theirs")
        settle()
        clock.advance(ECHO_S)
        assert dict(mirror.values) == {"/m/0": "theirs"}


def test_what_others_wrote_before_is_not_held_back(mirror, store):
    with mirror.writing():
        store.txn([], [Put("/m/9", b"theirs")])
        take_in(mirror, write(store, "a"), "a")
        settle()
        assert dict(mirror.values) == {"/m/0": "a", "/m/9": "theirs"}


def test_what_was_not_taken_in_is_read_when_the_writing_ends(mirror, store):
    """As after an answer that never came."""
    with mirror.writing():
        write(store, "a")
        settle()
    settle()
    assert dict(mirror.values) == {"/m/0": "a"}


def test_while_the_watch_is_broken_no_more_is_remembered(store, clock, reader):
    mirror = Mirror(store, "/m/", reader, clock)
    for revision in range(1, 2 * MOST_OWN):
        take_in(mirror, revision, "a")
    assert len(mirror._own) == MOST_OWN
    mirror.refresh()
    take_in(mirror, 3 * MOST_OWN, "b")
    mirror._take_batch(Batch([event("/m/0", b"b", 3 * MOST_OWN)], 3 * MOST_OWN))
    assert mirror.values["/m/0"] == "b"


def test_a_watch_that_ends_while_it_waits_leaves_nothing_behind(mirror, store):
    with mirror.writing():
        write(store, "a")
        settle()
        store.break_watches()
        settle()
    gevent.sleep(0)
    settle()
    assert dict(mirror.values) == {"/m/0": "a"}


def test_a_new_record_is_completed_and_one_that_others_may_have_is_not():
    stands = Resource(Spec("a"), id="1", epoch=3, term=4, mod_revision=5)
    made = stands.given_to(Node("w-1", "h:1").as_owner, epoch=4, now_ns=7)
    assert made.stored(6, 8) is made
    assert (made.epoch, made.term, made.mod_revision, made.assigned_time) == (4, 6, 8, 7)
    again = stands.stored(6, 8)
    assert (again.term, again.mod_revision) == (6, 8)
    assert (stands.owner, stands.epoch, stands.term, stands.mod_revision) == (None, 3, 4, 5)
