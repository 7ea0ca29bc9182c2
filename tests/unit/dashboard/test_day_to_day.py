"""The pages of schedules, projects and dry runs."""

import io

import pytest

from crawler.dashboard.schedules_page import DAYS, MOST_A_DAY, days
from crawler.model.access import Role
from crawler.model.projects import Project, Version
from crawler.model.records import Spec
from crawler.model.schedules import Schedule, ScheduleView, ScheduleWish

NIGHT = {"name": "nightly", "when": "30 3 * * *", "time_zone": "UTC", "overlap": "skip"}
MONDAY_NS = 1_796_000_000 * 10**9  # Monday 2026-11-30T00:53:20Z


def view(name, when, **wish):
    return ScheduleView(Schedule(ScheduleWish(name, when, Spec(name), **wish), 0, 0))


def test_without_a_schedule_the_page_says_what_to_do(signed_in):
    assert "No schedule yet" in signed_in().see("/schedules")


def test_a_schedule_is_added_changed_paused_run_and_deleted(signed_in, backend):
    browser = signed_in(Role.OPERATOR)
    browser.see("/schedules/new")
    browser.send("/schedules", **NIGHT, spider="books", parameters='{"a": 1}', labels="team=a")
    assert browser.told == ["The schedule nightly is added."]
    assert browser.where == "/dashboard/schedules/nightly"
    wish = backend.kept_schedules["nightly"].schedule.wish
    assert wish.task == Spec("nightly", "books", {"a": 1}, {"team": "a"})
    form = browser.page.cssselect("form.fields")[0]
    typed = {key: value for key, value in form.fields.items() if value}
    assert (typed["when"], typed["labels"], typed["changes"]) == ("30 3 * * *", "team=a", "yes")
    browser.send("/schedules", **{**typed, "when": "@every 1h"})
    assert browser.told == ["The schedule nightly is changed."]
    assert backend.kept_schedules["nightly"].schedule.wish.when == "@every 1h"
    for word, told in (
        ("pause", "is paused"),
        ("resume", "goes on"),
        ("run", "begins the task nightly now"),
        ("delete", "is deleted"),
    ):
        browser.see("/schedules")
        browser.send(f"/schedules/nightly/{word}")
        assert told in browser.told[0]
    assert backend.kept_schedules == {}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"when": "soon"}, "when: 'soon'"),
        ({"time_zone": "Mars/Base"}, "time_zone: "),
        ({"parameters": "{"}, "parameters: "),
        ({"jitter_s": "x"}, "jitter_s: 'x' is not allowed; a number is"),
        ({"labels": "team"}, "'team'"),
    ],
)
def test_what_was_typed_stays_when_it_is_refused(signed_in, backend, changed, why):
    browser = signed_in()
    browser.see("/schedules/new")
    browser.send("/schedules", **{**NIGHT, "spider": "books", **changed})
    assert browser.status == 400
    assert why in browser.told[0]
    form = browser.page.cssselect("form.fields")[0]
    assert form.fields["spider"] == "books"
    assert backend.kept_schedules == {}


def test_the_calendar_tells_each_time_of_the_days_to_come():
    found = days([view("nightly", "30 3 * * *"), view("off", "* * * * *", paused=True)], MONDAY_NS)
    assert [f"{day.begin:%a}" for day in found] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert [day.fires for day in found] == [[("nightly", ["03:30"], False)]] * DAYS


def test_what_is_over_today_and_what_fires_often_are_told_so():
    [first, second, *_] = days([view("early", "30 0 * * *"), view("often", "@every 1h")], MONDAY_NS)
    assert first.fires == [("often", ["01:00", "02:00", "03:00", "04:00"], True)]
    assert [fires.name for fires in second.fires] == ["often", "early"]
    assert len(second.fires[0].times) == MOST_A_DAY


@pytest.fixture
def shop(backend):
    versions = (
        Version("b" * 64, 2 * 10**18, "ada", 2048, ("books",), 3),
        Version("a" * 64, 10**18, "bob", 1024, ("books",), 3),
    )
    backend.kept_projects["shop"] = Project("shop", "b" * 64, versions)
    return backend


def test_the_versions_of_a_project_are_shown_with_who_deployed_them(signed_in, shop):
    browser = signed_in(Role.VIEWER)
    assert "shop bbbbbbbbbbbb" in browser.see("/projects")
    text = browser.see("/projects/shop")
    assert "ada 2.0 kB 3 books" in text
    assert browser.buttons() == {}
    assert browser.see("/projects/gone")
    assert browser.status == 404


def test_a_project_goes_back_to_another_version(signed_in, shop):
    browser = signed_in()
    browser.see("/projects/shop")
    assert browser.buttons()["Go back to this"] == "/dashboard/projects/shop/rollback"
    browser.send("/projects/shop/rollback", digest="a" * 64)
    assert browser.told == ["shop has the bundle aaaaaaaaaaaa now."]
    assert shop.kept_projects["shop"].current == "a" * 64


def test_a_deploy_without_a_file_says_what_file_it_wants(signed_in):
    browser = signed_in()
    browser.see("/projects")
    browser.send("/projects", name="shop")
    assert "crawler deploy --out FILE" in browser.told[0]
    given = {"csrf": browser.csrf, "back": "/dashboard/projects", "name": "shop"}
    given["bundle"] = (io.BytesIO(b"no bundle"), "shop.bundle")
    browser.open("/dashboard/projects", "POST", data=given)
    assert browser.page.cssselect(".told .error")


def test_a_change_of_the_scheduler_is_tried_without_changing_anything(signed_in, backend):
    browser = signed_in()
    browser.see("/scheduler")
    before = backend.policy
    view = backend.scheduler(None)
    other = next(each for each in view.strategies if each != view.policy.strategy)
    browser.send("/scheduler/try", strategy=other, on=[each.name for each in view.plugins])
    assert "Nothing was changed." in browser.text
    assert "the next pass would place 2 of 3 waiting tasks" in browser.text
    assert "d w-1 w-2" in browser.text
    assert browser.page.cssselect("#strategy option[selected]")[0].text == other
    assert backend.policy == before
    browser.send("/scheduler/try", strategy="nowhere")
    assert "strategy: 'nowhere'" in browser.text
