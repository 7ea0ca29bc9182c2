"""Tasks as people look for them, watch them and change them."""

import pytest
from playwright.sync_api import expect

from tests.browser.house import OURS
from tests.waiting import eventually

SEND = """([path, fields]) => {
    const form = document.getElementById("act");
    form.action = path;
    for (const [name, value] of fields) {
        const input = document.createElement("input");
        [input.name, input.value] = [name, value];
        form.append(input);
    }
    form.submit();
}"""
"""Sends a form that no button of the page sends."""


@pytest.fixture
def three(house):
    """Three tasks that run, one of them of the namespace OURS."""
    house.add("apples")
    house.add("pears")
    house.add("plums", labels=OURS)
    wait_for(house, "running", "apples", "pears", "plums")
    return house


def wait_for(house, state, *names):
    for name in names:
        eventually(
            lambda name=name: house.lab.resource(name).get("State") == state,
            what=f"{name} is {state}",
        )


def test_counts_grow_while_one_watches(three, signed_in):
    window = signed_in("viewer")
    window.open("/dashboard/tasks")
    pages = window.page.locator("#task-apples td.n").nth(1)
    before = number(pages)
    window.page.wait_for_function(
        "([id, before]) => Number(document.querySelector(`#${id} td.n:nth-of-type(4)`)"
        ".textContent.replace(/,/g, '')) > before + 5",
        arg=["task-apples", before],
    )


def test_an_operator_pauses_and_resumes_what_he_has_chosen(three, signed_in):
    window = signed_in("operator")
    window.open("/dashboard/tasks")
    page = window.page
    for name in ("apples", "pears"):
        page.get_by_label(f"Choose {name}").check()
    expect(page.locator("[data-chosen]")).to_have_text("With 2 chosen:")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_have_text("2 tasks paused.")
    for name, word in (("apples", "paused"), ("pears", "paused"), ("plums", "running")):
        expect(page.locator(f"#task-{name} .state")).to_have_text(word)
    page.get_by_label("Choose pears").check()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_have_text("1 task resumed.")
    expect(page.locator("#task-pears .state")).to_have_text("running")
    assert three.told("GET", "/crawler/resource/apples")["paused"]


def test_what_is_refused_is_told_with_the_reason(three, signed_in):
    window = signed_in("operator")
    window.open("/dashboard/tasks")
    page = window.page
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_contain_text("no task was chosen")
    page.get_by_label("Choose plums").check()
    three.told("DELETE", "/crawler/resource/plums")
    expect(page.locator("#task-plums")).to_have_count(0)


def test_tasks_are_deleted_after_a_plain_question(three, signed_in):
    window = signed_in("operator")
    window.open("/dashboard/tasks")
    page = window.page
    page.get_by_label("Choose all on this page").check()
    page.get_by_label("Choose pears").uncheck()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Yes").click()
    expect(page.locator("#tasks tr")).to_have_count(1)
    eventually(lambda: set(three.lab.resources()) == {"pears"}, what="two are deleted")


def test_a_viewer_sees_no_button_and_is_refused_if_he_sends_it(three, signed_in):
    window = signed_in("viewer")
    window.open("/dashboard/tasks")
    page = window.page
    expect(page.locator("#task-apples")).to_have_count(1)
    expect(page.locator("main button:visible")).to_have_text(["Filter"])
    expect(page.locator("main input[type=checkbox]")).to_have_count(0)
    window.expects("status of 403")
    page.evaluate(SEND, ["/dashboard/tasks", [["act", "delete"], ["task", "apples"]]])
    expect(page.get_by_role("heading", level=1)).to_have_text("Not allowed")
    assert "apples" in three.lab.resources()


def test_a_namespace_sees_its_own(three, signed_in):
    window = signed_in("bound")
    window.open("/dashboard/tasks")
    page = window.page
    expect(page.locator("#tasks tr")).to_have_count(1)
    expect(page.locator("#task-plums .state")).to_have_text("running")
    page.evaluate(SEND, ["/dashboard/tasks", [["act", "pause"], ["task", "apples"]]])
    expect(page.get_by_role("status")).to_contain_text("refused: apples: no such task")
    assert three.runs("apples")


def test_a_form_of_another_site_changes_nothing(three, signed_in):
    window = signed_in("operator")
    window.open("/dashboard/tasks")
    window.expects("status of 403")
    window.page.evaluate("document.querySelectorAll('[name=csrf]').forEach(each => each.remove())")
    window.page.evaluate(SEND, ["/dashboard/tasks", [["act", "delete"], ["task", "apples"]]])
    expect(window.page.locator(".why")).to_contain_text("nothing was changed")
    assert "apples" in three.lab.resources()


def number(locator):
    return int(locator.inner_text().replace(",", ""))
