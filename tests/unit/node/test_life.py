"""A task rests, goes on, ends early, runs once more: the commands, and the passes after them."""

import pytest

from crawler.api.rpc import codec
from crawler.coordination.codec import decode_resource, encode_resource
from crawler.errors import InvalidArgument, NotFound, WrongState
from crawler.model.records import Counts, Pause, Report, Spec, State
from crawler.model.schedules import mark_of
from crawler.model.shards import shard_spec
from crawler.node.master.begin import Begin
from crawler.node.master.commands import Again, Record, Update
from crawler.node.master.explain import waits_for
from crawler.node.master.life import PauseTask, ResumeTask, RunTask, StopTask
from crawler.node.master.live_counts import LiveCounts
from tests.unit.node.scene import W1, W2, stored, worker
from tests.unit.node.test_shards import BOOKS, Leader

BY = "paused by ann"
PAUSE, RESUME = PauseTask("a", BY), ResumeTask("a")
STOP, RUN = StopTask("a", "stopped by ann"), RunTask("a")


@pytest.fixture
def leader():
    return Leader(stored("a"), workers=2)


def task(leader, name="a"):
    return leader.stored[name]


# -- pause ---


def test_a_paused_task_has_no_worker_and_says_who_wanted_that(leader):
    leader.run(PAUSE)
    assert (task(leader).owner, task(leader).state) == (None, State.PENDING)
    assert (task(leader).reason, task(leader).paused) == (BY, Pause(BY, "w-1"))
    assert task(leader).told_state == "paused"
    leader.join(worker(3))
    leader.now_s += 10_000
    leader.run()
    assert task(leader).owner is None


@pytest.mark.parametrize("state", [State.PENDING, State.ASSIGNED, State.RUNNING])
def test_a_task_can_be_paused_whatever_it_does(state):
    leader = Leader(stored("a", owner=None if state is State.PENDING else W1, state=state))
    leader.run(PAUSE)
    assert leader.owners() == {"a": None}
    assert task(leader).paused


def test_a_pause_keeps_what_was_counted_last():
    leader = Leader(stored("a"))
    leader.run(PauseTask("a", BY, lambda r: r.replace(counts=Counts(7), running=1)))
    assert (task(leader).counts, task(leader).running) == (Counts(7), 0)


def test_a_pause_holds_under_another_leader_and_whatever_becomes_of_the_worker(leader):
    leader.run(PAUSE)
    leader.leave("w-1")
    leader.run()
    later = leader.succeeded()
    later.cluster_state.begin()
    assert later.settle() == {"a": None}
    assert task(later).reason == BY


def test_a_paused_task_that_another_program_gives_to_a_worker_is_taken_back(leader):
    leader.run(PAUSE)
    leader.store(task(leader).replace(owner=W1.as_owner, state=State.RUNNING, reason=""))
    leader.run()
    assert (task(leader).owner, task(leader).state, task(leader).reason) == (
        None,
        State.PENDING,
        BY,
    )


def test_a_pause_outlives_an_update_and_the_wish_to_begin_anew(leader):
    leader.run(PAUSE)
    leader.run(Update(Spec("a", parameters={"x": 1})))
    leader.run(Again("a"))
    assert (task(leader).owner, task(leader).reason, task(leader).generation) == (None, BY, 1)


def test_a_run_that_fails_in_the_moment_of_the_pause_is_tried_again_after_it():
    leader = Leader(stored("a", spec=Spec("a", retries=2)), workers=2)
    told = Report("a", "1", 3, State.FAILED, "no")
    leader.run(Record("w-1", [told]), PAUSE)
    assert (task(leader).reason, task(leader).failed_on) == (BY, ("w-1",))
    leader.run(RESUME)
    leader.now_s += 10_000
    leader.run()
    assert task(leader).owner is not None


def test_a_report_that_comes_after_the_pause_changes_nothing(leader):
    leader.run(PAUSE)
    leader.run(Record("w-1", [Report("a", "1", 3, State.DONE)]))
    assert task(leader).state is State.PENDING


@pytest.mark.parametrize(
    ("first", "second"), [(PAUSE, PauseTask("a", "paused by bob")), (STOP, STOP), (RESUME, RESUME)]
)
def test_asking_twice_changes_nothing_more(leader, first, second):
    leader.run(first)
    before = task(leader)
    assert leader.one_pass(second) == []
    assert task(leader) == before


def test_a_task_that_waits_for_its_spider_can_be_paused_and_waits_on_after_it():
    lacks = Spec("a", spider="rare")
    leader = Leader(
        stored("a", spec=lacks, state=State.FAILED, awaits_spider=True),
        workers=1,
        spiders=frozenset({"x"}),
    )
    leader.run(PAUSE)
    assert task(leader).told_state == "paused"
    leader.join(worker(2, spiders=frozenset({"rare"})))
    leader.run()
    assert task(leader).owner is None
    leader.leave("w-2")
    leader.run(RESUME)
    assert task(leader).reason.startswith("waits for its spider")
    leader.join(worker(3, spiders=frozenset({"rare"})))
    leader.run()
    assert task(leader).owner.node_id == "w-3"


def test_what_a_paused_task_waits_for_is_explained(leader):
    leader.run(PAUSE)
    told = waits_for(leader.placer, leader.cluster_state, task(leader), leader.now_s)
    assert told == "somebody who resumes it: crawler resume a"


# -- resume ---


def test_a_resumed_task_is_placed_in_the_same_pass_in_a_later_epoch_of_the_same_crawl(leader):
    leader.run(PAUSE)
    assert leader.one_pass(RESUME) == ["a"]
    assert not task(leader).paused
    assert (task(leader).state, task(leader).epoch) == (State.ASSIGNED, 4)
    assert (task(leader).generation, task(leader).run, task(leader).id) == (0, 1, "1")
    assert task(leader).told_reason == f"{BY}, and resumed; placed again"


def test_a_resumed_task_goes_back_to_the_worker_that_had_it_if_that_may_have_it(leader):
    leader.store(stored("b"))
    leader.run(PAUSE)
    leader.run(ResumeTask("a", lambda _: W1))
    assert leader.owners() == {"a": "w-1", "b": "w-1"}, "though the other one has none"


# -- stop ---


def test_a_stopped_task_keeps_its_counts_and_its_worker_and_never_runs_by_itself():
    leader = Leader(stored("a", spec=Spec("a", retries=5)))
    leader.run(StopTask("a", "stopped by ann", lambda r: r.replace(counts=Counts(7), running=1)))
    ended = task(leader)
    assert (ended.state, ended.stopped, ended.reason) == (State.FAILED, True, "stopped by ann")
    assert (ended.counts, ended.running, ended.owner.node_id) == (Counts(7), 0, "w-1")
    assert ended.told_state == "stopped"
    leader.leave("w-1")
    leader.join(worker(4))
    leader.now_s += 10_000
    leader.run(Record("w-1", [Report("a", "1", 3, State.DONE)]))
    assert task(leader) == ended


def test_a_task_that_waits_for_a_spider_never_runs_once_it_is_stopped():
    leader = Leader(
        stored("a", spec=Spec("a", spider="rare"), state=State.FAILED, awaits_spider=True),
        workers=1,
        spiders=frozenset(),
    )
    leader.run(STOP)
    leader.join(worker(2, spiders=frozenset({"rare"})))
    leader.run()
    assert (task(leader).told_state, task(leader).state) == ("stopped", State.FAILED)
    assert task(leader).owner.node_id == "w-1"


def test_a_paused_task_can_be_stopped_and_is_paused_no_more(leader):
    leader.run(PAUSE)
    leader.run(STOP)
    assert (task(leader).told_state, bool(task(leader).paused)) == ("stopped", False)


# -- once more ---


@pytest.mark.parametrize("command", [RUN, Again("a")])
@pytest.mark.parametrize("ended", [State.DONE, State.FAILED, "stopped"])
def test_a_finished_task_runs_once_more_and_its_number_rises(ended, command):
    leader = Leader(stored("a", state=State.RUNNING if ended == "stopped" else ended, run=4))
    if ended == "stopped":
        leader.run(STOP)
    leader.run(command)
    assert (task(leader).state, task(leader).run) == (State.ASSIGNED, 5)
    assert (task(leader).stopped, task(leader).generation) == (False, 1)
    may_go_on = ended is State.FAILED and command is not RUN
    assert task(leader).resumes == int(may_go_on), "else it is from the beginning"


def test_an_unfinished_task_that_begins_anew_is_in_the_same_run(leader):
    leader.run(Again("a"))
    assert (task(leader).run, task(leader).generation) == (1, 1)


def test_the_number_of_a_run_stays_when_the_task_moves(leader):
    leader.store(task(leader).replace(run=7))
    leader.leave("w-1")
    leader.run()
    assert (task(leader).owner.node_id, task(leader).run) == ("w-2", 7)


# -- what makes no sense ---


@pytest.mark.parametrize(
    ("command", "state", "told"),
    [
        (PAUSE, State.DONE, "task 'a' cannot be paused: it is done; to run it once more: crawler"),
        (RESUME, State.DONE, "task 'a' cannot be resumed: it is done; to run it once more"),
        (STOP, State.DONE, "task 'a' cannot be stopped: it is done"),
        (STOP, State.FAILED, "task 'a' cannot be stopped: it has failed"),
        (RUN, State.RUNNING, "task 'a' is running, and its run 1 has not ended; stop it first"),
    ],
)
def test_what_makes_no_sense_is_refused_and_it_is_told_what_does(command, state, told):
    draft = Leader(stored("a", state=state)).draft()
    with pytest.raises(WrongState, match=told):
        command.apply(draft)
    assert draft.changes() == []


def test_a_stopped_task_is_not_resumed_and_a_paused_one_not_run(leader):
    leader.run(PAUSE)
    with pytest.raises(WrongState, match="is paused, and its run 1 has not ended; resume it, or"):
        RUN.apply(leader.draft())
    leader.run(STOP)
    for command in (PAUSE, RESUME):
        with pytest.raises(WrongState, match="it is stopped; to run it once more: crawler run a"):
            command.apply(leader.draft())


@pytest.mark.parametrize("kind", [PauseTask, StopTask])
def test_what_is_not_there_or_is_a_shard_is_refused(kind):
    leader = Leader()
    with pytest.raises(NotFound, match="no such task"):
        kind("b", "").apply(leader.draft())
    leader.store(stored("books~1", spec=shard_spec(BOOKS, 1)))
    with pytest.raises(InvalidArgument, match="is a shard of the task 'books'"):
        kind("books~1", "").apply(leader.draft())


# -- on several workers ---


@pytest.fixture
def shards():
    leader = Leader()
    for name in ("books", "books~1", "books~2"):
        spec = BOOKS if name == "books" else shard_spec(BOOKS, int(name[-1]))
        leader.store(stored(name, spec=spec, shared=True, owner=worker(1)))
    leader.run()
    return leader


def test_the_shards_of_a_paused_task_rest_with_it_and_go_on_with_it(shards):
    written = shards.one_pass(PauseTask("books", BY))
    assert sorted(written) == ["books", "books~1", "books~2"], "in one write"
    assert set(shards.owners().values()) == {None}
    assert {each.reason for each in shards.stored.values()} == {BY}
    shards.run(Update(Spec(**{**_fields(BOOKS), "workers": 4})))
    assert set(shards.owners().values()) == {None}, "a new shard too"
    shards.run(ResumeTask("books"))
    assert None not in shards.owners().values()
    assert {each.generation for each in shards.stored.values()} == {0}, "it goes on"


def _fields(spec):
    return {name: getattr(spec, name) for name in spec.__dataclass_fields__}


def test_a_shard_that_another_program_loses_while_its_task_rests_comes_back_resting(shards):
    shards.run(PauseTask("books", BY))
    shards.lose("books~2")
    shards.run()
    assert task(shards, "books~2").owner is None
    assert task(shards, "books~2").reason == BY


def test_a_stopped_task_stops_with_all_its_shards(shards):
    shards.run(StopTask("books", "stopped by ann"))
    assert {each.told_state for each in shards.stored.values()} == {"stopped"}
    shards.now_s += 1000
    shards.run()
    assert {each.told_state for each in shards.stored.values()} == {"stopped"}
    shards.run(RunTask("books"))
    assert {each.told_state for each in shards.stored.values()} == {"assigned"}
    assert {each.generation for each in shards.stored.values()} == {1}


# -- what is stored ---


def test_what_is_stored_of_a_life_is_read_again():
    before = stored("a", owner=W2, paused=Pause(BY, "w-1"), stopped=True, run=3)
    assert decode_resource("a", encode_resource(before), 7) == before
    plain = encode_resource(stored("a"))
    assert not [key for key in (b'"Paused"', b'"Stopped"', b'"Run"') if key in plain]


def test_clients_are_told_of_a_life_over_grpc():
    rests = stored("a", owner=None, state=State.PENDING, reason=BY, paused=Pause(BY, "w-1"), run=3)
    ended = stored("a", state=State.FAILED, stopped=True)
    for before in (rests, ended):
        told = codec.resource_from(codec.resource_message(before))
        assert (told.told_state, told.reason, told.run) == (
            before.told_state,
            before.reason,
            before.run,
        )


@pytest.mark.parametrize("run", [0, -1, 2**31])
def test_the_number_of_a_run_that_cannot_be_is_refused(run):
    value = encode_resource(stored("a")).replace(b'{"ID"', b'{"Run":%d,"ID"' % run)
    with pytest.raises(ValueError, match="Run"):
        decode_resource("a", value, 7)


def test_a_value_with_null_for_a_pause_has_none():
    value = encode_resource(stored("a")).replace(b'{"ID"', b'{"Note":1,"Paused":null,"ID"')
    assert not decode_resource("a", value, 7).paused


# -- what a leader of an earlier version leaves ---


def test_a_pause_is_over_when_its_task_has_ended_under_an_earlier_leader(leader):
    leader.store(task(leader).replace(state=State.DONE, paused=Pause(BY, "w-1")))
    assert task(leader).told_state == "done"
    leader.run()
    assert (task(leader).state, bool(task(leader).paused)) == (State.DONE, False)


def test_a_stop_is_over_when_its_task_runs_again_under_an_earlier_leader(leader):
    leader.store(task(leader).replace(stopped=True))
    assert task(leader).told_state == "running"
    leader.run()
    assert not task(leader).stopped
    leader.run(STOP)
    assert task(leader).told_state == "stopped"


# -- a shard that failed for want of its spider ---


@pytest.fixture
def lacking(shards):
    lacks = task(shards, "books~1").replace(state=State.FAILED, awaits_spider=True)
    shards.store(lacks)
    return shards


def test_a_shard_that_waits_for_its_spider_is_stopped_with_its_task(lacking):
    lacking.one_pass(StopTask("books", "stopped by ann"))
    shard = task(lacking, "books~1")
    assert (shard.told_state, shard.awaits_spider) == ("stopped", False)


def test_a_shard_that_waits_for_its_spider_rests_with_its_task(lacking):
    lacking.one_pass(PauseTask("books", BY))
    assert task(lacking, "books~1").told_state == "paused"


def test_a_shard_that_waits_for_its_spider_ends_with_its_task(lacking):
    lacking.store(task(lacking, "books").replace(state=State.DONE))
    lacking.run()
    shard = task(lacking, "books~1")
    assert (shard.state, shard.awaits_spider) == (State.DONE, False)


# -- what a resumed task keeps ---


def test_a_resumed_task_keeps_its_counts_until_its_run_has_counted(leader):
    leader.run(PauseTask("a", BY, lambda r: r.replace(counts=Counts(7))))
    leader.run(RESUME)
    assert task(leader).counts == Counts(7)
    leader.hear("a", state=State.RUNNING)
    leader.run(STOP)
    assert task(leader).counts == Counts(7)


def test_a_task_that_is_paused_before_it_is_placed_again_keeps_its_former_worker(leader):
    leader.run(PAUSE)
    leader.leave("w-1")
    leader.leave("w-2")
    leader.run(RESUME)
    assert not task(leader).paused
    leader.store(decode_resource("a", encode_resource(task(leader)), 7))
    leader.run(PAUSE)
    assert task(leader).paused == Pause(BY, "w-1")


def test_a_task_that_waits_for_its_spider_has_not_ended_and_is_not_run():
    leader = Leader(stored("a", state=State.FAILED, awaits_spider=True))
    with pytest.raises(WrongState, match="has not ended"):
        RUN.apply(leader.draft())


@pytest.mark.parametrize("command", [Again("a"), Update(Spec("a", parameters={"x": 1}))])
def test_the_runs_of_a_task_are_counted_from_its_first_run_command_on(command):
    leader = Leader(stored("a", state=State.DONE))
    leader.run(command)
    assert b'"Run"' not in encode_resource(task(leader))


def test_a_schedule_counts_the_runs_of_its_task_once_each():
    leader = Leader(stored("a", state=State.DONE))
    leader.run(Begin(Spec("a", parameters={"x": 1}), mark_of(task(leader))))
    assert (task(leader).state, task(leader).run) == (State.ASSIGNED, 2)
    leader.store(task(leader).replace(state=State.DONE))
    leader.run(Begin(Spec("a", parameters={"x": 2}), mark_of(task(leader))))
    assert task(leader).run == 3


def test_a_new_leader_tells_the_counts_of_a_resumed_task_before_its_run_has_counted():
    resumed = stored("a", counts=Counts(7))
    live = LiveCounts({"a": resumed}.get)
    live.note([(Report("a", "1", 3, State.RUNNING), resumed)])
    assert live.of_run(resumed).counts == Counts(7)
