"""What each role may see and do: a table over all routes of the pages."""

import pytest

from crawler.dashboard.asked import ACTIONS, NEEDS
from crawler.model import audit
from crawler.model.access import GIVEN, Need
from tests.unit.dashboard.browser import PAGES

OPEN = {
    *("dashboard_root", "dashboard.static", "dashboard.login", "dashboard.sign_in"),
    *("dashboard.sign_out", "dashboard.to_provider", "dashboard.from_provider"),
}
MAY_NOT = "which may not do this"
PEOPLE = tuple(role for role in GIVEN if role.may(Need.READ))


def routes(master):
    """The endpoint, the method and a path of each route of the pages."""
    for rule in master.app.url_map.iter_rules():
        if rule.endpoint.startswith("dashboard"):
            for method in sorted(rule.methods & {"GET", "POST"}):
                path = rule.rule.replace("<path:filename>", "page.css")
                yield rule.endpoint, method, path.replace("<path:rest>", "x").replace("<name>", "x")


def test_every_route_has_a_decision_and_few_are_open(master):
    assert {endpoint for endpoint, *_ in routes(master)} == NEEDS.keys()
    assert {each for each, need in NEEDS.items() if need is Need.NOTHING} == OPEN


def test_what_changes_something_is_an_action_of_the_audit_or_of_many_tasks(master):
    changing = {each for each, method, _ in routes(master) if method == "POST"} - OPEN
    assert changing - ACTIONS.keys() <= {"dashboard.change_tasks", "dashboard.try_policy"}
    assert set(ACTIONS.values()) <= {each for each in vars(audit).values() if type(each) is str}


@pytest.mark.parametrize("role", PEOPLE, ids=lambda role: role.value)
def test_a_role_may_what_the_table_says_and_nothing_else(master, signed_in, role):
    browser = signed_in(role)
    for endpoint, method, path in routes(master):
        if NEEDS[endpoint] is Need.NOTHING or path.endswith("/live"):
            continue
        browser.open(path, method, follow=False)
        refused = MAY_NOT in browser.answer.get_data(as_text=True)
        assert refused != role.may(NEEDS[endpoint]), f"{role.value}: {method} {path}"


def test_nobody_comes_in_without_a_token(master, stranger):
    for endpoint, method, path in routes(master):
        stranger.open(path, method, follow=False)
        is_led_away = stranger.answer.headers.get("Location", "").startswith(f"{PAGES}/login")
        if NEEDS[endpoint] is not Need.NOTHING:
            assert is_led_away if method == "GET" else stranger.status == 401, f"{method} {path}"


def test_no_action_is_carried_out_without_the_secret_of_its_form(master, signed_in):
    browser = signed_in()
    for endpoint, method, path in routes(master):
        if method == "POST" and endpoint != "dashboard.sign_in":
            browser.open(path, method, follow=False)
            assert browser.status == 403, path
            assert "this form is old" in browser.text
