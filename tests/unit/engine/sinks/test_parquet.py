"""Parquet: parts that are whole, all with the same columns."""

import pyarrow.parquet as pq
import pytest

from crawler.engine.items.sinks import parquet
from crawler.engine.items.sinks.targets import open_sink


def written(path, *batches):
    sink = open_sink(str(path))
    sink.open()
    for batch in batches:
        for item in batch:
            sink.write(item)
        sink.flush()
    sink.close()


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(parquet, "PART_BYTES", 1)


def test_a_part_grows_until_it_is_large_enough(tmp_path):
    path = tmp_path / "x.parquet"
    written(path, [{"n": 1}], [{"n": 2}])
    assert [part.name for part in path.iterdir()] == ["part-00000.parquet"]
    assert pq.read_table(path).to_pylist() == [{"n": 1}, {"n": 2}]


@pytest.mark.usefixtures("small_parts")
def test_all_parts_have_the_columns_that_come_later(tmp_path):
    path = tmp_path / "x.parquet"
    written(path, [{"n": 1}], [{"n": 2.5, "tag": "x"}], [{"n": "three"}])
    assert len(list(path.iterdir())) == 3
    assert pq.read_table(path).to_pylist() == [
        {"n": "1.0", "tag": None},
        {"n": "2.5", "tag": "x"},
        {"n": "three", "tag": None},
    ]


def test_what_a_kill_left_of_a_part_is_not_read(tmp_path):
    path = tmp_path / "x.parquet"
    written(path, [{"n": 1}])
    (path / ".part-00001.parquet.new").write_bytes(b"PAR1 torn")
    written(path, [{"n": 2}])
    assert pq.read_table(path).to_pylist() == [{"n": 1}, {"n": 2}]
