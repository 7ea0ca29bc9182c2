"""What httpbin says of our requests, and what we make of its answers."""

import pytest

from crawler import FormRequest, JsonRequest, Request, Spider
from tests.site.crawling import crawled
from tests.site.httpbin import FOLDER, httpbin

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason=f"no httpbin at {FOLDER}: make test")


@pytest.fixture(scope="module")
def site():
    with httpbin() as url:
        yield url


def answers(*requests, **settings):
    """The responses to these, one after the other."""

    class Asking(Spider):
        name = "asking"

        def start(self):
            for number, request in enumerate(requests):
                yield request.replace(priority=-number, dont_filter=True)

        def parse(self, response):
            yield {"response": response}

    one_by_one = {"concurrency": 1, "host_concurrency": 1, "retries": 0}
    crawl, items = crawled(Asking, **{**one_by_one, **settings})
    assert crawl.counts.failures == 0, crawl.failures_by_reason
    return [item["response"] for item in items]


def told(request, **settings):
    """The JSON that answers it."""
    [response] = answers(request, **settings)
    return response.json()


def failure(request, **settings):
    """Why it failed."""
    spider = type("Failing", (Spider,), {"name": "failing", "start": lambda self: [request]})
    crawl, _ = crawled(spider, **{"retries": 0, **settings})
    assert crawl.counts.pages == 0
    [reason] = crawl.failures_by_reason
    return reason


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_methods_and_bodies_arrive_as_they_are(site, method):
    found = told(Request(f"{site}/anything?a=1&a=2", method=method, body=b"\x00raw"))
    assert found["method"] == method
    assert found["args"] == {"a": ["1", "2"]}
    assert found["data"] == "\x00raw"
    assert "Content-Type" not in found["headers"]


def test_head_has_headers_and_no_body(site):
    [response] = answers(Request(f"{site}/get", method="HEAD"))
    assert response.status == 200
    assert int(response.headers["content-length"]) > 100
    assert response.body == b""


def test_forms_and_json_arrive(site):
    assert told(FormRequest(f"{site}/post", formdata={"a": ["1", "2"], "ü": "ß"}))["form"] == {
        "a": ["1", "2"],
        "ü": "ß",
    }
    assert told(JsonRequest(f"{site}/put", method="PUT", data={"a": [1, None]}))["json"] == {
        "a": [1, None]
    }


def test_headers_are_the_usual_ones_and_those_of_the_request(site):
    found = told(Request(f"{site}/headers", headers={"X-Mine": "ü"}), user_agent="bot/1")
    sent = found["headers"]
    assert sent["User-Agent"] == "bot/1"
    assert {"gzip", "br"} <= set(sent["Accept-Encoding"].replace(" ", "").split(","))
    assert sent["Accept"].startswith("text/html")
    assert sent["X-Mine"].encode("latin-1").decode() == "ü"


@pytest.mark.parametrize(
    ("path", "packed"), [("/gzip", "gzipped"), ("/deflate", "deflated"), ("/brotli", "brotli")]
)
def test_packed_answers_are_unpacked(site, path, packed):
    assert told(Request(site + path))[packed] is True


def test_cookies_are_kept_changed_and_deleted(site):
    urls = ("/cookies/set?a=1&b=2", "/cookies/set/b/3", "/cookies/delete?a=", "/cookies")
    found = answers(*(Request(site + url) for url in urls))
    assert [each.json()["cookies"] for each in found] == [
        {"a": "1", "b": "2"},
        {"a": "1", "b": "3"},
        {"b": "3"},
        {"b": "3"},
    ]


@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("/basic-auth/me/pass", "basic"),
        ("/hidden-basic-auth/me/pass", "basic"),
        *(
            (f"/digest-auth/{qop}/me/pass/{algorithm}", "digest")
            for qop in ("auth", "auth-int")
            for algorithm in ("MD5", "SHA-256")
        ),
    ],
)
def test_a_login_is_right_wrong_or_missing(site, path, how):
    login = {"http_user": "me", "http_password": "pass", "http_auth": how}
    found = told(Request(site + path), **login)
    assert found["user"] == "me"
    refused = "HTTP 404" if "hidden" in path else "HTTP 401"
    assert failure(Request(site + path), **{**login, "http_password": "no"}) == refused
    assert failure(Request(site + path)) == refused


def test_a_token_is_a_header(site):
    found = told(Request(f"{site}/bearer", headers={"Authorization": "Bearer t0ken"}))
    assert found == {"authenticated": True, "token": "t0ken"}
    assert failure(Request(f"{site}/bearer")) == "HTTP 401"


@pytest.mark.parametrize("kind", ["redirect", "relative-redirect", "absolute-redirect"])
def test_redirects_are_followed_as_far_as_allowed(site, kind):
    [response] = answers(Request(f"{site}/{kind}/5"))
    assert response.url == f"{site}/get"
    assert failure(Request(f"{site}/{kind}/5"), max_redirects=4) == "too many redirects"


@pytest.mark.parametrize(
    ("status", "method"),
    [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")],
)
def test_a_redirect_keeps_the_method_or_becomes_a_get(site, status, method):
    url = f"{site}/redirect-to?url=%2Fanything&status_code={status}"
    found = told(Request(url, method="POST", body="kept"))
    assert (found["method"], found["data"]) == (method, "kept" if method == "POST" else "")


def test_streams_and_charsets_are_read_whole(site):
    paths = ("/stream/20", "/encoding/utf8", "/bytes/5000")
    stream, text, data = answers(*(Request(site + path) for path in paths))
    assert len(stream.text.splitlines()) == 20
    assert len(data.body) == 5000
    assert "STARGΛ̊TE" in text.text


def test_robots_are_obeyed(site):
    spider = type("Polite", (Spider,), {"name": "polite"})
    crawl, _ = crawled(spider, f"{site}/deny", robots=True)
    assert crawl.filtered == {"robots": 1}


@pytest.mark.parametrize(
    ("path", "reason", "settings"),
    [
        ("/status/418", "HTTP 418", {}),
        ("/delay/5", "first byte timeout", {"first_byte_timeout_s": 0.2}),
        ("/drip?numbytes=2&duration=9", "stalled", {"stall_timeout_s": 0.2}),
        ("/bytes/100000", "too large", {"max_body_bytes": 50_000}),
        ("/image/png", "content type", {"content_types": ["text/*"]}),
    ],
)
def test_each_failure_has_its_reason(site, path, reason, settings):
    assert failure(Request(site + path), **settings) == reason
