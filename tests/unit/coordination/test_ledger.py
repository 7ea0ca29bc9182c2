"""A leader's writes are fenced, conflicts are named, lost answers are settled by reading."""

import gevent
import pytest
from gevent.event import Event

from crawler.clock import settle
from crawler.coordination.codec import decode_stored
from crawler.coordination.decisions import write_decision
from crawler.coordination.keys import Keys
from crawler.coordination.ledger import AHEAD, CHANGES, Change, Ledger
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Delete, Put
from crawler.errors import LeadershipLost, OutcomeUnknown, StoreRefused, Unavailable
from crawler.model.records import Leadership, Resource, Spec
from crawler.settings.sections import CoordinationSettings
from tests.waiting import PATIENCE_S


class Silent(MemoryStore):
    """A store whose answers to transactions can get lost, before or after they are carried out.

    One that is lost `for a while` is kept in `late`, to be carried out when the test says so.
    """

    lose = ""

    def txn(self, compares, success, failure=()):
        lose, self.lose = self.lose, ""
        if lose == "for a while":
            self.late = (compares, success, failure)
            raise OutcomeUnknown("on the way there, slowly")
        if lose == "request":
            raise OutcomeUnknown("lost on the way there")
        result = super().txn(compares, success, failure)
        if lose == "answer":
            raise OutcomeUnknown("lost on the way back")
        return result


KEYS = Keys(CoordinationSettings())


@pytest.fixture
def store(clock):
    store = Silent(clock)
    yield store
    store.close()


@pytest.fixture
def ledger(store):
    return Ledger(store, KEYS)


def new(name, id=1):
    return Change(name, Resource(Spec(name), id=str(id)), 0, minted=id)


def commit(ledger, leadership, changes):
    """The outcome of each, as they come."""
    for landed in ledger.commit(leadership, changes):
        yield from landed.outcomes


def stored(store, ledger, name):
    kv = store.get(KEYS.resource(name))
    return decode_stored(KEYS, kv) if kv else None


def test_a_leader_writes(store, ledger, leadership):
    [outcome] = commit(ledger, leadership, [new("a")])
    assert outcome.committed
    assert stored(store, ledger, "a").mod_revision == outcome.revision


def test_each_value_names_the_term_it_was_written_in(store, ledger, leadership):
    [first] = commit(ledger, leadership, [new("a")])
    store.txn([], [Delete(leadership.key)])
    put = Put(leadership.key, b"another")
    later = Leadership(leadership.key, store.txn([], [put]).revision)
    written = stored(store, ledger, "a")
    moved = written.replace(epoch=2)
    list(ledger.commit(later, [Change("a", moved, first.revision), new("b", 2)]))
    assert [stored(store, ledger, name).term for name in "ab"] == [later.revision] * 2
    assert written == first.written
    assert first.written.term == leadership.revision


def kept(name, revision):
    return Change(name, None, revision, keeps=True)


def test_what_is_kept_is_compared_and_not_written(store, ledger, leadership):
    [first] = commit(ledger, leadership, [new("a")])
    outcomes = list(commit(ledger, leadership, [kept("a", first.revision), new("b", 2)]))
    assert [outcome.committed for outcome in outcomes] == [True, True]
    assert outcomes[0].current.mod_revision == first.revision
    assert stored(store, ledger, "a").mod_revision == first.revision


def test_only_what_is_written_has_a_revision_of_its_own(store, ledger, leadership):
    """What another program writes meanwhile must not be taken for an echo of ours."""
    [first] = commit(ledger, leadership, [new("a")])
    store.txn([], [Put(KEYS.resource("b"), b"another's")])
    [landed] = ledger.commit(leadership, [kept("a", first.revision)])
    assert landed.revision == 0
    [landed] = ledger.commit(leadership, [kept("a", first.revision), new("c", 2)])
    assert landed.revision == stored(store, ledger, "c").mod_revision


def test_what_is_to_be_kept_and_is_gone_conflicts(store, ledger, leadership):
    [first] = commit(ledger, leadership, [new("a")])
    store.txn([], [Delete(KEYS.resource("a"))])
    [outcome] = commit(ledger, leadership, [kept("a", first.revision)])
    assert (outcome.committed, outcome.current) == (False, None)


@pytest.mark.parametrize("lose", ["request", "answer"])
def test_what_is_kept_is_settled_by_reading_too(store, ledger, leadership, lose):
    [first] = commit(ledger, leadership, [new("a")])
    store.lose = lose
    [outcome] = commit(ledger, leadership, [kept("a", first.revision)])
    assert outcome.committed


def test_a_leader_that_was_replaced_changes_nothing(store, ledger, leadership):
    store.txn([], [Delete(leadership.key)])
    store.txn([], [Put(leadership.key, b"another")])
    with pytest.raises(LeadershipLost):
        list(commit(ledger, leadership, [new("a")]))
    assert stored(store, ledger, "a") is None


def test_a_change_based_on_an_old_value_conflicts_and_the_others_are_written(
    store, ledger, leadership
):
    [first] = commit(ledger, leadership, [new("a")])
    store.txn([], [Put(KEYS.resource("a"), b'{"ID":"1","Name":"a","Theirs":1}')])
    stale = Change("a", Resource(Spec("a", priority=9), id="1"), first.revision)
    by_name = {o.name: o for o in commit(ledger, leadership, [stale, new("b", 2)])}
    assert not by_name["a"].committed
    assert b"Theirs" in by_name["a"].current.value
    assert by_name["b"].committed
    assert stored(store, ledger, "a").spec.priority == 0
    assert stored(store, ledger, "b") is not None


def test_deleting_compares_too(store, ledger, leadership):
    [first] = commit(ledger, leadership, [new("a")])
    [refused] = commit(ledger, leadership, [Change("a", None, first.revision - 1)])
    assert not refused.committed
    [done] = commit(ledger, leadership, [Change("a", None, first.revision)])
    assert done.committed
    assert done.current is None
    assert stored(store, ledger, "a") is None


@pytest.mark.parametrize(("lost", "written"), [("request", False), ("answer", True)])
def test_a_lost_answer_is_settled_by_reading(store, ledger, leadership, lost, written):
    store.lose = lost
    [outcome] = commit(ledger, leadership, [new("a")])
    assert outcome.committed is written
    assert (stored(store, ledger, "a") is not None) is written


def test_a_lost_answer_of_a_replaced_leader_is_no_success(store, ledger, leadership):
    store.txn([], [Delete(leadership.key)])
    store.lose = "answer"
    with pytest.raises(OutcomeUnknown):
        list(commit(ledger, leadership, [new("a")]))


def replaced(store, leadership):
    store.txn([], [Delete(leadership.key)])


def silent(store, leadership):
    def get(key):
        raise Unavailable("etcd is away")

    store.get = get


@pytest.mark.parametrize("trouble", [replaced, silent])
def test_a_write_that_cannot_be_settled_is_not_called_undone(store, ledger, leadership, trouble):
    store.lose = "answer"
    carry_out = store.txn

    def txn(*args):
        store.txn = carry_out
        try:
            return carry_out(*args)
        finally:
            trouble(store, leadership)

    store.txn = txn
    with pytest.raises(OutcomeUnknown):
        list(commit(ledger, leadership, [new("a")]))
    assert [kv.key for kv in store.range(KEYS.resource("a")).items] == [KEYS.resource("a")]


def test_a_lost_write_does_not_bring_a_deleted_task_back_later(store, ledger, leadership):
    store.lose = "for a while"
    [lost] = commit(ledger, leadership, [new("a", id=1)])
    assert not lost.committed
    [added] = commit(ledger, leadership, [new("a", id=2)])
    list(commit(ledger, leadership, [Change("a", None, added.revision)]))
    late = store.txn(*store.late)
    assert not late.succeeded
    assert stored(store, ledger, "a") is None


def test_what_was_settled_as_not_done_is_not_done_later(store, ledger, leadership):
    [added] = commit(ledger, leadership, [new("a")])
    store.lose = "for a while"
    [lost] = commit(ledger, leadership, [Change("a", None, added.revision)])
    assert not lost.committed
    store.txn(*store.late)
    assert stored(store, ledger, "a").id == "1"


def test_a_write_that_happens_while_it_is_settled_is_seen(store, ledger, leadership):
    store.lose = "for a while"
    store.get = lambda key: (None, store.txn(*store.late))[0]  # it arrives right after the look
    [lost] = commit(ledger, leadership, [new("a")])
    del store.get
    assert lost.committed
    assert stored(store, ledger, "a").id == "1"


def test_settling_ends_even_if_another_program_keeps_writing_the_mark(store, ledger, leadership):
    store.lose = "request"
    carry_out = store.txn

    def txn(compares, success, failure=()):
        carry_out([], [Put(KEYS.snowflake, b"7")])
        return carry_out(compares, success, failure)

    ledger.highest_id()
    store.txn = lambda *args: (setattr(store, "txn", txn), carry_out(*args))[1]
    with pytest.raises(OutcomeUnknown, match="keeps writing"):
        list(commit(ledger, leadership, [new("a")]))


def test_settling_leaves_the_mark_of_the_ids_as_it_is(store, ledger, leadership):
    list(commit(ledger, leadership, [new("a", id=7)]))
    store.lose = "request"
    list(commit(ledger, leadership, [new("b", id=8)]))
    assert ledger.highest_id() == 7


def test_many_changes_go_in_batches_that_etcd_takes(etcd_store):
    key = KEYS.candidate(1)
    leadership = Leadership(key, etcd_store.txn([], [Put(key, b"master1-h:1")]).revision)
    ledger = Ledger(etcd_store, KEYS)
    count = 2 * CHANGES + 1
    outcomes = list(commit(ledger, leadership, [new(f"n{n}", n + 1) for n in range(count)]))
    assert [o.name for o in outcomes if o.committed] == [f"n{n}" for n in range(count)]
    assert len({o.revision for o in outcomes}) == 3, "a transaction a batch"
    assert ledger.highest_id() == count


class Gated(MemoryStore):
    """A store that carries out a transaction, and answers it when the test says so."""

    def __init__(self, clock):
        super().__init__(clock)
        self.gates = []
        self.failures = {}

    def txn(self, compares, success, failure=()):
        result = super().txn(compares, success, failure)
        number = len(self.gates)
        self.gates.append(Event())
        self.gates[number].wait()
        if number in self.failures:
            raise self.failures[number]
        return result


@pytest.fixture
def gated(clock):
    store = Gated(clock)
    yield store
    store.close()


@pytest.fixture
def held(gated):
    """One batch more than go at once: the names told so far, and the greenlet that commits them."""

    def begin(minted):
        key = KEYS.candidate(1)
        revision = MemoryStore.txn(gated, [], [Put(key, b"master1-h:1")]).revision
        made = [new(f"n{n}", n + 1) for n in range((AHEAD + 1) * CHANGES)]
        changes = made if minted else [change._replace(minted=0) for change in made]
        told = []

        def follow():
            outcomes = commit(Ledger(gated, KEYS), Leadership(key, revision), changes)
            try:
                told.extend(outcome.name for outcome in outcomes)
            except Unavailable:
                told.append("error")

        return told, gevent.spawn(follow)

    return begin


def test_several_batches_are_on_their_way_at_once(gated, held):
    told, running = held(minted=False)
    settle()
    assert len(gated.gates) == AHEAD > 1
    gated.gates[0].set()
    settle()
    assert len(gated.gates) == AHEAD + 1
    assert told == [f"n{n}" for n in range(CHANGES)]
    for gate in gated.gates:
        gate.set()
    running.join(PATIENCE_S)
    assert told == [f"n{n}" for n in range((AHEAD + 1) * CHANGES)]


def test_a_batch_that_moves_the_mark_of_the_ids_goes_alone(gated, held):
    told, running = held(minted=True)
    for sent in range(1, AHEAD + 2):
        settle()
        assert len(gated.gates) == sent
        gated.gates[-1].set()
    running.join(PATIENCE_S)
    assert told == [f"n{n}" for n in range((AHEAD + 1) * CHANGES)]


def test_what_became_of_a_batch_is_told_even_if_the_one_before_it_fails(gated, held):
    """Else its callers hear that nothing was done."""
    told, running = held(minted=False)
    gated.failures[0] = Unavailable("no leader")
    settle()
    gated.gates[0].set()
    settle()
    assert told == []
    for gate in gated.gates[1:]:
        gate.set()
    running.join(PATIENCE_S)
    assert told == [*(f"n{n}" for n in range(CHANGES, AHEAD * CHANGES)), "error"]
    assert len(gated.gates) == AHEAD, "nothing more is sent after an error"


def test_values_too_large_for_one_transaction_go_in_several(etcd_store):
    key = KEYS.candidate(1)
    leadership = Leadership(key, etcd_store.txn([], [Put(key, b"master1-h:1")]).revision)
    large = {"text": "x" * 850_000}
    changes = [
        Change(name, Resource(Spec(name, parameters=large), id="1"), 0) for name in ("a", "b")
    ]
    outcomes = list(commit(Ledger(etcd_store, KEYS), leadership, [*changes, new("c")]))
    assert [outcome.committed for outcome in outcomes] == [True] * 3


def test_one_change_that_etcd_refuses_for_good_costs_no_other(etcd_store):
    key = KEYS.candidate(1)
    leadership = Leadership(key, etcd_store.txn([], [Put(key, b"master1-h:1")]).revision)
    too_large = Change("b", Resource(Spec("b", parameters={"x": "y" * 2_000_000}), id="2"), 0)
    ledger = Ledger(etcd_store, KEYS)
    by_name = {o.name: o for o in commit(ledger, leadership, [new("a"), too_large, new("c")])}
    assert {name for name, outcome in by_name.items() if outcome.committed} == {"a", "c"}
    assert "too large" in str(by_name["b"].refusal)


def test_what_was_committed_of_a_batch_is_told_even_if_the_rest_fails(store, ledger, leadership):
    """Else its callers hear that nothing was done."""
    failures = [StoreRefused("too large"), None, Unavailable("no leader")]
    carry_out = store.txn

    def txn(*args):
        failure = failures.pop(0)
        if failure:
            raise failure
        return carry_out(*args)

    store.txn = txn
    outcomes = commit(ledger, leadership, [new("a", 1), new("b", 2), new("c", 3)])
    assert next(outcomes).name == "a"
    with pytest.raises(Unavailable):
        next(outcomes)
    assert stored(store, ledger, "a") is not None


def test_conflicts_are_told_even_if_the_rest_fails(store, ledger, leadership):
    stale = Change("a", Resource(Spec("a"), id="1"), 99)
    outcomes = commit(ledger, leadership, [stale, new("b", 2)])
    assert next(outcomes).name == "a"
    store.txn([], [Delete(leadership.key)])
    with pytest.raises(LeadershipLost):
        next(outcomes)


@pytest.mark.parametrize("mark", [b"9999999999999999999", b"9223372036854775807", b"x", b""])
def test_a_mark_that_is_no_id_does_not_stop_a_leader(store, ledger, mark):
    store.txn([], [Put(KEYS.snowflake, mark)])
    assert ledger.highest_id() == 0


def test_the_mark_of_ids_rises_with_new_ids_only(store, ledger, leadership):
    assert ledger.highest_id() == 0
    [outcome] = commit(ledger, leadership, [new("a", 10)])
    assert ledger.highest_id() == 10
    list(commit(ledger, leadership, [Change("a", None, outcome.revision)]))
    list(commit(ledger, leadership, [Change("b", Resource(Spec("b"), id="5"), 0)]))
    assert ledger.highest_id() == 10, "the deleted resource's id counts on"


def test_the_election_is_no_resource(store, ledger, leadership):
    assert decode_stored(KEYS, store.get(leadership.key)) is None


@pytest.mark.parametrize(("lost", "written"), [("answer", True), ("request", False)])
@pytest.mark.parametrize("value", [b"policy", None])
def test_a_decision_whose_answer_never_came_is_settled_by_reading(
    store, ledger, leadership, lost, written, value
):
    based_on = 0 if value else store.txn([], [Put("/decision", b"before")]).revision
    store.lose = lost
    done, current, revision = write_decision(store, leadership, "/decision", value, based_on)
    assert done is written
    assert current == store.get("/decision")
    assert revision >= (current.mod_revision if current else 1)
    if not written:  # it can be decided anew on what is there
        based_on = current.mod_revision if current else 0
        assert write_decision(store, leadership, "/decision", value, based_on)[0]
    stands = store.get("/decision")
    assert (stands.value if stands else None) == value


def test_what_cannot_be_encoded_is_refused_alone_and_the_rest_is_written(
    ledger, leadership, caplog
):
    odd = Resource(Spec("odd", parameters={"a": {1, 2}}), id="5")
    plain = [Change(f"p{n}", Resource(Spec(f"p{n}"), id="6"), 0) for n in range(CHANGES + 1)]
    changes = [Change("odd", odd, 0), *plain, Change("odd-2", odd, 0)]
    outcomes = {each.name: each for each in commit(ledger, leadership, changes)}
    assert [name for name, each in outcomes.items() if not each.committed] == ["odd", "odd-2"]
    assert "cannot be written" in str(outcomes["odd"].refusal)
    assert [each.fields["task"] for each in caplog.records if each.exc_info] == ["odd", "odd-2"]
    [alone] = commit(ledger, leadership, [Change("odd", odd, 0)])
    assert alone.refusal is not None
