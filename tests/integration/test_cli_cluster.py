"""What the command line says of a cluster whose answers a test sets."""

import dataclasses

import pytest

from crawler.api.service import NodeLoad
from crawler.cli import cluster, main
from crawler.cli.base import commands
from crawler.errors import Unavailable
from crawler.records import Spec
from tests.unit.api.fakes import CALL, WORKER, FakeDesk, Master, running

EMPTYING = f"{WORKER.id} takes no tasks, and"


class Emptying(FakeDesk):
    """Its worker has one task less at each look."""

    def __init__(self, *looks):
        super().__init__()
        self.looks = list(looks)

    def nodes(self, call):
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return look


def left(unfinished, cordoned=True):
    return [NodeLoad(WORKER, "worker", unfinished, unfinished, cordoned=cordoned)]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command against a desk: status, output, errors."""
    monkeypatch.setattr(cluster, "LOOK_S", 0.01)

    def ran(desk, *arguments):
        with running(Master(desk)) as (master,):
            # As `main` does, with arguments of our own.
            whole = commands.main
            monkeypatch.setenv("CRAWLER_MASTER", master.address)
            monkeypatch.setattr(commands, "main", lambda **more: whole(args=arguments, **more))
            status = main()
            monkeypatch.setattr(commands, "main", whole)
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err

    return ran


def test_draining_tells_its_progress_until_nothing_is_left(run):
    looks = [left(2), left(1), Unavailable("no master leads at present"), left(1), left(0)]
    assert run(Emptying(*looks), "drain", "2", "--wait") == (
        0,
        [
            f"{EMPTYING} has 2 unfinished tasks left",
            f"{EMPTYING} has 1 unfinished task left",
            f"{EMPTYING} is empty",
        ],
        "",
    )


def test_draining_does_not_wait_unless_it_is_told_to(run):
    status, said, _ = run(Emptying(), "drain", "2")
    assert (status, said) == (0, [f"{EMPTYING} has 2 unfinished tasks left"])


@pytest.mark.parametrize(
    ("look", "message"),
    [
        ([], f"crawler: {WORKER.id} is gone; its tasks move when its lease has ended\n"),
        (
            left(1, cordoned=False),
            f"crawler: {WORKER.id} was uncordoned meanwhile, and takes tasks again\n",
        ),
    ],
)
def test_what_ends_the_draining_early_is_told(run, look, message):
    status, _, error = run(Emptying(left(2), look), "drain", "2", "--wait")
    assert (status, error) == (1, message)


def test_a_master_that_has_no_leader_is_quoted(run, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE_S", -1.0)
    status, _, error = run(Emptying(Unavailable("nobody leads")), "drain", "2", "--wait")
    assert status == 1
    assert error.startswith("crawler: the master at 127.0.0.1:")
    assert error.endswith("says: nobody leads\n")


def test_scores_places_and_refusals_are_told_with_what_was_chosen(run):
    desk = FakeDesk()
    desk.add(Spec("x"), CALL)
    status, lines, _ = run(desk, "explain", "x")
    assert status == 0
    assert lines[:6] == [
        "x (priority 3, group team-a) is assigned",
        "it waits for its turn",
        "placed now, by least-load: w-2",
        "plugin gold failed in filter_nodes (KeyError: 'karat'); it is skipped",
        "the strategy, of plugin silver, failed (ValueError: no price); it is skipped, and all "
        "workers are rated alike",
        "",
    ]
    assert [line.split() for line in lines[7:]] == [
        ["w-1", "2", "gpu:", "has", "no", "GPU"],
        ["w-2", "1", "-2", "spread", "zone=a", "0.5×10", "3", "chosen"],
    ]


def test_a_policy_that_is_not_in_force_is_told(run, monkeypatch):
    desk = FakeDesk()
    view = dataclasses.replace(desk._view(), switched=True, fault="no such strategy")
    monkeypatch.setattr(desk, "_view", lambda: view)
    _, lines, _ = run(desk, "strategy")
    assert lines == [
        "* least-load",
        "  random",
        "the policy that was switched to is not in force: no such strategy",
    ]


def test_all_tasks_are_listed_page_by_page(run, monkeypatch):
    monkeypatch.setattr(cluster, "MAX_PAGE", 2)
    desk = FakeDesk()
    for name in "abcde":
        desk.add(Spec(name), CALL)
    _, lines, _ = run(desk, "tasks")
    assert [line.split()[0] for line in lines] == ["TASK", *"abcde"]
