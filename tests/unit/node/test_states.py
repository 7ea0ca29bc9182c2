"""The states of the tasks on one machine: which one a run takes, and which ones are removed."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from click.testing import CliRunner

from crawler.cli.base import Unusable, commands
from crawler.clock import ManualClock, SystemClock
from crawler.engine.crawl.kept import COUNTERS, DONE
from crawler.engine.frontier.store import StaleRun, Step, Waiting
from crawler.hub import stacks_of_threads
from crawler.model.records import Resource, Spec, State
from crawler.node.run.kept import kept_states
from crawler.node.run.states import TRIES, States, tried
from tests.waiting import PATIENCE_S, eventually

SPEC = Spec("books", parameters={"start_urls": ["http://h/"], "settings": {"delay_s": 1}})


def resource(epoch, id="77", **about):
    return Resource(about.pop("spec", SPEC), id=id, epoch=epoch, **about)


@pytest.fixture
def states(tmp_path):
    states = States(tmp_path, SystemClock(), patience_s=0.05)
    yield states
    states.close()


@contextmanager
def taken(states, run):
    kept = states.open(run)
    try:
        yield kept
    finally:
        kept.store.close(is_clean=True)


def written(states, run, **texts):
    """The state of a run that did something."""
    with taken(states, run) as kept:
        kept.store.write(Step(added=[Waiting(0, "http://h", 0, b"[]")], state=texts))


def names(tmp_path):
    return sorted(path.parent.name for path in tmp_path.glob("books/*/frontier.db"))


def test_a_run_that_lets_go_after_the_end_of_all_leaves_no_thread(states):
    before = len(stacks_of_threads())
    with taken(states, resource(1)):
        states.close()
    eventually(lambda: len(stacks_of_threads()) <= before, what="its threads end")


def test_a_run_takes_the_crawl_that_an_earlier_one_began(states, tmp_path):
    written(states, resource(3), a="1")
    for epoch in (4, 9):
        with taken(states, resource(epoch)) as kept:
            assert not kept.found.is_new
            assert (kept.found.epoch, kept.found.waiting) == (epoch, 1)
            assert kept.found.state["a"] == "1"
    assert names(tmp_path) == ["77-3"]


def test_a_run_that_is_over_disturbs_no_later_one(states):
    written(states, resource(9))
    with pytest.raises(StaleRun, match="epoch 4 is over") as told:
        states.open(resource(4))
    assert told.value.last == 9
    with taken(states, resource(10)) as kept:
        assert kept.found.waiting == 1


def test_another_task_of_that_name_has_a_state_of_its_own(states, tmp_path):
    written(states, resource(3))
    for id in ("7", "77-1", "78"):
        with taken(states, resource(4, id=id)) as kept:
            assert kept.found.is_new


def test_a_run_begins_a_crawl_of_its_own_if_the_one_before_never_lets_go(states, tmp_path, caplog):
    with taken(states, resource(3)) as first, taken(states, resource(4)) as second:
        assert second.found.is_new
        first.store.write(Step(state={"late": "1"}))
        second.store.write(Step(state={"new": "1"}))
    assert "the run before it does not let go of its state" in caplog.text
    assert names(tmp_path) == ["77-3", "77-4"]
    with taken(states, resource(5)) as third:
        assert third.found.state.get("new") == "1"
        assert "late" not in third.found.state


def test_a_run_waits_for_the_one_before(tmp_path):
    states = States(tmp_path, SystemClock(), patience_s=20.0)
    first = states.open(resource(3))
    later = gevent.spawn(states.open, resource(4))
    gevent.sleep(0.05)
    assert not later.ready()
    first.store.write(Step(state={"last": "word"}))
    first.store.close(is_clean=True)
    second = later.get(timeout=PATIENCE_S)
    assert (second.found.is_clean, second.found.state["last"]) == (True, "word")
    second.store.close()
    states.close()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"spec": Spec("books", parameters={"start_urls": ["http://other/"]})}, "its arguments"),
        ({"spec": Spec("books", "other", SPEC.parameters)}, "its spider or"),
        ({"generation": 1}, "somebody asked for that"),
    ],
)
def test_what_a_state_is_not_about_begins_anew(states, tmp_path, caplog, changed, told):
    written(
        states,
        resource(3),
        **{COUNTERS: '{"pages": 12, "items": 0, "failed": {}, "raised": {}, "seconds": 1}'},
    )
    with taken(states, resource(4, **changed)) as kept:
        assert kept.found.is_new
    assert told in caplog.text
    assert caplog.records[-1].fields["dropped_pages"] == 12
    assert names(tmp_path) == ["77-4"]


def test_a_crawl_whose_state_could_not_be_written_goes_on_when_somebody_asks_again(states):
    written(states, resource(3), a="1")
    with taken(states, resource(4, generation=1, resumes=1)) as kept:
        assert kept.found.state["a"] == "1"
        kept.store.write(Step(state=dict(kept.texts)))
    with taken(states, resource(5, generation=1, resumes=1)) as kept:
        assert kept.found.state["a"] == "1", "it is of the new generation by now"
    with taken(states, resource(6, generation=3, resumes=1)) as kept:
        assert kept.found.is_new, "the failure was that of another generation"


def test_it_goes_on_too_if_it_could_not_be_opened_meanwhile(states):
    written(states, resource(3), a="1")
    with taken(states, resource(5, generation=2, resumes=2)) as kept:
        assert kept.found.state["a"] == "1"


def test_a_crawl_that_failed_to_its_end_begins_anew_when_somebody_asks_again(states):
    failed = {DONE: '["failed", "no page"]', TRIES: json.dumps(tried(resource(3)))}
    written(states, resource(3), **failed)
    with taken(states, resource(4, generation=1, resumes=1)) as kept:
        assert kept.found.is_new


def test_other_settings_go_on(states):
    written(states, resource(3))
    slower = Spec("books", parameters={**SPEC.parameters, "settings": {"delay_s": 9}})
    with taken(states, resource(4, spec=slower)) as kept:
        assert kept.found.waiting == 1


def test_how_a_crawl_ended_is_there_until_it_is_cleared(states, tmp_path):
    failed = {DONE: '["failed", "no page"]', TRIES: json.dumps(tried(resource(3)))}
    written(states, resource(3), **failed)
    with taken(states, resource(4)) as kept:
        assert kept.end == (State.FAILED, "no page")
    assert states.clear(resource(4))
    assert names(tmp_path) == []


def test_a_task_that_failed_and_is_tried_again_begins_anew(states):
    failed = {DONE: '["failed", "no page"]', TRIES: json.dumps(tried(resource(3)))}
    written(states, resource(3), **failed)
    with taken(states, resource(4, failed_on=("w-1",))) as kept:
        assert kept.found.is_new


def test_a_damaged_state_is_named_kept_aside_and_the_run_begins_anew(states, tmp_path, caplog):
    written(states, resource(3))
    file = tmp_path / "books" / "77-3" / "frontier.db"
    data = b"x" * file.stat().st_size
    file.write_bytes(data)
    with taken(states, resource(4)) as kept:
        assert kept.found.is_new
    assert "77-3/frontier.db is damaged" in caplog.records[-1].fields["why"]
    assert file.with_name("frontier.db.damaged-1").read_bytes() == data
    assert names(tmp_path) == ["77-4"]


def test_what_a_run_uses_is_not_removed(states, tmp_path):
    with taken(states, resource(3)) as kept:
        assert not states.clear(resource(3))
        kept.store.write(Step(state={"a": "1"}))
    with taken(states, resource(4)) as kept:
        assert kept.found.state["a"] == "1"


def test_what_nobody_has_used_for_long_is_removed(tmp_path):
    clock = ManualClock()
    states = States(tmp_path, SystemClock())
    for id in ("1", "2", "3"):
        written(states, resource(3, id=id))
    now_s = clock.time_ns() / 1e9
    for id, age_s in (("1", 50), ("2", 101), ("3", 101)):
        for path in (tmp_path / "books" / f"{id}-3").iterdir():
            os.utime(path, (now_s - age_s, now_s - age_s))
    with taken(states, resource(4, id="3")):
        States(tmp_path, clock).drop_unused(100)
        assert names(tmp_path) == ["1-3", "3-3"]
    assert states.clear(resource(9, id="1"))
    assert states.clear(resource(9, id="3"))
    assert not (tmp_path / "books").exists()
    states.close()


# -- crawler frontier ---------------------------------------------------------------------------


def called(*arguments):
    command = ["frontier", *map(str, arguments)]
    done = CliRunner().invoke(commands, command, standalone_mode=False, catch_exceptions=False)
    return done.return_value or 0, done.output


def test_what_is_kept_is_listed_and_a_look_is_no_use(states, tmp_path):
    counters = '{"pages": 12}'
    written(states, resource(3), **{COUNTERS: counters})
    written(states, Resource(Spec("toys & more"), id="8", epoch=1))
    before = next(kept_states(tmp_path, 2e9)).used_s
    with taken(states, Resource(Spec("toys & more"), id="8", epoch=2)):
        status, said = called("list", "--folder", tmp_path)
    first, second = said.splitlines()[1:]
    assert status == 0
    assert first.split()[:6] == ["books", "77", "3", "1", "12", "1"]
    assert first.split()[-1] == "free"
    assert second.split()[:3] == ["toys", "&", "more"]
    assert second.endswith("in use")
    assert next(kept_states(tmp_path, 2e9)).used_s == before
    with taken(states, resource(4)) as kept:
        assert kept.found.waiting == 1


def test_what_is_cleared_is_named_and_what_is_in_use_stays(states, tmp_path):
    written(states, resource(3), **{COUNTERS: '{"pages": 12}'})
    written(states, Resource(Spec("toys"), id="8", epoch=1))
    with taken(states, Resource(Spec("toys"), id="8", epoch=2)):
        status, said = called("clear", "--folder", tmp_path)
        assert status == 1
        assert "books (77-3) is removed: 12 pages done" in said
        assert "toys (8-1) is in use by a process" in said
    status, said = called("clear", "--folder", tmp_path, "toys", "boats")
    assert status == 1
    assert "nothing is kept of task 'boats'" in said
    assert not list(kept_states(tmp_path))


def test_files_of_crawls_that_were_dropped_are_told_and_removed_only_if_asked(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    items = tmp_path / "items"
    for task in ("books", "toys"):
        (items / task).mkdir(parents=True)
        runs = [{"id": "7", "epoch": epoch, "files": [f"7-{epoch}"]} for epoch in (1, 2)]
        (items / task / ".runs").write_text("".join(f"{json.dumps(run)}\n" for run in runs))
        for epoch in (1, 2):
            (items / task / f"7-{epoch}.jsonl.part").write_text('{"n": 1}\n')
    _, said = called("list")
    assert "2 files of items (18 bytes) of crawls that were dropped" in said
    assert "items/books/7-1.jsonl.part" in said
    called("clear")
    assert len(list(items.glob("*/*.part"))) == 4
    status, said = called("clear", "--leftovers", "books")
    assert status == 0
    assert "items/books/7-1.jsonl.part is removed: 9 bytes of a crawl that was dropped" in said
    with pytest.raises(Unusable, match="leave --folder out"):
        called("clear", "--leftovers", "--folder", items)
    left = sorted(str(path.relative_to(items)) for path in items.glob("*/*.part"))
    assert left == ["books/7-2.jsonl.part", "toys/7-1.jsonl.part", "toys/7-2.jsonl.part"]


def test_files_that_go_while_somebody_looks_are_left_out(states, tmp_path):
    written(states, resource(3))
    state = tmp_path / "books" / "77-3"
    (state / "seen-1.bin").symlink_to(state / "gone")
    status, said = called("list", "--folder", tmp_path)
    assert (status, said.split()[-1]) == (0, "free")


def test_a_state_into_which_only_its_owner_may_look_is_listed(states, tmp_path, monkeypatch):
    written(states, resource(3))
    exists = Path.exists

    def refused(path):
        if path.name == "frontier.db":
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", refused)
    status, said = called("list", "--folder", tmp_path)
    assert status == 0
    assert said.splitlines()[1].split()[:3] == ["books", "77", "3"]
    assert said.rstrip().endswith("cannot be read; run this command as the user of the workers")
    status, said = called("clear", "--folder", tmp_path)
    assert status == 1
    assert "books (77-3): the state of the crawl cannot be kept in" in said


def test_a_folder_of_which_nothing_can_be_known_is_no_empty_one(tmp_path, monkeypatch):
    with pytest.raises(Unusable, match=r"'.*/nowhere' is no folder"):
        called("list", "--folder", tmp_path / "nowhere")

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(Unusable, match="Permission denied; run this command as the user"):
        called("clear", "--folder", tmp_path)
