"""Who gets to see pages: sessions, forms, and what a page of another site cannot do."""

import json

import pytest

from crawler.dashboard.sessions import IDLE_S, MOST_S, ROTATE_S, Session, Sessions
from crawler.errors import InvalidArgument, Unavailable
from crawler.model.access import Role
from crawler.model.records import Resource, Spec


def test_who_has_not_signed_in_is_led_to_the_form_and_back(stranger, tokens):
    stranger.see("/tasks?state=failed")
    assert stranger.where == "/dashboard/login?back=%2Fdashboard%2Ftasks%3Fstate%3Dfailed"
    stranger.send("/login", token=tokens.make(Role.VIEWER), back="/dashboard/tasks?state=failed")
    assert (stranger.status, stranger.where) == (200, "/dashboard/tasks?state=failed")


def test_a_wrong_token_is_told_with_the_reason_and_lets_nobody_in(stranger):
    stranger.sign_in("crawler_1_x")
    assert stranger.where.startswith("/dashboard/login")
    assert stranger.told[0].startswith("this token is not valid here")
    stranger.see("")
    assert stranger.where.startswith("/dashboard/login")
    stranger.send("/login", token="  ")
    assert stranger.told == ["token: give the token that an admin made for you"]


def test_the_first_path_leads_to_the_pages(stranger):
    assert stranger.open("/", follow=False).headers["Location"] == "/dashboard"


@pytest.mark.parametrize(
    "back", ["https://other.example/", "//other.example", "/\\other.example", "/crawler/leader"]
)
def test_nobody_is_led_to_another_site(stranger, tokens, back):
    stranger.see("/login")
    stranger.send("/login", token=tokens.make(Role.VIEWER), back=back)
    assert stranger.where in ("/dashboard", "/dashboard/")


def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(signed_in, master):
    browser = signed_in()
    browser.send("/nodes/x/uncordon", follow=False)
    [cookie] = browser.cookies()
    assert {"HttpOnly", "SameSite=Lax", "Path=/dashboard"} <= set(cookie.split("; "))
    assert "crawler_" in cookie
    found = master.app.test_client().get("/dashboard/login", base_url="https://crawler.example/")
    assert "Secure" in found.headers["Set-Cookie"]


def test_a_token_that_was_revoked_ends_its_session(signed_in, tokens):
    browser = signed_in()
    assert browser.status == 200
    tokens.clear()
    browser.see("/tasks")
    assert browser.where.startswith("/dashboard/login")


def test_signing_out_forgets_the_token(signed_in):
    browser = signed_in()
    browser.send("/logout")
    assert browser.told == ["You have signed out."]
    browser.see("")
    assert browser.where.startswith("/dashboard/login")


@pytest.mark.parametrize(
    ("fields", "headers", "why"),
    [
        ({"csrf": ""}, {}, "this form is old"),
        ({"csrf": "x" * 32}, {}, "this form is old"),
        ({"csrf": "é"}, {}, "this form is old"),
        ({}, {"Origin": "https://other.example"}, "a page of another site"),
        ({}, {"Sec-Fetch-Site": "cross-site"}, "a page of another site"),
    ],
)
def test_a_form_that_is_not_of_this_session_changes_nothing(
    signed_in, backend, fields, headers, why
):
    browser = signed_in()
    backend.resources["x"] = Resource(Spec("x"), id="1", reason="no worker is up")
    browser.see("/tasks")
    given = {"csrf": browser.csrf, "task": "x", "act": "delete", **fields}
    browser.open("/dashboard/tasks", "POST", data=given, headers=headers)
    assert browser.status == 403
    assert why in browser.text
    assert "x" in backend.resources


def test_a_page_says_no_more_than_its_reader_may_see(stranger, signed_in):
    metrics = signed_in(Role.METRICS)
    assert metrics.told[0].endswith("which may not do this; allowed: viewer, operator, admin")
    assert "may not do this" in signed_in(Role.VIEWER).see("/tokens")
    stranger.see("/tasks/live")
    assert stranger.where.startswith("/dashboard/login")


def test_every_page_loads_and_runs_what_this_node_serves_and_nothing_else(signed_in):
    browser = signed_in()
    for path in ("", "/tasks", "/scheduler", "/alerts", "/tokens", "/audit", "/nowhere"):
        browser.see(path)
        policy = browser.answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert browser.answer.headers.getlist("X-Frame-Options") == ["DENY"]
        assert browser.page.cssselect("[style], style") == []
        assert not any(each.text for each in browser.page.cssselect("script"))
        for each in browser.page.cssselect("[src], link[href], form[action]"):
            at = each.get("src") or each.get("href") or each.get("action")
            assert at.startswith("/dashboard"), at


def test_the_static_files_are_there_and_stay_in_the_cache(stranger):
    stranger.see("/login")
    for each in stranger.page.cssselect("link[href], script[src]"):
        found = stranger.open(each.get("href") or each.get("src"))
        assert found.status_code == 200
        assert "immutable" in found.headers["Cache-Control"]


@pytest.mark.parametrize("name", ["live.js", "live.js?v=0123456789ab", "nothing.js?v=0123456789ab"])
def test_a_file_that_may_be_of_another_version_is_asked_for_each_time(stranger, name):
    found = stranger.open(f"/dashboard/static/{name}")
    assert found.headers["Cache-Control"] == "no-cache"


def test_without_a_secret_nobody_can_sign_in_and_is_told_to_wait(clock):
    sessions = Sessions(str, str, clock)
    with pytest.raises(Unavailable, match="has not read the secret"):
        sessions.write(Session())


def test_a_session_is_read_by_each_node_and_by_none_of_another_cluster(clock):
    secret, former = "s" * 32, ""
    sessions = Sessions(lambda: secret, lambda: former, clock)
    session = sessions.begun("token")
    text = sessions.write(session)
    assert Sessions(lambda: secret, str, clock).read(text).token == "token"
    assert "token" not in text
    other = Sessions(lambda: "o" * 32, str, clock)
    assert other.read(text) is None
    assert other.cookie != sessions.cookie
    secret, former = "n" * 32, secret
    assert sessions.read(text).token == "token"
    former = ""
    assert sessions.read(text) is None


def test_while_a_node_has_not_read_its_secret_its_pages_say_so(stranger, master, monkeypatch):
    monkeypatch.setattr(master.pages._shared.sessions, "_secret", str)
    for path in ("", "/tasks", "/login"):
        assert "has not read the secret" in stranger.see(path)
        assert (stranger.status, stranger.cookies()) == (503, [])


def test_what_a_session_tells_gives_way_to_its_token(clock):
    sessions = Sessions(lambda: "s" * 32, str, clock)
    session = Session("t" * 1200, told=(("error", "ü" * 600),) * 3, began_ns=clock.time_ns())
    found = sessions.read(sessions.write(session))
    assert (found.token, found.told) == (session.token, (("error", "ü" * 100 + "…"),))
    longer = Session("t" * 2700, told=session.told, began_ns=session.began_ns)
    assert sessions.read(sessions.write(longer)).told == ()


def test_a_token_that_fits_into_no_cookie_lets_nobody_in_and_says_why(
    stranger, master, monkeypatch
):
    monkeypatch.setattr(master.pages._shared.doors, "admit", lambda approach, need: None)
    stranger.sign_in("t" * 3500)
    assert stranger.where.startswith("/dashboard/login")
    assert stranger.told[0].startswith("this login does not fit into a cookie")


@pytest.mark.parametrize("text", ["", "x", "é", "=" * 40, "A" * 80, "A" * 4000])
def test_a_cookie_that_nobody_made_is_none(clock, text):
    assert Sessions(lambda: "s" * 32, str, clock).read(text) is None


def test_a_cookie_is_made_anew_and_ends_when_nobody_uses_it(clock):
    sessions = Sessions(lambda: "s" * 32, str, clock)
    first = sessions.read(sessions.write(sessions.begun("token")))
    assert not sessions.is_due(first)
    clock.advance(ROTATE_S + 1)
    assert sessions.is_due(first)
    text = sessions.write(first)
    clock.advance(IDLE_S + ROTATE_S + 1)
    assert sessions.read(text) is None


def test_a_session_ends_after_a_week_whatever_happens(clock):
    sessions = Sessions(lambda: "s" * 32, str, clock)
    session = sessions.begun("token")
    while (session := sessions.read(sessions.write(session))) is not None:
        clock.advance(IDLE_S)
        assert clock.time_ns() - session.began_ns <= (MOST_S + IDLE_S) * 1e9


def test_a_login_that_fits_into_no_cookie_is_refused(clock):
    sessions = Sessions(lambda: "s" * 32, str, clock)
    with pytest.raises(InvalidArgument, match="ask the provider for fewer claims"):
        sessions.write(sessions.begun("t" * 4000))


def test_what_a_browser_gets_is_no_json_of_the_api(stranger):
    found = stranger.open("/crawler/resource")
    assert found.status_code == 401
    assert json.loads(found.data)["message"]
