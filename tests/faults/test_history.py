"""The checkers see each kind of violation, in histories and visits that were made by hand."""

import json

import pytest

from tests.faults.firings import firings
from tests.faults.history import Entry, Owner, gaps, leaders, lost, owners, violations
from tests.faults.visits import overlaps, wrong_runs
from tests.integration.endless import Visit

ELECTION = "/resources/election"
W1, W2 = Owner("go.micro.server.worker-1", 2), Owner("go.micro.server.worker-2", 3)
LATE_S = 2.0


class Script:
    """A history as it is written, revision by revision; the second is the revision."""

    def __init__(self):
        self.entries = []
        self._created = {}
        self.put(f"{ELECTION}/aa", b"master1-host:9091")
        self.register(W1)
        self.register(W2)

    def put(self, key, value):
        revision = len(self.entries) + 1
        created = self._created.setdefault(key, revision)
        self.entries.append(Entry(revision, float(revision), key, value, created))
        return revision

    def delete(self, key):
        revision = len(self.entries) + 1
        created = self._created.pop(key)
        self.entries.append(Entry(revision, float(revision), key, None, created))

    def register(self, owner):
        return self.put(f"/micro/registry/go.micro.server.worker/{owner.id}", b"{}")

    def leave(self, owner):
        self.delete(f"/micro/registry/go.micro.server.worker/{owner.id}")

    def task(self, name="task", owner=W1, epoch=1, state="assigned", term=1, **fields):
        value = {"ID": f"id of {name}", "Name": name, "CreationTime": 7, "State": state}
        value["AssignedNode"] = f"{owner.id}|host:9090" if owner else ""
        value |= {"Incarnation": owner.incarnation if owner else 0, "Epoch": epoch, "Term": term}
        self.put(f"/resources/{name}", json.dumps({**value, **fields}).encode())

    def kinds(self):
        return [violation.kind for violation in violations(self.entries, LATE_S)]


@pytest.fixture
def script():
    return Script()


def test_a_good_history_has_no_violation(script):
    script.task()
    script.task(state="running")
    script.put(f"{ELECTION}/bb", b"master2-host:9091")
    script.leave(W1)
    script.task(owner=W2, epoch=2)
    script.delete(f"{ELECTION}/aa")
    second = script.entries[5].revision
    script.task(owner=W2, epoch=2, state="running", term=second)
    script.leave(W2)
    script.task(owner=None, epoch=2, state="pending", term=second)
    third = Owner(W1.id, script.register(W1))
    script.task(owner=third, epoch=3, term=second)
    script.task(owner=third, epoch=3, state="done", term=second)
    script.delete("/resources/task")
    script.task(ID="another", owner=None, epoch=0, state="pending", term=second)
    assert violations(script.entries, LATE_S) == []
    assert leaders(script.entries) == [1, second]


def test_shards_have_one_id_and_epochs_of_their_own(script):
    shard = {"ID": "id of task", "Shard": 1, "ShardOf": "task"}
    script.task(state="running", Workers=3)
    script.task(name="task~1", owner=W2, epoch=8, **shard)
    script.task(name="task~2", owner=None, epoch=7, state="pending", **{**shard, "Shard": 2})
    script.task(name="task~2", owner=W1, epoch=8, **{**shard, "Shard": 2})
    script.task(state="done", Workers=3)
    script.task(name="task~1", owner=W2, epoch=8, state="done", **shard)
    assert violations(script.entries, LATE_S) == []
    made = owners(script.entries)
    assert (made["id of task~1", 8], made["id of task~2", 8]) == ({W2.id}, {W1.id})
    script.task(name="task~1", owner=W1, epoch=8, state="done", **shard)
    script.task(name="task~1", owner=W1, epoch=10, **shard)
    script.task(name="other", **shard)
    assert script.kinds() == ["owners", "epoch", "identity"]


def test_a_write_of_a_leader_that_was_replaced_is_seen(script):
    replaced = script.put(f"{ELECTION}/bb", b"master2-host:9091")
    script.delete(f"{ELECTION}/aa")
    script.task(term=replaced)
    script.task(name="late", term=1)
    assert script.kinds() == ["term"]


def test_a_write_of_a_candidate_that_does_not_lead_yet_is_seen(script):
    early = script.put(f"{ELECTION}/bb", b"master2-host:9091")
    script.task(term=early)
    assert script.kinds() == ["term"]


def test_a_write_without_a_term_or_while_nobody_leads_is_seen(script):
    script.task(term=None)
    script.delete(f"{ELECTION}/aa")
    script.task(name="other")
    assert script.kinds() == ["term", "term"]


@pytest.mark.parametrize(("first", "then"), [(1, 3), (2, 1), (1, 0)])
def test_an_epoch_that_jumps_or_falls_is_seen(script, first, then):
    for epoch in range(1, first + 1):
        script.task(epoch=epoch)
    assert script.kinds() == []
    script.task(epoch=then)
    assert "epoch" in script.kinds()


def test_the_first_epoch_is_above_the_revision_of_a_value_without_one(script):
    script.task(owner=None, epoch=0, state="pending")  # at revision 4
    script.task(epoch=5)
    script.task(name="other", owner=None, epoch=0, state="pending")
    script.task(name="other", epoch=5)
    assert [violation.text[:5] for violation in violations(script.entries, LATE_S)] == ["other"]


def test_an_epoch_that_rises_without_an_owner_is_seen(script):
    script.task(owner=None, epoch=1, state="pending")
    assert script.kinds() == ["epoch"]


@pytest.mark.parametrize("other", [W2, Owner(W1.id, 3)])
def test_two_owners_in_one_epoch_are_seen(script, other):
    script.task()
    script.task(owner=other)
    assert "owners" in script.kinds()


def test_an_owner_that_comes_back_in_the_same_epoch_is_seen(script):
    script.task()
    script.task(owner=None, state="pending")
    script.task()
    assert "owners" in script.kinds()


def test_an_id_given_twice_is_seen(script):
    script.task()
    script.task(name="other", ID="id of task")
    script.delete("/resources/task")
    script.task()
    assert script.kinds() == ["identity", "identity"]


@pytest.mark.parametrize("field", ["ID", "CreationTime"])
def test_an_identity_that_changes_is_seen(script, field):
    script.task()
    script.task(**{field: 8})
    assert script.kinds() == ["identity"]


def test_an_owner_that_never_was_registered_is_seen(script):
    script.task(owner=Owner(W1.id, 99))
    assert script.kinds() == ["owner"]


def test_an_owner_that_left_long_ago_is_seen(script):
    script.leave(W1)
    script.task(name="soon after")
    script.task(name="in time")
    script.task(name="too late")
    assert script.kinds() == ["owner"]


def test_a_report_for_an_owner_that_left_long_ago_is_seen(script):
    script.task()
    script.leave(W1)
    for name in ("one", "two"):
        script.task(name=name, owner=W2)
    script.task(state="running")
    assert script.kinds() == ["owner"]


@pytest.mark.parametrize(
    ("was", "now"),
    [("done", "running"), ("failed", "done"), ("running", "assigned"), ("pending", "running")],
)
def test_a_state_that_goes_back_is_seen(script, was, now):
    owner, epoch = (None, 0) if was == "pending" else (W1, 1)
    script.task(owner=owner, epoch=epoch)
    script.task(owner=owner, epoch=epoch, state=was)
    script.task(owner=owner, epoch=epoch, state=now)
    assert script.kinds()[-1] == "state"


def test_a_task_that_was_acknowledged_and_vanished_is_seen(script):
    for name in ("kept", "deleted", "vanished"):
        script.task(name=name)
    script.delete("/resources/deleted")
    script.delete("/resources/vanished")
    names = {"kept", "deleted", "vanished", "never written"}
    found = lost(script.entries, acknowledged=names, deleted={"deleted"})
    assert [violation.text.partition(" was")[0] for violation in found] == [
        "never written",
        "vanished",
    ]


# -- time without an owner ------------------------------------------------------------------------


def test_the_time_without_a_live_owner_is_measured(script):
    script.task()  # at 4 s
    script.leave(W1)
    script.register(W1)  # another incarnation: the task is not its own
    script.task(owner=W2, epoch=2)
    (gap,) = gaps(script.entries, end_s=20)
    assert (gap.name, gap.from_s, gap.to_s, gap.duration_s) == ("task", 5.0, 7.0, 2.0)


def test_it_counts_while_nobody_gives_it_an_owner_and_not_when_it_was_finished(script):
    script.task()
    script.task(name="finished", state="done")
    script.leave(W1)
    script.task(name="unplaced", owner=None, epoch=0, state="pending")
    found = [(gap.name, gap.duration_s) for gap in gaps(script.entries, end_s=20)]
    assert found == [("task", 14.0), ("unplaced", 13.0)]


def test_it_counts_only_while_a_worker_lives_and_is_not_excused(script):
    script.task()
    script.leave(W2)
    script.leave(W1)  # at 6 s: nobody could run it
    script.register(W2)  # at 7 s
    (gap,) = gaps(script.entries, end_s=20, excused=[(1.0, 8.0), (10.0, 12.0)])
    assert (gap.from_s, gap.duration_s) == (7.0, 10.0)


# -- runs -----------------------------------------------------------------------------------------


def seen(run, *moments, worker="worker-1"):
    return [Visit(at_s, worker, run) for at_s in moments]


def test_runs_that_follow_each_other_do_not_overlap():
    assert overlaps({"task": [*seen("b", 3, 4), *seen("a", 1, 2)]}, silence_s=2) == []


def test_an_overlap_is_seen_on_one_worker_too():
    visits = {"task": [*seen("a", 1, 2, 3, 4), *seen("b", 2.5, 3.5, 4.5)]}
    (overlap,) = overlaps(visits, silence_s=2)
    assert (overlap.task, overlap.old.run, overlap.new.run) == ("task", "a", "b")
    assert overlap.duration_s == 1.5


def test_a_run_that_stands_still_does_not_overlap_until_it_wakes():
    visits = {"task": [*seen("a", 1, 2, 30, 31), *seen("b", *range(10, 40))]}
    (overlap,) = overlaps(visits, silence_s=2)
    assert overlap.duration_s == 1


def test_the_longest_overlap_comes_first_whatever_the_task():
    visits = {
        "short": [*seen("a", 1, 2, 3), *seen("b", 2.5, 3.5)],
        "long": [*seen("c", 1, 2, 3), *seen("d", 1.5, 3.5)],
    }
    assert [overlap.task for overlap in overlaps(visits, silence_s=2)] == ["long", "short"]


GIVEN = {("7", 1): {W1.id}, ("7", 2): {W2.id}}


def test_runs_of_those_who_own_the_task_are_sound(script):
    visits = {"task": [*seen("a", 1, 2), *seen("b", 3, 4, worker="worker-2")]}
    assert wrong_runs({("7", 1): {"a"}, ("7", 2): {"b"}}, visits, GIVEN) == []


def test_the_owners_of_each_epoch_are_read_from_the_history(script):
    script.task(ID="7")
    script.task(ID="7", owner=W2, epoch=2)
    script.task(ID="7", owner=None, epoch=2, state="pending")
    assert owners(script.entries) == GIVEN


def test_a_second_run_in_one_epoch_is_seen():
    visits = {"task": [*seen("a", 1, 2), *seen("b", 3, 4)]}
    (wrong,) = wrong_runs({("7", 1): {"a", "b"}}, visits, GIVEN)
    assert "['a', 'b'] all ran as epoch 1" in wrong.text


def test_a_run_that_nobody_was_given_is_seen():
    visits = {"task": seen("a", 1, 2)}
    for key in (("7", 2), ("7", 3), ("8", 1)):
        (wrong,) = wrong_runs({key: {"a"}}, visits, GIVEN)
        assert wrong.text.startswith("worker-1 ran epoch")


def test_a_paused_task_is_without_an_owner_for_as_long_as_somebody_wants(script):
    script.task()
    script.task(owner=None, state="pending", Paused={"Reason": "paused by ann"})
    assert gaps(script.entries, end_s=20) == []
    script.task(epoch=2)
    assert script.kinds() == []


class Times:
    """A schedule with a task of its own for each time."""

    def __init__(self, script):
        self._script = script
        self._decided = 0

    def put(self, firing=None, decided=None, outcome=""):
        """Store it, with the moment that it fires now."""
        self._decided = max(self._decided, firing or 0) if decided is None else decided
        stored = None if firing is None else {"Moment": firing, "Task": f"nightly-{firing}"}
        value = {"CreationTime": 7, "Decided": self._decided, "Firing": stored, "Outcome": outcome}
        self._script.put("/crawler/schedules/nightly", json.dumps(value).encode())

    def fire(self, moment):
        self.put(moment)
        self._script.task(f"nightly-{moment}")
        self.put(outcome="began")


@pytest.fixture
def times(script):
    times = Times(script)
    times.put()
    return times


def texts(script):
    return [violation.text for violation in firings(script.entries)[0]]


def test_a_good_history_of_a_schedule_has_no_violation(script, times):
    times.fire(10)
    script.delete("/resources/nightly-10")
    times.put(20)
    script.put(f"{ELECTION}/bb", b"master2-host:9091")
    script.delete(f"{ELECTION}/aa")
    script.task("nightly-20")
    script.task("nightly-20", state="running")
    times.put(outcome="began")
    times.put(90)
    times.put(outcome="missed: 70 s too late")
    found, counts = firings(script.entries)
    assert found == []
    assert counts == {"fired": 2, "taken over": 1, "missed": 1}


def test_a_firing_that_brought_no_task_is_lost(script, times):
    times.put(10)
    times.put(outcome="began")
    assert "nightly" in texts(script)[0]
    assert "is lost" in texts(script)[0]


def test_a_firing_that_is_stored_at_the_end_was_never_carried_out(script, times):
    times.put(10)
    assert "never carried out" in texts(script)[0]


def test_a_time_fires_once(script, times):
    times.fire(10)
    times.put(10)
    times.put(outcome="began")
    assert "fired before" in texts(script)[0]


def test_a_decision_is_not_taken_back(script, times):
    times.fire(10)
    times.put(decided=5)
    assert "taken back" in texts(script)[0]


@pytest.mark.parametrize("how", ["anew", "again"])
def test_a_task_of_a_time_begins_once(script, times, how):
    times.fire(10)
    if how == "anew":
        script.delete("/resources/nightly-10")
    script.task("nightly-10", Generation=int(how == "again"))
    assert texts(script) == ["nightly-10 began twice"]
