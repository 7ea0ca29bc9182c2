"""What every sink keeps: items arrive, whole, once, in time; and what it makes of odd values."""

import csv
import dataclasses
import datetime
import decimal
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import gevent
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from crawler.engine.items.sinks.targets import open_sink
from crawler.errors import ConfigError
from tests.databases import MariaDb, Postgres, started
from tests.depth import deep
from tests.waiting import PATIENCE_S, eventually

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


@pytest.fixture(scope="module")
def postgres():
    server = started(Postgres)
    yield server
    server.remove()


@pytest.fixture(scope="module")
def mariadb():
    server = started(MariaDb)
    yield server
    server.remove()


class Place:
    """A target, and how its items are read back: by any program that knows the format."""

    def __init__(self, kind, target, table=""):
        self.kind, self.target, self.table = kind, str(target), table

    def open(self, **options):
        sink = open_sink(self.target, **{"task": "task", "table": self.table, **options})
        sink.open()
        return sink

    @property
    def is_database(self):
        return self.kind in DRIVERS

    def items(self):
        """Each item as a dict without fields that have no value."""
        rows = getattr(self, f"_{self.kind}", self._rows)()
        return [{k: v for k, v in row.items() if v not in (None, "")} for row in rows]

    def ids(self):
        return sorted(int(item["n"]) for item in self.items())

    def rows(self):
        scheme, _, rest = self.target.partition("://")
        url = f"{DRIVERS[scheme]}://{rest}" if rest else f"sqlite:///{self.target}"
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            found = connection.execute(sa.text(f"SELECT * FROM {self.table}"))
            return [dict(row._mapping) for row in found]

    def _rows(self):
        return [{k: v for k, v in row.items() if k[0] != "_"} for row in self.rows()]

    def _jsonl(self):
        with open(self.target, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def _csv(self):
        with open(self.target, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def _parquet(self):
        return pq.read_table(self.target).to_pylist()


FILES = ("jsonl", "csv", "parquet", "sqlite")
OTHERS = [pytest.param(kind, marks=deep) for kind in ("csv", "sqlite", "mysql")]


@pytest.fixture(params=[*FILES, "postgresql", "mysql"])
def place(request, tmp_path):
    """Every kind of place, empty; each test that asks for it runs on all of them."""
    return made_place(request, tmp_path)


@pytest.fixture(params=["jsonl", "parquet", "postgresql", *OTHERS])
def some_place(request, tmp_path):
    """One of each sort, for what the writers have from what they share."""
    return made_place(request, tmp_path)


def made_place(request, tmp_path):
    table = f"items_{uuid.uuid4().hex[:8]}"
    if request.param in FILES:
        suffix = "db" if request.param == "sqlite" else request.param
        return Place(request.param, tmp_path / "deep" / f"items.{suffix}", table)
    server = request.getfixturevalue("postgres" if request.param == "postgresql" else "mariadb")
    return Place(request.param, server.url, table)


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database(request, tmp_path):
    table = f"items_{uuid.uuid4().hex[:8]}"
    if request.param == "sqlite":
        return Place("sqlite", tmp_path / "items.db", table)
    server = request.getfixturevalue("postgres" if request.param == "postgresql" else "mariadb")
    return Place(request.param, server.url, table)


def written(place, *items, url="http://h/", **options):
    sink = place.open(**options)
    for item in items:
        sink.write(item, url)
    sink.close()
    return sink


def test_items_are_written_whole_and_in_their_text(place):
    text = 'Zürich — 漢字 🙂, "quoted"\n\tline; semi\\colon\r\n%s %(x)s :name {brace}'
    sink = written(place, {"n": 1, "text": text}, {"n": 2, "text": "plain"})
    found = sorted(place.items(), key=lambda item: int(item["n"]))
    assert [item["text"] for item in found] == [text, "plain"]
    assert not sink.lost


def test_what_was_flushed_is_there_while_the_sink_is_open(place):
    sink = place.open()
    sink.write({"n": 1}, "http://h/")
    sink.flush()
    eventually(lambda: os.path.exists(place.target) or place.is_database)
    eventually(lambda: _ids_or_none(place) == [1])
    sink.close()


def _ids_or_none(place):
    try:
        return place.ids()
    except (sa.exc.DBAPIError, OSError, KeyError):
        return None


def test_a_later_run_adds_to_what_is_there(place):
    written(place, {"n": 1, "a": "x"}, url="http://h/1")
    written(place, {"n": 2, "a": "y"}, url="http://h/2")
    assert place.ids() == [1, 2]


def test_more_items_than_a_batch_holds_all_arrive(some_place):
    written(some_place, *({"n": n, "text": "x" * 100} for n in range(6000)))
    assert some_place.ids() == list(range(6000))


@dataclasses.dataclass
class Book:
    n: int
    title: str
    price: float | None = None


def test_an_item_may_be_a_dataclass(some_place):
    written(some_place, Book(1, "A", 1.5), Book(2, "B"))
    found = sorted(some_place.items(), key=lambda item: int(item["n"]))
    assert [item["title"] for item in found] == ["A", "B"]
    assert float(found[0]["price"]) == 1.5


def test_an_item_may_be_changed_after_it_was_written(some_place):
    sink = some_place.open()
    item = {"n": 1, "tags": ["a"]}
    sink.write(item, "http://h/")
    item["n"] = 2
    item["tags"].append("b")
    sink.close()
    [found] = some_place.items()
    assert int(found["n"]) == 1
    tags = found["tags"] if isinstance(found["tags"], list) else json.loads(found["tags"])
    assert tags == ["a"]


ODD = {
    "n": 1,
    "truth": True,
    "nothing": None,
    "small": -(2**63),
    "huge": 2**70,
    "number": float("nan"),
    "money": decimal.Decimal("12.50"),
    "day": datetime.date(2026, 11, 1),
    "moment": datetime.datetime(
        2026, 11, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2))
    ),
    "bytes": b"\x00\xff",
    "nul": "a\0b",
    "half": "a\ud800b",
    "nested": {"list": [1, {"deep": None}], "set": {1}},
    "a column: %(x)s, \"q\" 'q' `b`": "odd name",
}


def test_odd_values_cost_no_item(place):
    sink = written(place, ODD, {"n": 2})
    assert place.ids() == [1, 2]
    assert not sink.lost
    odd = min(place.items(), key=lambda item: int(item["n"]))
    assert "odd name" in odd.values()
    assert str(odd["money"]) == "12.50"
    assert str(odd["day"]) == "2026-11-01"
    assert odd["half"] == "a?b"
    assert odd["nul"].endswith("b")


def test_an_item_that_contains_itself_is_refused(some_place):
    sink = some_place.open()
    item = {"n": 1}
    item["self"] = item
    with pytest.raises(ValueError, match="contains itself"):
        sink.write(item, "http://h/")
    sink.write({"n": 2}, "http://h/")
    sink.close()
    assert some_place.ids() == [2]


WRITING = """
import os, sys
from tests import patched
import psycopg, pyarrow.parquet, pymysql, sqlalchemy
from crawler.engine.items.sinks.targets import open_sink
for line in sys.stdin:
    if os.fork() == 0:
        break
else:
    sys.exit()
target, table = line.split()
sink = open_sink(target, "task", table)
sink.open()
for n in range(10**9):
    sink.write({"n": n, "text": "line\\nbreak, " * 20, "end": "whole"}, f"http://h/{n}")
    if n % 500 == 499:
        sink.flush()
        print(os.getpid(), n, flush=True)
"""
"""For each line a process that writes without end. It is forked, so that one alone is started."""


@pytest.fixture(scope="module")
def writers():
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", WRITING], text=True, **pipes) as process:
        process.killed = set()
        yield process


def test_a_kill_leaves_whole_items_only(place, writers):
    """The process is really killed while it writes; the next one opens what it left."""
    print(place.target, place.table, file=writers.stdin, flush=True)
    told = []
    while len(told) < 6:
        pid, n = map(int, writers.stdout.readline().split())
        if pid not in writers.killed:
            told.append(n)
    os.kill(pid, signal.SIGKILL)
    writers.killed.add(pid)
    eventually(lambda: has_ended(pid))
    written(place, {"n": -1, "text": "new", "end": "whole"}, url="http://h/new")
    items = place.items()
    ids = sorted(int(item["n"]) for item in items)
    assert all(item["end"] == "whole" for item in items)
    # What the last flush but one sent was written before the last one returned.
    assert ids == list(range(-1, len(ids) - 1))
    assert len(ids) >= told[-2]


def has_ended(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_field_that_comes_later_has_a_column_of_its_own(database):
    written(database, {"n": 1})
    written(database, {"n": 2, "later": "x", "Later": "y"}, {"n": 3, "later": "z"})
    by_id = {item["n"]: item for item in database.items()}
    assert by_id[1] == {"n": 1}
    assert sorted(by_id[2].values(), key=str) == [2, "x", "y"]
    assert by_id[3]["later"] == "z"


WIDENED = {  # column → its first value, and the next; and both as they are stored
    "whole": ((1, 2.5), (1, 2.5)),
    "truth": ((True, 7), (1, 7)),
    "number": ((12, "007"), ("12", "007")),
    "text": (("a", 5), ("a", "5")),
    "list": ((1.5, ["x"]), ("1.5", '["x"]')),
}


@pytest.mark.parametrize("together", [True, False])
def test_each_column_becomes_wide_enough_for_all_its_values(database, together):
    items = [
        {"n": n, **{column: given[n] for column, (given, _) in WIDENED.items()}} for n in (0, 1)
    ]
    for batch in [items] if together else [[items[0]], [items[1]]]:
        written(database, *batch)
    first, then = sorted(database.items(), key=lambda item: item["n"])
    for column, (_, stored) in WIDENED.items():
        assert (first[column], then[column]) == stored, column


def test_an_item_with_a_known_key_replaces_the_row(database):
    one = {"sku": "a", "price": 1}
    written(database, one, {"sku": "b", "price": 2}, key=["sku"])
    written(database, {"sku": "a", "price": 3}, {"sku": "a", "price": 4}, key=["sku"])
    written(database, one, key=["sku"], task="another")
    written(database, one, key=["sku"], url="http://h/other")
    assert sorted(
        (row["_task"], row["_url"], row["sku"], row["price"]) for row in database.rows()
    ) == [
        ("another", "http://h/", "a", 1),
        ("task", "http://h/", "a", 4),
        ("task", "http://h/", "b", 2),
        ("task", "http://h/other", "a", 1),
    ]


def test_without_a_key_nothing_that_differs_is_replaced_and_the_same_is_kept_once(database):
    page = [{"n": 1}, {"n": 1}, {"n": 2}]
    written(database, *page)
    written(database, *page)
    written(database, {"n": 3})
    assert database.ids() == [1, 1, 2, 3]


def test_a_table_that_is_not_one_of_items_is_left_alone(database):
    written(database, {"n": 1})
    engine = sa.create_engine(
        database.target.replace(
            "://", "+psycopg://" if "postgres" in database.target else "+pymysql://"
        )
        if "://" in database.target
        else f"sqlite:///{database.target}",
        poolclass=sa.pool.NullPool,
    )
    name = f"{database.table}_own"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {name} (n INTEGER)")
    with pytest.raises(OSError, match="was not made for items"):
        written(database, {"n": 1}, table=name)


@pytest.mark.parametrize("name", ["postgres", "mariadb"])
def test_a_server_that_dies_in_the_middle_costs_no_item_and_none_comes_twice(name, request):
    server = request.getfixturevalue(name)
    place = Place(server.url.partition(":")[0], server.url, "dies")
    sink = place.open()
    for n in range(2000):
        sink.write({"n": n}, f"http://h/{n}")
    sink.flush()
    server.kill()
    writing = gevent.spawn(_write_on, sink)
    gevent.sleep(0.3)
    assert not writing.dead
    server.start()
    writing.get(timeout=PATIENCE_S)
    assert place.ids() == list(range(8000))
    assert not sink.lost


def _write_on(sink):
    for n in range(2000, 8000):
        sink.write({"n": n}, f"http://h/{n}")
    sink.close()


@pytest.mark.parametrize("target", ["items", "items.txt", "ftp://h/x", "oracle://u:p@h/x", ""])
def test_a_target_that_is_none_is_told_with_what_is_allowed(target):
    with pytest.raises(ConfigError, match=r"allowed: .*(\.csv|sqlite)") as told:
        open_sink(target)
    assert "u:p" not in str(told.value)


def test_a_password_is_in_no_error(mariadb):
    sink = open_sink(f"mysql://nobody:hidden@127.0.0.1:{mariadb.port}/none")
    for step in (sink.open, sink.close):
        with pytest.raises(OSError, match=r"mysql://127\.0\.0\.1") as told:
            step()
        assert "hidden" not in str(told.value)
