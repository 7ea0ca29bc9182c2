"""Items on disk: a line each, whole, soon."""

import contextlib
import dataclasses
import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.engine.items.sinks.file_writer import BATCH_BYTES
from crawler.engine.items.sinks.json_lines import JsonLinesSink, to_line
from tests.waiting import eventually


@dataclasses.dataclass
class Book:
    title: str
    prices: tuple


def opened(path):
    sink = JsonLinesSink(path)
    sink.open()
    return sink


def items(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_folders_are_made_and_each_item_is_a_line(tmp_path):
    path = tmp_path / "a" / "b" / "items.jsonl"
    sink = opened(path)
    sink.write({"text": "line\nbreak", "ü": 1})
    sink.write(Book("T", (1.5, None)))
    sink.close()
    assert items(path) == [{"text": "line\nbreak", "ü": 1}, {"title": "T", "prices": [1.5, None]}]


def test_items_are_written_together(tmp_path):
    path = tmp_path / "items.jsonl"
    sink = opened(path)
    sink.write({"n": 1})
    sink.write({"n": 2})
    assert path.read_bytes() == b""
    sink.flush()
    eventually(lambda: items(path) == [{"n": 1}, {"n": 2}])
    sink.close()


def test_no_more_than_so_much_is_kept_in_memory(tmp_path):
    path = tmp_path / "items.jsonl"
    sink = opened(path)
    sink.write({"x": "y" * BATCH_BYTES})
    eventually(lambda: path.stat().st_size > BATCH_BYTES)
    sink.close()


def test_a_second_run_appends(tmp_path):
    path = tmp_path / "items.jsonl"
    for n in (1, 2):
        sink = opened(path)
        sink.write({"n": n})
        sink.close()
        sink.close()
    assert items(path) == [{"n": 1}, {"n": 2}]


@given(st.integers(0, 40), st.integers(0, 200_000))
def test_half_a_line_is_cut_off_wherever_a_kill_left_it(tmp_path_factory, whole, torn):
    path = tmp_path_factory.mktemp("torn") / "items.jsonl"
    lines = b"".join(to_line({"n": n}) for n in range(whole))
    path.write_bytes(lines + b'{"n": "' + b"x" * torn)
    sink = opened(path)
    sink.write({"n": "new"})
    sink.close()
    assert items(path) == [*({"n": n} for n in range(whole)), {"n": "new"}]


class Odd:
    def __str__(self):
        return "odd"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime.date(2026, 11, 1), "2026-11-01"),
        (Odd(), "odd"),
        (b"bytes\xff", "bytes\ufffd"),
        ({1, 2}, [1, 2]),
        (Book("T", (Odd(),)), {"title": "T", "prices": ["odd"]}),
        (float("nan"), "nan"),
        ([float("inf"), {"deep": float("-inf")}], ["inf", {"deep": "-inf"}]),
        ({("a", 1): 2, 3: 4}, {"('a', 1)": 2, "3": 4}),
        (1 + 2j, "(1+2j)"),
        (True, True),
        (None, None),
    ],
)
def test_what_json_does_not_know_becomes_text(value, written):
    line = to_line({"value": value})
    assert json.loads(line, parse_constant=pytest.fail) == {"value": written}


def test_a_lone_surrogate_does_not_lose_the_item():
    assert json.loads(to_line({"v": "a\ud800b"})) == {"v": "a?b"}


def test_an_item_that_contains_itself_is_refused():
    item = {}
    item["self"] = item
    with pytest.raises(ValueError, match="contains itself"):
        to_line(item)


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    sink = JsonLinesSink(tmp_path / "file" / "items.jsonl")
    with pytest.raises(OSError, match="file"):
        sink.open()
    with contextlib.suppress(OSError):
        sink.close()
