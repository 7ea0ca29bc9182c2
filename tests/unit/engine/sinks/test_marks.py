"""A file of items goes on at a mark: what lies beyond it is gone, and the rest is whole."""

import csv
import gzip
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from crawler.engine.items.sinks.databases import database_at
from crawler.engine.items.sinks.many import ManySinks
from crawler.engine.items.sinks.marks import SHARED, at_least
from crawler.engine.items.sinks.targets import open_sink

KINDS = ("jsonl", "csv", "json", "xml", "jsonl.gz", "csv.gz", "json.gz", "xml.gz", "parquet")


def numbers(path):
    if path.suffix == ".parquet":
        return [row["n"] for row in pq.read_table(path).to_pylist()] if any(path.iterdir()) else []
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    kind = path.name.split(".")[1]
    if kind == "jsonl":
        return [json.loads(line)["n"] for line in text.splitlines()]
    if kind == "json":
        return [item["n"] for item in json.loads(text)]
    if kind == "xml":
        return [int(item.findtext("n")) for item in ElementTree.fromstring(text)]
    return [int(row["n"]) for row in csv.DictReader(text.splitlines())]


def opened(path, marks=None, **options):
    sink = open_sink(str(path), **options)
    if marks is not None:
        sink.begin_at(marks)
    sink.open()
    return sink


def write(sink, *found):
    for number in found:
        sink.write({"n": number, "text": 'a "quoted"\n</item>]\n}'})


@pytest.fixture(params=KINDS)
def path(request, tmp_path):
    return tmp_path / f"items.{request.param}"


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_what_lies_beyond_a_mark_is_gone(path, before, after):
    sink = opened(path)
    write(sink, *range(before))
    wait = sink.mark()
    write(sink, *range(100, 100 + after))  # may be in the file before the mark is asked for
    sink.flush()
    marks = wait()
    sink.close()
    sink = opened(path, marks)
    write(sink, 50)
    sink.close()
    assert numbers(path) == [*range(before), 50]


def test_a_mark_is_in_json_and_each_one_is_further(path):
    sink = opened(path)
    marks = []
    for number in range(3):
        write(sink, number)
        marks.append(json.loads(json.dumps(sink.mark()())))
    sink.close()
    for count, mark in reversed(list(enumerate(marks, 1))):
        opened(path, mark).close()
        assert numbers(path) == list(range(count))


def test_a_mark_of_none_cuts_nothing_off_and_keeps_the_file(path):
    sink = opened(path)
    write(sink, 1)
    marks = sink.mark()()
    write(sink, 2)
    sink.close()
    sink = opened(path, dict.fromkeys(marks), fresh=True)
    write(sink, 3)
    sink.close()
    assert numbers(path) == [1, 2, 3]


def test_a_file_without_a_mark_is_not_cut(path):
    sink = opened(path)
    write(sink, 1)
    sink.close()
    opened(path, {"/elsewhere/items": 0}).close()
    assert numbers(path) == [1]


def test_a_file_that_is_shorter_than_its_mark_is_told_and_goes_on(tmp_path, caplog):
    path = tmp_path / "items.jsonl"
    sink = opened(path)
    write(sink, 1, 2)
    marks = sink.mark()()
    sink.close()
    path.unlink()
    sink = opened(path, marks)
    write(sink, 3)
    sink.close()
    assert numbers(path) == [3]
    assert "a file of items is shorter than the crawl left it" in caplog.text


def test_many_sinks_have_all_marks(tmp_path):
    paths = [tmp_path / "a.jsonl", tmp_path / "b.csv"]
    sink = ManySinks([open_sink(str(path)) for path in paths])
    sink.open()
    write(sink, 1)
    marks = sink.mark()()
    write(sink, 2)
    sink.close()
    assert sorted(marks) == [str(path) for path in paths]
    sink = ManySinks([open_sink(str(path)) for path in paths])
    sink.begin_at(marks)
    sink.open()
    sink.close()
    assert [numbers(path) for path in paths] == [[1], [1]]


def test_a_mark_fails_as_its_batch_does(tmp_path):
    sink = opened(tmp_path / "items.jsonl")
    sink._writer.write = lambda records: (_ for _ in ()).throw(OSError("no room"))
    write(sink, 1)
    with pytest.raises(OSError, match="no room"):
        sink.mark()()
    with pytest.raises(OSError, match="no room"):
        sink.close()


def test_what_is_cut_off_is_kept_beside_the_file_and_told(path, caplog):
    sink = opened(path)
    write(sink, 1)
    marks = sink.mark()()
    write(sink, 2)
    sink.close()
    for number in (1, 2):
        sink = opened(path, marks)
        assert numbers(path) == [1]
        kept = path.with_name(f"{path.name}.cut-{number}")
        assert kept.exists()
        assert caplog.records[-1].fields["kept"] == str(kept)
        assert caplog.records[-1].fields["cut_bytes"] > 0
        write(sink, 2)
        sink.close()


def test_what_a_mark_says_is_there_is_cut_nowhere(path):
    sink = opened(path)
    write(sink, 1, 2)
    marks = sink.mark()()
    sink.close()
    opened(path, marks).close()
    opened(path).close()
    assert numbers(path) == [1, 2]
    assert os.listdir(path.parent) == [path.name]


def test_a_partial_last_record_is_kept_beside_the_file(tmp_path, caplog):
    path = tmp_path / "items.jsonl"
    path.write_text('{"n": 1}\n{"n": 2, "by": "hand"}')
    opened(path).close()
    assert path.read_text() == '{"n": 1}\n'
    assert (tmp_path / "items.jsonl.cut-1").read_text() == '{"n": 2, "by": "hand"}'
    [record] = caplog.records
    assert record.fields["kept"].endswith("items.jsonl.cut-1")


def append(path, line):
    with path.open("a") as file:
        file.write(line)


@pytest.mark.parametrize("when", ["before the first mark", "between items", "before the mark"])
def test_nothing_is_cut_off_from_a_file_to_which_others_write(tmp_path, caplog, when):
    path = tmp_path / "items.jsonl"
    sink = opened(path)
    if when == "before the first mark":
        append(path, '{"n": -1}\n')
    write(sink, 1)
    first = sink.mark()()
    if when == "between items":
        append(path, '{"n": -1}\n')
    write(sink, 2)
    sink.mark()()
    if when == "before the mark":
        append(path, '{"n": -1}\n')
    marks = json.loads(json.dumps(sink.mark()()))
    write(sink, 3)
    sink.close()
    assert marks == {str(path): SHARED}
    assert (first == marks) == (when == "before the first mark")
    assert caplog.text.count("another program writes to a file of items too") == 1
    found = numbers(path)
    assert sorted(found) == [-1, 1, 2, 3]
    sink = opened(path, marks)
    assert caplog.text.count("another program writes to a file of items too") == 2
    write(sink, 4)
    assert sink.mark()() == marks
    sink.close()
    assert numbers(path) == [*found, 4]


def test_items_of_others_stay_when_there_is_no_room_for_ones_own(tmp_path):
    path = tmp_path / "items.jsonl"
    sink = opened(path)
    append(path, '{"n": 7}\n')
    sink._writer._file._put = lambda data: (_ for _ in ()).throw(OSError("no room"))
    write(sink, 1)
    with pytest.raises(OSError, match="no room"):
        sink.close()
    assert numbers(path) == [7]


def test_a_fresh_file_of_a_crawl_that_goes_on_is_not_emptied_without_a_mark(path):
    sink = opened(path)
    write(sink, 1)
    sink.close()
    sink = open_sink(str(path), fresh=True)
    sink.begin_at({"/elsewhere/items": 0})
    with pytest.raises(OSError, match=r"wrote to /elsewhere/items: -O would .* -o.* --anew"):
        sink.open()
    with pytest.raises(OSError, match="-O would"):
        sink.close()
    assert numbers(path) == [1]


def test_a_fresh_file_is_emptied_by_a_crawl_that_begins(path):
    sink = opened(path)
    write(sink, 1)
    sink.close()
    sink = opened(path, {}, fresh=True)
    write(sink, 2)
    sink.close()
    assert numbers(path) == [2]


def test_a_fresh_file_that_is_not_there_begins(path):
    sink = opened(path, {"/elsewhere/items": 0}, fresh=True)
    write(sink, 2)
    sink.close()
    assert numbers(path) == [2]


@pytest.mark.parametrize("is_clean", [False, True])
def test_a_file_that_is_gone_is_told_and_begins_anew(path, caplog, is_clean):
    sink = opened(path)
    write(sink, 1, 2)
    marks = sink.mark()()
    sink.close()
    path.rename(path.with_name("moved"))
    if is_clean:
        marks = {name: at_least(mark) for name, mark in marks.items()}
    sink = opened(path, marks)
    write(sink, 3)
    sink.close()
    assert numbers(path) == [3]
    assert "a file of items is shorter than the crawl left it" in caplog.text


def test_what_lies_beyond_a_mark_stays_after_a_stop_in_order(path, caplog):
    sink = opened(path)
    write(sink, 1)
    marks = sink.mark()()
    write(sink, 2)
    sink.close()
    opened(path, {name: at_least(at_least(mark)) for name, mark in marks.items()}).close()
    assert numbers(path) == [1, 2]
    assert "shorter" not in caplog.text


def test_the_advice_for_a_changed_file_of_a_crawl_that_goes_on_works(tmp_path):
    path = tmp_path / "items.json"
    sink = opened(path)
    write(sink, 1)
    marks = sink.mark()()
    sink.close()
    path.write_text("notes")
    sink = open_sink(str(path), fresh=True)
    sink.begin_at({name: at_least(mark) for name, mark in marks.items()})
    with pytest.raises(OSError, match="move it away, and the crawl goes on with a new file"):
        sink.open()
    with pytest.raises(OSError, match="it is no JSON array"):
        sink.close()
    path.rename(tmp_path / "notes")
    sink = opened(path, marks)
    write(sink, 2)
    sink.close()
    assert numbers(path) == [2]


def test_a_mark_is_taken_after_the_folders_are_synced(path, monkeypatch):
    synced = set()
    sync = os.fsync

    def noting(number):
        synced.add(Path(os.readlink(f"/proc/self/fd/{number}")))
        sync(number)

    monkeypatch.setattr(os, "fsync", noting)
    path = path.parent / "new" / "newer" / path.name
    sink = opened(path)
    write(sink, 1)
    assert not synced & set(path.parents)
    sink.mark()()
    sink.close()
    assert {*path.parents[:3]} <= synced
    assert path in synced or not path.is_dir()  # a folder of parts


def test_each_transaction_of_an_sqlite_file_survives_a_loss_of_power(tmp_path):
    database = database_at(f"sqlite:///{tmp_path}/items.db")
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    database.engine.dispose()
    database.threads.kill()
