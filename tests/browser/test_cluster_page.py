"""The first page: what the cluster does now, as it changes."""

import pytest
from playwright.sync_api import expect

from tests.waiting import eventually


def test_a_killed_worker_goes_and_its_tasks_move_while_one_watches(house, signed_in):
    window = signed_in("operator")
    for number in range(4):
        house.add(f"moves-{number}")
    eventually(lambda: len(house.lab.running(*names(house))) == 4, what="all run")
    window.open("/dashboard")
    page = window.page
    both = page.locator("tr", has_text="worker-")
    expect(both).to_have_count(2)
    expect(page.locator("#counts li.running")).to_contain_text("4")
    page.evaluate("window.kept = true")
    house.lab["worker-2"].process.kill()
    expect(page.locator("tr", has_text="worker-2")).to_have_count(0)
    expect(page.locator("tr", has_text="worker-1").locator("td.n").first).to_have_text("4 of 4")
    assert page.evaluate("window.kept"), "the page was not loaded again"
    assert set(house.lab.running(*names(house)).values()) == {"worker-1"}


def test_what_waits_and_why_comes_first(house, signed_in):
    window = signed_in("viewer")
    window.open("/dashboard")
    expect(window.page.locator("#waiting")).to_be_hidden()
    house.add("lost", "absent", wait_for_spider=True)
    waits = window.page.get_by_role("region", name="1 task waits")
    expect(waits).to_contain_text("absent")
    expect(waits.get_by_role("link", name="lost")).to_be_visible()


def test_an_admin_drains_a_worker_and_lets_it_work_again(house, signed_in):
    house.add("moves")
    worker = eventually(lambda: house.runs("moves"), what="it runs")
    window = signed_in("admin")
    window.open("/dashboard")
    page = window.page
    drain = page.get_by_role("button", name=f"Drain go.micro.server.{worker}")
    drain.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("will move to other workers")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert house.runs("moves") == worker, "nothing was done"
    drain.click()
    page.evaluate(REPLACE)
    dialog.get_by_role("button", name="Yes").click()
    expect(page.get_by_role("status")).to_contain_text("is drained")
    eventually(lambda: house.runs("moves") not in (None, worker), what="it has moved")
    page.get_by_role("button", name=f"Uncordon go.micro.server.{worker}").click()
    expect(page.get_by_role("status")).to_contain_text("takes tasks again")
    expect(drain).to_be_visible()


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_nobody_else_sees_the_button_nor_may_send_what_it_sends(who, shared_house, signed_in):
    window = signed_in(who)
    window.open("/dashboard")
    page = window.page
    expect(page.locator("tr", has_text="worker-1")).to_have_count(1)
    expect(page.get_by_role("button", name="Drain")).to_have_count(0)
    window.expects("status of 403")
    page.evaluate(SEND, "/dashboard/nodes/go.micro.server.worker-1/drain")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not allowed")
    expect(page.locator(".why")).to_contain_text("admin")
    status, nodes = shared_house.ask("GET", "/crawler/node")
    assert (status, [each for each in nodes["nodes"] if each.get("cordoned")]) == (200, [])


SEND = """path => {
    const form = document.getElementById("act");
    form.action = path;
    form.submit();
}"""
"""Sends the page's own form elsewhere, as somebody might with the tools of his browser."""


REPLACE = """() => {
    for (const row of document.querySelectorAll("#nodes tr")) row.replaceWith(row.cloneNode(true));
}"""
"""Replaces the rows, as a change of their loads does."""


def names(house):
    return list(house.lab.resources())


def test_a_page_that_has_lost_its_node_says_so_until_it_is_back(house, signed_in):
    window = signed_in("viewer")
    stream, lost = "**/dashboard/live", window.page.locator("#lost")
    window.page.route(stream, lambda route: route.fulfill(status=204))
    window.open("/dashboard")
    expect(lost).to_contain_text("What you see is old.")
    window.page.unroute(stream)
    expect(lost).to_be_hidden()
