"""The logs of runs on a worker: in files, bounded, and readable while they grow."""

import json
import logging
import os
import subprocess
import time

import pytest

from crawler import redaction
from crawler.clock import SystemClock
from crawler.logs import get_logger
from crawler.model.logs import MOST_BYTES, PieceKey
from crawler.model.records import Resource, Spec
from crawler.node.run import log_files
from crawler.node.run.log_files import LogFiles, key_of
from crawler.node.run.run_logs import MOST_WAITING_BYTES, RunLogs, made, parsed
from crawler.settings.sections import LogSettings
from crawler.supervision import Supervisor

log = get_logger("crawler.test")
RUN_BYTES = 4096


def resource(name="shop", *, epoch=1, run=1, id="7", **spec):
    return Resource(Spec(name, **spec), id=id, epoch=epoch, run=run)


def shard(number, epoch=1):
    return resource(f"shop~{number}", epoch=epoch, shard=number, shard_of="shop", workers=3)


@pytest.fixture
def files(tmp_path):
    return LogFiles(tmp_path / "logs", RUN_BYTES)


@pytest.fixture
def logs(tmp_path):
    supervisor = Supervisor("test")
    logs = RunLogs(LogSettings(run_bytes=RUN_BYTES), str(tmp_path), SystemClock())
    logs.start(supervisor)
    yield logs
    logs.stop()
    supervisor.stop()


def all_of(files, key, begin=0, id="7"):
    """The lines from there on, and the byte behind them."""
    data = b""
    while (found := files.read("shop", id, key, begin)).data:
        data, begin = data + found.data, found.end
    return data.splitlines(), begin


def messages(logs, key, id="7"):
    return [json.loads(line)["msg"] for line in all_of(logs, key, id=id)[0]]


def test_each_run_and_each_shard_has_a_piece_of_its_own_in_their_order(files):
    for each in (resource(epoch=3, run=2), shard(1), resource(epoch=1), resource(epoch=2)):
        files.append(key_of(each), [b"x\n"])
    files.append(key_of(resource("other")), [b"y\n"])
    found = [(each.key.epoch, each.key.shard, each.run, each.end) for each in files.pieces("shop")]
    assert found == [(1, 0, 1, 2), (1, 1, 1, 2), (2, 0, 1, 2), (3, 0, 2, 2)]


def test_a_run_that_goes_on_has_a_piece_before_its_first_line(logs):
    begun = resource(epoch=2)
    logs.begin(begun)
    [piece] = logs.pieces("shop")
    assert (piece.key, piece.id, piece.run, piece.end, piece.is_open) == (
        PieceKey(2),
        "7",
        1,
        0,
        True,
    )
    assert logs.read("shop", "7", piece.key, 0).data == b""
    assert logs.pieces("other") == []
    logs.told(begun, {"msg": "x"})
    [piece] = logs.pieces("shop")
    assert piece.is_open
    assert piece.end > 0
    logs.end(begun)
    assert [(each.end, each.is_open) for each in logs.pieces("shop")] == [(piece.end, False)]


def test_a_log_is_bounded_and_places_in_it_stay_when_its_oldest_lines_go(files, tmp_path):
    key, lines = key_of(resource()), [b"%03d%s\n" % (number, b"x" * 96) for number in range(200)]
    for at in range(0, 200, 7):
        files.append(key, lines[at : at + 7])
    [piece] = files.pieces("shop")
    assert piece.end == 20_000
    assert RUN_BYTES / 2 <= piece.end - piece.begin <= RUN_BYTES
    kept, end = all_of(files, piece.key)
    assert (kept, end) == ([line[:-1] for line in lines][-len(kept) :], 20_000)
    assert len(kept) * 100 == piece.end - piece.begin
    assert files.read("shop", "7", piece.key, 19_900).data == lines[-1]
    assert files.read("shop", "7", piece.key, 5).begin == piece.begin
    on_disk = sum(path.stat().st_size for path in (tmp_path / "logs").rglob("*.log"))
    assert on_disk <= RUN_BYTES


def test_another_worker_process_goes_on_behind_what_is_there(files, tmp_path):
    key = key_of(resource())
    files.append(key, [b"a\n"])
    LogFiles(tmp_path / "logs", RUN_BYTES).append(key, [b"b\n"])
    assert all_of(files, PieceKey(1)) == ([b"a", b"b"], 4)


def test_part_of_a_line_is_not_told(files, tmp_path):
    files.append(key_of(resource()), [b"a\n", b"b"])
    assert all_of(files, PieceKey(1)) == ([b"a"], 2)


def test_old_files_and_those_beyond_the_total_are_removed_the_oldest_first(files, tmp_path):
    now = time.time()
    for epoch, age_s in ((1, 5000), (2, 300), (3, 200), (4, 100)):
        key = key_of(resource(epoch=epoch))
        files.append(key, [b"x" * 99 + b"\n"])
        os.utime(tmp_path / "logs" / "shop" / f"{key.stem}.0.log", (now - age_s, now - age_s))
    files.append(key_of(resource("old", id="8")), [b"y\n"])
    os.utime(tmp_path / "logs" / "old" / "8-1-1.0.log", (0, 0))
    os.utime(tmp_path / "logs" / "old", (0, 0))
    files.collect(keep_s=1000, total_bytes=1000)
    assert [each.key.epoch for each in files.pieces("shop")] == [2, 3, 4]
    assert not (tmp_path / "logs" / "old").exists()
    files.collect(keep_s=1000, total_bytes=200)
    assert [each.key.epoch for each in files.pieces("shop")] == [3, 4]


def test_a_folder_into_which_somebody_is_about_to_write_stays(files, tmp_path):
    (tmp_path / "logs" / "shop").mkdir(parents=True)
    files.collect(keep_s=1000, total_bytes=0)
    assert (tmp_path / "logs" / "shop").exists()


def test_a_run_that_goes_on_when_its_file_is_removed_goes_on_in_its_log(files, tmp_path):
    key = key_of(resource())
    files.append(key, [b"old\n"])
    os.utime(tmp_path / "logs" / "shop", (0, 0))
    files.collect(keep_s=1000, total_bytes=0)
    assert not (tmp_path / "logs" / "shop").exists()
    files.append(key, [b"new\n"])
    [piece] = files.pieces("shop")
    assert (piece.begin, piece.end) == (4, 8)
    assert all_of(files, piece.key, begin=4) == ([b"new"], 8)


def test_places_in_a_log_stay_when_the_disk_takes_a_part_of_what_is_added(
    files, tmp_path, monkeypatch
):
    key = key_of(resource())
    lines = [b"%d%s\n" % (number, b"x" * 598) for number in range(6)]
    files.append(key, lines[:1])
    real, is_full = log_files._write, iter([False, True])

    def write(path, data):
        if next(is_full, False):
            raise OSError("the disk is full")
        real(path, data)

    monkeypatch.setattr(log_files, "_write", write)
    with pytest.raises(OSError, match="full"):
        files.append(key, lines[1:3])
    for each in lines[3:]:
        files.append(key, [each])
    kept, end = all_of(files, PieceKey(1))
    assert (kept, end) == ([line[:-1] for line in lines if line[:1] != b"2"], 3000)


def test_what_the_worker_says_of_a_run_is_in_the_log_of_that_run_alone(logs):
    one, other = resource(), resource(epoch=2, id="8")
    logs.begin(one)
    log.warning("begun", task="shop")
    log.warning("of another task", task="other")
    logs.end(one)
    log.warning("a last word", task="shop")
    logs.begin(other)
    log.warning("again", task="shop")
    assert messages(logs, PieceKey(1)) == ["begun", "a last word"]
    assert messages(logs, PieceKey(2), id="8") == ["again"]


def test_a_piece_is_open_while_its_run_goes_on(logs):
    logs.begin(shard(1))
    log.warning("begun", task="shop~1")
    [piece] = logs.pieces("shop")
    assert piece.is_open
    assert logs.read("shop", "7", PieceKey(1, 1), 0).is_open
    logs.end(shard(1))
    [piece] = logs.pieces("shop")
    assert not piece.is_open
    assert not logs.read("shop", "7", PieceKey(1, 1), 0).is_open


def test_without_a_folder_nothing_is_kept(tmp_path):
    logs = RunLogs(LogSettings(folder=""), str(tmp_path), SystemClock())
    logs.begin(resource())
    logs.told(resource(), made("x"))
    logs.write()
    assert logs.pieces("shop") == []
    assert list(tmp_path.iterdir()) == []


def test_lines_that_come_too_fast_are_left_out_and_counted(tmp_path):
    logs = RunLogs(LogSettings(run_bytes=2**30), str(tmp_path), SystemClock())
    line = made("x" * 30_000)
    most = MOST_WAITING_BYTES // 30_000
    for _ in range(most + 10):
        logs.told(resource(), line)
    *kept, last = messages(logs, PieceKey(1))
    assert most - 10 < len(kept) <= most
    assert (
        last == f"{most + 10 - len(kept)} lines left out: they came faster than they can be written"
    )


def test_a_disk_that_takes_nothing_costs_the_lines_alone(logs, tmp_path, caplog):
    (tmp_path / "logs").write_text("in the way")
    logs.begin(resource())
    for _ in range(3):
        log.warning("x", task="shop")
        logs.write()
    told = [each for each in caplog.messages if "cannot be written" in each]
    assert len(told) == 1
    (tmp_path / "logs").unlink()
    log.warning("y", task="shop")
    assert messages(logs, PieceKey(1)) == ["y"]


@pytest.mark.parametrize("text", ["no JSON", "[1]", '{"msg": ', "{" * 50_000, "x" * MOST_BYTES])
def test_whatever_a_process_writes_becomes_a_line_that_can_be_read(logs, text):
    logs.told(resource(), parsed(text))
    [said] = messages(logs, PieceKey(1))
    assert text.startswith(said)
    assert len(said) == min(len(text), MOST_BYTES // 8)


@pytest.mark.parametrize("text", [r"correct\/horse-b\u00e4ttery", r"\u0063orrect/horse-bättery"])
def test_no_escape_brings_a_secret_into_a_log(logs, text):
    secrets = {"shop-login": "correct/horse-bättery"}
    redaction.remember(secrets)
    logs.told(resource(), parsed(redaction.hide(f'{{"msg": "{text}"}}')))
    redaction.let_go(secrets)
    assert messages(logs, PieceKey(1)) == ["secret:shop-login"]


def test_a_line_of_the_worker_that_is_too_long_is_cut(logs):
    logs.begin(resource())
    log.warning("x" * 2 * MOST_BYTES, task="shop")
    log.warning("after it", task="shop")
    [cut, after] = messages(logs, PieceKey(1))
    assert "xxx" in cut
    assert after == "after it"


def test_who_logs_what_has_no_text_goes_on(logs):
    logger = logging.Logger("spider")
    noting = [each for each in logging.getLogger().handlers if type(each).__name__ == "_Noting"]
    mine = noting[-1]  # other tests of this process may have nodes that still stop
    logger.addHandler(mine)
    logs.task_in_callback = lambda: "shop"
    logs.begin(resource())
    logger.warning("%d items", "many")
    logger.warning("after it")
    assert messages(logs, PieceKey(1)) == ["after it"]


def test_only_the_user_of_the_worker_may_read_logs(files, tmp_path):
    files.append(key_of(resource()), [b"x\n"])
    listed = subprocess.run(
        ["find", str(tmp_path / "logs" / "shop"), "-perm", "/077"], capture_output=True, check=True
    )
    assert listed.stdout == b""
