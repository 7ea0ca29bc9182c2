"""A file of items goes on at a mark: what lies beyond it is gone, and the rest is whole."""

import csv
import gzip
import json
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from crawler.engine.items.sinks.many import ManySinks
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
