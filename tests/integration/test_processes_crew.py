"""Crawl processes that die, of themselves or otherwise, and what becomes of the tasks in them."""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import gevent
import pytest

from crawler.errors import ConfigError, NotFound, Unavailable
from crawler.items.names import DELETED
from crawler.metrics import Metrics
from crawler.model.records import State
from crawler.node.crew import distant_crawls
from crawler.node.worker.epochs import Epochs
from crawler.node.worker.measures import measure_worker
from tests.crews import PAGES, Place, ended, waits_for_pages
from tests.guards import Ending
from tests.waiting import PATIENCE_S, eventually

SLOW = {"delay_s": 0.05, "host_concurrency": 1}
ALL = {str(number): 1 for number in range(PAGES)}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with Place(tmp_path_factory.mktemp("crew"), 2, crawl={"callback_limit_s": 1.0}) as place:
        yield place


@pytest.fixture
def runs(place):
    place.site.hits.clear()
    place.full()
    place.crew._deaths._suspects.clear()
    runs = place.runs()
    yield runs
    runs.stop_all()
    eventually(lambda: not runs.running)
    eventually(lambda: not zombies(), what="whoever has ended was waited for")


def zombies():
    """Processes below this one that have ended, and for which nobody waits."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) in (os.getpid(), *zygotes()):
                found.append(folder.name)
    return found


def zygotes():
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
            if parent == os.getpid() and b"crawler.node.crew.zygote" in command:
                yield int(folder.name)


def beside(place, runs, *resources):
    """Start runs whose addresses are of one host: so they are in one process. The first one has
    fetched a page before the others begin, which may end it."""
    for resource in resources:
        runs.start(resource)
        eventually(lambda r=resource: runs.of(r.name).process)
        waits_for_pages(runs, resources[0].name, 1)
    [process] = {runs.of(resource.name).process for resource in resources}
    return process


def goes_on(place, runs, name, **given):
    """Run a task as its leader would: under the next epoch. Its last report."""
    runs.start(place.resource(name, epoch=2, **given))
    return ended(runs, name)


def assert_each_once(place, name):
    """No page was lost, and none is twice in the items."""
    assert place.items(name) == ALL


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_the_tasks_of_a_process_that_is_killed_go_on_at_once(place, runs, number):
    before = place.crew.totals().sums["pages"]
    host, names = f"127.0.1.{number}", [f"a {number}", f"b {number}"]
    resources = [place.resource(name, host=host, settings=SLOW) for name in names]
    process = beside(place, runs, *resources)
    for name in names:
        waits_for_pages(runs, name, 5)
    os.kill(process.pid, number)
    for name in names:
        report = ended(runs, name)
        assert (report.state, report.interrupted, report.charged) == (State.FAILED, True, False)
        assert signal.Signals(number).name in report.reason
        assert runs.of(name).statistics, "what the process told last"
    assert place.crew.totals().sums["pages"] >= before
    for name in names:
        assert goes_on(place, runs, name, host=host).counts.pages == PAGES
        assert_each_once(place, name)
    assert place.crew.totals().sums["pages"] >= before + PAGES


def assert_is_deleted(place, name):
    """The files of a task have their names, hold whole items alone, and say why they end."""
    eventually(lambda: not [each for each in place.files(name) if each.endswith(".part")])
    assert place.told(name)[-1].get("end") == DELETED
    assert sum(place.items(name).values()) >= 3


@pytest.mark.parametrize("isolated", [False, True], ids=["beside others", "isolated"])
def test_a_task_is_deleted_whose_process_was_killed(place, runs, isolated):
    name = f"killed {isolated}"
    process = beside(place, runs, place.resource(name, settings=SLOW, isolated=isolated))
    eventually(lambda: sum(place.items(name).values()) >= 3)
    os.kill(process.pid, signal.SIGKILL)
    assert ended(runs, name).interrupted
    with open(Path(place.folder, "items", name, f"id-{name}-1.jsonl.part"), "a") as file:
        file.write('{"url": "a process that is killed leaves a part of a li')
    runs.of(name).end_files(DELETED)
    assert_is_deleted(place, name)


def test_a_task_is_deleted_whose_next_run_has_not_begun(place, runs):
    process = beside(place, runs, place.resource("waits again", settings=SLOW))
    eventually(lambda: sum(place.items("waits again").values()) >= 3)
    os.kill(process.pid, signal.SIGKILL)
    ended(runs, "waits again")
    run = place.crew.run(place.resource("waits again", epoch=2))
    run.end_files(DELETED)
    assert_is_deleted(place, "waits again")
    assert {each["epoch"] for each in place.told("waits again")} == {1}


def test_the_files_of_a_deleted_task_end_though_who_was_asked_is_killed(place, runs):
    process = beside(place, runs, place.resource("told of", settings=SLOW))
    eventually(lambda: sum(place.items("told of").values()) >= 3)
    runs.cut_short(["told of"])
    run = place.crew.run(place.resource("told of", epoch=2))
    asked = place.full()
    for each in asked:
        os.kill(each.pid, signal.SIGSTOP)
    run.end_files(DELETED)
    for each in asked:
        os.kill(each.pid, signal.SIGKILL)
    process.gone.wait(PATIENCE_S)
    assert_is_deleted(place, "told of")


def test_totals_never_go_back(place, runs):
    process = beside(place, runs, place.resource("totals", host="127.0.2.1", settings=SLOW))
    waits_for_pages(runs, "totals", 8)
    eventually(lambda: process.totals.sums["pages"] > 0)
    before = place.crew.totals()
    os.kill(process.pid, signal.SIGKILL)
    process.gone.wait(PATIENCE_S)
    after = place.crew.totals()
    assert all(after.sums[name] >= count for name, count in before.sums.items())


@pytest.mark.parametrize(
    ("do", "told"),
    [("exit", "status 7"), ("crash", "SIGSEGV"), ("signal", "signal 40"), ("lack_memory", "12")],
)
def test_who_ends_the_process_is_charged_and_the_other_is_not(place, runs, do, told):
    host = {"exit": "127.0.3.1", "crash": "127.0.3.2", "signal": "127.0.3.3"}.get(do, "127.0.3.4")
    innocent = place.resource(f"beside {do}", host=host, settings=SLOW)
    guilty = place.resource(f"does {do}", "odd", host=host, do=do, at="/tree/3", settings=SLOW)
    beside(place, runs, innocent, guilty)
    report, other = ended(runs, guilty.name), ended(runs, innocent.name)
    assert (report.interrupted, report.charged) == (True, True)
    assert told in report.reason
    assert (other.interrupted, other.charged) == (True, False)
    assert goes_on(place, runs, innocent.name, host=host).counts.pages == PAGES
    assert_each_once(place, innocent.name)


@pytest.mark.parametrize("do", ["match", "compute"])
def test_a_callback_that_computes_too_long_is_killed_with_its_stack(place, runs, do, caplog):
    host = f"127.0.4.{len(do)}"
    far = place.resource(f"far from {do}", host="127.0.4.99", settings=SLOW)
    innocent = place.resource(f"near {do}", host=host, settings=SLOW)
    guilty = place.resource(f"must {do}", "odd", host=host, do=do, at="/tree/2", settings=SLOW)
    runs.start(far)
    beside(place, runs, innocent, guilty)
    report, other = ended(runs, guilty.name), ended(runs, innocent.name)
    assert report.charged
    assert "crawl.callback_limit_s" in report.reason
    assert (other.interrupted, other.charged) == (True, False)
    [line] = [each for each in caplog.records if "is killed" in each.message]
    told = line.__dict__ if not hasattr(line, "fields") else line.fields
    assert told["task"] == guilty.name
    assert told["url"].endswith("/tree/2")
    assert f"in {do}" in told["stack"]
    assert ended(runs, far.name).counts.pages == PAGES, "nobody else has noticed"


def test_a_crawl_whose_first_callback_computes_has_begun(place, runs, monkeypatch):
    monkeypatch.setattr(distant_crawls, "ANSWER_S", 0.1)
    first = place.resource("first", "odd", do="compute", host="127.0.4.98")
    runs.start(first)
    told = "the crawl of task 'first' has begun, and nothing was counted yet; its process"
    eventually(lambda: asked(place, "first").startswith(told), what="it computes")
    ended(runs, "first")


def asked(place, name):
    """What is said instead of the statistics of a crawl; empty if they are there."""
    try:
        place.crew.crawls.of(name)
    except (NotFound, Unavailable) as error:
        return str(error)
    return ""


def warnings(caplog):
    return [record for record in caplog.records if "does not turn" in record.message]


def test_a_callback_that_holds_the_hub_is_told_once_before_it_is_killed(tmp_path, caplog):
    with Place(tmp_path, 1, hub_limit_s=0.6, crawl={"callback_limit_s": 2.5}) as place:
        runs, metrics = place.runs(), Metrics()
        measure_worker(metrics, place.crew, runs, place.states, Epochs())
        runs.start(place.resource("holds", "odd", do="compute", at="/tree/39"))
        assert ended(runs, "holds").charged
    [told] = warnings(caplog)
    assert told.fields["task"] == "holds"
    assert told.fields["url"].endswith("/tree/39")
    assert "in compute" in told.fields["stack"]
    assert metrics.registry.get_sample_value("crawler_process_blockages_total") == 1


def test_the_stack_of_a_process_that_gets_no_processor_for_a_while_is_told(place, runs):
    process = place.full()[0]
    os.kill(process.pid, signal.SIGSTOP)
    gevent.spawn_later(0.4, os.kill, process.pid, signal.SIGCONT)
    assert process.stack()


def test_a_callback_that_only_waits_is_not_killed(place, runs):
    runs.start(place.resource("waits", "odd", host="127.0.5.1", do="wait", at="/tree/39"))
    report = ended(runs, "waits")
    assert (report.state, report.interrupted) == (State.DONE, False)


def test_a_task_may_allow_its_callbacks_more(place, runs):
    given = {"do": "be_slow", "at": "/tree/39", "settings": {"callback_limit_s": 60.0}}
    runs.start(place.resource("slow", "odd", host="127.0.5.2", **given))
    report = ended(runs, "slow")
    assert (report.state, report.interrupted) == (State.DONE, False)


def test_the_tasks_of_a_process_that_stands_still_go_on_elsewhere(place, runs):
    names = ["still a", "still b"]
    resources = [place.resource(name, host="127.0.5.3", settings=SLOW) for name in names]
    process = beside(place, runs, *resources)
    os.kill(process.pid, signal.SIGSTOP)
    for name in names:
        report = ended(runs, name)
        assert report.interrupted
    for name in names:
        assert goes_on(place, runs, name, host="127.0.5.3").counts.pages == PAGES
        assert_each_once(place, name)


def test_what_never_yields_is_ended_in_time_when_all_must_stop(place, runs):
    for do in ("compute", "catch_all"):
        host = f"127.0.6.{len(do)}"
        runs.start(place.resource(do, "odd", host=host, do=do, at="/tree/0"))
    eventually(lambda: all(runs.of(do).process for do in ("compute", "catch_all")))
    processes = {runs.of(do).process for do in ("compute", "catch_all")}
    eventually(lambda: all(each.glance().slot for each in processes))
    began_s = place.clock.monotonic()
    runs.stop_all()
    assert place.clock.monotonic() - began_s < 1.0
    for each in processes:
        eventually(each.gone.is_set)


def test_what_a_spider_has_started_ends_with_its_process(place, runs, tmp_path):
    for how in (signal.SIGKILL, signal.SIGSEGV):
        file = tmp_path / f"{how}"
        given = {"do": "have_child", "at": "/tree/0", "settings_file": str(file)}
        name = f"parent {how}"
        runs.start(place.resource(name, "odd", host="127.0.7.1", settings=SLOW, **given))
        eventually(lambda f=file: f.exists() and f.read_text())
        with Ending(int(file.read_text())) as child:
            assert not child.is_gone()
            os.kill(runs.of(name).process.pid, how)
            eventually(child.is_gone, what="its child has ended")
        ended(runs, name)
        place.full()


def test_what_a_spider_has_started_hears_its_signals_and_has_the_path_of_the_worker(
    place, runs, tmp_path
):
    file = tmp_path / "told"
    given = {"do": "end_child", "at": "/tree/0", "settings_file": str(file)}
    runs.start(place.resource("ends child", "odd", settings={"max_pages": 1}, **given))
    ended(runs, "ends child")
    assert json.loads(file.read_text()) == [-signal.SIGTERM, os.environ.get("PYTHONPATH"), None]


def test_what_nobody_takes_of_a_process_that_prints_is_lost_and_its_crawls_go_on(
    place, runs, monkeypatch
):
    """Else it would stand still, and be killed as if its callback computed."""
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        runs.start(place.resource("prints", "odd", do="print"))
        report = ended(runs, "prints")
        monkeypatch.undo()
    assert (report.state, report.counts.pages) == (State.DONE, PAGES)


def test_the_zygote_takes_its_processes_with_it_and_others_come(place, runs):
    names = ["zygote a", "zygote b"]
    for number, name in enumerate(names):
        runs.start(place.resource(name, host=f"127.0.8.{number + 1}", settings=SLOW))
    for name in names:
        waits_for_pages(runs, name, 2)
    before = place.crew.spawner.pid
    os.kill(before, signal.SIGKILL)
    for name in names:
        report = ended(runs, name)
        assert (report.interrupted, report.charged) == (True, False)
    place.full()
    assert place.crew.spawner.pid != before
    assert [*zygotes()] == [place.crew.spawner.pid]
    for number, name in enumerate(names):
        assert goes_on(place, runs, name, host=f"127.0.8.{number + 1}").counts.pages == PAGES
        assert_each_once(place, name)


def test_a_process_has_no_file_of_another(place, runs):
    """Else its end would not be seen to close."""
    first, second = place.full()[:2]

    def ends(process):
        links = (os.readlink(each) for each in Path(f"/proc/{process.pid}/fd").iterdir())
        return {link for link in links if link.startswith(("socket:", "pipe:", "/memfd:"))}

    assert {link.partition(":")[0] for link in ends(first)} == {"socket", "pipe", "/memfd"}
    assert not {link for link in ends(first) & ends(second) if not link.startswith("/memfd:")}
    os.kill(first.pid, signal.SIGKILL)
    assert first.gone.wait(PATIENCE_S)


def test_a_host_is_never_asked_too_early_by_two_processes(place, runs):
    is_asked_in_time_by_two(place, runs)


def test_neither_is_it_if_there_is_only_one_besides_those_of_isolated_tasks(tmp_path):
    with Place(tmp_path, 1) as place:
        runs = place.runs()
        try:
            is_asked_in_time_by_two(place, runs)
        finally:
            runs.stop_all()


def is_asked_in_time_by_two(place, runs):
    """One of them runs alone: so both are at the same host."""
    host, slow = "127.0.9.1", {"delay_s": 0.2, "host_concurrency": 1, "max_pages": 6}
    runs.start(place.resource("polite a", host=host, settings=slow))
    runs.start(place.resource("polite b", host=host, settings=slow, isolated=True))
    assert ended(runs, "polite a").counts.pages == 6
    assert ended(runs, "polite b").counts.pages == 6
    assert runs.of("polite a").process is not runs.of("polite b").process
    gaps = place.site.gaps()  # a busy site notes one late: all of them tell
    assert sum(gaps) >= 0.19 * len(gaps)


def test_tasks_of_a_dead_process_wait_for_no_lease_of_its_hosts(place, runs):
    host = "127.0.10.1"
    process = beside(place, runs, place.resource("heir", host=host, settings=SLOW))
    eventually(lambda: process.figures.hosts_owned)
    os.kill(process.pid, signal.SIGKILL)
    ended(runs, "heir")
    place.site.hits.clear()
    died_s = place.clock.monotonic()
    runs.start(place.resource("heir", epoch=2, host=host, settings=SLOW))
    eventually(lambda: place.site.hits)
    assert place.clock.monotonic() - died_s < 4.0


def test_no_run_hears_of_another(place, runs):
    """A run that is stopped may tell its end when the next one of its task is under way."""
    host = "127.0.11.1"
    runs.start(place.resource("again", host=host, settings=SLOW))
    waits_for_pages(runs, "again", 3)
    old = runs.of("again")
    eventually(lambda: old.is_kept)
    runs.stop(["again"])
    runs.start(place.resource("again", epoch=2, host=host, settings=SLOW))
    new = runs.of("again")
    assert new.number != old.number
    eventually(old.over.is_set)
    assert not new.over.is_set()
    assert ended(runs, "again").counts.pages == PAGES
    assert_each_once(place, "again")


# -- memory ----------------------------------------------------------------------------------------

LIMIT_BYTES = 150_000_000


@pytest.fixture(scope="module")
def tight(tmp_path_factory):
    """A crew of one process with little memory."""
    folder = tmp_path_factory.mktemp("tight")
    with Place(folder, 1, process_memory=LIMIT_BYTES) as place:
        yield place


@pytest.fixture
def tight_runs(tight):
    tight.full()
    runs = tight.runs()
    yield runs
    runs.stop_all()
    eventually(lambda: not runs.running)


def test_a_process_with_much_memory_is_emptied_and_replaced(tight, tight_runs):
    [before] = tight.full()
    given = {"host": "127.1.1.1", "do": "leak", "settings": {**SLOW, "max_pages": 13}}
    tight_runs.start(tight.resource("grows", "odd", **given))
    tight_runs.start(tight.resource("stays", host="127.1.1.2", settings=SLOW))
    eventually(lambda: not before.is_serving, what="it takes no more tasks")
    report = ended(tight_runs, "stays")
    assert (report.state, report.counts.pages) == (State.DONE, PAGES)
    assert not ended(tight_runs, "grows").interrupted
    eventually(before.gone.is_set, what="it has ended")
    assert before.status == 0
    assert before not in tight.full()


def test_who_takes_all_the_memory_is_found_and_nobody_else_loses_a_page(tight, tight_runs):
    innocents = [f"modest {number}" for number in range(3)]
    for number, name in enumerate(innocents):
        host = f"127.1.2.{number + 1}"
        tight_runs.start(tight.resource(name, host=host, settings={**SLOW, "delay_s": 0.3}))
        waits_for_pages(tight_runs, name, 1)
    leaks = {"do": "leak", "leaks": 20_000_000, "settings": {**SLOW, "delay_s": 0.2}}
    greedy = {"host": "127.1.2.99", **leaks}  # slowly, so that the process is being emptied first
    tight_runs.start(tight.resource("greedy", "odd", **greedy))
    first = ended(tight_runs, "greedy")
    assert (first.interrupted, first.charged) == (True, False), "nobody knows who it was"
    for name in innocents:
        assert not ended(tight_runs, name).charged
    for number, name in enumerate(innocents):
        tight_runs.start(tight.resource(name, epoch=2, host=f"127.1.2.{number + 1}"))
    tight_runs.start(tight.resource("greedy", "odd", epoch=2, **greedy))
    second = ended(tight_runs, "greedy")
    assert (second.interrupted, second.charged) == (True, True), "it was alone"
    assert "worker.process_memory" in second.reason
    for name in innocents:
        assert ended(tight_runs, name).counts.pages == PAGES
        assert_each_once(tight, name)


def test_spiders_that_end_each_process_which_loads_them_are_an_error_of_the_settings(tmp_path):
    with (
        pytest.raises(ConfigError, match=r"5 crawl processes in a row ended with status 3"),
        Place(tmp_path, 1, spiders="import os; os._exit(3)"),
    ):
        pass
