"""What is asked of each view: that everybody can use it, on any screen, and without scripts."""

import pytest
from playwright.sync_api import expect

from crawler.dashboard.writing import SECTIONS
from tests.browser.chromium import DESK, PHONE
from tests.browser.house import OURS
from tests.browser.looks import OF_COLOURS, OF_SIZES, scrolls_sideways, violations
from tests.waiting import eventually

VIEWS = {
    "cluster": "/dashboard",
    "tasks": "/dashboard/tasks",
    "a task": "/dashboard/tasks/runs",
    "items": "/dashboard/tasks/runs/items",
    "log": "/dashboard/tasks/runs/log",
    "new task": "/dashboard/tasks/new",
    "change of a task": "/dashboard/tasks/runs/change",
    "schedules": "/dashboard/schedules",
    "a schedule": "/dashboard/schedules/nightly",
    "new schedule": "/dashboard/schedules/new",
    "projects": "/dashboard/projects",
    "scheduler": "/dashboard/scheduler",
    "alerts": "/dashboard/alerts",
    "audit": "/dashboard/audit?search=token",
    "tokens": "/dashboard/tokens",
    "nothing": "/dashboard/tasks?search=nothing-of-that-name",
    "error": "/dashboard/absent",
}
"""What each is called, and where it is."""
LONG = "a-task-with-quite-a-long-name-as-people-give-them-to-their-tasks"


@pytest.fixture(scope="module")
def full(shared_house):
    """A cluster that has something to show on every view."""
    shared_house.settle()
    shared_house.add("runs", labels=OURS)
    shared_house.add(LONG, "absent", wait_for_spider=True)
    nightly = {
        "name": "nightly",
        "when": "30 3 * * *",
        "task": {"name": "sleeps", "spider": "slow"},
    }
    shared_house.told("POST", "/crawler/schedule", nightly)
    eventually(lambda: shared_house.items("runs") > 2, what="there are items")
    yield shared_house
    shared_house.told("DELETE", "/crawler/schedule/nightly")


@pytest.fixture(scope="module")
def shared_window(browser, full):
    """An admin's window, in which one view is opened after the other."""
    window = full.window(browser, "admin", reduced_motion="reduce")
    yield window
    window.close()


def test_every_section_is_among_them():
    assert {key for key, *_ in SECTIONS} <= VIEWS.keys()


@pytest.mark.parametrize("view", VIEWS)
def test_everybody_can_use_a_view_in_light_and_dark_and_on_a_phone(view, shared_window):
    window, page = shared_window, shared_window.page
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")
    if view == "error":
        window.expects("status of 404")
    window.open(VIEWS[view])
    assert (violations(page), scrolls_sideways(page)) == ([], [])
    page.emulate_media(color_scheme="dark")
    assert violations(page, OF_COLOURS) == []
    page.set_viewport_size(PHONE)
    assert (violations(page, OF_SIZES), scrolls_sideways(page)) == ([], [])
    window.check()


def test_so_can_everybody_sign_in(signed_in):
    window = signed_in("", reduced_motion="reduce", viewport=PHONE)
    window.open("/dashboard/login")
    assert (violations(window.page), scrolls_sideways(window.page)) == ([], [])


def test_each_view_can_be_read_without_scripts(full, signed_in):
    window = signed_in("admin", java_script_enabled=False)
    window.expects("status of 404")
    for path in VIEWS.values():
        window.open(path)
        expect(window.page.get_by_role("heading", level=1)).to_be_visible()
        sections = window.page.get_by_role("navigation", name="Sections").get_by_role("link")
        expect(sections).to_have_count(len(SECTIONS))


def test_what_a_view_shows_without_scripts_is_all_there_is(full, signed_in):
    window = signed_in("operator", java_script_enabled=False)
    page = window.page
    window.open("/dashboard/tasks?state=running")
    expect(page.locator("#tasks tr")).to_have_count(1)
    expect(page.get_by_role("contentinfo")).to_contain_text("UTC")
    page.get_by_label("Choose runs").check()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_have_text("1 task paused.")
    window.open("/dashboard/tasks?search=runs")
    page.get_by_label("Choose runs").check()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_have_text("1 task resumed.")
