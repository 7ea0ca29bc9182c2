"""The store in files: it stays small, notices damage, and holds nobody up."""

import os
import shutil
import sqlite3
import subprocess
import sys
from array import array
from random import Random

import gevent
import pytest

from crawler.engine.frontier import seen_file, sqlite_journal, sqlite_store
from crawler.engine.frontier.asked import MOST, Asked
from crawler.engine.frontier.sqlite_store import SqliteStore
from crawler.engine.frontier.store import Step, StoreDamaged, StoreFailed, StoreInUse, Waiting
from tests.depth import examples
from tests.source import ROOT
from tests.switches import CUTS, cut_at_each_switch
from tests.waiting import PATIENCE_S, eventually


def waiting(id):
    return Waiting(id, f"http://host-{id % 7}", 0, b'[{"url": "http://host/%d"}, 3]' % id)


def step_of(seen, first, count, ended=()):
    for id in range(first, first + count):
        seen.add(1 + id * 0x9E3779B97F4A7C15 % 2**64)
    added = [waiting(id) for id in range(first, first + count)]
    return Step(marks=seen.take_news(), added=added, ended=ended, state={"counters": "x" * 500})


def bytes_of(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(sqlite_journal, "FOLD_STEPS", 16)
    monkeypatch.setattr(sqlite_store, "SNAPSHOT_MARKS", 5000)


def churned(folder, turns):
    """A store in which a thousand requests wait, after so many times fifty came and went."""
    store = SqliteStore(folder)
    seen = store.open().seen
    chosen, live = Random(1), list(range(1000))
    store.write(step_of(seen, 0, 1000))
    for turn in range(turns):
        first = 1000 + 50 * turn
        over = [live.pop(chosen.randrange(len(live))) for _ in range(50)]
        store.write(step_of(seen, first, 50, over))
        live += range(first, first + 50)
    store.close(is_clean=True)
    return live, len(seen)


def test_only_the_owner_may_read_its_files_whatever_the_folder_is(tmp_path, quick):
    tmp_path.chmod(0o755)
    (tmp_path / "asked.bin").touch(0o644)  # from a run that did not take care
    store = SqliteStore(tmp_path)
    seen = store.open().seen
    store.write(step_of(seen, 0, 6000))
    store.write(step_of(seen, 6000, 1))
    eventually(lambda: list(tmp_path.glob("seen-*.bin")))
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    store.close()
    assert {"frontier.db", "frontier.db-wal", "asked.bin"} < set(modes)
    assert set(modes.values()) == {"0o600"}, modes


def test_a_place_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed, match="file is a file; the state of a crawl needs a folder"):
        SqliteStore(tmp_path / "file").open()


def test_it_does_not_grow_while_as_much_waits_as_before(tmp_path, quick):
    _, known = churned(tmp_path / "some", 100)
    live_later, known_later = churned(tmp_path / "many", 400)
    before = bytes_of(tmp_path / "some") - 16 * known
    assert bytes_of(tmp_path / "many") - 16 * known_later < 1.5 * before
    found, requests = read_all(tmp_path / "many")
    assert sorted(request.id for request in requests) == sorted(live_later)
    assert len(found.seen) == known_later
    assert len(list((tmp_path / "many").glob("seen-*.bin"))) == 1


def test_a_row_of_which_little_is_left_is_written_anew(tmp_path):
    store = SqliteStore(tmp_path)
    seen = store.open().seen
    for row in range(20):
        store.write(step_of(seen, 200 * row, 200))
    store.write(Step(ended=[id for id in range(4000) if id % 100 != 7]))
    store.close(is_clean=True)
    database = sqlite3.connect(tmp_path / "frontier.db")
    assert database.execute("SELECT sum(size) FROM chunk").fetchall() == [(40,)]
    database.close()
    assert sorted(request.id for request in read_all(tmp_path)[1]) == list(range(7, 4000, 100))


def test_a_row_is_gone_when_all_its_requests_are(tmp_path):
    store = SqliteStore(tmp_path)
    seen = store.open().seen
    store.write(step_of(seen, 0, 1000))
    store.write(step_of(seen, 1000, 1, range(1000)))
    store.close(is_clean=True)
    database = sqlite3.connect(tmp_path / "frontier.db")
    assert database.execute("SELECT first FROM chunk").fetchall() == [(1000,)]
    database.close()


def kept(folder):
    store = SqliteStore(folder)
    seen = store.open().seen
    for turn in range(40):
        store.write(
            step_of(seen, 300 * turn, 300, range(max(0, 300 * turn - 300), max(0, 300 * turn - 30)))
        )
    store.close(is_clean=True)


def change(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)
    return bytes(data)


def read_all(folder):
    store = SqliteStore(folder)
    try:
        found = store.open()
        requests = store.lease(100_000)
    finally:
        store.close()
    return found, requests


def test_whatever_byte_has_changed_it_reads_what_was_written_or_says_so(tmp_path, quick):
    kept(tmp_path / "whole")
    found, requests = read_all(tmp_path / "whole")
    told = 0
    turns = examples(160)
    for turn in range(turns):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / str(turn))
        path = Random(turn).choice([folder / "frontier.db", *folder.glob("seen-*.bin")])
        data = change(path, Random(turn).randrange(path.stat().st_size))
        try:
            again, others = read_all(folder)
        except StoreDamaged as error:
            told += 1
            assert path.name in error.args[0]  # noqa: PT017
            [aside] = folder.glob(f"{path.name}.damaged-1")
            assert aside.read_bytes() == data
            assert not list(folder.glob("*.db")) + list(folder.glob("*.bin"))
        except StoreFailed:
            told += 1  # the number of the format itself has changed
        else:
            assert sorted(others) == sorted(requests)
            assert (len(again.seen), again.state) == (len(found.seen), found.state)
    assert told > turns / 3


def test_a_seen_set_that_is_missing_is_told_by_name(tmp_path, quick):
    kept(tmp_path)
    [path] = tmp_path.glob("seen-*.bin")
    path.unlink()
    with pytest.raises(StoreDamaged, match=rf"{path.name} is damaged \(.*No such file"):
        read_all(tmp_path)
    assert read_all(tmp_path)[0].is_new  # what was there is kept aside


YOUNG = 2**64 - 59


@pytest.fixture
def held_up(monkeypatch):
    """Holds up the file of the seen set until it is told to go on."""
    is_told, tell = os.pipe()
    write = seen_file.write

    def later(seen, path):
        os.read(is_told, 1)  # a native thread calls this
        write(seen, path)

    monkeypatch.setattr(seen_file, "write", later)
    yield tell
    os.close(is_told)
    os.close(tell)


def completed(store, tell):
    os.write(tell, b".")
    assert store._snapshot.wait(30) is not None


def test_a_url_that_is_younger_than_the_last_step_is_not_known_by_its_file(
    tmp_path, quick, held_up
):
    store = SqliteStore(tmp_path)
    seen = store.open().seen
    store.write(step_of(seen, 0, 6000))
    step = step_of(seen, 6000, 10)
    seen.add(YOUNG)  # its request is in no step before the process is killed
    completed(store, held_up)
    store.write(step)
    store.close()
    found, _ = read_all(tmp_path)
    assert YOUNG not in found.seen
    assert len(found.seen) == 6010


def test_a_file_of_the_seen_set_is_used_one_step_later(tmp_path, quick, held_up):
    store = SqliteStore(tmp_path)
    seen = store.open().seen
    store.write(step_of(seen, 0, 6000))
    completed(store, held_up)
    for first in (6000, 6010):
        store.write(step_of(seen, first, 10))
    assert store._journal.logged == 20
    store.close()
    assert len(read_all(tmp_path)[0].seen) == 6020


def test_a_step_waits_for_the_file_before_too_many_urls_come_after_it(tmp_path, quick, held_up):
    store = SqliteStore(tmp_path)
    seen = store.open().seen
    store.write(step_of(seen, 0, 6000))
    store.write(step_of(seen, 6000, 3000))
    last = gevent.spawn(store.write, step_of(seen, 9000, 1000))
    eventually(lambda: store._journal.logged == 10_000)
    assert not last.ready()
    os.write(held_up, b".")
    last.get(timeout=30)
    for first in (10_000, 10_010):
        store.write(step_of(seen, first, 10))
    assert store._journal.logged < 5000
    store.close()
    assert len(read_all(tmp_path)[0].seen) == 10_020


def test_a_url_that_is_kept_back_while_the_file_is_written_is_not_known(tmp_path, quick, held_up):
    store = SqliteStore(tmp_path)
    seen = store.open().seen
    store.write(step_of(seen, 0, 6000))
    seen.add(YOUNG)
    assert seen.keep_back(YOUNG)
    completed(store, held_up)
    for first in (6000, 6010, 6020):
        store.write(step_of(seen, first, 10))
    assert not list(tmp_path.glob("seen-*"))
    store.close(is_clean=True)
    found, _ = read_all(tmp_path)
    assert YOUNG not in found.seen
    assert len(found.seen) == 6030


def test_the_seen_set_is_not_written_to_a_file_while_a_url_is_kept_back(
    tmp_path, quick, monkeypatch
):
    monkeypatch.setattr(sqlite_store, "CLEAN_MARKS", 10)
    store = SqliteStore(tmp_path)
    seen = store.open().seen
    seen.add(YOUNG)
    assert seen.keep_back(YOUNG)
    store.write(step_of(seen, 0, 6000))
    store.close(is_clean=True)
    assert not list(tmp_path.glob("seen-*"))
    seen = store.open().seen
    assert YOUNG not in seen
    seen.add(YOUNG)
    seen.keep_back(YOUNG)
    seen.log([YOUNG])  # it has its end
    store.write(step_of(seen, 6000, 10))
    store.close(is_clean=True)
    assert len(list(tmp_path.glob("seen-*.bin"))) == 1
    assert YOUNG in read_all(tmp_path)[0].seen


OTHERS = ("seen-shops.jsonl", "seen-2023.csv", "seen-pages.bin", "seen-7.bin.txt", "seen-.part")


def test_files_of_the_user_in_the_folder_stay_as_they_are(tmp_path, quick):
    for name in OTHERS:
        (tmp_path / name).write_text(name)

    def stay():
        return [path.read_text() for path in tmp_path.glob("seen-*") if path.name in OTHERS]

    kept(tmp_path)  # writes files of the seen set, and drops those before
    assert sorted(stay()) == sorted(OTHERS)
    store = SqliteStore(tmp_path)
    store.open()
    assert sorted(stay()) == sorted(OTHERS)
    store.clear()
    assert sorted(stay()) == sorted(OTHERS)
    kept(tmp_path)
    change(tmp_path / "frontier.db", 3)
    with pytest.raises(StoreDamaged):
        read_all(tmp_path)
    assert sorted(stay()) == sorted(OTHERS)


@pytest.mark.parametrize("table", ["run", "step", "chunk", "later"])
def test_a_row_that_is_missing_is_told(tmp_path, table):
    store = SqliteStore(tmp_path)
    seen = store.open().seen
    store.write(step_of(seen, 0, 600))
    store.write(Step(changed=[waiting(1), waiting(2)]))
    store.close()
    database = sqlite3.connect(tmp_path / "frontier.db")
    names = {"run": "name", "step": "number", "chunk": "first", "later": "id"}
    for [key] in database.execute(f"SELECT {names[table]} FROM {table}").fetchall():
        database.execute("BEGIN")
        database.execute(f"DELETE FROM {table} WHERE {names[table]} = ?", (key,))
        break
    database.commit()
    database.close()
    with pytest.raises(StoreDamaged, match=r"rows are missing|a checksum is wrong"):
        read_all(tmp_path)


def test_two_stores_of_one_folder_exclude_each_other(tmp_path):
    first = SqliteStore(tmp_path)
    first.open()
    with pytest.raises(StoreInUse, match="in use by another crawl"):
        SqliteStore(tmp_path).open()
    first.write(Step(state={"a": "1"}))
    first.close()
    assert read_all(tmp_path)[0].state == {"a": "1"}


LOOK = "import sys, pathlib; from crawler.engine.frontier.sqlite_store import SqliteStore\n"
LOOK += "SqliteStore(pathlib.Path(sys.argv[1])).open()"


def test_a_look_at_a_store_does_not_end_the_lock_that_this_process_has(tmp_path):
    """POSIX gives up a lock when the process closes any descriptor of the file."""
    first = SqliteStore(tmp_path)
    first.open()
    with pytest.raises(StoreInUse):
        SqliteStore(tmp_path).open()
    other = subprocess.run(
        [sys.executable, "-c", LOOK, tmp_path], capture_output=True, text=True, cwd=ROOT
    )
    first.close()
    assert "in use by another crawl" in other.stderr


@pytest.mark.parametrize("cut", CUTS)
def test_nothing_is_locked_after_a_run_that_is_cut_off_anywhere(tmp_path, cut):
    def life():
        store = SqliteStore(tmp_path)
        try:
            seen = store.open().seen
            store.write(step_of(seen, len(seen), 10))
        finally:
            store.close(is_clean=True)

    for _ in cut_at_each_switch(lambda: gevent.spawn(life), cut):
        eventually(lambda: is_free(tmp_path))


def is_free(folder):
    try:
        read_all(folder)
    except StoreInUse:
        return False
    return True


def test_who_waits_for_a_store_that_is_removed_gets_a_new_one(tmp_path):
    """A lock on a file that has no name any more keeps nobody out."""
    first = SqliteStore(tmp_path / "kept")
    first.open()
    first.write(Step(state={"old": "1"}))
    later = SqliteStore(tmp_path / "kept")
    waits = gevent.spawn(later.open, None, 10.0)
    gevent.sleep(0.05)
    first.clear()
    assert waits.get(timeout=PATIENCE_S).is_new
    later.write(Step(state={"new": "1"}))
    later.close()
    assert read_all(tmp_path / "kept")[0].state == {"new": "1"}


def test_a_folder_that_goes_while_it_is_opened_is_made_again(tmp_path, monkeypatch):
    """As when the run before it ends elsewhere on this machine, and had nothing to keep."""
    folder, connect, removed = tmp_path / "kept", sqlite3.connect, []

    def connect_late(path, **options):
        if not removed:
            shutil.rmtree(path.parent)
            removed.append(path)
        return connect(path, **options)

    monkeypatch.setattr(sqlite3, "connect", connect_late)
    store = SqliteStore(folder)
    assert store.open(patience_s=10.0).is_new
    store.write(Step(state={"new": "1"}))
    store.close()
    assert removed == [folder / "frontier.db"]
    assert read_all(folder)[0].state == {"new": "1"}


def test_a_folder_that_goes_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    """It is there as it is made, and not there any more when that is looked at."""
    folder, make, removed = tmp_path / "kept", os.mkdir, []
    folder.mkdir()

    def make_late(path, *more):
        try:
            make(path, *more)
        except FileExistsError:
            os.rmdir(path)
            removed.append(path)
            raise

    monkeypatch.setattr(os, "mkdir", make_late)
    store = SqliteStore(folder)
    assert store.open(patience_s=10.0).is_new
    store.close()
    assert removed == [folder]


def test_a_file_of_another_version_is_refused_and_stays(tmp_path):
    kept(tmp_path)
    database = sqlite3.connect(tmp_path / "frontier.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreFailed, match="another version of the crawler"):
        read_all(tmp_path)
    assert (tmp_path / "frontier.db").exists()


def test_only_the_owner_may_read_what_is_kept(tmp_path):
    kept(tmp_path / "deep" / "kept")
    assert (tmp_path / "deep" / "kept").stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StoreFailed, match="Not a directory; name a folder in which this user may write"
    ):
        SqliteStore(tmp_path / "file" / "kept").open()


def test_a_step_that_fails_is_not_there_at_all(tmp_path, monkeypatch):
    store = SqliteStore(tmp_path)
    seen = store.open().seen
    store.write(step_of(seen, 0, 10))

    def fail(step):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store._journal, "_values", fail)
    with pytest.raises(StoreFailed, match=r"No space left.*run the same command again"):
        store.write(step_of(seen, 10, 10, range(5)))
    store.close()
    found, requests = read_all(tmp_path)
    assert sorted(request.id for request in requests) == list(range(10))
    assert len(found.seen) == 10


def test_the_hub_goes_on_while_it_writes_and_reads(tmp_path, quick):
    store = SqliteStore(tmp_path)
    seen = store.open().seen
    ticks, again = [], SqliteStore(tmp_path)

    def tick():
        while True:
            ticks.append(sum(range(10_000)))  # a loop that only turns lets no native thread in
            gevent.sleep(0)

    greenlet = gevent.spawn(tick)
    gevent.sleep(0)
    for work in (
        lambda: store.write(step_of(seen, 0, 20_000)),
        lambda: store.write(Step(ended=range(10_000))),
        store.close,
        again.open,
    ):
        before = len(ticks)
        work()
        assert len(ticks) > before + 1
    again.close()
    greenlet.kill()


def test_a_crawl_without_a_store_imports_no_sqlite():
    code = "import crawler.cli.runspider, sys; assert 'sqlite3' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_what_was_sent_is_remembered_by_a_later_process(tmp_path):
    ring = Asked(tmp_path / "asked.bin")
    for mark in range(10, 15):
        ring.note(mark, float(mark))
    again = Asked(tmp_path / "asked.bin")  # the first was not closed, as after a kill
    assert (again.count, again.last_s, list(again.since(2))) == (5, 14.0, [12, 13, 14])
    for mark in range(MOST):
        again.note(mark, 0.0)
    assert list(again.since(0)) == list(range(MOST))
    again.close()
    ring.close()


def test_a_disk_that_is_full_is_told_before_anything_is_sent(tmp_path, monkeypatch):
    def fail(number, first, length):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", fail)
        with pytest.raises(StoreFailed, match=r"No space left.*is there room"):
            SqliteStore(tmp_path).open()
    assert read_all(tmp_path)[0].sent == 0  # the lock is free, and there is room again
    told = (tmp_path / "asked.bin").stat()
    assert told.st_blocks * 512 >= told.st_size


def test_what_was_in_flight_or_sent_after_the_last_step_is_told(tmp_path):
    store = SqliteStore(tmp_path)
    store.open()
    for mark in (1, 2, 3):
        store.sending(mark)
    store.write(Step(in_flight=[3], sent=3, marks=array("Q")))
    store.sending(4)
    store.close()
    found, _ = read_all(tmp_path)
    assert (sorted(found.asked), found.sent) == ([3, 4], 4)
