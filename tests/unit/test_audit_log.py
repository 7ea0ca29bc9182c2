"""Where the audit goes: a file that others may move away and that may be full, or the log."""

import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from crawler import audit_log, logs
from crawler.audit_log import MOST_WAITING, AuditFile, OrdinaryLog
from crawler.errors import ConfigError
from crawler.metrics import Metrics
from crawler.model.audit import AuditRecord
from crawler.supervision import Supervisor
from tests.small_disk import SmallDisk
from tests.waiting import eventually


def record(number=0, object=""):
    whence = ("me", "admin", "10.0.0.1", "http")
    return AuditRecord(number * 10**9, *whence, "task.delete", object or str(number), "done")


def objects(path):
    """What the whole lines of a file are about."""
    text = path.read_text() if path.exists() else ""
    assert not text or text.endswith("\n")
    return [json.loads(line)["object"] for line in text.splitlines()]


@contextmanager
def writing(path):
    """A file of the audit that is being written, and its metrics."""
    metrics, supervisor = Metrics(), Supervisor("test")
    log = AuditFile(path, metrics)
    log.check()
    log.start(supervisor)
    try:
        yield log, metrics
    finally:
        supervisor.stop()
        log.close()


def test_each_record_is_a_line_and_the_last_ones_are_written_at_the_end(tmp_path):
    path = tmp_path / "audit.jsonl"
    with writing(path) as (log, _):
        log.write(record(1))
        eventually(lambda: objects(path) == ["1"])
        for number in range(2, 50):
            log.write(record(number))
    assert objects(path) == [str(number) for number in range(1, 50)]


def test_a_file_that_was_moved_away_is_made_anew(tmp_path):
    path, old = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    with writing(path) as (log, _):
        log.write(record(1))
        eventually(lambda: objects(path) == ["1"])
        path.rename(old)
        log.write(record(2))
        eventually(lambda: objects(path) == ["2"])
        os.truncate(path, 0)
        log.write(record(3))
        eventually(lambda: objects(path) == ["3"])
    assert objects(old) == ["1"]


def test_several_nodes_share_a_file_and_each_goes_on_with_it(tmp_path):
    path = tmp_path / "audit.jsonl"
    with writing(path) as (one, _), writing(path) as (other, _):
        for number in range(200):
            (one if number % 2 else other).write(record(number))
    assert sorted(objects(path), key=int) == [str(number) for number in range(200)]


def test_half_a_line_of_a_machine_that_died_spoils_no_other(tmp_path):
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'{"time":"2022')
    with writing(path) as (log, _):
        log.write(record(1))
    first, second = path.read_text().splitlines()
    assert first == '{"time":"2022'
    assert json.loads(second)["object"] == "1"


@pytest.fixture
def disk(tmp_path):
    made = SmallDisk(tmp_path, 1)
    yield made
    made.remove()


def test_a_full_disk_is_told_once_and_loses_nothing(disk, caplog, monkeypatch):
    monkeypatch.setattr(audit_log, "RETRY_S", 0.05)
    path = disk.folder / "audit.jsonl"
    with writing(path) as (log, metrics):
        log.write(record(0, "x" * 3_000))
        eventually(lambda: objects(path))
        disk.fill()
        for number in range(1, 100):
            log.write(record(number, f"{number} {'x' * 100}"))
        eventually(lambda: _value(metrics, "crawler_audit_failures_total") >= 2)
        told = [each for each in caplog.records if "cannot be written" in each.getMessage()]
        assert len(told) == 1
        assert told[0].fields["error"] == "No space left on device"
        disk.make_room()
        eventually(lambda: path.read_bytes().count(b"\n") == 100)
        eventually(lambda: "is written again" in caplog.text)
    assert [each.split()[0] for each in objects(path)[1:]] == [str(n) for n in range(1, 100)]


def test_lines_that_find_no_room_to_wait_are_counted(tmp_path):
    metrics = Metrics()
    log = AuditFile(tmp_path / "audit.jsonl", metrics)
    for number in range(MOST_WAITING + 3):
        log.write(record(number))
    assert _value(metrics, "crawler_queue_refused_total", queue="audit") == 3


def test_a_file_that_cannot_be_made_is_told_before_anything_starts(tmp_path):
    log = AuditFile(tmp_path / "missing" / "audit.jsonl", Metrics())
    with pytest.raises(ConfigError, match=r"logs.audit: cannot write to .*No such file.*allowed"):
        log.check()


def test_without_a_file_records_are_lines_of_the_log():
    made = audit_log.audit_log("", ".", Metrics())
    assert isinstance(made, OrdinaryLog)
    before = logs.logging.getLogger().handlers[:]
    text = io.StringIO()
    logs.setup("info", "json", text, terminal=False)
    try:
        made.write(record(7))
    finally:
        logs.logging.getLogger().handlers[:] = before
    line = json.loads(text.getvalue())
    assert (line["logger"], line["level"], line["msg"]) == ("crawler.audit", "INFO", "audit")
    assert (line["who"], line["from"], line["object"]) == ("me", "10.0.0.1", "7")


PRINTS = """
import tests.patched
from crawler.audit_log import audit_log
from crawler.metrics import Metrics
from tests.unit.test_audit_log import record
log = audit_log("-", ".", Metrics())
log.check()
log.write(record(5))
log.close()
"""


def test_a_dash_means_standard_output():
    command = [sys.executable, "-c", PRINTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)["object"] == "5"


def _value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels) or 0
