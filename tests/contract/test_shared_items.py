"""Finished items move to the place that workers share, whatever it is, and are there once."""

import itertools
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.errors import ConfigError
from crawler.items import cloud
from crawler.items.cloud import CloudFailed, CloudItems
from crawler.items.reader import items_at
from crawler.node.run.item_mover import ItemMover
from tests.s3_server import s3_server

_numbers = itertools.count()


@pytest.fixture(scope="module")
def s3():
    with s3_server() as server:
        yield server


@pytest.fixture(params=["folder", "s3"])
def url(request, tmp_path):
    if request.param == "s3":
        return request.getfixturevalue("s3").url(f"bucket-{next(_numbers)}")
    return str(tmp_path / "shared folder")


class Machine:
    """A folder of items, and what moves its files."""

    def __init__(self, folder, url):
        self.folder, self.url = folder, url
        self.cloud = CloudItems(url)
        self.mover = ItemMover(folder, self.cloud, idle_s=0)

    def lay(self, name, numbers, task="shop"):
        path = self.folder / task / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f'{{"n": {number}}}\n' for number in numbers))

    def tell(self, epoch, files, task="shop"):
        self.folder.joinpath(task).mkdir(parents=True, exist_ok=True)
        with (self.folder / task / ".runs").open("a") as runs:
            runs.write(f"{json.dumps({'id': '7', 'epoch': epoch, 'files': files})}\n")

    def names(self, task="shop"):
        return sorted(path.name for path in (self.folder / task).iterdir())


@pytest.fixture
def machine(tmp_path, url):
    return Machine(tmp_path / "items", url)


def items(*machines, task="shop", **which):
    """The items of a task, from these machines and the shared place."""
    shared = machines[0].cloud.shelf(task).folders()
    folders = [*(each.folder / task for each in machines), *shared]
    return [item["n"] for item in items_at(task, folders, **which)]


def test_finished_files_move_and_their_items_are_there_once(machine):
    machine.tell(1, ["7-1"])
    machine.tell(2, ["7-1", "7-2"])
    machine.lay("7-1.jsonl", [1, 2])
    machine.lay("7-2.jsonl.part", [3])
    assert machine.mover.move_all() == (1, [])
    assert machine.names() == [".runs", "7-2.jsonl.part"]
    assert items(machine) == [1, 2, 3]
    (machine.folder / "shop" / "7-2.jsonl.part").rename(machine.folder / "shop" / "7-2.jsonl")
    assert machine.mover.move_all() == (1, [])
    assert machine.mover.move_all() == (0, [])
    assert machine.names() == [".runs"]
    assert items(machine) == [1, 2, 3]


def test_the_items_of_a_machine_that_is_gone_are_read_by_others(machine, tmp_path, url):
    other = Machine(tmp_path / "other", url)
    machine.tell(1, ["7-1"])
    machine.lay("7-1.jsonl.part", range(1000))
    assert machine.mover.move_all() == (0, []), "its crawl goes on"
    other.tell(2, ["7-1", "7-2"])
    other.lay("7-2.jsonl", [1000])
    assert (other.mover.move_all().done, machine.mover.move_all().done) == (1, 1)
    assert machine.names() == [".runs"]
    assert items(other) == [*range(1001)]
    assert len(other.cloud.sizes("shop")) == 2


def test_a_folder_of_parquet_moves_as_one(machine):
    machine.tell(1, ["7-1"])
    folder = machine.folder / "shop" / "7-1.parquet"
    folder.mkdir()
    for part in range(3):
        pq.write_table(pa.table({"n": [part]}), folder / f"part-{part:05}.parquet")
    assert machine.mover.move_all() == (1, [])
    assert machine.names() == [".runs"]
    assert items(machine) == [0, 1, 2]


def test_a_database_stays(machine):
    machine.lay("7-1.db", [])
    assert machine.mover.move_all() == (0, [])
    assert machine.names() == ["7-1.db"]


STEPS = ("described", "put", "commit", "_remove")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_cut_off_anywhere_loses_and_doubles_nothing(machine, tmp_path, step, when):
    machine.tell(1, ["7-1"])
    machine.lay("7-1.jsonl", range(500))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(machine.folder), machine.url, step, when],
        capture_output=True,
        check=False,
    )
    assert killed.returncode == 9, killed.stderr.decode()
    assert items(machine) == [*range(500)]
    machine.mover.move_all()
    assert machine.names() == [".runs"]
    assert items(machine) == [*range(500)]


KILLED = """
import os, sys
from pathlib import Path
from crawler.items import cloud
from crawler.node.run import item_mover

folder, url, step, when = sys.argv[1:]
[owner] = [each for each in (cloud.CloudItems, item_mover, cloud) if hasattr(each, step)][:1]
whole = getattr(owner, step)


def killed(*given):
    if when == "after":
        whole(*given)
    os._exit(9)


setattr(owner, step, killed)
if step == "described":
    cloud.described = killed
item_mover.ItemMover(Path(folder), cloud.CloudItems(url)).move_all()
"""
"""Moves files in a process that ends before or after one step."""


def test_a_copy_that_is_not_whole_does_not_count(machine):
    machine.tell(1, ["7-1"])
    machine.lay("7-1.jsonl", [1, 2])
    place = machine.mover._place()
    half = machine.folder / "half"
    half.write_text('{"n": 1}\n')
    machine.cloud.put("shop", place, "7-1.jsonl", half)
    assert items(machine) == [1, 2]
    assert machine.cloud.sizes("shop") == {}
    machine.mover.move_all()
    assert (machine.names(), items(machine)) == ([".runs"], [1, 2])


def test_another_file_of_the_same_name_is_not_replaced(machine):
    machine.tell(1, ["7-1"])
    machine.lay("7-1.jsonl", [1, 2])
    machine.mover.move_all()
    machine.lay("7-1.jsonl", [3])
    path = str(machine.folder / "shop" / "7-1.jsonl")
    assert machine.mover.move_all() == (0, [path])
    assert machine.names() == [".runs", "7-1.jsonl"]


def test_what_was_not_written_as_it_should_be_stays(machine, monkeypatch):
    machine.tell(1, ["7-1"])
    machine.lay("7-1.jsonl", [1, 2])
    files = machine.cloud._files

    class Losing:
        """A file system that loses what was written."""

        def __getattr__(self, name):
            return getattr(files, name)

        def open_input_stream(self, path):
            return files.open_input_stream(path) if ".moved" in path else pa.BufferReader(b"{}")

    monkeypatch.setattr(CloudItems, "_files", Losing())
    with pytest.raises(CloudFailed, match="it has 2 bytes, and 18 were written"):
        machine.mover.move_all()
    assert machine.names() == [".runs", "7-1.jsonl"]


def test_one_process_moves_at_a_time(machine):
    machine.lay("7-1.jsonl", [1])
    other = ItemMover(machine.folder, machine.cloud)
    with other._alone() as is_alone:
        assert is_alone
        assert machine.mover.move_all() == (0, [])
    assert machine.mover.move_all() == (1, [])


def test_links_stay_where_they_are(machine, tmp_path):
    (tmp_path / "secret").write_text("x")
    (machine.folder / "shop").mkdir(parents=True)
    os.symlink(tmp_path / "secret", machine.folder / "shop" / "7-1.jsonl")
    assert machine.mover.move_all() == (0, [])


def test_without_pyarrow_it_is_told_at_once_what_to_install(monkeypatch):
    monkeypatch.setattr(cloud, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install distributed-crawler\[cloud\]"):
        CloudItems("/mnt/items")


def test_a_place_that_cannot_be_used_is_told_without_its_password(s3):
    good = s3.url("bucket-of-nobody")
    for url, why in ((f"{good}&odd=1", "odd"), (good.replace("bucket-of-nobody", "none"), "none")):
        with pytest.raises((ConfigError, CloudFailed), match=why) as told:
            CloudItems(url).commit("shop", "0", b"", [])
        assert "open-sesame" not in str(told.value)


def test_a_task_whose_files_cannot_be_moved_holds_up_no_other(machine):
    for task in ("broken", "shop"):
        machine.lay("7-1.jsonl", [1], task)
    machine.mover.move_all()
    [place] = machine.cloud.sizes("broken")
    machine.cloud._replace(machine.cloud._at("broken", place, cloud.MOVED), b"no JSON\n")
    for task in ("broken", "shop"):
        machine.lay("7-2.jsonl", [2], task)
    for _ in range(2):
        with pytest.raises(CloudFailed, match="damaged"):
            machine.mover.move_all()
    assert "7-2.jsonl" in machine.names("broken")
    assert "7-2.jsonl" not in machine.names("shop")


def test_a_folder_of_parquet_that_was_removed_in_part_is_read_as_a_whole(machine):
    folder = machine.folder / "shop" / "7-1.parquet"
    folder.mkdir(parents=True)
    for number in range(3):
        pq.write_table(pa.table({"n": [number]}), folder / f"part-{number:05}.parquet")
    machine.tell(1, ["7-1"])
    kept = (folder / "part-00002.parquet").read_bytes()
    machine.mover.move_all()
    folder.mkdir()
    (folder / "part-00002.parquet").write_bytes(kept)
    assert items(machine) == [0, 1, 2]
    machine.mover.move_all()
    assert "7-1.parquet" not in machine.names()


def test_a_folder_whose_name_a_loss_of_power_has_taken_gets_another(machine):
    machine.lay("7-1.jsonl", [1])
    (machine.folder / ".place").write_text("")
    machine.mover.move_all()
    assert [len(place) for place in machine.cloud.sizes("shop")] == [32]
