"""Logs: JSON lines for machines, readable lines for people."""

import datetime
import io
import json

import pytest

from crawler import logs, redaction


@pytest.fixture
def stream(former_logs):
    """Where logs go during the test."""
    return io.StringIO()


def test_a_line_is_an_object_with_the_fields_in_their_order(stream):
    logs.setup("info", "json", stream)
    logs.get_logger("crawler.test").info("worker joined", node="w-1", count=2)
    line = json.loads(stream.getvalue())
    assert list(line) == ["level", "ts", "logger", "caller", "msg", "node", "count"]
    assert line["level"] == "INFO"
    assert line["logger"] == "crawler.test"
    assert line["caller"].startswith("test_logs.py:")
    assert line["msg"] == "worker joined"


def test_a_message_is_never_taken_for_a_format(stream):
    logs.setup("info", "json", stream)
    logs.get_logger("crawler.test").info("100% of %s {x}")
    assert json.loads(stream.getvalue())["msg"] == "100% of %s {x}"


def test_values_json_does_not_know_and_reserved_names_are_written_all_the_same(stream):
    logs.setup("info", "json", stream)
    logs.get_logger("crawler.test").info("odd", value={1, 2}.__class__, level="x", ts=1)
    line = json.loads(stream.getvalue())
    assert line["level"] == "INFO"
    assert line["level_"] == "x"
    assert "set" in line["value"]


def test_an_error_keeps_its_traceback_on_the_same_line(stream):
    logs.setup("info", "json", stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logs.get_logger("crawler.test").error("failed", exc_info=True)
    [line] = stream.getvalue().splitlines()
    assert "ValueError: broken" in json.loads(line)["stack"]


def test_below_the_level_nothing_is_written(stream):
    logs.setup("warning", "json", stream)
    logs.get_logger("crawler.test").info("nothing")
    assert stream.getvalue() == ""


def test_auto_is_json_unless_on_a_terminal(stream):
    logs.setup("info", "auto", stream)
    logs.get_logger("crawler.test").info("x")
    assert json.loads(stream.getvalue())
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    logs.setup("info", "auto", terminal)
    logs.get_logger("crawler.test").warning("worker joined", node="w-1")
    assert "WARNING" in terminal.getvalue()
    assert "worker joined node=w-1" in terminal.getvalue()


@pytest.mark.parametrize("style", ["json", "text"])
def test_what_the_crawler_itself_writes_stays_though_it_is_like_a_secret(
    stream, monkeypatch, style
):
    monkeypatch.setattr(redaction, "_known", redaction.Remembered())
    now = datetime.datetime.now().astimezone().isoformat()[:11]
    redaction.remember({"a": "worker_id", "b": "crawler.test", "c": "test_logs.py", "d": now})
    redaction.remember({"e": "open sesame", "f": '"level": "INFO"'})
    logs.setup("info", style, stream)
    try:
        raise ValueError("with open sesame")
    except ValueError:
        logs.get_logger("crawler.test").error(
            "open sesame", worker_id=["open sesame"], **{"of open sesame": 5}, exc_info=True
        )
    written = stream.getvalue()
    assert "open sesame" not in written
    if style == "text":
        assert "ERROR   secret:e worker_id=['secret:e'] of secret:e=5\n" in written
        return
    line = json.loads(written)
    assert line["ts"].startswith(now)
    assert (line["level"], line["logger"]) == ("ERROR", "crawler.test")
    assert line["caller"].startswith("test_logs.py:")
    assert (line["msg"], line["worker_id"], line["of secret:e"]) == ("secret:e", ["secret:e"], 5)
    assert "with secret:e" in line["stack"]


def test_what_pages_have_controls_no_terminal():
    line = {
        "level": "INFO",
        "ts": "",
        "msg": "a\x1b]0;title\x07b\r\tc\x9b2J",
        "stack": "x\ny\x1b[2J",
    }
    line |= {"url": "\x1b[31m"}
    shown = logs.text_of(line, colour=False)
    assert shown.split(maxsplit=1)[1] == (
        "a\\x1b]0;title\\x07b\\x0d\tc\\x9b2J url=\\x1b[31m\nx\ny\\x1b[2J"
    )
    assert logs.text_of({**line, "level": "ERROR"}, colour=True).startswith("\x1b[31m")
