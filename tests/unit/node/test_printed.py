"""What spiders print in a crawl process: whole lines of its log, with their tasks."""

import json
import logging
import subprocess
import sys
from io import StringIO

import pytest

from crawler import redaction
from crawler.engine.stats.current_callback import Called, CurrentCallback
from crawler.logs import JsonFormatter
from crawler.node.crew import printed
from crawler.node.crew.printed import LONGEST, OfTask, Printed


@pytest.fixture
def current():
    return CurrentCallback()


@pytest.fixture
def out():
    return StringIO()


@pytest.fixture
def stdout(current, out):
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(OfTask(current))
    handler.setLevel("INFO")
    return Printed(current, handler)


def at(current, task):
    current.now = Called(task, None, None) if task else None


def told(out):
    return [
        (line.get("task"), line["msg"]) for line in map(json.loads, out.getvalue().splitlines())
    ]


def test_tasks_that_print_by_parts_do_not_mix(current, stdout, out):
    for task, text in [("a", "one "), ("b", "two"), ("a", "line\nand "), ("", "x\n"), ("b", "!\n")]:
        at(current, task)
        print(text, end="", file=stdout)
    at(current, "")
    assert told(out) == [("a", "one line"), (None, "x"), ("b", "two!")]
    stdout.end()
    assert told(out)[3:] == [("a", "and ")]


@pytest.mark.parametrize("before", range(1, 12))
def test_a_value_where_a_long_line_is_told_in_parts_is_hidden(
    monkeypatch, current, stdout, out, before
):
    monkeypatch.setattr(redaction, "_known", redaction.Remembered())
    redaction.remember({"shop": "open sesame"})
    stdout.write("-" * (LONGEST - 4) + "open sesame"[:before])
    stdout.write("open sesame"[before:] + "\n")
    assert "".join(text for _, text in told(out)).lstrip("-") == "secret:shop"


def test_a_line_without_an_end_is_told_in_parts(current, stdout, out):
    for _ in range(3):
        stdout.write("x" * LONGEST)
    assert sum(len(text) for _, text in told(out)) >= 2 * LONGEST


def test_a_log_line_of_a_library_names_the_task_whose_callback_writes_it(current, out):
    record = logging.LogRecord("library", logging.INFO, "f.py", 1, "%s", ("said",), None)
    at(current, "a")
    assert OfTask(current).filter(record)
    assert record.fields == {"task": "a"}
    record.fields = {"task": "b"}
    assert OfTask(current).filter(record)
    assert record.fields == {"task": "b"}


def test_a_log_that_fails_is_not_asked_to_tell_of_that(current, monkeypatch, capsys):
    class Broken(logging.Handler):
        def emit(self, record):
            print("it fails", file=stdout)

    stdout = Printed(current, Broken())
    monkeypatch.setattr(printed.sys, "__stderr__", sys.stderr)
    print("a line", file=stdout)
    assert "it fails" in capsys.readouterr().err


def test_what_a_spider_starts_may_print_there_too(stdout, capfd):
    subprocess.run(["echo", "a program"], stdout=stdout, check=True)
    assert capfd.readouterr().err == "a program\n"
