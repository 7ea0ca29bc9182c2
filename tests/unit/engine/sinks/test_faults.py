"""What a sink says that cannot write."""

import contextlib
import errno

import pytest

from crawler.engine.items.sinks import sql
from crawler.engine.items.sinks.faults import why_unwritten
from crawler.engine.items.sinks.files import GrowingFile
from crawler.engine.items.sinks.targets import open_sink


def fault_of(target):
    """Why an item cannot be written there."""
    sink = open_sink(str(target), "books", "books")
    fault = None
    try:
        sink.open()
        sink.write({"title": "A"})
        sink.close()
    except OSError as error:
        fault = error
    with contextlib.suppress(OSError):
        sink.close()
    return why_unwritten(fault, "books")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "json", "xml", "jsonl.gz", "json.gz"])
def test_a_full_disk_is_told_with_the_file_and_what_to_do(tmp_path, kind, monkeypatch):
    def full(file, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(GrowingFile, "_put", full)
    target = tmp_path / f"books.{kind}"
    assert fault_of(target) == (
        f"items could not be written to {target}: [Errno 28] No space left on device; make room,"
        " then crawler again books (or run the same command again)"
    )


def test_a_full_disk_under_parquet_names_the_part(tmp_path):
    folder = tmp_path / "books.parquet"
    folder.mkdir()
    (folder / ".part-00000.parquet.new").symlink_to("/dev/full")
    fault = fault_of(folder)
    assert f"written to {folder}/part-00000.parquet: [Errno 28]" in fault
    assert "make room, then crawler again books" in fault


def test_a_full_disk_under_sqlite_names_the_database(tmp_path, monkeypatch):
    set_up = sql._set_up_sqlite

    def small(connection, record):
        set_up(connection, record)
        connection.execute("PRAGMA max_page_count=1")

    monkeypatch.setattr(sql, "_set_up_sqlite", small)
    fault = fault_of(tmp_path / "books.db")
    assert "books.db: [Errno 28]" in fault
    assert "database or disk is full; make room, then crawler again books" in fault


def test_a_folder_where_nobody_may_write_is_told_without_asking_for_room(tmp_path):
    (tmp_path / "no").write_text("this is a file")
    fault = fault_of(tmp_path / "no" / "books.jsonl")
    assert str(tmp_path / "no") in fault
    assert "; mend that, then crawler again books" in fault


def test_a_sink_that_gives_its_own_advice_gets_no_other():
    fault = why_unwritten(OSError("x.jsonl: it holds no lines; -O starts it anew"), "books")
    assert fault == "items could not be written: x.jsonl: it holds no lines; -O starts it anew"
