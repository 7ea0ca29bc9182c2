"""The states of all tasks in one Redis, as a worker keeps them."""

import json
from array import array
from pathlib import Path
from uuid import uuid4

import pytest

from crawler.clock import ManualClock, SystemClock
from crawler.engine.crawl.kept import COUNTERS, DONE, MARKS
from crawler.engine.frontier import redis_states
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_run import keys_of
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_states import LOOKED, RedisStates
from crawler.engine.frontier.shared_store import ENDED, Exchange, Offer
from crawler.engine.frontier.store import Step, StoreFailed, StoreInUse, StoreLost, Waiting
from crawler.engine.items.sinks.marks import name_of
from crawler.items import items_of
from crawler.local.ports import free_ports
from crawler.model.records import Resource, Spec
from crawler.node.run.item_files import FILES, ItemFiles
from crawler.node.run.shared_states import SharedStates
from crawler.node.run.states import States
from crawler.settings.redis_url import parsed

DAY_S = 86_400.0


@pytest.fixture
def place(shared_redis):
    server = RedisServer(Access(parsed(shared_redis.url)))
    with shared_redis.client() as client:
        client.delete(LOOKED)
    yield RedisStates(server)
    server.close()


@pytest.fixture
def prefix():
    return uuid4().hex


def written(place, shared_redis, name, unused_s):
    """A state that nobody has used for so long."""
    store = place(name)
    store.open()
    store.close()
    with shared_redis.client() as client:
        client.hincrbyfloat(keys_of(name)["run"], "used_s", -unused_s)


class WithRun:
    """States of which one is opened by a run just before it is removed."""

    def __init__(self, place, name):
        self._place, self._name = place, name
        self.store = place(name)

    def all(self):
        return self._place.all(self._name[:32])

    def claims_look(self, for_s):
        return True

    def finish_removals(self):
        self._place.finish_removals()

    def clear(self, name):
        if name == self._name:
            self.store.open()
        self._place.clear(name)


def test_a_state_whose_run_was_killed_before_it_wrote_anything_is_a_new_one(place, prefix):
    """Else nobody would ever notice that the task has other arguments by now."""
    specs = [Spec(prefix, parameters={"shelf": name}) for name in ("books", "toys")]
    books, toys = (Resource(spec, id="77", epoch=epoch) for epoch, spec in enumerate(specs, 2))
    states = SharedStates(place, ManualClock(), Path())
    killed = place(f"{prefix}/77")
    killed.open(1)
    killed.close()
    kept = states.open(books)
    assert kept.found.is_new
    kept.store.write(Step(marks=array("Q", [1])))
    kept.store.close()
    kept = states.open(toys)
    assert len(kept.found.seen) == 0
    kept.store.clear()


def test_what_nobody_has_used_for_long_is_removed(place, shared_redis, prefix):
    for name, unused_s in ((f"{prefix}/old", 8 * DAY_S), (f"{prefix}/new", 6 * DAY_S)):
        written(place, shared_redis, name, unused_s)
    SharedStates(place, ManualClock(), Path()).drop_unused(7 * DAY_S)
    assert [state.name for state in place.all(prefix)] == [f"{prefix}/new"]


def test_only_one_worker_an_hour_looks_for_what_nobody_uses(place, shared_redis, prefix):
    for name in ("first", "second"):
        written(place, shared_redis, f"{prefix}/{name}", 8 * DAY_S)
        SharedStates(place, ManualClock(), Path()).drop_unused(7 * DAY_S)
    assert [state.name for state in place.all(prefix)] == [f"{prefix}/second"]


def test_a_run_that_begins_meanwhile_keeps_its_state_and_the_others_are_removed(
    place, shared_redis, prefix
):
    for name in "abc":
        written(place, shared_redis, f"{prefix}/{name}", 8 * DAY_S)
    with_run = WithRun(place, f"{prefix}/b")
    SharedStates(with_run, ManualClock(), Path()).drop_unused(7 * DAY_S)
    assert [state.name for state in place.all(prefix)] == [f"{prefix}/b"]
    with_run.store.close(is_clean=True)


def test_a_redis_that_does_not_answer_is_asked_again_next_time(caplog):
    [port] = free_ports(1)
    server = RedisServer(Access(parsed(f"redis://127.0.0.1:{port}")), wait_s=0.0)
    SharedStates(RedisStates(server), ManualClock(), Path()).drop_unused(7 * DAY_S)
    assert "states that no run uses are not removed" in caplog.text
    server.close()


# -- a task that several workers run ---------------------------------------------------------------


class Task:
    """One task on three workers. Each has connections of its own."""

    def __init__(self, redis, name, folder):
        self.redis, self._name = redis, name
        self.items = [folder / f"items-{number}" for number in range(3)]
        self._places = [RedisStates(RedisServer(Access(parsed(redis.url)))) for _ in range(3)]
        self.workers = [
            SharedStates(place, SystemClock(), items, 0.0)
            for place, items in zip(self._places, self.items, strict=True)
        ]
        self.states = self._places[0]
        self.kept = {}

    def resource(self, shard, epoch=1, workers=3, generation=0, resumes=0, **parameters):
        name = f"{self._name}~{shard}" if shard else self._name
        shard_of = self._name if shard else ""
        spec = Spec(name, "books", parameters, workers=workers, shard=shard, shard_of=shard_of)
        return Resource(spec, id="77", epoch=epoch, generation=generation, resumes=resumes)

    def open(self, shard, *args, **options):
        kept = self.workers[shard].open(self.resource(shard, *args, **options))
        self.kept[shard] = kept
        return kept

    def again(self, shard, **options):
        resource = self.resource(shard, **options)
        self.kept[shard] = self.workers[shard].again(self.kept[shard], resource)

    def ask(self, shard, step=None, **exchange):
        return self.kept[shard].store.exchange(step or Step(), Exchange(**exchange))

    def begin_files(self, shard, counted, written, **options):
        """Let the run of a shard write items, of which the last ones came after its last step."""
        kept = self.kept[shard]
        files = ItemFiles(self.items[shard], self.resource(shard, **options), ["jsonl"], kept)
        files.begin()
        lines = [f'{{"n": {number}}}\n' for number in written]
        path = files.path.with_name(f"{files.path.name}.part")
        path.write_text("".join(lines))
        marks = json.dumps({name_of(path): sum(map(len, lines[:counted]))})
        held = Waiting(shard, f"http://h{shard}", 0, b"[%d]" % shard)
        self.ask(shard, Step(added=[held], state={FILES: files.text, MARKS: marks}), left=1)

    def abandon(self, shard):
        """Let it seem that nobody has run a shard for long."""
        self.kept.pop(shard).store._supervisor.stop()
        keys = keys_of(f"{self._name}/77", shard)
        with self.redis.client() as client:
            client.delete(keys["hold"])
            client.hincrbyfloat(keys["run"], "used_s", -60)

    def numbers(self):
        folders = [folder for folder in self.items if folder.exists()]
        return sorted(item["n"] for item in items_of(self._name, *folders))

    def clear(self, shard, patience_s=0.0):
        return self.workers[shard].clear(self.resource(shard), patience_s)

    def keys(self):
        """The keys, but for those that only say for a day which run was the last one."""
        with self.redis.client() as client:
            found = client.keys(f"*{self._name}*")
            return [
                key
                for key in found
                if client.type(key) != b"hash" or not client.hexists(key, "gone")
            ]

    def end(self):
        for kept in self.kept.values():
            kept.store.close()
        self.states.clear(f"{self._name}/77")
        for place in self._places:
            place.close()


@pytest.fixture
def task(shared_redis, prefix, tmp_path):
    made = Task(shared_redis, prefix, tmp_path)
    yield made
    made.end()


def offer(number):
    return Offer(number, f"http://h{number}", 0, b"[%d]" % number)


def drawn(answer):
    return sorted(each.mark for each in answer.drawn)


def test_a_shard_that_begins_before_its_head_waits_for_it(task):
    assert task.open(1).shard == 1
    answer = task.ask(1, wants=5)
    assert (answer.drawn, answer.is_over, answer.left) == ([], False, 0)
    assert task.open(0).shard == 0
    task.ask(0, offers=[offer(1), offer(2)], has_read_start=True)
    assert drawn(task.ask(1, wants=5)) == [1, 2]


def test_a_task_that_ran_alone_goes_on_with_what_it_knows_and_shares_it_from_then_on(task, place):
    alone = task.open(0, workers=1)
    assert alone.shard is None
    marks = array("Q", range(2**63, 2**63 + 2500))
    held = Waiting(0, "http://h1", 0, b"[1]")
    alone.store.write(Step(marks=marks, added=[held], starts=array("Q", [5])))
    alone.store.close()
    head = task.open(0, 2)
    assert (head.shard, head.found.waiting, list(head.found.starts)) == (0, 1, [5])
    task.open(1)
    assert task.ask(1, offers=[offer(mark) for mark in (2**63, 2**63 + 2499, 8)]).known == 2
    assert list(head.store.lease(9)) == [held]
    head.store.close()
    head = task.open(0, 3, workers=1)
    assert (head.shard, head.found.waiting) == (0, 1)


def test_a_head_that_begins_anew_drops_what_all_shards_have(task):
    task.open(0)
    task.open(1)
    task.ask(0, offers=[offer(1), offer(2)], has_read_start=True)
    task.ask(1, wants=1)
    task.kept[0].store.close()
    head = task.open(0, 2, generation=1)
    assert head.found.is_new
    with pytest.raises(StoreLost):
        task.ask(1)
    task.again(1, generation=1)
    assert drawn(task.ask(1, wants=5)) == []
    assert task.ask(0, offers=[offer(1)]).known == 0  # nothing of the earlier one is known
    task.kept[1].store.close()
    task.open(1, 2, generation=1)
    assert drawn(task.ask(1, wants=5)) == [1]


def test_a_task_that_could_not_be_written_goes_on_with_all_its_shards_when_somebody_asks(task):
    """Its head has failed, so the leader has ended its shards. It may fail so more than once."""
    task.open(0)
    task.open(1)
    task.ask(0, offers=[offer(1), offer(2)], has_read_start=True)
    task.begin_files(0, 2, range(2))
    task.begin_files(1, 3, range(10, 13))
    for again in range(1, 3):
        for shard in range(2):
            task.kept.pop(shard).store.close()
        assert task.clear(1)
        options = {"epoch": again + 1, "generation": again, "resumes": again}
        assert not task.open(1, **options).found.is_new  # whichever comes first
        assert not task.open(0, **options).found.is_new
        assert task.ask(0, offers=[offer(1)]).known == 1
        drawn_now = [each.record for each in task.ask(1, wants=9).drawn]
        assert b"[1]" in drawn_now, "what it held before its leader ended it"
        assert len(drawn_now) == 3
        files = ItemFiles(task.items[0], task.resource(0, **options), ["jsonl"], task.kept[0])
        files.begin()
        assert task.numbers() == [0, 1, 10, 11, 12], "the items of all its shards count"


def test_a_shared_task_that_failed_to_its_end_begins_anew_when_somebody_asks(task):
    task.open(0)
    task.open(1)
    end = Step(state={DONE: '["failed", "no page"]'})
    task.ask(0, end, offers=[offer(1)], has_read_start=True, tells={ENDED: "1"})
    for shard in range(2):
        task.kept.pop(shard).store.close()
    options = {"epoch": 2, "generation": 1, "resumes": 1}
    task.open(1, **options)
    assert task.ask(1, wants=9).drawn == [], "it waits for its head"
    assert task.open(0, **options).found.is_new
    assert task.ask(0, offers=[offer(1)]).known == 0


def test_a_task_that_somebody_asked_for_anew_never_goes_on_with_what_was_before(task):
    task.open(0)
    task.ask(0, offers=[offer(1)])
    task.kept.pop(0).store.close()
    assert task.open(0, 2, generation=2, resumes=1).found.is_new


def test_a_shard_that_went_on_hears_of_a_crawl_that_begins_anew(task):
    for shard in range(2):
        task.open(shard)
        task.ask(shard, left=1)
        task.kept.pop(shard).store.close()
    options = {"epoch": 2, "generation": 1, "resumes": 1}
    task.open(1, **options)
    task.kept[1].store._supervisor.stop()
    with task.redis.client() as client:  # as `crawler frontier clear`
        client.delete(*task.keys())
    task.open(0, **options)
    task.ask(0, offers=[offer(4)])
    with pytest.raises(StoreLost):
        task.ask(1)
    task.again(1, **options)
    assert drawn(task.ask(1, wants=5)) == [4]


def test_a_shard_with_other_arguments_than_its_head_waits_and_drops_nothing_of_others(task):
    task.open(0)
    task.open(1)
    task.ask(0, offers=[offer(1), offer(2)], has_read_start=True)
    [first] = task.ask(1, wants=1).drawn
    added = [Waiting(0, first.site, 0, first.record)]
    task.ask(1, Step(added=added), taken=1, left=1)
    task.kept[1].store.close()
    assert task.open(1, 2, shelf="toys").found.is_new  # somebody has changed the task
    assert task.ask(1, wants=5).drawn == []
    assert drawn(task.ask(0, wants=5)) == [2]
    task.kept[0].store.close()
    task.open(0, 2, shelf="toys")
    task.again(1, epoch=2, shelf="toys")
    task.ask(0, offers=[offer(3)])
    assert drawn(task.ask(1, wants=5)) == [3]


def test_what_a_shard_holds_goes_to_the_others_when_its_task_sheds_it(task):
    for shard in range(2):
        task.open(shard)
    task.ask(0, offers=[offer(1)], has_read_start=True)
    [first] = task.ask(1, wants=1).drawn
    added = [Waiting(0, first.site, 0, first.record)]
    task.ask(1, Step(added=added), taken=1, left=1)
    assert not task.clear(1), "it goes on"
    assert drawn(task.ask(0, wants=5)) == []
    task.kept[1].store.close()
    assert task.clear(1)
    assert [each.record for each in task.ask(0, wants=5).drawn] == [first.record]


def test_what_a_shard_has_stays_when_it_is_removed_and_goes_with_its_head(task):
    for shard in range(3):
        task.open(shard)
        task.ask(shard, offers=[offer(3 * shard + 1), offer(3 * shard + 2)])
    task.kept[1].store.close()
    assert task.clear(1)
    assert task.kept[0].store.exchange(Step(), Exchange()).left == 6
    task.kept[0].store.close()
    assert not task.clear(0)  # a shard still runs
    assert task.clear(0, 0.5)  # it had its time
    assert task.keys() == []
    with pytest.raises(StoreLost):
        task.ask(2)
    task.again(2)  # its worker does not know yet that the task is gone
    task.kept[2].store.close()
    assert task.clear(2)
    assert task.keys() == []


def test_a_removal_that_was_cut_off_is_finished_later(task, shared_redis, monkeypatch):
    """Else nothing would ever look at these keys again."""
    task.open(0)
    task.ask(0, offers=[offer(number) for number in range(1, 20)])
    task.kept.pop(0).store.close()
    with monkeypatch.context() as patched:
        patched.setattr(redis_states, "sweep", lambda *_: None)
        assert task.clear(0)  # and its process is killed
    assert len(task.keys()) > 19
    with shared_redis.client() as client:
        client.delete(LOOKED)
    task.workers[1].drop_unused(7 * DAY_S)
    assert task.keys() == []


def test_what_a_task_shares_stays_when_removals_are_finished(task, shared_redis):
    task.open(0)
    task.ask(0, offers=[offer(1)])
    with shared_redis.client() as client:
        client.delete(LOOKED)
    task.workers[1].drop_unused(7 * DAY_S)
    assert drawn(task.ask(0, wants=1)) == [1]


def test_a_task_is_listed_once_with_what_all_its_shards_have(task, prefix):
    for shard, pages in enumerate((3, 4)):
        task.open(shard)
        counters = {COUNTERS: json.dumps({"pages": pages, "statuses": {"200": pages}})}
        task.ask(shard, Step(state=counters), offers=[offer(shard + 1), offer(shard + 11)])
    [state] = task.states.all(prefix)
    assert (state.name, state.shards, state.waiting) == (f"{prefix}/77", 2, 4)
    assert (state.counters, state.is_in_use) == ({"pages": 7}, True)
    assert 1000 < state.bytes < 20_000
    with pytest.raises(StoreInUse):
        task.states.clear(state.name)


def test_what_a_shard_wrote_after_its_last_step_does_not_count_when_others_do_it_again(task):
    """Its machine is gone, and its folder may be copied later. If it goes on there, its files
    count again as its state says."""
    for shard in (0, 1):
        task.open(shard)
    task.begin_files(0, 1, [1])
    task.begin_files(1, 2, [2, 3, 4])
    task.items[2].mkdir()
    assert task.numbers() == [1, 2, 3, 4]
    task.abandon(1)
    assert task.kept[0].store.adopt() == 1
    assert task.numbers() == [1, 2, 3]
    task.open(1, 2)
    task.begin_files(1, 4, [2, 3, 5, 6], epoch=2)
    assert task.numbers() == [1, 2, 3, 5, 6]


def test_it_does_not_count_either_if_its_own_worker_gives_it_to_the_others(task):
    for shard in (0, 1):
        task.open(shard)
    task.begin_files(0, 1, [1])
    task.begin_files(1, 2, [2, 3, 4])
    task.items[2].mkdir()
    task.kept[1].store.close()  # it was broken off
    assert task.clear(1)
    assert task.numbers() == [1, 2, 3]


def test_what_a_shard_holds_stays_as_long_as_nobody_can_note_how_far_its_files_count(task, caplog):
    for shard in (0, 1):
        task.open(shard)
    task.begin_files(1, 0, [2])
    task.abandon(1)
    task.items[0].write_text("no folder")
    assert task.kept[0].store.adopt() == 0
    assert "others do not get what a shard holds" in caplog.text
    assert task.open(1, 2).found.waiting == 1


def test_files_refuse_a_task_on_several_workers(tmp_path, prefix):
    resource = Resource(Spec(prefix, workers=4), id="77", epoch=1)
    with pytest.raises(StoreFailed, match=r"workers: 4 needs a Redis .* frontier\.url"):
        States(tmp_path, ManualClock()).open(resource)
