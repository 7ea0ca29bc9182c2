"""Texts that would be more than one line on the wire are refused where they are set."""

import pytest

from crawler import FormRequest, Request
from crawler.engine.crawl.sender import Sender
from crawler.engine.frontier.job import Job
from crawler.engine.http.messages import FetchError
from crawler.errors import ConfigError
from crawler.settings import config, wire
from crawler.settings.crawl import CrawlSettings
from crawler.settings.overrides import faults


def refused(request):
    """Why a request is not sent; empty if it is."""
    try:
        Sender(CrawlSettings(), None).call(Job(request, request.url, 0, 0))
    except FetchError as error:
        return str(error) if error.reason == "bad request" else error.reason
    return ""


LINES = ["a\r\nX-Injected: 1", "a\nb", "a\rb", "a\x00b", "a\x1bb", "a\x7f"]


@pytest.mark.parametrize("text", LINES)
@pytest.mark.parametrize(
    ("setting", "wrapped"),
    [
        ("user_agent", lambda text: text),
        ("user_agents", lambda text: ["fine/1", text]),
        ("headers", lambda text: {"X-A": text}),
        ("headers", lambda text: {text: "a"}),
        ("http_user", lambda text: text),
        ("http_auth_domain", lambda text: text),
        ("robots_user_agent", lambda text: text),
        ("http_password", lambda text: text),
        ("proxies", lambda text: [f"http://{text}:1"]),
        ("proxies", lambda text: [f"http://h:1{text}"]),
    ],
)
def test_a_setting_is_one_line(setting, wrapped, text):
    [fault] = faults({setting: wrapped(text)}, "settings")
    assert fault.startswith(f"settings.{setting}: ")
    assert "; allowed: " in fault


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Length", "5"),
        ("transfer-encoding", "chunked"),
        ("Trailer", "X"),
        ("UPGRADE", "h2c"),
        ("HTTP2-Settings", "x"),
        ("Connection", "upgrade"),
        ("connection", "close, X-A"),
    ],
)
def test_a_header_about_the_frame_of_a_request_is_the_crawlers(tmp_path, name, value):
    [fault] = faults({"headers": {name: value}}, "settings")
    assert name in fault
    assert "Transfer-Encoding" in fault.partition("allowed:")[2]
    for made in (
        Request("http://h/", headers={name: value}),
        FormRequest("http://h/", formdata={"a": "b"}, headers={name.encode(): value}),
    ):
        assert name in refused(made)
    file = tmp_path / "config.yaml"
    file.write_text(f"crawl: {{headers: {{{name}: '{value}'}}}}")
    with pytest.raises(ConfigError, match=rf"crawl\.headers\[{name}\]: .* is allowed"):
        config.load(str(file), {})


@pytest.mark.parametrize(
    "headers",
    [
        {"Connection": "keep-alive"},
        {"Connection": "Close"},
        {"Host": "shop.example"},
        {"X-A": "tab\there"},
        {"TE": "trailers", "Upgrade-Insecure-Requests": "1"},
        {"X-A": ""},
    ],
)
def test_what_browsers_send_may_be_sent(headers):
    assert faults({"headers": headers}, "settings") == []
    assert refused(Request("http://h/", headers=headers)) == ""


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ä", "a\n", ":authority"])
def test_a_name_of_a_header_is_a_token(name):
    if "\n" in name:
        with pytest.raises(ValueError, match="line break"):
            Request("http://h/", headers={name: "x"})
    else:
        assert "no name of a header" in refused(Request("http://h/", headers={name: "x"}))


@pytest.mark.parametrize("method", ["GET /\r\n", "A B", "", "GÉT", "\u2603"])
def test_a_method_is_a_token(method):
    assert "allowed: GET, POST" in refused(Request("http://h/", method=method))


@pytest.mark.parametrize("method", [None, b"GET", 5])
def test_a_method_is_a_text(method):
    with pytest.raises(TypeError, match=r"method of a Request is .*; allowed: GET, POST"):
        Request("http://h/", method=method)


def test_own_methods_are_sent():
    assert refused(Request("http://h/", method="propfind")) == ""


@pytest.mark.parametrize("value", LINES)
def test_the_value_of_a_header_is_one_line(value):
    for given in (value, value.encode(), ["x", value]):
        if "\r" in value or "\n" in value:
            with pytest.raises(ValueError, match=r"'X-A'.*allowed: one line"):
                Request("http://h/", headers={"X-A": given})
        else:
            assert "allowed: one line" in refused(Request("http://h/", headers={"X-A": given}))
    assert not wire.is_line(value)


def test_a_user_has_no_colon():
    assert faults({"http_user": "a:b"}, "settings")
    assert CrawlSettings().http_user == ""
