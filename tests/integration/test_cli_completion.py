"""Completion in a shell: of commands, options and the names of tasks."""

import os
import shutil
import socket
import subprocess
import sys

import pytest

from crawler.cli import task_names
from crawler.cli.base import commands
from crawler.cli.index import INDEX
from crawler.model.records import Spec
from tests.integration.test_cli_cluster import run  # noqa: F401
from tests.integration.test_startup import CLUSTER, CRAWL, STORES, TEXTS, imported, python
from tests.unit.api.fakes import CALL, FakeBackend, Master, running
from tests.waiting import PATIENCE_S

PRINT = """
import sys
from crawler.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def completed(*words, **environment):
    """What a shell offers for the last of these words, and which modules that took."""
    asked = {"COMP_WORDS": " ".join(("crawler", *words)), "COMP_CWORD": str(len(words))}
    said, told = python(PRINT, **asked, _CRAWLER_COMPLETE="bash_complete", **environment)
    return [line.removeprefix("plain,") for line in said.split()], told


def test_names_of_commands_are_completed_without_importing_any():
    names, told = completed("ta")
    assert names == [name for name in INDEX if name.startswith("ta")] == ["task", "tasks"]
    parts = {"gevent", "logging", "crawler.cli.cluster", "crawler.cli.master"}
    assert not imported(told, CLUSTER | CRAWL | STORES | TEXTS | parts)


def test_options_of_a_command_are_completed():
    names, _ = completed("tasks", "--wa")
    assert names == ["--watch"]
    assert completed("token", "cr")[0] == ["create"]


@pytest.fixture
def master():
    backend = FakeBackend()
    for name in ("fiction", "fairy-tales", "poetry"):
        backend.add(Spec(name), CALL)
    with running(Master(backend)) as (master,):
        yield master


@pytest.mark.parametrize(
    "before", [["task"], ["update"], ["again"], ["explain"], ["stats"], ["delete", "poetry"]]
)
def test_names_of_tasks_are_those_that_a_master_tells(master, before, monkeypatch):
    monkeypatch.setattr(task_names, "PATIENCE_S", PATIENCE_S)
    monkeypatch.setenv("CRAWLER_MASTER", master.address)
    name, *rest = before
    with commands.commands[name].make_context(name, rest, resilient_parsing=True) as context:
        [parameter] = [each for each in context.command.params if each.name in ("name", "names")]
        items = parameter.shell_complete(context, "f")
    assert [item.value for item in items] == ["fairy-tales", "fiction"]


def test_without_a_master_no_task_is_offered_and_nothing_is_said():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    done = subprocess.run(
        [sys.executable, "-m", "crawler"],
        env={
            **os.environ,
            "CRAWLER_MASTER": address,
            "_CRAWLER_COMPLETE": "bash_complete",
            "COMP_WORDS": "crawler task f",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_a_master_that_is_silent_is_given_up(monkeypatch):
    monkeypatch.setattr(task_names, "PATIENCE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("CRAWLER_MASTER", address)
        with commands.commands["task"].make_context("task", [], resilient_parsing=True) as context:
            assert task_names.complete_tasks(context, context.command.params[-1], "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed_and_the_shell_reads_it(run, shell):  # noqa: F811
    status, said, _ = run(FakeBackend(), "completion", shell)
    script = "\n".join(said)
    assert status == 0
    assert f"_CRAWLER_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=PATIENCE_S)


def test_the_script_of_another_shell_is_refused(run):  # noqa: F811
    status, _, error = run(FakeBackend(), "completion", "tcsh")
    assert status == 2
    assert "'tcsh' is not one of" in error
