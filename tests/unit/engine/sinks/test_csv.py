"""CSV: one header, whole rows, and a word about what has no column."""

import csv
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.engine.items.sinks.targets import open_sink


@dataclasses.dataclass
class Book:
    title: str
    price: float | None = None


def written(path, *items):
    sink = open_sink(str(path))
    sink.open()
    for item in items:
        sink.write(item)
    sink.close()


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_class_of_an_item_gives_the_columns(tmp_path):
    written(tmp_path / "x.csv", Book("A"), {"title": "B", "price": 1.5})
    assert rows(tmp_path / "x.csv") == [["title", "price"], ["A", ""], ["B", "1.5"]]


def test_an_item_with_a_class_behind_others_does_not_take_their_columns_away(tmp_path):
    written(tmp_path / "x.csv", {"other": 1}, Book("A", 2))
    assert rows(tmp_path / "x.csv") == [["other", "title", "price"], ["1", "", ""], ["", "A", "2"]]


def test_an_item_that_cannot_be_written_gives_no_columns(tmp_path):
    ring = []
    ring.append(ring)
    sink = open_sink(str(tmp_path / "x.csv"))
    sink.open()
    with pytest.raises((ValueError, RecursionError)):
        sink.write(Book(ring))
    sink.write({"other": 1})
    sink.close()
    assert rows(tmp_path / "x.csv") == [["other"], ["1"]]


def test_all_fields_of_the_first_batch_are_columns_and_the_header_stays(tmp_path):
    path = tmp_path / "x.csv"
    written(path, {"a": 1}, {"b": 2})
    written(path, {"b": 3, "a": 4})
    assert rows(path) == [["a", "b"], ["1", ""], ["", "2"], ["4", "3"]]


def test_fields_without_a_column_are_named_once(tmp_path, caplog):
    path = tmp_path / "x.csv"
    written(path, {"a": 1})
    with caplog.at_level("WARNING"):
        written(path, *({"a": n, "late": n, "later": n} for n in range(5)))
    told = [str(vars(record)) for record in caplog.records if "dropped" in record.message]
    assert len(told) == 1
    assert "['late', 'later']" in told[0]
    assert len(rows(path)) == 7


@given(st.data(), st.lists(st.text(alphabet='a",\n\r', max_size=8), max_size=6))
def test_a_row_that_was_cut_anywhere_is_dropped_and_no_other(tmp_path_factory, data, texts):
    path = tmp_path_factory.mktemp("cut") / "x.csv"
    written(path, *({"n": n, "text": text} for n, text in enumerate(texts)), {"n": -2, "text": ""})
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    written(path, {"n": -1, "text": "new"})
    found = rows(path)
    assert found[0] == ["n", "text"]
    assert found[-1] == ["-1", "new"]
    kept = found[1:-1]
    expected = [[str(n), text] for n, text in enumerate(texts)] + [["-2", ""]]
    assert kept == expected[: len(kept)]
