"""The leader keeps the shards of a task in line with the task, whatever happened to them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import AlreadyExists, InvalidArgument, WouldRestart
from crawler.model.constraints import Constraints
from crawler.model.records import Counts, Report, Spec, State
from crawler.model.shards import is_like_shard, shard_names, shard_spec
from crawler.node.master.commands import Add, Again, Record, Remove, Update
from crawler.node.master.shards import END_S, Shards
from crawler.node.run.item_files import ItemFiles
from tests.unit.node.scene import Scene, stored, worker

BOOKS = Spec("books", parameters={"depth": 2}, labels={"site": "shop"}, priority=3, workers=3)
NAMES = ["books", "books~1", "books~2"]
MOST_PASSES = 100


class Leader(Scene):
    """Passes with commands, each committed whole."""

    def __init__(self, *resources, workers=3, **about):
        numbers = range(1, workers + 1)
        super().__init__(*resources, workers=[worker(number, **about) for number in numbers])
        self.shards = Shards(lambda: self._revision)
        self.cluster_state.begin()

    def run(self, *commands):
        """A pass, and those after it until nothing changes; what the first one wrote."""
        written = self.one_pass(*commands)
        assert any(not self.one_pass() for _ in range(MOST_PASSES)), "passes undo each other"
        return written

    def one_pass(self, *commands):
        draft = self.draft()
        for command in commands:
            command.apply(draft)
        changed = self.cluster_state.changes.take_sharded()
        self.shards.mend(draft, changed, self.now_s, int(self.now_s * 1e9))
        self.place(draft)
        return self.commit(draft)

    def commit(self, draft):
        written = [change.name for change in draft.changes() if not change.keeps]
        for change in draft.changes():
            if change.keeps:
                continue
            if change.after is None:
                self.lose(change.name)
            else:
                self.store(change.after)
        return written

    def lose(self, name):
        """Somebody deletes a key."""
        self._revision += 1
        del self.stored[name]
        self.cluster_state.see(name, None)

    def report(self, name, state, reason="", **counts):
        self.hear(name, state=state, reason=reason, counts=Counts(**counts))

    def hear(self, name, **about):
        present = self.stored[name]
        told = Report(name, present.id, present.epoch, **about)
        self.run(Record(present.owner.node_id, [told]))

    def states(self):
        return {name: each.state.value for name, each in sorted(self.stored.items())}

    def epochs(self):
        return {name: each.epoch for name, each in self.stored.items()}


@pytest.fixture
def leader():
    leader = Leader()
    leader.run(Add(BOOKS))
    return leader


def test_a_task_on_several_workers_is_added_with_its_shards_in_one_step():
    leader = Leader()
    assert leader.one_pass(Add(BOOKS)) == NAMES
    head, *shards = (leader.stored[name] for name in NAMES)
    assert head.spec == BOOKS
    assert [each.spec for each in shards] == [shard_spec(BOOKS, 1), shard_spec(BOOKS, 2)]
    assert {each.id for each in shards} == {head.id}


def test_shards_go_to_different_workers_as_long_as_there_are_enough(leader):
    assert len(set(leader.owners().values())) == 3
    few = Leader(workers=2)
    few.run(Add(BOOKS))
    assert sorted(few.owners().values()) in (["w-1", "w-1", "w-2"], ["w-1", "w-2", "w-2"])


def test_a_worker_without_a_shard_gets_one_although_others_have_fewer_tasks():
    leader = Leader(*(stored(f"t{at}", owner=worker(3)) for at in range(9)))
    leader.run(Add(BOOKS))
    assert {leader.owners()[name] for name in NAMES} == {"w-1", "w-2", "w-3"}


def test_what_holds_for_a_task_holds_for_its_shards():
    leader = Leader()
    leader.run(Add(Spec("books", workers=3, constraints=Constraints(node="9"))))
    assert set(leader.owners().values()) == {None}, "no worker has that name"
    leader.run(Update(Spec("books", workers=3, constraints=Constraints(node="2"))))
    assert set(leader.owners().values()) == {"w-2"}


@pytest.mark.parametrize("name", ["books~1", "a~63", "a~99", "~~7"])
def test_a_name_like_that_of_a_shard_is_refused(name):
    with pytest.raises(InvalidArgument, match=f"name: '{name}' is not allowed; names that end in"):
        Add(Spec(name)).apply(Leader().draft())


@pytest.mark.parametrize("name", ["~1", "a~", "a~0", "a~01", "a~100", "a~1b", "a1"])
def test_other_names_are_nobodys(name):
    assert not is_like_shard(name)
    Add(Spec(name)).apply(Leader().draft())


def test_a_task_that_has_the_name_of_a_shard_already_stays_and_stands_in_its_way():
    leader = Leader(stored("books~2"))
    leader.run(Add(Spec("books~2")))  # the same again: nothing changes
    with pytest.raises(AlreadyExists, match="workers: 3 needs the name 'books~2'"):
        leader.run(Add(BOOKS))
    leader.run(Add(Spec("books", workers=2)))
    with pytest.raises(AlreadyExists, match="ask for fewer workers"):
        leader.run(Update(Spec("books", workers=4)))
    assert leader.stored["books~2"].spec == Spec("books~2")


def test_a_cluster_that_cannot_share_a_task_says_why_and_only_then():
    draft = Leader().draft()
    with pytest.raises(InvalidArgument, match="no Redis"):
        Add(BOOKS, alone="no Redis").apply(draft)
    Add(Spec("books"), alone="no Redis").apply(draft)
    with pytest.raises(InvalidArgument, match="no Redis"):
        Update(BOOKS, alone="no Redis").apply(draft)


def test_deleting_a_task_deletes_its_shards(leader):
    leader.run(Remove("books"))
    assert leader.stored == {}


@pytest.mark.parametrize("command", [Remove("books~1"), Again("books~1"), Update(Spec("books~1"))])
def test_a_shard_alone_cannot_be_changed(leader, command):
    with pytest.raises(InvalidArgument, match="'books~1' is a shard of the task 'books'; name"):
        command.apply(leader.draft())


def test_who_asks_for_a_task_anew_gets_all_its_shards_anew(leader):
    leader.report("books~2", State.FAILED, "no disk")
    before = leader.epochs()
    leader.run(Again("books"))
    assert {each.generation for each in leader.stored.values()} == {1}
    assert all(leader.epochs()[name] > before[name] for name in NAMES)
    leader.lose("books~1")
    leader.run()
    assert leader.stored["books~1"].generation == 1


def test_who_asks_again_for_a_task_that_failed_gets_shards_that_may_go_on(leader):
    leader.report("books", State.FAILED, "Redis is full")
    leader.run(Again("books"))
    assert {(each.generation, each.resumes) for each in leader.stored.values()} == {(1, 1)}
    leader.lose("books~2")
    leader.run()
    assert leader.stored["books~2"].resumes == 1


def test_settings_reach_all_shards_and_restart_them_only_if_they_must(leader):
    before = leader.epochs()
    live = {**BOOKS.parameters, "settings": {"delay_s": 3}}
    leader.run(Update(Spec("books", parameters=live, priority=5, workers=3)))
    specs = {name: leader.stored[name].spec for name in NAMES}
    assert all(spec.parameters == live and spec.priority == 5 for spec in specs.values())
    assert {spec.labels.get("site") for spec in specs.values()} == {None}
    assert leader.epochs() == before
    with pytest.raises(WouldRestart):
        leader.run(Update(Spec("books", parameters={"depth": 3}, workers=3), restart=False))
    leader.run(Update(Spec("books", parameters={"depth": 3}, workers=3)))
    assert all(leader.epochs()[name] > before[name] for name in NAMES)


def test_a_change_is_refused_that_would_restart_a_shard_although_the_task_itself_waits(leader):
    """Who asks for no restart means the whole task."""
    waits = leader.stored["books"].replace(owner=None, state=State.PENDING)
    leader.store(waits)
    with pytest.raises(WouldRestart, match="would restart the run of 'books~1' on w-"):
        Update(Spec("books", parameters={"depth": 3}, workers=3), restart=False).apply(
            leader.draft()
        )


def test_another_number_of_workers_restarts_nothing(leader):
    before = leader.epochs()
    leader.run(Update(replace(BOOKS, workers=5)))
    assert [*sorted(leader.stored)] == ["books", *shard_names("books", 5)]
    assert {name: leader.epochs()[name] for name in NAMES} == before
    leader.run(Update(replace(BOOKS, workers=2)))
    assert leader.epochs() == {name: before[name] for name in NAMES[:2]}
    leader.run(Update(replace(BOOKS, workers=1)))
    assert leader.epochs() == {"books": before["books"]}


def test_a_run_that_shares_nothing_yet_begins_again_on_its_worker_where_it_was():
    leader = Leader()
    leader.run(Add(Spec("books")))
    before = leader.stored["books"]
    leader.run(Update(Spec("books", workers=3)))
    after = leader.stored["books"]
    assert (after.owner, after.epoch) == (before.owner, before.epoch + 1)
    assert (after.id, after.generation, after.shared) == (before.id, before.generation, True)
    for workers in (1, 2):
        leader.run(Update(Spec("books", workers=workers)))
    assert leader.stored["books"].epoch == after.epoch


def test_it_begins_again_too_if_another_program_asks_for_more_workers():
    leader = Leader()
    leader.run(Add(Spec("books")))
    leader.store(leader.stored["books"].replace(spec=Spec("books", workers=2)))
    leader.run()
    assert leader.stored["books"].epoch == 2


def test_a_task_that_failed_when_it_was_over_is_tried_again_with_all_its_shards():
    leader = Leader()
    leader.run(Add(replace(BOOKS, retries=2)))
    leader.report("books~1", State.DONE)
    leader.report("books", State.FAILED, "too few items")
    assert {each.generation for each in leader.stored.values()} == {1}
    leader.now_s += 5
    leader.run()
    assert set(leader.states().values()) == {"assigned"}
    assert leader.stored["books"].failed_on == ("w-1",)


def test_a_task_whose_own_run_failed_goes_on_with_its_shards(leader):
    leader = Leader()
    leader.run(Add(replace(BOOKS, retries=2)))
    before = leader.epochs()
    leader.report("books", State.FAILED, "no disk")
    leader.now_s += 5
    leader.run()
    assert {each.generation for each in leader.stored.values()} == {0}
    assert leader.epochs()["books~1"] == before["books~1"]


def test_a_task_that_is_over_and_interrupted_once_more_does_not_begin_anew():
    """It tells its end when it runs again, although an earlier run of it had failed."""
    leader = Leader()
    leader.run(Add(replace(BOOKS, retries=2)))
    leader.report("books", State.FAILED, "no disk")
    leader.now_s += 5
    leader.run()
    leader.report("books~1", State.DONE)
    leader.hear("books", state=State.FAILED, reason="its process is gone", interrupted=True)
    assert leader.states() == {"books": "assigned", "books~1": "done", "books~2": "assigned"}
    assert {each.generation for each in leader.stored.values()} == {0}


def test_a_shard_that_is_interrupted_after_its_task_is_over_has_ended(leader):
    leader.report("books", State.DONE)
    leader.hear("books~2", state=State.FAILED, reason="its process is gone", interrupted=True)
    assert leader.states()["books~2"] == "done"


def test_a_shard_that_comes_back_has_a_later_epoch_than_any_before(leader):
    """Its state may lie in the store, and would refuse the run otherwise."""
    for _ in range(40):
        place = leader.stored["books~2"]
        leader.store(place.replace(owner=None, state=State.PENDING))
        leader.run()
    before = leader.epochs()["books~2"]
    leader.lose("books~2")
    leader.run()
    assert leader.epochs()["books~2"] > before


def test_shards_that_wait_are_done_when_their_task_is(leader):
    leader.store(leader.stored["books~1"].replace(owner=None, state=State.PENDING))
    leader.report("books", State.DONE)
    assert leader.states() == {"books": "done", "books~1": "done", "books~2": "assigned"}


def test_shards_that_run_may_end_by_themselves_and_are_ended_if_they_do_not(leader):
    leader.shards.with_counts = lambda each: each.replace(counts=Counts(pages=7), running=1)
    leader.report("books~1", State.RUNNING)
    leader.report("books", State.FAILED, "too few items")
    leader.report("books~2", State.DONE, pages=5)
    assert leader.states() == {"books": "failed", "books~1": "running", "books~2": "done"}
    assert 0 < leader.shards.idle_s(leader.now_s) <= END_S
    leader.now_s += END_S
    leader.run()
    ended = leader.stored["books~1"]
    assert (ended.state, ended.counts.pages, ended.running) == (State.DONE, 7, 0)
    assert leader.shards.idle_s(leader.now_s) == float("inf")


def test_a_task_whose_worker_lacked_its_spider_is_not_over():
    leader = Leader(spiders=frozenset({"toys"}))
    leader.run(Add(BOOKS))
    present = leader.stored["books"]
    told = Report("books", present.id, present.epoch, State.FAILED, "no spider", True)
    leader.run(Record(present.owner.node_id, [told]))
    leader.now_s += 2 * END_S
    leader.run()
    assert leader.states() == {"books": "failed", "books~1": "assigned", "books~2": "assigned"}


def test_a_shard_that_failed_for_good_is_shown_and_the_task_goes_on(leader):
    leader.report("books~1", State.FAILED, "no disk")
    leader.now_s += 100
    leader.run()
    assert leader.states() == {"books": "assigned", "books~1": "failed", "books~2": "assigned"}
    leader.run(Update(replace(BOOKS, priority=9)))
    assert leader.states()["books~1"] == "failed"


def test_an_update_forgives_the_shards_too(leader):
    leader.store(leader.stored["books~1"].replace(kills=2))
    leader.run(Update(BOOKS))
    assert leader.stored["books~1"].kills == 0


def test_shards_of_a_task_of_which_only_they_are_left_are_removed(leader):
    leader.lose("books")
    leader.run()
    assert leader.stored == {}


def test_shards_of_an_earlier_task_of_the_name_become_those_of_the_present_one(leader):
    leader.store(leader.stored["books"].replace(id="another"))
    before = leader.epochs()
    leader.run()
    assert {each.id for each in leader.stored.values()} == {"another"}
    assert leader.epochs()["books~1"] > before["books~1"]


def test_a_pass_without_changes_writes_nothing(leader):
    assert leader.one_pass() == []
    leader.store(leader.stored["books~1"])
    assert leader.one_pass() == []


damages = st.lists(
    st.one_of(
        st.tuples(st.just("lose"), st.integers(0, 6)),
        st.tuples(st.just("workers"), st.integers(1, 7)),
        st.tuples(st.just("stale"), st.integers(1, 6)),
        st.tuples(st.just("foreign id"), st.integers(1, 6)),
    ),
    max_size=8,
)


@given(st.integers(1, 7), damages, st.booleans())
def test_whatever_is_left_of_the_shards_the_next_leader_mends_it(workers, damages, ends):
    """A leader may stop between any two writes, and anybody may write into etcd."""
    leader = Leader()
    leader.run(Add(Spec("books", workers=workers)))
    for what, number in damages:
        name = f"books~{number}" if number else "books"
        present = leader.stored.get(name)
        head = leader.stored.get("books")
        if what == "workers" and head is not None:
            leader.store(head.replace(spec=Spec("books", workers=number, priority=number)))
        elif present is not None and what == "lose":
            leader.lose(name)
        elif present is not None and what == "stale":
            leader.store(present.replace(spec=shard_spec(Spec("books", workers=64), number)))
        elif present is not None and what == "foreign id":
            leader.store(present.replace(id="other"))
    if ends and "books" in leader.stored:
        leader.store(leader.stored["books"].replace(state=State.DONE))
    later = Leader(*leader.stored.values())
    later._revision = leader._revision
    later.run()
    later.now_s += END_S
    later.run()
    head = later.stored.get("books")
    if head is None:
        assert later.stored == {}
        return
    shards = {name: each for name, each in later.stored.items() if name != "books"}
    assert {each.id for each in shards.values()} <= {head.id}
    if head.state.finished:
        assert all(each.state.finished for each in shards.values())
        assert set(shards) <= set(shard_names("books", head.spec.workers))
    else:
        assert [*sorted(shards)] == [*shard_names("books", head.spec.workers)]
        assert all(each.spec == shard_spec(head.spec, each.spec.shard) for each in shards.values())


def test_the_items_of_all_shards_lie_in_the_folder_of_the_task(tmp_path):
    head = stored(spec=BOOKS)
    shard = head.replace(spec=shard_spec(BOOKS, 2))
    paths = [ItemFiles(tmp_path, each, ["jsonl"], None).path for each in (head, shard)]
    assert paths == [tmp_path / "books" / "1-3.jsonl", tmp_path / "books" / "1~2-3.jsonl"]
