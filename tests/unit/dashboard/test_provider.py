"""People sign in on the page at the OpenID provider of their cluster."""

import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pytest

from crawler.api.oidc.people import OidcPeople
from crawler.clock import SystemClock
from crawler.settings.sections import ApiSettings
from tests.oidc_provider import CLIENT, Provider
from tests.unit.api.fakes import FakeBackend, Master
from tests.unit.dashboard.browser import Browser


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *told):
        return None


@pytest.fixture
def provider(monkeypatch):
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    with Provider() as provider:
        yield provider


@pytest.fixture
def browser(provider):
    settings = ApiSettings(
        oidc_issuer=provider.issuer,
        oidc_client=CLIENT,
        oidc_roles={"crawl-operators": "operator"},
        oidc_scopes=["openid", "groups"],
    )
    people = OidcPeople(settings, SystemClock())
    master = Master(FakeBackend(), settings, people=people, has_pages=True)
    yield Browser(master, host="127.0.0.1:8081")
    master.pages.stop()


def at_provider(url):
    """What the provider answers the browser: where it leads back to."""
    try:
        urllib.request.build_opener(_Stays).open(url, timeout=20)
    except urllib.error.HTTPError as answer:
        return answer.headers["Location"]
    raise AssertionError("the provider leads nowhere")


def begin(browser, back="/dashboard/tasks"):
    """Go to the provider, and return the path with which it sends the browser back."""
    browser.see(f"/login?back={back}")
    [button] = browser.page.cssselect("main a.button")
    url = browser.open(button.get("href"), follow=False).headers["Location"]
    found = urlsplit(at_provider(url))
    return f"{found.path}?{found.query}"


def test_a_person_signs_in_at_the_provider_and_comes_back_to_the_page(browser):
    path = begin(browser)
    assert path.startswith("/dashboard/login/done?")
    browser.open(path)
    assert (browser.status, browser.where) == (200, "/dashboard/tasks")
    assert "operator" in browser.text
    assert browser.page.cssselect("main a.button.first"), "an operator adds tasks"


def test_who_has_no_role_is_told_why(browser, provider):
    provider.person["groups"] = ["staff"]
    browser.open(begin(browser))
    assert "has no role here" in browser.told[0]
    browser.see("/tasks")
    assert browser.where.startswith("/dashboard/login")


def test_a_login_that_began_in_another_browser_is_refused(browser, provider):
    path = begin(browser)
    begin(browser)  # another one, of this browser
    browser.open(path)
    assert browser.told == ["this login is old, or began in another browser; begin again"]
    [state] = parse_qs(urlsplit(path).query)["state"]
    browser.open(f"/dashboard/login/done?state={state}&code=x")
    assert browser.told == ["this login is old, or began in another browser; begin again"]


def test_a_provider_that_lets_nobody_in_is_told_with_its_words(browser, provider):
    provider.is_refused = True
    browser.open(begin(browser))
    assert browser.told[0].startswith("the provider let nobody in: access_denied")


def test_a_provider_that_is_away_is_told(browser, provider):
    browser.see("/login")
    provider.stop()
    browser.open("/dashboard/login/provider")
    assert browser.status == 503
    assert provider.issuer in browser.text
