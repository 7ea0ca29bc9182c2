"""`crawler items`: what it prints and writes, what it says beside, and what it refuses."""

import csv
import gzip
import json
import sqlite3
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from crawler.cli.base import BAD_SETTINGS, FAILED, commands
from crawler.errors import CrawlerError
from crawler.items import items_of

TEXT = 'a "b"\nЖ'


@pytest.fixture
def folder(tmp_path):
    """The items of two tasks: one has ended, one goes on and has several formats."""
    folder = tmp_path / "items"
    laid(folder / "books", "1000-3.jsonl", [{"n": 1, "t": TEXT}, {"n": 2, "t": None}])
    laid(folder / "books", "1000-2.jsonl", [{"n": 0, "t": "begun anew since"}])
    told = [{"id": "1000", "epoch": n, "files": [f"1000-{n}"]} for n in (2, 3)]
    laid(folder / "books", ".runs", told)
    laid(folder / "shelf", "1001-1.jsonl.part", [{"n": 7}])
    (folder / "shelf" / "1001-1.csv.part").write_bytes(b"n\r\n8\r\n")
    laid(folder / "shelf", ".runs", [{"id": "1001", "epoch": 1, "files": ["1001-1"]}])
    return folder


def laid(folder, name, records):
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records)
    (folder / name).write_text(text)


def called(*arguments, folder=None, **options):
    arguments = [*arguments, *(["--folder", folder] if folder else [])]
    return CliRunner().invoke(commands, ["items", *map(str, arguments)], **options)


def test_items_are_printed_as_they_were_written(folder):
    done = called("books", folder=folder)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (folder / "books" / "1000-3.jsonl").read_text()


def test_a_crawl_that_goes_on_is_told_beside_its_items(folder):
    done = called("shelf", folder=folder)
    assert done.stdout == '{"n": 7}\n'
    assert done.stderr == "crawler: the crawl of shelf has not ended: 1 item so far\n"


def test_another_format_or_run_may_be_read(folder):
    done = called("shelf", "--from", "csv", folder=folder)
    assert done.stdout == '{"n": "8"}\n'
    assert "CSV has texts alone" in done.stderr
    done = called("books", "--epoch", 2, folder=folder)
    assert json.loads(done.stdout)["t"] == "begun anew since"
    assert not called("books", "--id", 1000, folder=folder).stderr


def test_the_folder_of_the_settings_is_read_if_none_is_given(folder, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("worker: {items: items}\n")
    done = called("books", "-c", config)
    assert len(done.stdout.splitlines()) == 2


def by_csv(data):
    return [row["t"] for row in csv.DictReader(data.decode().splitlines(keepends=True))]


def by_xml(data):
    return [each.findtext("t") for each in ElementTree.fromstring(data)]


def by_json(data):
    return [each["t"] for each in json.loads(data)]


@pytest.mark.parametrize(
    ("format", "reading", "nothing"),
    [("csv", by_csv, ""), ("xml", by_xml, "None"), ("json", by_json, None)],
)
def test_standard_output_takes_each_format_of_text(folder, format, reading, nothing):
    done = called("books", "--format", format, "-o", "-", folder=folder)
    assert done.exit_code == 0
    assert reading(done.stdout_bytes) == [TEXT, nothing]
    path = folder.parent / f"same.{format}"
    assert called("books", "-o", path, folder=folder).exit_code == 0
    assert done.stdout_bytes == path.read_bytes()


def from_csv(path):
    return [row["n"] for row in csv.DictReader(gzip.decompress(path.read_bytes()).decode().split())]


def from_database(path):
    connection = sqlite3.connect(path)
    found = [n for (n,) in connection.execute("SELECT n FROM books")]
    connection.close()
    return found


@pytest.mark.parametrize(
    ("name", "reading"),
    [
        ("x.jl", lambda path: [json.loads(line)["n"] for line in path.read_text().splitlines()]),
        ("x.csv.gz", from_csv),
        ("x.parquet", lambda path: pq.read_table(path).column("n").to_pylist()),
        ("x.db", from_database),
    ],
)
def test_the_suffix_says_how_a_file_is_written(folder, name, reading):
    laid(folder / "books", "1000-3.jsonl", [{"n": 1}, {"n": 2}])
    path = folder.parent / name
    done = called("books", "-o", path, folder=folder)
    assert done.stdout == f"2 items of books in {path}\n"
    assert sorted(map(int, reading(path))) == [1, 2]


def test_a_format_may_be_given_for_any_name_and_a_file_may_begin_anew(folder):
    path = folder.parent / "books.txt"
    for option, count in (("-o", 2), ("-o", 4), ("-O", 2)):
        assert called("books", option, path, "--format", "jsonl", folder=folder).exit_code == 0
        assert len(path.read_text().splitlines()) == count


REFUSED = {
    "a name without a format": (["-o", "books.txt"], "'books.txt' is not allowed; allowed: a file"),
    "a folder on standard output": (["--format", "parquet"], "parquet is a folder, so it cannot"),
    "a format for a database": (["-o", "x.db", "--format", "csv"], "'csv' is for files"),
    "an emptied database": (["-O", "x.db"], "does not empty a database"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_written_is_refused(folder, case):
    options, told = REFUSED[case]
    with pytest.raises(CrawlerError, match=told):
        called("books", *options, folder=folder, catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["books", "-o", "a.csv", "-O", "b.csv"], "-o and -O: both given"),
        (["books", "--json"], "--json: is for the list of tasks"),
    ],
)
def test_options_that_mean_nothing_together_are_refused(folder, arguments, told):
    done = called(*arguments, folder=folder)
    assert done.exit_code == BAD_SETTINGS
    assert told in done.stderr


@pytest.mark.parametrize("option", ["-o", "-O"])
def test_a_file_is_not_written_to_itself(folder, option):
    path = folder / "books" / "1000-3.jsonl"
    before = path.read_bytes()
    done = called("books", option, path, folder=folder)
    assert done.exit_code == BAD_SETTINGS
    assert "the items are read from this file" in done.stderr
    assert path.read_bytes() == before


def test_without_a_task_all_are_listed(folder):
    done = called(folder=folder)
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["TASK", "ID", "RUNS", "ITEMS", "BYTES", "STATE"]
    size = (folder / "books" / "1000-3.jsonl").stat().st_size
    assert rows[0].split() == ["books", "1000", "1", "2", str(size), "ended"]
    assert rows[1].split() == ["shelf", "1001", "1", "1", "9", "going", "on"]


def test_the_list_may_be_json(folder):
    done = called("--json", folder=folder)
    books, shelf = json.loads(done.stdout)["tasks"]
    assert (books["task"], books["items"], books["state"]) == ("books", 2, "ended")
    assert shelf == {
        "task": "shelf", "id": "1001", "runs": 1, "items": 1, "bytes": 9, "state": "going on",
    }  # fmt: skip


def test_a_damaged_file_costs_the_list_only_its_count(folder):
    (folder / "books" / "1000-3.jsonl").unlink()
    (folder / "books" / "1000-3.csv").write_text("n,t\r\n1\r\n")
    done = called(folder=folder, standalone_mode=False)
    assert done.return_value == FAILED
    assert done.stdout.splitlines()[1].split()[3] == "?"
    assert "1000-3.csv, line 2: the row has 1 field" in done.stderr


def test_an_item_may_be_nested_as_deeply_as_a_crawl_could_write_it(folder):
    deep = '{"n": ' + "[" * 980 + "]" * 980 + "}\n"
    (folder / "books" / "1000-3.jsonl").write_text(deep)
    assert called("books", folder=folder).stdout == deep
    assert items_of("books", folder).count() == 1
