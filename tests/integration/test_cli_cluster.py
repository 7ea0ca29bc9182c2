"""What the command line says of a cluster whose answers a test sets."""

import dataclasses
import json
import socket

import gevent
import pytest
from gevent.event import Event

from crawler.api.backend import NodeLoad, Page
from crawler.api.rpc import any_client
from crawler.api.rpc.client import Client
from crawler.cli import cluster, drain, main
from crawler.cli import master as master_of_command
from crawler.cli.base import commands
from crawler.errors import NotFound, OutcomeUnknown, Unavailable
from crawler.model.policy import Explanation, Judgement, ShardStanding, WorkerVerdict
from crawler.model.processes import ProcessLoad
from crawler.model.records import Counts, Leader, Node, Owner, Pause, Resource, Spec, State
from crawler.model.sorting import TOLD_STATES
from tests.unit.api.fakes import CALL, WORKER, FakeBackend, Master, running

EMPTYING = f"{WORKER.id} takes no tasks, and"


class Emptying(FakeBackend):
    """Its worker has one task less at each look."""

    def __init__(self, *looks):
        super().__init__()
        self.looks = list(looks)

    def nodes(self, call):
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        return look


def left(unfinished, cordoned=True):
    return [NodeLoad(WORKER, "worker", unfinished, unfinished, cordoned=cordoned)]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command against a backend: status, output, errors."""
    monkeypatch.setattr(drain, "LOOK_S", 0.01)

    def ran(backend, *arguments):
        with running(Master(backend)) as (master,):
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


def test_draining_ends_in_time_and_names_what_stays_and_why(run, monkeypatch):
    full = {"resources": "is full"}
    verdicts = {
        "a": [WorkerVerdict("w-1", 0, full), WorkerVerdict(WORKER.id, 0, {"cordon": "no"})],
        "b": [WorkerVerdict(f"w-{n}", 0, full) for n in range(5)],
        "c": [WorkerVerdict("w-1", 0)],
        "d": [],
    }
    backend = Emptying(left(4))
    backend.add(Spec("gone"), CALL)
    for name in verdicts:
        backend.add(Spec(name), CALL)
    backend.resources["b"] = backend.resources["b"].replace(state=State.RUNNING)
    backend.resources["done"] = backend.resources["b"].replace(spec=Spec("done"), state=State.DONE)
    backend.resources["far"] = backend.resources["a"].replace(
        spec=Spec("far"), owner=Owner("w-1", "h:1")
    )

    def explain(name, call):
        if name == "gone":
            raise NotFound("no such task")
        judgement = Judgement("least-load", "w-1" if name == "c" else "", verdicts[name])
        return Explanation(name, "assigned", "", WORKER.id, "", 0, "", judgement)

    monkeypatch.setattr(backend, "explain", explain)
    status, said, error = run(backend, "drain", "2", "--timeout", "0.05")
    assert (status, said[-1]) == (1, f"{EMPTYING} has 4 unfinished tasks left")
    assert error.splitlines() == [
        f"crawler: {WORKER.id} still has 4 unfinished tasks after 0.05 s; it takes no others, and "
        "these move as soon as another worker suits:",
        "  a: w-1 is full",
        "  c: w-1 suits, and gets it at the next pass",
        "  d: there is no other worker",
        "  gone: was deleted just now",
        "  b: w-0 is full; w-1 is full; w-2 is full; and 2 more",
    ]


def test_of_many_tasks_that_stay_some_are_named(run):
    backend = Emptying(left(12))
    for name in range(12):
        backend.add(Spec(f"{name:02}"), CALL)
    status, _, error = run(backend, "drain", "2", "--wait", "--timeout=0.05")
    assert (status, len(error.splitlines())) == (1, 12)
    assert error.endswith("  and 2 more\n")


@pytest.mark.parametrize("seconds", ["-1", "soon"])
def test_a_time_to_wait_that_is_none_is_refused(run, seconds):
    status, said, error = run(Emptying(), "drain", "2", "--timeout", seconds)
    assert (status, said) == (2, [])
    assert "--timeout" in error


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
    monkeypatch.setattr(drain, "PATIENCE_S", -1.0)
    status, _, error = run(Emptying(Unavailable("nobody leads")), "drain", "2", "--wait")
    assert status == 1
    assert error.startswith("crawler: the master at 127.0.0.1:")
    assert error.endswith("says: nobody leads\n")


def test_scores_places_and_refusals_are_told_with_what_was_chosen(run):
    backend = FakeBackend()
    backend.add(Spec("x"), CALL)
    status, lines, _ = run(backend, "explain", "x")
    assert status == 0
    assert lines[:9] == [
        "x (priority 3, group team-a) is assigned",
        "it waits for its turn",
        "if it were placed now, by least-load: w-2",
        "plugin gold failed in filter_nodes (KeyError: 'karat'); it is skipped",
        "the strategy, of plugin silver, failed (ValueError: no price); it is skipped, and all "
        "workers are rated alike",
        "the strategy, of plugin silver, failed about w-3 (ValueError: no date); this worker is "
        "rated last",
        "plugin gold, in filter_room, failed about w-1 (KeyError: 'purity'); this worker is "
        "refused",
        "plugin gold, in score_nodes, failed about w-2 (KeyError: 'weight'); this worker gets no "
        "points from it",
        "",
    ]
    assert [line.split() for line in lines[10:]] == [
        ["w-1", "2", "gpu:", "has", "no", "GPU"],
        ["w-2", "1", "-2", "spread", "zone=a", "0.5×10", "3", "chosen"],
        ["w-3", "0", "last", "last", "would", "do", "if", "no", "other", "could"],
    ]


def test_a_policy_that_is_not_in_force_is_told(run, monkeypatch):
    backend = FakeBackend()
    view = dataclasses.replace(backend._view(), switched=True, fault="no such strategy")
    monkeypatch.setattr(backend, "_view", lambda: view)
    _, lines, _ = run(backend, "strategy")
    assert lines == [
        "* least-load",
        "  random",
        "the stored policy is not in force: no such strategy",
    ]


def test_a_dry_run_tells_what_would_happen_and_what_only_if_tasks_were_placed_again(run):
    backend = FakeBackend()
    status, lines, _ = run(backend, "plugins", "--disable", "gpu", "--dry-run")
    assert (status, backend.switched) == (0, False)
    assert [" ".join(line.split()) for line in lines] == [
        "dry run: nothing was changed",
        "",
        "WORKER TASKS NOW AFTER THE PASS ALL PLACED AGAIN",
        "w-1 5 7 6",
        "w-2 0 0 1",
        "",
        "The next pass would place 2 of 3 tasks that wait.",
        "a: waits → w-1",
        "b: w-9 → w-1",
        "c: waits → no worker (no worker suits: w-1 has no GPU)",
        "",
        "Tasks that have a worker stay there: a change of the policy moves none of them.",
        "If each were placed again, 1 of 4 tasks would get another worker.",
        "d: w-1 → w-2",
        "1 more task could not be asked about before the time was over.",
        "the plugin gold failed about w-2 and was skipped: KeyError: 'karat'",
    ]


@pytest.mark.parametrize("command", ["plugins", "strategy"])
def test_a_dry_run_of_nothing_is_refused(run, command):
    status, _, error = run(FakeBackend(), command, "--dry-run")
    assert status == 2
    assert "--dry-run tries a change: give" in error


class ItsCrawls:
    """A worker with two crawl processes, or one that does not answer."""

    def __init__(self, address, token, pem):
        assert address == WORKER.address

    def processes(self, call):
        return [
            ProcessLoad(3, 4711, True, 12, 61_000_000, 0.0),
            ProcessLoad(4, 4712, False, 1, 2_000_000_000, 7.5),
        ]

    def close(self):
        """Nothing is open."""


def test_the_crawl_processes_of_each_worker_are_listed(run, monkeypatch):
    monkeypatch.setattr(cluster, "CrawlsClient", ItsCrawls)
    status, out, _ = run(Emptying(left(13, cordoned=False)), "nodes", "--processes")
    assert status == 0
    assert [line.split() for line in out] == [
        ["WORKER", "PROCESS", "PID", "TASKS", "MEMORY", "LATE", "STATE"],
        [WORKER.id, "3", "4711", "12", "61.0", "MB", "0.0", "s"],
        [WORKER.id, "4", "4712", "1", "2.0", "GB", "7.5", "s", "takes", "no", "tasks"],
    ]


def test_a_worker_that_does_not_tell_of_its_processes_is_named(run, monkeypatch):
    def away(self, call):
        raise Unavailable("nobody answers")

    monkeypatch.setattr(cluster, "CrawlsClient", ItsCrawls)
    monkeypatch.setattr(ItsCrawls, "processes", away)
    status, _, err = run(Emptying(left(13, cordoned=False)), "nodes", "--processes")
    assert status == 0
    assert f"{WORKER.id} does not tell of its processes: nobody answers" in err


def test_all_tasks_are_listed_page_by_page(run, monkeypatch):
    monkeypatch.setattr(cluster, "MAX_PAGE", 2)
    backend = FakeBackend()
    for name in "abcde":
        backend.add(Spec(name), CALL)
    _, lines, _ = run(backend, "tasks")
    assert [line.split()[0] for line in lines] == ["TASK", *"abcde"]


@pytest.fixture
def shop():
    """Some tasks of two spiders."""
    backend = FakeBackend()
    for at, name in enumerate(["a-toys", "b-books", "C-Books", "d"]):
        backend.add(Spec(name, "shop" if at < 3 else "", project="p" if at == 2 else ""), CALL)
        known = backend.resources[name]
        backend.resources[name] = known.replace(counts=Counts(pages=at % 3, failures=at))
    backend.resources["d"] = backend.resources["d"].replace(owner=None, paused=Pause("by me"))
    return backend


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--search", "BOOK"], ["C-Books", "b-books"]),
        (["--spider", "shop"], ["C-Books", "a-toys", "b-books"]),
        (["--spider", "p/shop"], ["C-Books"]),
        (["--spider", "d", "--state", "paused"], ["d"]),
        (["--node", WORKER.id, "--search", "toy"], ["a-toys"]),
        (["--node", "w-1"], []),
        (["--descending"], ["d", "b-books", "a-toys", "C-Books"]),
        (["--sort", "pages"], ["a-toys", "d", "b-books", "C-Books"]),
        (["--sort", "pages", "--descending"], ["C-Books", "b-books", "a-toys", "d"]),
        (["--sort", "node"], ["d", "C-Books", "a-toys", "b-books"]),
    ],
    ids=" ".join,
)
def test_tasks_are_searched_and_sorted_on_all_pages_together(
    run, shop, monkeypatch, options, names
):
    monkeypatch.setattr(cluster, "MAX_PAGE", 2)
    status, lines, _ = run(shop, "tasks", *options)
    assert (status, [line.split()[0] for line in lines[1:]]) == (0, names)


def test_tasks_are_counted_by_state(run, shop):
    status, lines, error = run(shop, "tasks", "--counts", "--search", "o")
    assert (status, error) == (0, "")
    counts = dict(line.split() for line in lines)
    assert counts == {"STATE": "TASKS", **dict.fromkeys(TOLD_STATES, "0"), **ASSIGNED}
    assert list(counts) == ["STATE", *TOLD_STATES, "all"]
    status, [line], _ = run(shop, "tasks", "--counts", "--state", "paused", "--json")
    counts = {**dict.fromkeys(TOLD_STATES, 0), "assigned": 3, "paused": 1}
    assert json.loads(line) == {"counts": counts, "total": 1}
    status, lines, error = run(shop, "tasks", "--counts", "--watch")
    assert (status, lines) == (2, [])
    assert "leave out --watch, or --counts" in error


ASSIGNED = {"assigned": "3", "all": "3"}


def test_a_master_that_does_not_count_is_not_taken_for_one_without_tasks(run, shop, monkeypatch):
    monkeypatch.setattr(shop, "list", lambda query, call: Page([], "", 4, {}))
    status, lines, error = run(shop, "tasks", "--counts")
    assert (status, lines) == (1, [])
    assert "this master is older than the command" in error


def test_a_list_without_tasks_says_whom_it_asked(monkeypatch, capsys):
    """Of several clusters it may have been the wrong one."""
    with running(Master(), Master(FakeBackend())) as (leaderless, leader):
        addresses = f"{leaderless.address},{leader.address}"
        status, said, error = asked(monkeypatch, capsys, addresses, "tasks")
    assert (status, error) == (0, f"0 tasks at {leader.address}\n")
    assert len(said.splitlines()) == 1


def asked(monkeypatch, capsys, addresses, *arguments):
    whole = commands.main
    monkeypatch.setattr(commands, "main", lambda **more: whole(args=arguments, **more))
    monkeypatch.setenv("CRAWLER_MASTER", addresses)
    status = main()
    said = capsys.readouterr()
    return status, said.out, said.err


def test_of_several_masters_the_next_is_asked_if_one_cannot_answer(monkeypatch, capsys):
    backend = FakeBackend()
    backend.add(Spec("x"), CALL)
    with running(Master(), Master(backend)) as (leaderless, leader):
        addresses = f"127.0.0.1:1,{leaderless.address}, {leader.address}"
        status, said, error = asked(monkeypatch, capsys, addresses, "tasks")
    assert (status, error) == (0, "")
    assert "x" in said.split()


class Late(FakeBackend):
    """Answers when the test lets it."""

    def __init__(self):
        super().__init__()
        self.may = Event()

    def list(self, query, call):
        self.may.wait(call.timeout_s)
        return super().list(query, call)


def test_a_master_that_answers_late_is_waited_for_and_that_is_told(monkeypatch, capsys):
    monkeypatch.setattr(master_of_command, "TELL_S", 0.02)
    backend = Late()
    backend.add(Spec("x"), CALL)
    gevent.spawn_later(0.3, backend.may.set)
    with running(Master(backend)) as (master,):
        status, said, error = asked(monkeypatch, capsys, master.address, "tasks")
    assert status == 0
    assert "x" in said.split()
    told = f"{master.address} has not answered yet; this command waits for up to 20 s"
    assert error == f"crawler: {told}; Ctrl-C ends it\n"


def test_a_silent_master_is_soon_passed_over_if_there_is_another(monkeypatch, capsys):
    monkeypatch.setattr(any_client, "PASSING_S", 0.2)
    backend = FakeBackend()
    backend.add(Spec("x"), CALL)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        running(Master(backend)) as (master,),
    ):
        addresses = f"127.0.0.1:{silent.getsockname()[1]},{master.address}"
        status, said, error = asked(monkeypatch, capsys, addresses, "tasks")
    assert (status, error) == (0, "")
    assert "x" in said.split()


def test_if_no_master_can_answer_each_says_why(monkeypatch, capsys):
    with running(Master()) as (leaderless,):
        addresses = f"127.0.0.1:1,{leaderless.address}"
        status, _, error = asked(monkeypatch, capsys, addresses, "task", "x")
    assert status == 1
    assert "127.0.0.1:1: cannot reach 127.0.0.1:1" in error
    assert f"{leaderless.address}: nobody leads: no master has won the election yet" in error
    assert "name others with --master or CRAWLER_MASTER" in error


def test_a_change_whose_outcome_is_unknown_is_not_asked_of_the_next(monkeypatch, capsys):
    first, second = FakeBackend(), FakeBackend()

    def unknown():
        raise OutcomeUnknown("read the task to see")

    for backend in (first, second):
        backend.add(Spec("x"), CALL)
    # The command reads the task, and so does the audit.
    reads = iter([lambda: None, lambda: None, unknown])
    first.before = lambda: next(reads)()
    with running(Master(first), Master(second)) as masters:
        addresses = ",".join(master.address for master in masters)
        arguments = ("update", "x", "--set=priority=1")
        status, _, error = asked(monkeypatch, capsys, addresses, *arguments)
    assert (status, "read the task to see" in error) == (1, True)
    assert len(second.calls) == 1, "only the addition above"


@pytest.mark.parametrize("addresses", ["h", "h:1,", "h:1,i:x", "h:99999", ":1"])
def test_what_is_no_address_is_told(monkeypatch, capsys, addresses):
    status, _, error = asked(monkeypatch, capsys, addresses, "tasks")
    assert status == 2
    assert "is no address; host:port is allowed, or several with commas" in error


def test_a_task_on_several_workers_is_shown_with_how_many_run(run):
    backend = FakeBackend()
    backend.add(Spec("books", workers=3), CALL)
    backend.resources["books"] = backend.resources["books"].replace(running=2)
    backend.add(Spec("toys"), CALL)
    _, lines, _ = run(backend, "tasks")
    assert [line.split()[:5] for line in lines[1:]] == [
        ["books", "assigned", "2", "of", "3"],
        ["toys", "assigned", WORKER.id, "1", "0"],
    ]
    _, lines, _ = run(backend, "tasks", "--shards")
    assert [line.split()[2] for line in lines[1:]] == [WORKER.id, WORKER.id]
    _, lines, _ = run(backend, "task", "books")
    assert "workers      2 of 3 run" in lines
    assert "shard        1 of books" in task_lines_of(
        Spec("books~1", "books", shard=1, shard_of="books")
    )


def task_lines_of(spec):
    return list(cluster.task_lines(Resource(spec)))


def test_explaining_says_where_each_shard_is_or_why_it_waits(run, monkeypatch):
    backend = FakeBackend()
    shards = [
        ShardStanding("books~1", "running", "", "w-2", ""),
        ShardStanding("books~2", "pending", "no worker suits", "", "a worker that suits"),
    ]
    judgement = Judgement("least-load", "w-1", [])
    told = Explanation("books", "running", "", "w-1", "", 0, "", judgement, shards)
    monkeypatch.setattr(backend, "explain", lambda name, call: told)
    _, lines, _ = run(backend, "explain", "books")
    assert lines[1:3] == [
        "books~1 is running on w-2",
        "books~2 is pending: no worker suits; it waits for a worker that suits",
    ]
    assert lines[3] == (
        "what follows judges books alone, the head; for another crawl of the task:"
        " crawler explain books~1"
    )


def test_of_the_masters_the_one_that_leads_is_shown(run, monkeypatch):
    loads = [NodeLoad(Node(f"m-{n}", f"h:{n}"), "master", 0, 0) for n in (1, 2)]
    monkeypatch.setattr(Client, "leader", lambda self, call: Leader("master2-h:2", "h:2"))
    status, [_, first, second], _ = run(Emptying(loads), "nodes")
    assert (status, "leads" in first, "leads" in second) == (0, False, True)

    def nobody(self, call):
        raise Unavailable("nobody leads")

    monkeypatch.setattr(Client, "leader", nobody)
    status, out, _ = run(Emptying(loads), "nodes")
    assert (status, "leads" in "".join(out)) == (0, False)
