"""Which items of a task count, and what is said of files that are damaged, missing or not done."""

import gzip
import json
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.errors import CrawlerError, InvalidArgument, NotFound
from crawler.items import items_of, tasks_in
from crawler.items.failures import ItemsDamaged, ItemsMissing
from crawler.items.leftovers import leftovers
from crawler.items.names import file_name, folder_name, parsed_name

OLD, NEW = "999", "1000"
"""Two ids: the second one is newer, though it comes first as a text."""


def lines(*numbers):
    return "".join(f'{{"n": {n}}}\n' for n in numbers)


def run(epoch, *files, id=NEW, **more):
    return json.dumps({"id": id, "epoch": epoch, "files": list(files), **more}) + "\n"


def shard(number, epoch, *files, of="old", workers=3, **more):
    """A line about a run of a shard; without files, the run began one."""
    stem = f"{NEW}~{number}" if number else NEW
    return run(epoch, *(files or [f"{stem}-{epoch}"]), shard=number, workers=workers, of=of, **more)


def laid(folder, files):
    """Write files: texts, or bytes. Returns the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def numbers(found):
    return [int(item["n"]) for item in found]


# -- which crawl counts ---------------------------------------------------------------------------

COUNTS = {
    "one run": ({".runs": run(3, "1000-3"), "1000-3.jsonl": lines(1, 2)}, [1, 2], "ended"),
    "it failed": (
        {".runs": run(3, "1000-3") + run(3, "1000-3", end="failed"), "1000-3.jsonl": lines(1)},
        [1],
        "failed",
    ),
    "it was deleted": (
        {".runs": run(3, "1000-3") + run(3, "1000-3", end="deleted"), "1000-3.jsonl": lines(1)},
        [1],
        "deleted",
    ),
    "it failed, and another run was done": (
        {
            ".runs": run(3, "1000-3") + run(3, "1000-3", end="failed") + run(4, "1000-3"),
            "1000-3.jsonl": lines(1),
        },
        [1],
        "ended",
    ),
    "it goes on": ({".runs": run(3, "1000-3"), "1000-3.jsonl.part": lines(1)}, [1], "going on"),
    "runs in one file": (
        {".runs": run(3, "1000-3") + run(4, "1000-3"), "1000-3.jsonl": lines(1, 2)},
        [1, 2],
        "ended",
    ),
    "runs in several files, in their order": (
        {
            ".runs": run(9, "1000-9") + run(10, "1000-9", "1000-10"),
            "1000-9.jsonl.part": lines(5) + '{"n": 6',
            "1000-10.jsonl": lines(1),
        },
        [5, 1],
        "ended",
    ),
    "begun anew": (
        {
            ".runs": run(3, "1000-3") + run(4, "1000-4"),
            "1000-3.jsonl": lines(1),
            "1000-4.jsonl.part": lines(2),
        },
        [2],
        "going on",
    ),
    "a task that was added again": (
        {
            ".runs": run(9, "999-9", id=OLD) + run(1, "1000-1"),
            "999-9.jsonl": lines(1),
            "1000-1.jsonl": lines(2),
        },
        [2],
        "ended",
    ),
    "an older version": (
        {"999-12.jsonl": lines(1), "1000-9.jsonl": lines(2), "1000-10.jsonl": lines(3)},
        [3],
        "not known",
    ),
    "an older version, and then this one": (
        {"1000-2.jsonl": lines(1), ".runs": run(5, "1000-5"), "1000-5.jsonl": lines(2)},
        [2],
        "ended",
    ),
    "this version, and then an older one": (
        {".runs": run(5, "1000-5"), "1000-5.jsonl": lines(1), "1000-6.jsonl": lines(2)},
        [2],
        "not known",
    ),
    "a line about a run that was not written whole": (
        {".runs": run(3, "1000-3") + run(4, "1000-4")[:20], "1000-3.jsonl": lines(1)},
        [1],
        "ended",
    ),
    "such a line, and others behind it": (
        {
            ".runs": run(3, "1000-3")[:20] + "\n" + run(4, "1000-4"),
            "1000-3.jsonl.part": lines(1),
            "1000-4.jsonl": lines(2),
        },
        [2],
        "ended",
    ),
    "a run that has only just begun": (
        {
            ".runs": run(3, "1000-3"),
            "1000-3.jsonl.part": lines(1),
            "1000-4.jsonl.part": "",
            "1000-4.db": "",
        },
        [1],
        "going on",
    ),
    "a crawl that wrote to databases before": (
        {".runs": run(3) + run(4, "1000-4"), "1000-4.jsonl": lines(1)},
        [1],
        "ended",
    ),
    "a copy without .runs": ({"1000-3.jsonl.part": lines(1)}, [1], "going on"),
    "what is beside": (
        {
            ".runs": run(3, "1000-3"),
            "1000-3.jsonl": lines(1),
            "1000-9.jsonl.cut-1": lines(2),
            "1000-9.db-wal": "",
            "notes.jsonl": lines(3),
            "1000-9.txt": "",
        },
        [1],
        "ended",
    ),
    "a limit": (
        {
            ".runs": run(3, "1000-3")
            + run(4, "1000-3", "1000-4", limits={"1000-3.jsonl": len(lines(1, 2))}),
            "1000-3.jsonl.part": lines(1, 2, 3, 4),
            "1000-4.jsonl": lines(3),
        },
        [1, 2, 3],
        "ended",
    ),
    "a limit in a later line of the same run": (
        {
            ".runs": run(3, "1000-3") + run(3, "1000-3", limits={"1000-3.jsonl": len(lines(1))}),
            "1000-3.jsonl": lines(1, 2),
        },
        [1],
        "ended",
    ),
    "no limit for others": (
        {
            ".runs": run(3, "1000-3", limits={"1000-3.csv": 1, "1000-3.jsonl": "shared"}),
            "1000-3.jsonl": lines(1, 2),
        },
        [1, 2],
        "ended",
    ),
    "several formats": (
        {".runs": run(3, "1000-3"), "1000-3.csv": "n\r\n1\r\n", "1000-3.jsonl": lines(2)},
        [2],
        "ended",
    ),
    "a format for each run": (
        {
            ".runs": run(3, "1000-3") + run(4, "1000-3", "1000-4"),
            "1000-3.jsonl": lines(1),
            "1000-4.csv": "n\r\n2\r\n",
        },
        [1, 2],
        "ended",
    ),
    "shards, each with its own epochs": (
        {
            ".runs": shard(0, 3) + shard(1, 3) + shard(2, 7) + shard(2, 9, "1000~2-7"),
            "1000-3.jsonl": lines(1),
            "1000~1-3.jsonl": lines(2),
            "1000~2-7.jsonl": lines(3),
        },
        [1, 2, 3],
        "ended",
    ),
    "shards that go on": (
        {
            ".runs": shard(1, 3) + shard(0, 3),
            "1000-3.jsonl.part": lines(1),
            "1000~1-3.jsonl.part": lines(2) + '{"n": 3',
        },
        [1, 2],
        "going on",
    ),
    "a shard that moved, and what it did twice": (
        {
            ".runs": shard(0, 3)
            + shard(1, 3)
            + shard(1, 4, "1000~1-3", "1000~1-4", limits={"1000~1-3.jsonl": len(lines(2))}),
            "1000-3.jsonl": lines(1),
            "1000~1-3.jsonl.part": lines(2, 3),
            "1000~1-4.jsonl": lines(3),
        },
        [1, 2, 3],
        "ended",
    ),
    "a shard whose state was damaged, and that went on without it": (
        {
            ".runs": shard(0, 3, since=5)
            + shard(1, 3, since=5)
            + shard(0, 4, "1000-3", since=6)
            + shard(1, 7, since=9),
            "1000-3.jsonl": lines(1),
            "1000~1-3.jsonl.part": lines(2),
            "1000~1-7.jsonl": lines(3),
        },
        [1, 2, 3],
        "ended",
    ),
    "a head that began anew, and a shard after it": (
        {
            ".runs": shard(0, 3, since=5)
            + shard(1, 3, since=5)
            + shard(0, 4, since=8)
            + shard(1, 7, since=9),
            "1000-3.jsonl": lines(1),
            "1000~1-3.jsonl.part": lines(2),
            "1000-4.jsonl": lines(4),
            "1000~1-7.jsonl": lines(3),
        },
        [4, 3],
        "ended",
    ),
    "a shard that others have emptied": (
        {
            ".runs": shard(0, 3, since=5)
            + shard(1, 3, since=5)
            + run(3, "1000~1-3", of="old", shard=1, limits={"1000~1-3.jsonl": len(lines(2))}),
            "1000-3.jsonl": lines(1),
            "1000~1-3.jsonl.part": lines(2, 3),
        },
        [1, 2],
        "ended",
    ),
    "a shard that others have emptied, and that went on": (
        {
            ".runs": shard(0, 3)
            + shard(1, 3)
            + run(3, "1000~1-3", of="old", shard=1, limits={"1000~1-3.jsonl": len(lines(2))})
            + shard(1, 7, "1000~1-3"),
            "1000-3.jsonl": lines(1),
            "1000~1-3.jsonl": lines(2, 4),
        },
        [1, 2, 4],
        "ended",
    ),
    "a shard that was taken away, whose file kept its name": (
        {
            ".runs": shard(0, 3, workers=2)
            + shard(1, 3, workers=2)
            + shard(0, 4, "1000-3", workers=1),
            "1000-3.jsonl": lines(1),
            "1000~1-3.jsonl.part": lines(2),
        },
        [1, 2],
        "ended",
    ),
    "shards that came later": (
        {
            ".runs": run(3, "1000-3") + shard(0, 4, "1000-3") + shard(1, 9),
            "1000-3.jsonl": lines(1),
            "1000~1-9.jsonl": lines(2),
        },
        [1, 2],
        "ended",
    ),
    "begun anew with all shards": (
        {
            ".runs": shard(0, 3) + shard(1, 3) + shard(0, 4, of="new") + shard(1, 4, of="new"),
            "1000-3.jsonl": lines(1),
            "1000~1-3.jsonl": lines(2),
            "1000-4.jsonl": lines(3),
            "1000~1-4.jsonl": lines(4),
        },
        [3, 4],
        "ended",
    ),
    "begun anew, and not yet with all shards": (
        {
            ".runs": shard(0, 3) + shard(1, 3) + shard(0, 4, of="new"),
            "1000-3.jsonl": lines(1),
            "1000~1-3.jsonl": lines(2),
            "1000-4.jsonl.part": lines(3),
        },
        [3],
        "going on",
    ),
    "tried again, with all shards": (
        {
            ".runs": shard(0, 3) + shard(1, 3) + shard(0, 4) + shard(1, 4),
            "1000-3.jsonl": lines(1),
            "1000~1-3.jsonl": lines(2),
            "1000-4.jsonl": lines(3),
            "1000~1-4.jsonl": lines(4),
        },
        [3, 4],
        "ended",
    ),
    "nothing yet": ({".runs": run(3, "1000-3"), "1000-3.jsonl.part": ""}, [], "going on"),
}


@pytest.mark.parametrize("case", COUNTS)
def test_the_last_crawl_of_the_newest_id_counts(tmp_path, case):
    files, counted, state = COUNTS[case]
    laid(tmp_path / "shop", files)
    found = items_of("shop", tmp_path)
    assert numbers(found) == counted
    assert found.count() == len(counted)
    assert found.state == state
    assert numbers(found) == counted, "it can be read again"


STATES = {
    "a database does not tell": (["1000-3.db"], "not known"),
    "a file beside the database does": (["1000-3.db", "1000-3.csv.part"], "going on"),
    "both have ended": (["1000-3.csv", "1000-3.xml"], "ended"),
    "one ends before the other": (["1000-3.csv.part", "1000-3.xml"], "ended"),
}


@pytest.mark.parametrize("format", ["sqlite", ""])
@pytest.mark.parametrize("case", STATES)
def test_the_files_of_the_last_run_tell_the_state(tmp_path, case, format):
    names, state = STATES[case]
    laid(
        tmp_path / "shop",
        {".runs": run(3, "1000-3"), "1000-3.db": b"", **dict.fromkeys(names, b"")},
    )
    assert items_of("shop", tmp_path, format=format).state == state


def test_shards_of_several_machines_are_one_task_and_those_not_told_of_are_named(tmp_path):
    laid(tmp_path / "a" / "shop", {".runs": shard(0, 3), "1000-3.jsonl": lines(1)})
    laid(tmp_path / "b" / "shop", {".runs": shard(2, 5), "1000~2-5.jsonl": lines(2)})
    found = items_of("shop", tmp_path / "a", tmp_path / "b")
    assert (numbers(found), found.id, found.epochs) == ([1, 2], NEW, (3,))
    [note] = found.notes
    assert note.startswith("no .runs tells of shard 1; if it has run, its items are left out")
    alone = items_of("shop", tmp_path / "b")
    assert (numbers(alone), len(alone.notes)) == ([2], 2)


def test_of_several_crawls_on_a_machine_without_the_head_the_latest_counts(tmp_path):
    """Epochs of one shard say nothing of those of another."""
    shop = laid(
        tmp_path / "shop",
        {
            ".runs": shard(0, 90, since=1)
            + shard(1, 3, since=1)
            + shard(2, 50, of="new", since=5)
            + shard(1, 7, of="newest", since=9),
            "1000-90.jsonl.part": lines(1),
            "1000~1-3.jsonl.part": lines(2),
            "1000~2-50.jsonl.part": lines(3),
            "1000~1-7.jsonl.part": lines(4),
        },
    )
    assert numbers(items_of("shop", tmp_path)) == [4]
    left = {each.path for each in leftovers(tmp_path)}
    assert left == set(shop.glob("*.part")) - {shop / "1000~1-7.jsonl.part"}


FOLDERS = {
    "a file on each machine": (
        {".runs": run(3, "1000-3"), "1000-3.jsonl.part": lines(1)},
        {".runs": run(4, "1000-3", "1000-4"), "1000-4.jsonl": lines(2)},
        [1, 2],
    ),
    "begun anew on another machine": (
        {".runs": run(3, "1000-3"), "1000-3.jsonl.part": lines(1)},
        {".runs": run(4, "1000-4"), "1000-4.jsonl": lines(2)},
        [2],
    ),
    "there and back": (
        {".runs": run(3, "1000-3") + run(5, "1000-3", "1000-4"), "1000-3.jsonl": lines(1, 3)},
        {".runs": run(4, "1000-3", "1000-4"), "1000-4.jsonl.part": lines(2)},
        [1, 3, 2],
    ),
    "two copies, one of them older": (
        {".runs": run(3, "1000-3"), "1000-3.jsonl": lines(1, 2)},
        {".runs": run(3, "1000-3"), "1000-3.jsonl.part": lines(1)},
        [1, 2],
    ),
    "two copies of a crawl that goes on": (
        {".runs": run(3, "1000-3"), "1000-3.jsonl.part": lines(1)},
        {".runs": run(3, "1000-3"), "1000-3.jsonl.part": lines(1, 2)},
        [1, 2],
    ),
    "an older version on one machine": (
        {".runs": run(3, "1000-3"), "1000-3.jsonl": lines(1)},
        {"1000-2.jsonl": lines(2)},
        [1],
    ),
    "nothing on one machine": ({}, {"1000-2.jsonl": lines(2)}, [2]),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_the_folders_of_several_machines_count_together(tmp_path, case):
    one, other, counted = FOLDERS[case]
    laid(tmp_path / "a" / "shop", one)
    laid(tmp_path / "b" / "shop", other)
    (tmp_path / "a").mkdir(exist_ok=True)
    for folders in (("a", "b"), ("b", "a")):
        assert numbers(items_of("shop", *(tmp_path / each for each in folders))) == counted


@pytest.fixture
def shop(tmp_path):
    """A task with an old id, a crawl that was superseded, and one of two runs."""
    files = {f"1000-{epoch}.jsonl": lines(epoch) for epoch in (3, 5)}
    told = run(2, "999-2", id=OLD) + run(3, "1000-3") + run(5, "1000-5") + run(6, "1000-5")
    laid(tmp_path / "shop", {".runs": told, "999-2.jsonl": lines(2), **files})
    return tmp_path


@pytest.mark.parametrize(
    ("choice", "counted"),
    [
        ({"epoch": 3}, [3]),
        ({"epoch": 5}, [5]),
        ({"epoch": 6}, [5]),
        ({"id": OLD}, [2]),
        ({"id": OLD, "epoch": 2}, [2]),
    ],
)
def test_an_epoch_or_an_id_chooses_another_crawl(shop, choice, counted):
    assert numbers(items_of("shop", shop, **choice)) == counted


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"epoch": 4}, "epoch 4; allowed are the epochs of id 999: 2; id 1000: 3; id 1000: 5, 6"),
        ({"id": "7"}, "no run of id 7"),
        ({"id": OLD, "epoch": 3}, "no run of id 999 epoch 3"),
    ],
)
def test_a_run_that_is_not_there_is_told_with_those_that_are(shop, choice, told):
    with pytest.raises(NotFound, match=told):
        items_of("shop", shop, **choice)


def test_runs_and_files_are_told(shop):
    found = items_of("shop", shop)
    assert (found.id, found.epochs, found.bytes) == (NEW, (5, 6), len(lines(5)))
    assert [source.path.name for source in found.sources] == ["1000-5.jsonl"]


# -- what is missing ------------------------------------------------------------------------------


def test_a_file_that_is_missing_everywhere_is_named(tmp_path):
    told = run(3, "1000-3") + run(4, "1000-3", "1000-4")
    laid(tmp_path / "shop", {".runs": told, "1000-4.jsonl": lines(2)})
    with pytest.raises(ItemsMissing, match=r"1000-3\.\*: in no folder of 'shop'.*--folder"):
        items_of("shop", tmp_path)
    found = items_of("shop", tmp_path, skip_missing=True)
    assert (numbers(found), found.state) == ([2], "incomplete")
    assert any("1000-3.* is in no folder" in note for note in found.notes)


def test_the_format_that_was_asked_for_must_be_there(tmp_path):
    laid(tmp_path / "shop", {"1000-3.jsonl": lines(1), "1000-3.csv": "n\r\n2\r\n"})
    assert numbers(items_of("shop", tmp_path, format="csv")) == [2]
    with pytest.raises(ItemsMissing, match=r"1000-3\.xml\.gz"):
        items_of("shop", tmp_path, format="xml.gz")
    with pytest.raises(InvalidArgument, match=r"'txt' given; allowed: jsonl, .*csv"):
        items_of("shop", tmp_path, format="txt")


def test_an_unknown_task_is_told_with_names_like_it(tmp_path):
    laid(tmp_path, {"books/1-1.jsonl": "", "a%2Fb/1-1.jsonl": "", "empty/x": ""})
    with pytest.raises(NotFound, match=r"no items of 'bookz' in .*; did you mean books\?"):
        items_of("bookz", tmp_path)
    with pytest.raises(NotFound, match=r"did you mean a/b\?"):
        items_of("a/c", tmp_path)
    with pytest.raises(NotFound, match="crawler items lists"):
        items_of("empty", tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"none: no such folder.*--folder, or ask .*--master"):
        items_of("shop", tmp_path / "none")
    with pytest.raises(NotFound, match="none: no such folder"):
        list(tasks_in(tmp_path / "none"))


def test_all_tasks_are_found_by_their_names(tmp_path):
    laid(tmp_path / "a", {"shop/1000-1.jsonl": lines(1), "%2Ehid%2Fden/7-1.csv": "n\r\n"})
    laid(tmp_path / "b", {"late/.runs": run(1, "1000-1"), "notes/readme.txt": ""})
    found = {each.name: each for each in tasks_in(tmp_path / "a", tmp_path / "b")}
    assert found.keys() == {"shop", ".hid/den", "late"}
    assert found["late"].state == "incomplete"
    assert found[".hid/den"].count() == 0


@pytest.mark.parametrize("line", ["[]", "{}", run(1, "../1000-1"), run("1", "1000-1")])
def test_a_bad_line_about_a_run_is_named(tmp_path, line):
    laid(tmp_path / "shop", {".runs": run(1, "1000-1") + line.rstrip("\n") + "\n"})
    with pytest.raises(ItemsDamaged, match=r"\.runs, line 2: it is no line about a run"):
        items_of("shop", tmp_path)


def test_a_bad_line_of_one_task_does_not_hide_the_others(tmp_path):
    laid(tmp_path, {"a/.runs": "[]\n", "b/1000-1.jsonl": lines(1)})
    told = []
    assert [each.name for each in tasks_in(tmp_path, tell=told.append)] == ["b"]
    assert ".runs, line 1" in str(told[0])
    with pytest.raises(ItemsDamaged):
        list(tasks_in(tmp_path))


def test_a_task_that_writes_to_databases_alone_has_no_files(tmp_path):
    laid(tmp_path / "shop", {".runs": run(3)})
    with pytest.raises(NotFound, match="'shop' has no files of items: its sinks are databases"):
        items_of("shop", tmp_path)
    [found] = tasks_in(tmp_path)
    assert (found.count(), found.state) == (0, "not known")


@pytest.mark.parametrize("name", ["漢" * 60, "x" * 200, "a/b", ".hidden"])
def test_a_task_of_any_name_is_listed_and_read(tmp_path, name):
    laid(tmp_path / folder_name(name), {"1000-1.jsonl": lines(1)})
    assert numbers(items_of(name, tmp_path)) == [1]
    [found] = tasks_in(tmp_path)
    assert numbers(found) == [1]


def test_a_folder_that_is_given_twice_counts_once(tmp_path):
    told = run(1, "1000-1") + run(2, "1000-1", "1000-2")
    laid(tmp_path / "shop", {".runs": told, "1000-1.jsonl": lines(1), "1000-2.jsonl": lines(2)})
    assert numbers(items_of("shop", tmp_path, tmp_path)) == [1, 2]


# -- the ends of files, and what is in their middle -----------------------------------------------


def packed(*texts):
    return b"".join(gzip.compress(text.encode(), mtime=0) for text in texts)


XML = '<?xml version="1.0" encoding="utf-8"?>\n<items>\n'
WHOLE = {
    "jsonl": lines(1, 2),
    "jsonl.gz": packed(lines(1), lines(2)),
    "json": '[\n{"n": 1},\n{"n": 2}\n]\n',
    "json.gz": packed("[\n", '{"n": 1}', ',\n{"n": 2}', "\n]\n"),
    "csv": 'n,t\r\n1,"a\nb"\r\n2,\r\n',
    "csv.gz": packed('n,t\r\n1,"a\nb"\r\n', "2,\r\n"),
    "xml": XML + "<item><n>1</n><t>a\nb</t></item>\n<item><n>2</n></item>\n</items>\n",
    "xml.gz": packed(XML, "<item><n>1</n></item>\n", "<item><n>2</n></item>\n", "</items>\n"),
}


def laid_alone(folder, format, content, part=False):
    """A crawl with one file."""
    name = f"1000-1.{format}{'.part' if part else ''}"
    laid(folder / "shop", {".runs": run(1, "1000-1"), name: content})
    return items_of("shop", folder)


def as_bytes(content):
    return content if isinstance(content, bytes) else content.encode()


@pytest.mark.parametrize("format", WHOLE)
def test_a_file_that_grows_gives_whole_records_wherever_it_ends(tmp_path, format):
    """Cut off after each of its bytes: what is read is a beginning of what is there."""
    content = as_bytes(WHOLE[format])
    counts = [
        numbers(laid_alone(tmp_path, format, content[:end], part=True))
        for end in range(len(content) + 1)
    ]
    assert counts == sorted(counts)
    assert {tuple(each) for each in counts} == {(), (1,), (1, 2)}
    assert counts[0] == []
    assert counts[-1] == [1, 2]


@pytest.mark.parametrize("format", WHOLE)
def test_a_file_that_has_ended_must_have_its_end(tmp_path, format):
    content = as_bytes(WHOLE[format])
    assert numbers(laid_alone(tmp_path, format, content)) == [1, 2]
    with pytest.raises(ItemsDamaged, match=rf"1000-1\.{format}, line \d+: "):
        list(laid_alone(tmp_path, format, content[:-3]))


def test_a_line_without_an_end_counts_if_nobody_writes_to_it(tmp_path):
    assert numbers(laid_alone(tmp_path, "jsonl", lines(1, 2).rstrip())) == [1, 2]


@pytest.mark.parametrize("part", [True, False])
@pytest.mark.parametrize(
    ("format", "content", "told"),
    [
        ("jsonl", lines(1) + '{"n": \n' + lines(2), "line 2: it is no JSON"),
        ("jsonl", lines(1) + "\0\0\0\n", "line 2: it is no JSON"),
        ("jsonl", lines(1) + "[1]\n", "line 2: it is no item"),
        ("jsonl", lines(1).encode() + b'{"n": "\xff"}\n', "line 2: it is no UTF-8"),
        ("jsonl", '{"n": ' + "[" * 9000 + "]" * 9000 + "}\n", "line 1: .* nested too deeply"),
        ("json", '[\n{"n": 1},\n{"n" 2}\n]\n', "line 3: it is no JSON"),
        ("json", '[\n{"n": 1}\n]\n{"n": 2}\n', "line 4: it is no JSON array"),
        ("json", '{"n": 1}\n', "line 1: it is no JSON array"),
        ("csv", "n,t\r\n1,a\r\n2\r\n", "line 3: the row has 1 fields, the header 2"),
        ("csv", 'n,t\r\n1,"a"b\r\n2,c\r\n', "line 2: it is no row of CSV"),
        ("csv", b"n,t\r\n1,\xff\r\n", "line 2: it is no UTF-8"),
        ("xml", f"{XML}<item><n>1</n></item>\n<item><n>2</m></item>\n", "line 4: it is no XML"),
        ("jsonl.gz", packed(lines(1)) + b"nothing packed", "line 2: what is packed is damaged"),
        ("jsonl.gz", packed(lines(1)) + b"\0" * 40 + packed(lines(2)), "line 2: what is packed"),
        ("csv.gz", packed("n\r\n1\r\n2")[:-8] + packed("\r\n"), "line 1: what is packed"),
    ],
)
def test_damage_in_the_middle_is_told_with_file_and_line(tmp_path, format, content, told, part):
    name = rf"1000-1\.{format}" + (r"\.part" if part else "")
    with pytest.raises(ItemsDamaged, match=f"{name}, {told}.*; take the file from a copy"):
        list(laid_alone(tmp_path, format, content, part))


@pytest.mark.parametrize("format", ["db", "parquet/part-00000.parquet"])
def test_a_table_that_is_none_is_named(tmp_path, format):
    with pytest.raises(CrawlerError, match=rf"1000-1\.{format}: "):
        list(laid_alone(tmp_path, format, "no table" * 100))


def test_items_before_the_damage_are_read(tmp_path):
    found = iter(laid_alone(tmp_path, "jsonl", lines(1) + "?\n"))
    assert next(found) == {"n": 1}
    with pytest.raises(ItemsDamaged):
        next(found)


LIMITED = {
    "json": (WHOLE["json"].index("},") + 1, [1]),
    "xml": (WHOLE["xml"].index("<item><n>2"), [1]),
    "csv": (WHOLE["csv"].index("2,"), [1]),
    "jsonl.gz": (len(packed(lines(1))), [1]),
    "json.gz": (len(packed("[\n", '{"n": 1}', ',\n{"n": 2}')), [1, 2]),
}


@pytest.mark.parametrize("part", [True, False])
@pytest.mark.parametrize("format", LIMITED)
def test_nothing_counts_beyond_a_limit(tmp_path, format, part):
    limit, counted = LIMITED[format]
    name = f"1000-1.{format}"
    told = run(1, "1000-1", limits={name: limit})
    laid(tmp_path / "shop", {".runs": told, f"{name}{'.part' if part else ''}": WHOLE[format]})
    assert numbers(items_of("shop", tmp_path)) == counted


def test_a_file_shorter_than_its_limit_is_noted(tmp_path):
    told = run(1, "1000-1", limits={"1000-1.jsonl": 1000})
    laid(tmp_path / "shop", {".runs": told, "1000-1.jsonl": lines(1)})
    found = items_of("shop", tmp_path)
    assert numbers(found) == [1]
    assert any("is shorter than its crawl left it" in note for note in found.notes)


def test_parts_and_rows_of_parquet_may_be_limited(tmp_path):
    told = run(1, "1000-1", limits={"1000-1.parquet": [1, 2]})
    folder = laid(tmp_path / "shop", {".runs": told}) / "1000-1.parquet"
    folder.mkdir()
    for part, rows in enumerate([[1, 2], [3, 4, 5], [6]]):
        pq.write_table(pa.table({"n": rows}), folder / f"part-{part:05}.parquet")
    found = items_of("shop", tmp_path)
    assert numbers(found) == [1, 2, 3, 4]
    assert found.count() == 4


def table_of(path: Path, rows):
    columns = "_id CHAR(32) PRIMARY KEY, _task, _url, _key, n BIGINT"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"CREATE TABLE shop ({columns})")
        connection.executemany("INSERT INTO shop VALUES (?, '', '', '', ?)", rows)
    connection.close()


def test_a_row_that_a_later_run_has_written_again_counts_once(tmp_path):
    told = run(1, "1000-1") + run(2, "1000-1", "1000-2")
    folder = laid(tmp_path / "shop", {".runs": told})
    table_of(folder / "1000-1.db", [("a", 1), ("b", 2)])
    table_of(folder / "1000-2.db", [("b", 20), ("c", 3)])
    found = items_of("shop", tmp_path)
    assert list(found) == [{"n": 1}, {"n": 20}, {"n": 3}]
    assert found.count() == 3


def test_a_crawl_may_end_while_its_file_is_read(tmp_path):
    found = laid_alone(tmp_path, "jsonl", lines(1), part=True)
    path = tmp_path / "shop" / "1000-1.jsonl.part"
    path.rename(path.with_suffix(""))
    assert numbers(found) == [1]
    assert found.bytes == len(lines(1))


def test_what_grows_is_read_as_far_as_it_was(tmp_path):
    found = iter(laid_alone(tmp_path, "jsonl", lines(1), part=True))
    assert next(found) == {"n": 1}
    with (tmp_path / "shop" / "1000-1.jsonl.part").open("a") as file:
        file.write(lines(2) * 100_000)
    assert list(found) == []


@pytest.mark.parametrize("format", ["csv", "xml", "csv.gz"])
def test_a_format_that_loses_types_is_noted(tmp_path, format):
    assert any("lost their types" in note for note in laid_alone(tmp_path, format, b"").notes)


def test_a_crawl_known_by_its_file_alone_is_noted_if_others_lie_beside(tmp_path):
    laid(tmp_path / "shop", {"1000-3.jsonl": lines(1)})
    assert not items_of("shop", tmp_path).notes
    laid(tmp_path / "shop", {"1000-4.jsonl": lines(1)})
    [note] = items_of("shop", tmp_path).notes
    assert "only the items of its last run are read" in note
    assert "1000-4.jsonl" in note


@pytest.mark.parametrize("end", ["", ".part"])
def test_folders_poured_together_are_noted(tmp_path, end):
    """The `.runs` of the machine where the crawl began has replaced the other one."""
    files = {".runs": run(3, "1000-3"), "1000-3.jsonl.part": lines(1)}
    laid(tmp_path / "shop", files | {f"1000-5.jsonl{end}": lines(2)})
    notes = items_of("shop", tmp_path).notes
    [note] = [note for note in notes if "replaced each other" in note]
    assert note.startswith(f"{tmp_path}/shop/1000-5.jsonl{end}: the .runs there")
    assert "--folder" in note


@pytest.mark.parametrize(
    "other",
    [
        {"1000-2.jsonl": lines(2)},  # of a version that wrote no .runs
        {"999-7.jsonl.part": lines(2)},  # of a task that was deleted
        {"1000-4.jsonl.part": ""},  # a run that has just begun
    ],
)
def test_what_is_no_sign_of_folders_poured_together_is_not_noted(tmp_path, other):
    laid(tmp_path / "shop", {".runs": run(3, "1000-3"), "1000-3.jsonl": lines(1)} | other)
    assert items_of("shop", tmp_path).notes == []


def test_leftovers_are_the_unfinished_files_of_crawls_that_were_dropped(tmp_path):
    laid(
        tmp_path,
        {
            "shop/.runs": run(3, "1000-3") + run(4, "1000-4") + run(5, "1000-4", "1000-5"),
            "shop/1000-3.jsonl.part": lines(1, 2),
            "shop/1000-4.jsonl.part": lines(3),  # counts: the crawl went on elsewhere
            "shop/1000-5.jsonl.part": lines(4),
            "a%2Fb/.runs": run(1, "999-1", id=OLD) + run(2, "1000-2"),
            "a%2Fb/999-1.csv": "n\n1\n",  # a crawl that has ended
            "a%2Fb/1000-2.jsonl": lines(1),
            "bad/.runs": "{}\n",
            "bad/1000-1.jsonl.part": lines(1),
        },
    )
    found = [(each.task, each.path.name, each.bytes) for each in leftovers(tmp_path)]
    assert found == [("shop", "1000-3.jsonl.part", len(lines(1, 2)))]
    assert not list(leftovers(tmp_path / "nowhere"))


@pytest.mark.parametrize("format", ["jsonl", "json.gz", "sqlite", "parquet"])
def test_a_name_tells_its_stem_and_format(format):
    name = file_name("1000-3", format)
    assert parsed_name(name) == parsed_name(f"{name}.part") == ("1000-3", format)


def test_an_id_of_another_program_is_known_by_its_name_in_files(tmp_path):
    id = "a/b-7"
    stem = f"{folder_name(id)}-2"
    laid(tmp_path / "shop", {".runs": run(2, stem, id=id), f"{stem}.jsonl": lines(1)})
    assert numbers(items_of("shop", tmp_path, id=id)) == [1]
