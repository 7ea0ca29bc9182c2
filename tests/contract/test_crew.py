"""What every crew does: that of a worker's own process, and that of processes."""

import pytest

from crawler.engine.crawl.kept import FINISH_S
from crawler.errors import ConfigError, NotFound
from crawler.items.names import DELETED
from crawler.model.records import Spec, State
from crawler.node.crew.crew import Figures
from crawler.settings.worker import IN_PROCESS
from tests.crews import PAGES, Place, ended, waits_for_pages
from tests.waiting import eventually

SLOW = {"delay_s": 0.05, "host_concurrency": 1}
KINDS = {"in process": IN_PROCESS, "processes": 2}


@pytest.fixture(scope="module", params=KINDS)
def place(request, tmp_path_factory):
    with Place(tmp_path_factory.mktemp("crew"), KINDS[request.param]) as place:
        yield place


@pytest.fixture
def runs(place):
    runs = place.runs()
    place.site.hits.clear()
    yield runs
    runs.stop_all()
    eventually(lambda: not runs.running)


def test_it_knows_its_spiders(place):
    assert place.crew.spider_names() == {"tree", "raising", "refusing", "odd"}


def test_it_knows_what_its_spiders_take(place):
    told = place.crew.described()
    assert told.keys() == place.crew.spider_names()
    assert "start_urls" in {each.name for each in told["tree"].arguments}


def test_it_is_ready_once_it_has_begun(place):
    assert place.crew.unready_reason() == ""


@pytest.mark.parametrize("processes", KINDS.values(), ids=KINDS)
def test_it_serves_without_spiders_too(tmp_path, processes):
    with Place(tmp_path, processes, spiders="") as place:
        assert place.crew.spider_names() == frozenset()


def test_a_run_goes_to_its_end_with_all_counts_and_each_item_once(place, runs):
    before = place.crew.totals().sums["pages"]
    ends = place.ends
    runs.start(place.resource("whole"))
    report = ended(runs, "whole")
    assert (report.state, report.reason) == (State.DONE, "")
    assert (report.counts.pages, report.counts.items, report.counts.failures) == (PAGES, PAGES, 0)
    assert report.counts.seconds > 0
    assert place.files("whole") == ["id-whole-1.jsonl"]
    assert place.items("whole") == {str(number): 1 for number in range(PAGES)}
    eventually(lambda: place.ends == ends + 1)
    eventually(lambda: place.crew.totals().sums["pages"] == before + PAGES)


def test_many_run_at_once(place, runs):
    hosts = [f"127.0.0.{number}" for number in range(2, 8)]
    for host in hosts:
        runs.start(place.resource(host, host=host))
    for host in hosts:
        assert ended(runs, host).counts.pages == PAGES
    assert len(place.site.hits) == len(hosts) * PAGES


def test_statistics_are_there_while_it_runs_and_afterwards(place, runs):
    crawls = place.crew.crawls
    with pytest.raises(NotFound, match="no statistics of task 'told' here"):
        crawls.of("told")
    runs.start(place.resource("told", settings=SLOW))
    waits_for_pages(runs, "told", 2)
    for found in (crawls.of("told"), crawls.of_task("told"), crawls.all()[0]):
        assert (found.task, found.spider) == ("told", "tree")
        assert 2 <= found.pages < PAGES
        assert not found.ended_ns
    runs.of("told").adjust(Spec("told", "tree", {"settings": {"delay_s": 0}}))
    ended(runs, "told")
    for found in (crawls.of("told"), crawls.of_task("told"), crawls.all()[0]):
        assert (found.task, found.pages) == ("told", PAGES)
        assert found.ended_ns


def test_a_run_that_is_stopped_keeps_its_state_and_the_next_one_goes_on(place, runs):
    runs.start(place.resource("kept", settings=SLOW))
    waits_for_pages(runs, "kept", 5)
    eventually(lambda: runs.of("kept").is_kept)
    runs.stop(["kept"])
    assert not runs.known(), "it ends in order, and is not known any more"
    eventually(lambda: not runs.tend())
    assert len(place.site.hits) < PAGES
    runs.start(place.resource("kept", epoch=2))
    assert ended(runs, "kept").counts.pages == PAGES
    assert sorted(place.site.paths()) == sorted(f"/tree/{number}" for number in range(PAGES))
    assert place.items("kept") == {str(number): 1 for number in range(PAGES)}


def test_a_run_that_is_cut_short_ends_at_once(place, runs):
    runs.start(place.resource("cut", path="/slow?s=30"))
    eventually(lambda: place.site.hits)
    runs.cut_short(["cut"])
    eventually(lambda: not runs.running, within_s=FINISH_S, what="sooner than one ends in order")
    assert "cut" not in runs.known()


def test_a_run_that_is_stopped_before_it_begins_requests_nothing(place, runs):
    runs.start(place.resource("never"))
    runs.stop_all()
    eventually(lambda: not runs.running)
    assert not runs.known()
    assert not place.site.hits


def test_all_stop_at_once(place, runs):
    for number in range(2, 6):
        runs.start(place.resource(f"all {number}", host=f"127.0.0.{number}", settings=SLOW))
    for number in range(2, 6):
        waits_for_pages(runs, f"all {number}", 1)
    runs.stop_all()
    eventually(lambda: not runs.running)
    hits = len(place.site.hits)
    assert not runs.known()
    assert hits == len(place.site.hits)


def test_settings_that_change_hold_in_a_run_that_goes_on(place, runs):
    slow = {"delay_s": 60.0, "host_concurrency": 1}
    resource = place.resource("adjusted", host="127.0.0.99", settings=slow)
    runs.start(resource)
    waits_for_pages(runs, "adjusted", 1)
    quick = {**resource.spec.parameters, "settings": {"delay_s": 0.0}}
    runs.adjust([resource.replace(spec=Spec("adjusted", "tree", quick))])
    assert ended(runs, "adjusted").counts.pages == PAGES


@pytest.mark.parametrize(
    ("given", "reason", "awaits_spider"),
    [
        ({"spider": "none"}, "'none'", True),
        ({"spider": "refusing"}, "not like this", False),
        ({"settings": {"delay_s": "soon"}}, "delay_s", False),
    ],
)
def test_a_run_that_cannot_begin_says_why(place, runs, given, reason, awaits_spider):
    runs.start(place.resource("faulty", **given))
    report = ended(runs, "faulty")
    assert (report.state, report.awaits_spider) == (State.FAILED, awaits_spider)
    assert reason in report.reason
    assert not report.interrupted


def test_a_run_whose_first_address_is_no_address_ends(place, runs):
    resource = place.resource("nowhere")
    spec = Spec("nowhere", "tree", {"start_urls": ["http://[no address", "http://[::1"]})
    runs.start(resource.replace(spec=spec))
    assert ended(runs, "nowhere").state is State.FAILED


def test_a_spider_that_raises_costs_its_pages_alone(place, runs):
    runs.start(place.resource("raising", "raising"))
    runs.start(place.resource("beside", host="127.0.0.9"))
    report = ended(runs, "raising")
    assert (report.state, report.interrupted) == (State.FAILED, False)
    assert "ValueError" in report.reason
    assert ended(runs, "beside").counts.pages == PAGES


def test_files_get_whole_names_when_nothing_more_comes(place, runs):
    runs.start(place.resource("files", settings=SLOW))
    waits_for_pages(runs, "files", 3)
    run = runs.of("files")
    eventually(lambda: run.is_kept)
    runs.stop(["files"])
    eventually(lambda: not runs.tend())
    assert place.files("files") == ["id-files-1.jsonl.part"]
    run.end_files()
    eventually(lambda: "id-files-1.jsonl" in place.files("files"))


def ended_as(place, name):
    """What `.runs` says last of how a crawl ended."""
    return place.told(name)[-1].get("end")


@pytest.mark.parametrize("isolated", [False, True], ids=["beside others", "isolated"])
def test_the_files_of_a_task_that_is_deleted_while_it_runs_end(place, runs, isolated):
    name = f"deleted {isolated}"
    runs.start(place.resource(name, settings=SLOW, isolated=isolated))
    waits_for_pages(runs, name, 3)
    run = runs.of(name)
    runs.cut_short([name])
    run.end_files(DELETED)
    eventually(lambda: place.files(name) == [f"id-{name}-1.jsonl"])
    assert ended_as(place, name) == DELETED
    assert len(place.told(name)) == 2, "it began, and was deleted"


def test_the_files_of_a_crawl_end_whose_callback_keeps_the_run_from_ending(place, runs):
    resource = place.resource("blocks", "odd", do="wait", at="/tree/1", settings=SLOW)
    runs.start(resource)
    waits_for_pages(runs, "blocks", 1)
    run = runs.of("blocks")
    run.end_files(DELETED)
    runs.cut_short(["blocks"])
    eventually(lambda: place.files("blocks") == ["id-blocks-1.jsonl"])
    assert ended_as(place, "blocks") == DELETED


def test_what_it_holds_is_nothing_when_nothing_runs(place, runs):
    eventually(lambda: place.crew.figures() == Figures(0, place.crew.figures().hosts_owned, 0))


def test_nothing_goes_on_after_its_end(place, runs):
    runs.start(place.resource("over"))
    ended(runs, "over")
    run = runs.of("over")
    run.stop()
    run.break_off()
    run.end_files()
    assert run.status().state is State.DONE
    assert not list(place.crew.end([run])) or place.settings.worker.processes == IN_PROCESS


@pytest.mark.parametrize("processes", KINDS.values(), ids=KINDS)
def test_a_spider_that_cannot_be_imported_is_an_error_of_the_settings(tmp_path, processes):
    with (
        pytest.raises(ConfigError, match="nothing_of_that_name"),
        Place(tmp_path, processes, spiders="import nothing_of_that_name"),
    ):
        pass
