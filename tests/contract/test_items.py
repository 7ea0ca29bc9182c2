"""What each writer writes, the reader of a task's items reads: the same items, with their types as
far as the format has them."""

import datetime
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawler.engine.items.item import to_json
from crawler.engine.items.sinks.factory import Sinks
from crawler.engine.items.sinks.kinds import record_of
from crawler.engine.items.sinks.targets import FORMATS, file_writer
from crawler.items import items_of
from crawler.items.formats import BEST_FIRST, SQLITE
from crawler.items.names import file_name

TEXT = 'Zürich — 漢字 🙂, "quoted"\n\tline; semi\\colon\r\n</item>\n<&> a\rb'
ITEM = {
    "n": 1,
    "text": TEXT,
    "empty": "",
    "truth": True,
    "number": 2.5,
    "huge": -(2**63),
    "list": ["a", {"b": [True, None, 1.5]}],
    "dict": {"item": {"deep": ["x", "y"]}, "_id": "z"},
    "_id": "a field like a column of the sink",
    "day": datetime.date(2026, 11, 1),
    "moment": datetime.datetime(2026, 11, 1, 12, 30),
    "bytes": b"abc",
}
AS_JSON = json.loads(to_json(ITEM))
AS_TEXTS = {name: str(value) for name, value in AS_JSON.items()}
READ = {
    "jsonl": AS_JSON,
    "json": AS_JSON,
    "sqlite": ITEM,
    "parquet": ITEM | {name: to_json(ITEM[name]) for name in ("list", "dict")},
    "xml": AS_TEXTS
    | {
        "list": ["a", {"b": ["True", "None", "1.5"]}],
        "dict": {"item": {"deep": ["x", "y"]}, "_id": "z"},
    },
    "csv": AS_TEXTS | {name: to_json(ITEM[name]) for name in ("list", "dict")},
}
"""Format → what the reader makes of the item."""


def read(format):
    return READ[format.removesuffix(".gz")]


@pytest.fixture
def sinks():
    made = Sinks({})
    yield made
    made.close()


@pytest.mark.parametrize("format", BEST_FIRST)
def test_an_item_comes_back_as_it_was_yielded_as_far_as_the_format_has_its_types(
    tmp_path, sinks, format
):
    """Written as a worker does, in two runs of two batches each."""
    path = tmp_path / "shop" / "1000-3.jsonl"
    for run in range(2):
        sink = sinks.choose([format], path, "shop", "spider", ())
        sink.open()
        for batch in range(2):
            sink.write(ITEM | {"n": 2 * run + batch}, f"http://h/{run}")
            sink.flush()
        sink.close()
        found = items_of("shop", tmp_path, format=format)
        expected = [read(format) | {"n": type(read(format)["n"])(n)} for n in range(2 * run + 2)]
        assert sorted(found, key=lambda item: int(item["n"])) == expected
        assert found.count() == len(expected)


def test_the_reader_knows_each_format_of_the_writers():
    assert set(BEST_FIRST) == {*FORMATS, SQLITE}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=8,
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
ITEMS = st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), max_size=6)


def written(folder, format, items, at):
    """Write items in two goes, each by a writer of its own."""
    (folder / "shop").mkdir(exist_ok=True)
    path = folder / "shop" / file_name("1-1", format)
    path.unlink(missing_ok=True)
    for part in (items[:at], items[at:]):
        writer = file_writer(format, path)
        writer.open()
        if part:
            writer.write([writer.encode(item, "")[0] for item in part])
        writer.close()
    return list(items_of("shop", folder, format=format))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(items=ITEMS, at=st.integers(0, 6), format=st.sampled_from(["jsonl", "json", "json.gz"]))
def test_what_json_knows_comes_back_whatever_it_is(tmp_path, items, at, format):
    assert written(tmp_path, format, items, at) == items


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(items=ITEMS, format=st.sampled_from(["csv", "csv.gz"]))
def test_any_text_comes_back_from_csv(tmp_path, items, format):
    items = [item | {"n": n} for n, item in enumerate(items)]
    names = list(dict.fromkeys(name for item in items for name in item))
    records = [record_of(item)[0] for item in items]
    texts = [
        {name: "" if record.get(name) is None else str(record[name]) for name in names}
        for record in records
    ]
    assert written(tmp_path, format, items, len(items)) == texts
