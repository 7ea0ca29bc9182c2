"""Processes that are started on the side."""

import os
import signal
import subprocess
import sys

import pytest

from crawler.errors import Unavailable
from crawler.local import die_with_parent
from crawler.local.ports import free_ports, is_free
from crawler.local.processes import LocalProcess
from tests.waiting import PATIENCE_S, eventually

_STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
signal.pause()
"""


@pytest.fixture
def process(tmp_path, request):
    code = getattr(request, "param", "import signal; print('ready', flush=True); signal.pause()")
    process = LocalProcess("one", [sys.executable, "-c", code], {"SHOP": "open"}, tmp_path / "log")
    yield process
    process.kill()


def started(process, word="ready"):
    process.start()
    eventually(lambda: word in process.tail(), what=f"the process says {word}")


def test_it_runs_until_it_is_stopped(process):
    assert (process.pid, process.alive, process.exit_code) == (None, False, None)
    started(process)
    assert process.alive
    assert process.pid != os.getpid()
    assert process.stop() == -signal.SIGTERM
    assert (process.pid, process.alive) == (None, False)


def test_stopping_what_does_not_run_is_harmless(process):
    assert process.stop() is None
    process.kill()
    process.pause()


def test_it_can_be_started_again_and_appends_to_its_log(process):
    started(process)
    first = process.pid
    process.start()
    assert process.pid == first
    process.kill()
    assert process.exit_code == -signal.SIGKILL
    process.start()
    eventually(
        lambda: process.tail().count("ready") == 2 or not process.alive,
        what="the second start is logged",
    )
    assert process.tail() == "ready\nready"
    assert process.tail(lines=1) == "ready"


@pytest.mark.parametrize("process", [_STUBBORN], indirect=True)
def test_what_ignores_the_request_is_killed(process):
    started(process, "deaf")
    assert process.stop(deadline_s=0.1) == -signal.SIGKILL


def test_what_is_paused_can_be_stopped(process):
    started(process)
    process.pause()
    assert process.alive
    assert process.stop() == -signal.SIGTERM


@pytest.mark.parametrize("process", ["import os; print(os.environ['SHOP'])"], indirect=True)
def test_the_environment_is_added_to(process):
    process.start()
    assert process.wait(PATIENCE_S)
    assert process.exit_code == 0
    assert process.tail() == "open"


def test_a_command_that_does_not_exist_is_told_in_the_log(tmp_path):
    process = LocalProcess("none", ["/no/such/command"], {}, tmp_path / "log")
    process.start()
    assert process.wait(PATIENCE_S)
    assert process.exit_code == 1
    assert process.tail() == "cannot run /no/such/command: No such file or directory"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends the child")
def test_a_child_whose_parent_died_early_does_not_start():
    # The number of another process stands for a parent that is gone by now.
    argv = [
        sys.executable,
        str(die_with_parent.__file__),
        str(os.getppid()),
        "/bin/echo",
        "started",
    ]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "the parent is gone\n")


def test_free_ports_differ_and_are_free():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)


def test_without_free_ports_it_says_so(monkeypatch):
    monkeypatch.setattr("crawler.local.ports.random.sample", lambda _range, _count: [])
    with pytest.raises(Unavailable, match="no 2 free ports"):
        free_ports(2)
