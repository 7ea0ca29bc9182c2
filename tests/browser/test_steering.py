"""Schedules, projects and the scheduler, steered from the page."""

import json

import pytest
from playwright.sync_api import expect

from tests.integration.lab import crawler_here

SPIDER = """
from crawler import Spider

class Shop(Spider):
    name = "shop"
    about = "{about}"
"""


def test_an_operator_makes_a_schedule_sees_it_fire_pauses_and_deletes_it(house, signed_in):
    window = signed_in("operator")
    page = window.page
    window.open("/dashboard/schedules")
    page.get_by_role("link", name="Add a schedule").click()
    page.get_by_label("Name", exact=True).fill("often")
    page.get_by_label("When", exact=True).fill("whenever")
    page.get_by_label("Spider", exact=True).fill("slow")
    parameters = house.lab.specification("often")["parameters"]
    page.get_by_label("Parameters", exact=True).fill(json.dumps(parameters))
    window.expects("status of 400")
    page.get_by_role("button", name="Add the schedule").click()
    expect(page.get_by_role("alert").filter(has_text="when")).to_contain_text("whenever")
    expect(page.get_by_label("Name", exact=True)).to_have_value("often")
    page.get_by_label("When", exact=True).fill("@every 1s")
    page.get_by_role("button", name="Add the schedule").click()
    expect(page.get_by_role("status")).to_have_text("The schedule often is added.")
    window.open("/dashboard/schedules")
    last = page.locator("#schedule-often td").nth(3)
    expect(last.locator("time")).to_be_visible()  # a moment comes while one watches
    page.get_by_role("button", name="Pause often").click()
    expect(page.locator("#schedule-often .state")).to_have_text("paused")
    window.open("/dashboard/tasks/often")
    expect(page.locator("#task-head .state")).to_have_text("running")
    window.open("/dashboard/schedules/often")
    delete(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Schedules")
    assert house.told("GET", "/crawler/schedule")["schedules"] == []


def test_an_admin_deploys_a_version_and_rolls_it_back(house, signed_in, tmp_path):
    window = signed_in("admin")
    page = window.page
    for about in ("first", "second"):
        window.open("/dashboard/projects")
        page.get_by_label("Project", exact=True).fill("shop")
        page.get_by_label("Bundle", exact=True).set_input_files(bundle(tmp_path, about))
        page.get_by_role("button", name="Deploy").click()
        expect(page.get_by_role("status")).to_contain_text("shop")
    page.get_by_role("link", name="shop").click()
    versions = page.get_by_role("region", name="Versions").locator("tbody tr")
    expect(versions).to_have_count(2)
    newest = versions.filter(has_text="current").get_by_role("rowheader").inner_text().split()[0]
    page.get_by_role("button", name="Go back to").click()
    page.get_by_role("dialog").get_by_role("button", name="Yes").click()
    expect(page.get_by_role("status")).to_contain_text("shop")
    expect(versions.filter(has_text="current")).not_to_contain_text(newest)
    assert not house.told("GET", "/crawler/projects/shop")["current"].startswith(newest)
    delete(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Projects")
    assert house.told("GET", "/crawler/projects")["projects"] == []


def test_an_admin_switches_the_strategy_and_back(house, signed_in):
    window = signed_in("admin")
    page = window.page
    window.open("/dashboard/scheduler")
    before = page.locator(".lead strong").inner_text()
    other = page.locator("#strategy option:not([selected])").first.inner_text()
    page.get_by_label("Strategy").select_option(other)
    page.get_by_role("button", name="What would it do?").click()
    expect(page.get_by_role("region", name="What it would do").first).to_contain_text(other)
    assert strategy(house) == before, "nothing was changed"
    page.get_by_role("button", name="Change the policy").click()
    expect(page.locator(".lead")).to_contain_text(f"{other}, switched for the cluster")
    assert strategy(house) == other
    page.get_by_role("button", name="Back to the settings").click()
    page.get_by_role("dialog").get_by_role("button", name="Yes").click()
    expect(page.get_by_role("status")).to_contain_text(f"settings again: {before}")
    assert strategy(house) == before


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_nobody_else_steers_the_cluster(who, shared_house, signed_in):
    window = signed_in(who)
    for path in ("/dashboard/projects", "/dashboard/scheduler"):
        window.open(path)
        expect(window.page.get_by_role("heading", level=1)).to_be_visible()
        expect(window.page.locator("main button:visible")).to_have_count(0)
    window.expects("status of 403")
    for path in ("/dashboard/audit", "/dashboard/tokens"):
        assert window.open(path) == 403


def delete(page):
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Yes").click()


def bundle(folder, about):
    """The file of a bundle, as an admin makes it."""
    project, file = folder / about, folder / f"{about}.bundle"
    project.mkdir()
    (project / "shop.py").write_text(SPIDER.format(about=about))
    status = crawler_here("deploy", project, "--project", "shop", "--out", file)
    assert file.is_file(), status
    return file


def strategy(house):
    return house.told("GET", "/crawler/scheduler")["strategy"]
