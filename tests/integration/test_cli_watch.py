"""`crawler tasks --watch`: against a backend, and at a terminal."""

import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest
from gevent import select

from crawler.api.backend import Page
from crawler.cli import watching
from crawler.errors import Forbidden, Unavailable
from crawler.model.records import Counts, Spec, State
from crawler.terminal.screen import Screen
from tests.integration.test_cli_cluster import run  # noqa: F401
from tests.unit.api.fakes import CALL, WORKER, FakeBackend, Master, running
from tests.waiting import PATIENCE_S

END = Forbidden("that was all")
"""What ends a watch, as no test waits for Ctrl-C."""


class Looks(FakeBackend):
    """Shows one look after the other: tasks, or an error."""

    def __init__(self, *looks):
        super().__init__()
        self.looks = [*looks, END]

    def list(self, query, call):
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return Page(look, "", len(look))


def task(name, state=State.RUNNING, **more):
    backend = FakeBackend()
    return backend.add(Spec(name, **more), CALL).replace(state=state)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watching, "LOOK_S", 0.0)
    monkeypatch.setattr(watching, "SHARE", 0)


LOOKS = (
    [task("a"), task("b", State.ASSIGNED)],
    [task("a"), task("b", State.ASSIGNED)],
    [task("a").replace(counts=Counts(7, 1)), task("b")],
    [task("a", State.FAILED).replace(counts=Counts(9, 1), reason="no more")],
)
ON = f"worker={WORKER.id}  run=1  priority=0"


def test_without_a_terminal_each_change_is_a_line(run):  # noqa: F811
    status, said, error = run(Looks(*LOOKS), "tasks", "--watch")
    assert (status, error) == (1, "crawler: that was all\n")
    assert all(re.match(r"\d\d:\d\d:\d\d  ", line) for line in said)
    assert [line[10:] for line in said] == [
        f"a  state=running  {ON}  pages=0  items=0",
        f"b  state=assigned  {ON}  pages=0  items=0",
        f"b  state=running  {ON}  pages=0  items=0",
        f"a  state=failed  {ON}  pages=9  items=1  reason=no more",
        "b  deleted",
    ]


def test_as_json_each_change_is_an_object(run):  # noqa: F811
    _, said, _ = run(Looks(*LOOKS), "tasks", "--watch", "--json")
    told = [json.loads(line) for line in said]
    assert [(each["name"], each.get("state")) for each in told] == [
        *(("a", "running"), ("b", "assigned"), ("b", "running")),
        *(("a", "failed"), ("b", None)),
    ]
    assert told[-1] == {"name": "b", "deleted": True}


def test_a_master_that_goes_and_comes_is_told_once_and_ends_nothing(run):  # noqa: F811
    away = Unavailable("nobody leads")
    looks = ([task("a", State.ASSIGNED)], away, away, away, [task("a")])
    status, said, error = run(Looks(*looks), "tasks", "--watch")
    assert (status, [line.split()[2] for line in said]) == (1, ["state=assigned", "state=running"])
    first, second, last = error.splitlines()
    assert first == "crawler: nobody leads; it is asked again until it answers"
    assert second.endswith(" answers again")
    assert last == "crawler: that was all"


def test_a_first_look_that_nobody_answers_is_an_error(run):  # noqa: F811
    status, said, error = run(Looks(Unavailable("nobody leads")), "tasks", "--watch")
    assert (status, said) == (1, [])
    assert "nobody leads" in error


def until(terminal, text):
    """Read from a terminal until it says this."""
    said = ""
    while text not in said:
        readable, _, _ = select.select([terminal], [], [], PATIENCE_S)
        assert readable, said
        said += os.read(terminal, 65_536).decode()
    return said


def test_at_a_terminal_the_table_is_drawn_in_place_until_ctrl_c():
    backend = FakeBackend()
    backend.add(Spec("fiction"), CALL)
    with running(Master(backend)) as (master,):
        here, there = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "crawler", "tasks", "--watch", "--master", master.address],
            stdin=there,
            stdout=there,
            stderr=there,
        )
        os.close(there)
        try:
            assert f"1 task at {master.address}" in until(here, "assigned")
            found = backend.resources["fiction"]
            backend.resources["fiction"] = found.replace(state=State.RUNNING)
            assert "\x1b[4F" in until(here, "running")  # two lines of title, the headers, a task
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            os.close(here)


class Tty:
    """A terminal of unknown size."""

    def __init__(self):
        self.said = ""

    def write(self, text):
        self.said += text

    def flush(self):
        pass

    def fileno(self):
        raise ValueError


def test_a_screen_counts_the_lines_that_do_not_fit_and_cuts_long_ones():
    tty = Tty()
    screen = Screen(tty)
    screen.show(["書" * 60, *map(str, range(40))])
    lines = tty.said.removesuffix("\x1b[J").split("\x1b[K\n")
    assert lines[0] == "書" * 39
    assert lines[-3:] == ["20", "and 19 more lines", ""]
    tty.said = ""
    screen.show(["a"])
    assert tty.said == "\x1b[23Fa\x1b[K\n\x1b[J"
