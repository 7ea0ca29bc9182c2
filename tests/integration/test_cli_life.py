"""`crawler pause`, `resume`, `stop` and `run TASK`, against a backend."""

import pytest

from crawler.cli import base
from crawler.model.records import Counts, Spec
from tests.integration.test_cli_cluster import run  # noqa: F401
from tests.unit.api.fakes import CALL, FakeBackend


@pytest.fixture
def backend():
    backend = FakeBackend()
    backend.add(Spec("x", "books"), CALL)
    backend.resources["x"] = backend.resources["x"].replace(counts=Counts(1204, 7))
    return backend


def shown(lines):
    """The values by their names, as a command shows them."""
    return {line[:12].strip(): line[13:] for line in lines}


def test_a_life_as_its_commands_show_it(run, backend):  # noqa: F811
    for command, state, reason in (
        ("pause", "paused", "paused by me"),
        ("resume", "assigned", None),
        ("stop", "stopped", "stopped by me"),
    ):
        status, said, error = run(backend, command, "x")
        assert (status, error) == (0, "")
        told = shown(said)
        assert (told["state"], told.get("reason"), told["run"]) == (state, reason, "1")
        assert told["counts"].startswith("1,204 pages, 7 items")


def test_a_task_runs_once_more_and_its_number_is_shown(run, backend):  # noqa: F811
    for arguments in (["run", "x"], ["run", "--token", "", "x"]):
        status, said, error = run(backend, *arguments)
        assert (status, error) == (0, "")
        assert shown(said)["run"] == "2"
        assert "counts" not in shown(said), "those of the run before"
    row = run(backend, "tasks")[1][1].split()
    assert row[:4] == ["x", "assigned", "go.micro.server.worker-2", "2"]


@pytest.mark.parametrize("command", ["pause", "resume", "stop", "run"])
def test_what_is_not_there_is_told(run, backend, command):  # noqa: F811
    status, said, error = run(backend, command, "y")
    assert (status, said) == (1, [])
    assert "no task 'y'" in error or "no such task" in error


@pytest.mark.parametrize(
    ("arguments", "is_local"),
    [
        ([], True),
        (["-c", "x.yaml", "-o", "out", "--resume=state", "--anew", "--drop-missing"], True),
        (["-cx.yaml"], True),
        (["--config", "books"], True),
        (["--help"], True),
        (["books"], False),
        (["--master", "h:1", "books"], False),
        (["-c", "x.yaml", "books"], False),
        (["books", "--help"], False),
    ],
)
def test_run_is_for_a_settings_file_unless_it_names_a_task(arguments, is_local):
    context = base.commands.make_context("crawler", [], resilient_parsing=True)
    name, command, rest = base.commands.resolve_command(context, ["run", *arguments])
    assert (name, rest) == ("run", arguments)
    assert (command is base.commands.commands["run"]) is is_local
