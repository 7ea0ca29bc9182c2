"""Folders: what is made of them, and that none stays open."""

import os
import time

import pytest
from gevent.threadpool import ThreadPool

from crawler.folders import make_folder, matching, sync_folders


def opened(folder):
    """How often this process has the folder open."""
    names = []
    for number in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            """That was the listing itself."""
    return names.count(str(folder))


@pytest.fixture
def in_thread():
    pool = ThreadPool(1)
    yield pool.apply
    pool.kill()


def synced(folder, before=lambda: None):
    """How often the folder is open after it was synced, before anything else has its turn."""
    before()
    sync_folders([folder] * 20)
    return opened(folder)


def test_a_synced_folder_is_closed_before_the_loop_turns(tmp_path):
    assert synced(tmp_path) == 0


@pytest.mark.parametrize("before", [lambda: None, lambda: time.sleep(0.001)])
def test_a_synced_folder_is_closed_in_a_thread_whose_loop_may_never_turn_again(
    tmp_path, in_thread, before
):
    """A thread that has slept has a loop of its own."""
    assert in_thread(synced, (tmp_path, before)) == 0


def test_a_folder_that_is_made_names_all_whose_content_changed(tmp_path):
    assert make_folder(tmp_path / "a" / "b") == [tmp_path / "a" / "b", tmp_path / "a", tmp_path]
    assert (tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a") == [tmp_path / "a"]


def test_a_folder_that_goes_while_others_are_looked_at_is_not_found(tmp_path, monkeypatch):
    for name in ("one", "other"):
        make_folder(tmp_path / name)
        (tmp_path / name / "state").touch()
    scan = os.scandir

    def scan_late(path):
        if str(path).endswith("one"):
            (tmp_path / "one" / "state").unlink(missing_ok=True)
            (tmp_path / "one").rmdir()
        return scan(path)

    monkeypatch.setattr(os, "scandir", scan_late)
    assert matching(tmp_path, "*/s*") == [tmp_path / "other" / "state"]
    assert matching(tmp_path / "one", "*") == []
