"""`crawler delete`, against a backend."""

import io

import pytest

from crawler.model.records import Spec, State
from tests.integration.test_cli_cluster import run  # noqa: F401
from tests.unit.api.fakes import CALL, FakeBackend


class Terminal(io.StringIO):
    """Somebody at a terminal who answers."""

    def isatty(self):
        return True


@pytest.fixture
def backend():
    backend = FakeBackend()
    for name in "abcdefg":
        backend.add(Spec(name, labels={"team": "x" if name < "c" else "y"}), CALL)
    backend.resources["a"] = backend.resources["a"].replace(state=State.DONE)
    return backend


@pytest.fixture
def answers(monkeypatch):
    return lambda text: monkeypatch.setattr("sys.stdin", Terminal(text))


def left(backend):
    return "".join(sorted(backend.resources))


def test_named_tasks_are_deleted_without_a_question_where_no_terminal_is(run, backend):  # noqa: F811
    assert run(backend, "delete", "b", "a", "b") == (0, ["b is deleted", "a is deleted"], "")
    assert left(backend) == "cdefg"


def test_a_task_that_is_not_there_is_told_and_the_others_are_deleted(run, backend):  # noqa: F811
    told = "crawler: no task 'z'; see crawler tasks\n"
    assert run(backend, "delete", "z", "a") == (1, ["a is deleted"], told)
    assert left(backend) == "bcdefg"


@pytest.mark.parametrize(("answer", "status", "rest"), [("y\n", 0, "cdefg"), ("n\n", 1, "abcdefg")])
def test_at_a_terminal_it_asks(run, backend, answers, answer, status, rest):  # noqa: F811
    answers(answer)
    found, said, _ = run(backend, "delete", "a", "b")
    assert said[0].startswith("delete 2 tasks: a, b? [y/N]: ")
    assert (found, left(backend)) == (status, rest)
    assert ("nothing is deleted" in said[-1]) == (status == 1)


def test_the_question_about_many_says_how_many(run, backend, answers):  # noqa: F811
    answers("n\n")
    _, said, _ = run(backend, "delete", "--state=assigned")
    assert said[0].startswith("delete 6 tasks: b, c, d, e, f and 1 more? [y/N]: ")


@pytest.mark.parametrize(
    ("options", "rest"),
    [
        (["--label=team=x"], "cdefg"),
        (["--label=team=x", "--state=done"], "bcdefg"),
        (["--state=pending"], "abcdefg"),
    ],
)
def test_tasks_are_chosen_by_label_and_state(run, backend, options, rest):  # noqa: F811
    assert run(backend, "delete", "--yes", *options)[0] == 0
    assert left(backend) == rest


def test_a_choice_needs_a_yes_where_nobody_can_answer(run, backend):  # noqa: F811
    status, said, error = run(backend, "delete", "--label=team=x")
    assert (status, said, left(backend)) == (2, [], "abcdefg")
    assert error.startswith("crawler: delete 2 tasks: a, b: give --yes to do so")


@pytest.mark.parametrize("options", [[], ["a", "--state=done"]])
def test_tasks_are_either_named_or_chosen(run, backend, options):  # noqa: F811
    status, _, error = run(backend, "delete", "--yes", *options)
    assert (status, left(backend)) == (2, "abcdefg")
    assert "name tasks, or else choose them with --label and --state" in error
