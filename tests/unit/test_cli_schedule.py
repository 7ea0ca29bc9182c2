"""The commands about schedules, as far as they need no cluster."""

import json

import pytest
from click.testing import CliRunner

from crawler.cli import schedule
from crawler.errors import InvalidArgument
from crawler.model.records import Spec
from crawler.model.schedules import Overlap, ScheduleWish
from tests.unit.api.fakes import FakeBackend


@pytest.fixture
def backend():
    return FakeBackend()


@pytest.fixture
def run(monkeypatch, backend):
    """Run a command of `crawler schedule`."""

    class Connected:
        def __enter__(self):
            return backend

        def __exit__(self, *_):
            """Nothing is to be closed."""

    monkeypatch.setattr(schedule, "connected", lambda _: Connected())
    return lambda *words: CliRunner().invoke(schedule.schedule, words)


def test_add_takes_all_that_a_schedule_has(run, backend):
    words = ["--time-zone", "Europe/Berlin", "--task", "shop", "--spider", "books"]
    words += ["--parameters", '{"site": 1}', "--label", "team=a", "--priority", "3"]
    words += ["--retries", "2", "--overlap", "queue", "--jitter", "60", "--catch-up", "5"]
    done = run("add", "nightly", "30 3 * * *", *words, "--paused")
    assert done.exit_code == 0, done.output
    task = Spec("shop", "books", {"site": 1}, {"team": "a"}, 3, retries=2)
    wish = ("nightly", "30 3 * * *", task, "Europe/Berlin", Overlap.QUEUE, 60.0, 5.0, True)
    assert backend.kept_schedules["nightly"].schedule.wish == ScheduleWish(*wish)
    assert "next        paused" in done.output
    assert run("add", "nightly", "@every 1h", "--update").exit_code == 0
    assert backend.kept_schedules["nightly"].schedule.wish.task == Spec("nightly")


def test_add_takes_arguments_and_settings_as_crawler_add_does(run, backend):
    words = ["add", "nightly", "@every 1h", "-a", "start_urls=http://h/", "-s", "delay_s=0.5"]
    assert run(*words).exit_code == 0
    parameters = {"start_urls": "http://h/", "settings": {"delay_s": 0.5}}
    assert backend.kept_schedules["nightly"].schedule.wish.task.parameters == parameters
    both = run(*words, "--parameters", '{"a": 1}')
    assert "--parameters says all that the spider gets; leave -a and -s out" in both.output


def test_it_is_listed_and_shown_with_its_next_times_for_people_and_programs(run):
    assert "no schedules; crawler schedule add" in run("list").output
    run("add", "nightly", "@every 1h", "--label", "team=a")
    run("run", "nightly")
    for words in (("list",), ("show", "nightly")):
        assert "2026-12-24T18:00:00+01:00" in run(*words).output
        assert "began" in run(*words).output
    [listed] = json.loads(run("list", "--json").output)
    assert listed == json.loads(run("show", "nightly", "--json").output)
    assert listed["task"]["labels"] == {"team": "a"}
    assert listed["next"] == ["2026-12-24T18:00:00+01:00"]


def test_pause_resume_run_and_delete_say_what_they_did(run, backend):
    run("add", "nightly", "@every 1h")
    assert "is paused; crawler schedule resume nightly" in run("pause", "nightly").output
    assert backend.kept_schedules["nightly"].schedule.wish.paused
    assert "schedule    nightly" in run("resume", "nightly").output
    assert "begins task nightly now" in run("run", "nightly").output
    assert "its task stays" in run("delete", "nightly").output
    assert not backend.kept_schedules


def test_faults_are_found_before_anybody_is_asked(run, backend):
    done = run("add", "nightly", "@every 1h", "--parameters", "{")
    assert (done.exit_code, "allowed is JSON" in done.output) == (2, True)
    done = run("add", "nightly", "daily")
    assert isinstance(done.exception, InvalidArgument)
    assert "when: 'daily' is not allowed; allowed are five fields" in str(done.exception)
    assert run("add", "nightly", "@every 1h", "--overlap", "both").exit_code == 2
    assert not backend.calls
