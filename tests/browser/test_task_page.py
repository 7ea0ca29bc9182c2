"""One task: added by a form, watched while it runs, and looked into."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.house import OURS
from tests.waiting import eventually


@pytest.fixture
def apples(house):
    """A task that runs and has items."""
    house.add("apples")
    eventually(lambda: house.runs("apples"), what="it runs")
    eventually(lambda: house.items("apples") > 2, what="it has items")
    return house


def test_a_task_added_by_the_form_is_watched_paused_and_resumed(house, signed_in):
    window = signed_in("operator")
    page = window.page
    window.open("/dashboard/tasks")
    page.get_by_role("link", name="Add a task").click()
    expect(page.get_by_role("link", name=re.compile("^slow"))).to_be_visible()
    page.get_by_role("link", name="Another spider, or parameters as JSON").click()
    page.get_by_label("Name", exact=True).fill("pears")
    page.get_by_label("Spider", exact=True).fill("slow")
    page.get_by_label("Labels", exact=True).fill("team=ours")
    page.get_by_label("Parameters", exact=True).fill("{no JSON")
    window.expects("status of 400")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was added")
    expect(page.get_by_label("Name", exact=True)).to_have_value("pears")
    parameters = house.lab.specification("pears")["parameters"]
    page.get_by_label(re.compile("arameters$")).fill(json.dumps(parameters))
    page.get_by_role("button", name="Add it").click()
    state = page.locator("#task-head .state")
    expect(state).to_have_text("running")
    expect(page.locator("#task-facts")).to_contain_text("team=ours")
    page.evaluate("window.kept = true")
    expect(items_of(page)).to_have_text(re.compile("[1-9]"))
    assert page.evaluate("window.kept"), "the page was not loaded again"
    page.get_by_role("button", name="Pause").click()
    expect(state).to_have_text("paused")
    assert house.told("GET", "/crawler/resource/pears")["paused"]
    page.get_by_role("button", name="Resume").click()
    expect(state).to_have_text("running")


def test_its_worker_is_killed_and_one_sees_it_move(apples, signed_in):
    window = signed_in("viewer")
    worker = apples.runs("apples")
    (other,) = {"worker-1", "worker-2"} - {worker}
    window.open("/dashboard/tasks/apples")
    page = window.page
    expect(page.locator("#task-head")).to_contain_text(f"on {worker}")
    apples.lab[worker].process.kill()
    expect(page.locator("#task-head")).to_contain_text(f"on {other}")
    expect(page.locator("#task-head .state")).to_have_text("running")


def test_items_are_seen_and_kept(apples, signed_in):
    window = signed_in("viewer")
    page = window.page
    rows = page.get_by_role("region", name="Items of apples").locator("tbody tr")

    def are_written():  # what was counted is in the files a moment later
        window.open("/dashboard/tasks/apples/items")
        return rows.count() > 2

    eventually(are_written, what="the items are in the files")
    expect(rows.first).to_contain_text("/apples/first")
    with page.expect_download() as kept:
        page.get_by_role("link", name="Download all").click()
    lines = Path(kept.value.path()).read_text().splitlines()
    assert len(lines) > 2
    assert all("/apples/" in json.loads(line)["url"] for line in lines)


def test_the_log_is_followed(apples, signed_in):
    window = signed_in("viewer")
    window.open("/dashboard/tasks/apples/log")
    page = window.page
    expect(page.get_by_role("list", name="Log of run 1").locator("li").first).to_be_visible()
    apples.told("POST", "/crawler/resource/apples/stop")
    expect(page.locator("#log-end")).to_be_visible()


def test_a_viewer_sees_no_button_and_no_form(apples, signed_in):
    window = signed_in("viewer")
    window.expects("status of 403")
    window.open("/dashboard/tasks/apples")
    expect(window.page.locator("#task-explained")).to_contain_text("worker-1")
    expect(window.page.locator("main button:visible")).to_have_count(0)
    assert window.open("/dashboard/tasks/apples/change") == 403
    assert window.open("/dashboard/tasks/new") == 403


def test_a_task_of_others_is_not_there(apples, signed_in):
    window = signed_in("bound")
    window.expects("status of 404")
    assert window.open("/dashboard/tasks/apples") == 404
    apples.add("plums", labels=OURS)
    assert window.open("/dashboard/tasks/plums") == 200


def items_of(page):
    return page.locator("#task-numbers dd.n").nth(1)
