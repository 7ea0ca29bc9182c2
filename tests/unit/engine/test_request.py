"""Requests: what they are made of, made anew, and written down."""

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler import Request, Spider
from crawler.engine.http.headers import Headers, RequestHeaders
from crawler.engine.http.serialization import NotSerializable


class Two(Spider):
    name = "two"

    def parse_page(self, response):
        pass

    def failed(self, failure):
        pass


def attributes(request):
    values = {name: getattr(request, name) for name in Request.attributes}
    return {**values, "headers": dict(request.headers)}


def test_a_request_keeps_what_it_is_given_in_scrapys_order():
    made = Request(
        "http://h/", "cb", "post", {"A": "b"}, "bödy", {"c": "1"}, {"m": 1}, "latin-1", 3, True,
        "eb", ["f"], {"k": 2},
    )  # fmt: skip
    assert attributes(made) == {
        "url": "http://h/",
        "callback": "cb",
        "method": "POST",
        "headers": {"A": "b"},
        "body": "bödy".encode("latin-1"),
        "cookies": {"c": "1"},
        "meta": {"m": 1},
        "encoding": "latin-1",
        "priority": 3,
        "dont_filter": True,
        "errback": "eb",
        "flags": ["f"],
        "cb_kwargs": {"k": 2},
    }


def test_what_is_given_is_not_changed_by_the_request():
    meta = {"a": 1}
    made = Request("http://h/", meta=meta, cb_kwargs=meta)
    made.meta["b"] = made.cb_kwargs["b"] = 2
    assert meta == {"a": 1}
    assert Request("http://h/").meta == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": None}, "url of a Request is a str, got NoneType"),
        ({"url": "http://h/", "body": 5}, "body of a Request is 5; allowed: bytes or a str"),
        ({"url": "http://h/", "callback": 3}, "callback of a Request is 3; allowed: a method"),
        ({"url": "http://h/", "meta": 5}, "meta of a Request is 5; allowed: a dict"),
        (
            {"url": "http://h/", "headers": "X: 1"},
            "headers of a Request is 'X: 1'; allowed",
        ),
        (
            {"url": "http://h/", "cb_kwargs": [1]},
            r"cb_kwargs of a Request is \[1\]; allowed",
        ),
        ({"url": "http://h/", "errback": []}, r"errback of a Request is \[\]; allowed: a method"),
    ],
)
def test_what_can_be_no_request_is_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        Request(**arguments)


def test_the_query_is_in_the_encoding_of_the_page():
    assert Request("http://h/?q=ж", encoding="cp1251").url == "http://h/?q=%E6"
    assert Request("http://h/ж?q=a", encoding="cp1251").url == "http://h/%D0%B6?q=a"


def test_headers_are_found_in_any_case_and_sent_as_written():
    headers = Request("http://h/", headers={"X-Api": "1", b"Accept": [b"a", "b"]}).headers
    assert headers["x-aPI"] == "1"
    headers["x-api"] = "2"
    headers["User-Agent"] = None
    assert dict(headers) == {"x-api": "2", "Accept": "a, b", "User-Agent": None}
    del headers["ACCEPT"]
    assert "accept" not in headers
    with pytest.raises(ValueError, match="line break; allowed: one line"):
        headers["A"] = "b\r\nHost: evil"


def test_several_cookies_become_one_line_as_servers_read_it():
    headers = Request(
        "http://h/", headers={b"cookie": [b"a=1", "b=2"], "Accept": ["x", "y"]}
    ).headers
    headers.appendlist("Cookie", "c=3")
    assert dict(headers) == {"Cookie": "a=1; b=2; c=3", "Accept": "x, y"}
    headers.setlist("COOKIE", ["d=4", "e=5"])
    assert headers["cookie"] == "d=4; e=5"


def test_replace_changes_only_what_it_is_told():
    first = Request("http://h/", "cb", "POST", {"A": "b"}, b"x", meta={"m": 1}, priority=3)
    second = first.replace(url="http://h/2", priority=0)
    assert attributes(second) == {**attributes(first), "url": "http://h/2", "priority": 0}
    assert second.meta is not first.meta
    assert attributes(first.copy()) == attributes(first)

    class Own(Request):
        pass

    assert type(first.replace(cls=Own)) is Own
    assert type(Own("http://h/").copy()) is Own


@pytest.mark.parametrize("body", [None, b"", "text ✓".encode(), b"\xff\x00"])
def test_a_request_is_written_down_and_resumed(body):
    spider = Two()
    request = Request(
        "http://h/?a=1", spider.parse_page, "PUT", {"A": "b"}, body, [{"name": "c", "value": "d"}],
        {"m": [1, {"n": None}]}, "latin-1", -3, True, spider.failed, ["f"], {"k": 2.5},
    )  # fmt: skip
    line = json.dumps(request.to_dict(spider=spider))
    resumed = Request.from_dict(json.loads(line))
    named = {"callback": "parse_page", "errback": "failed"}
    assert attributes(resumed) == {**attributes(request), **named}
    assert json.dumps(resumed.to_dict()) == line


def test_defaults_are_not_written():
    assert Request("http://h/").to_dict() == {"url": "http://h/"}


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
KEYS = st.text() | st.integers()


@given(
    st.recursive(
        LEAVES, lambda each: st.lists(each) | st.tuples(each) | st.dictionaries(KEYS, each)
    )
)
def test_what_is_written_is_read_the_same_or_refused(value):
    request = Request("http://h/", meta={"v": value})
    try:
        line = json.dumps(request.to_dict())
    except NotSerializable:
        return
    assert Request.from_dict(json.loads(line)).meta == {"v": value}


@pytest.mark.parametrize("value", [(1,), b"a", {1: 2}, float("nan"), object(), {"a": [set()]}])
def test_what_json_would_change_is_not_written(value):
    with pytest.raises(NotSerializable, match=r"meta\.v.* is not allowed.*; allowed: texts"):
        Request("http://h/", meta={"v": value}).to_dict()


@pytest.mark.parametrize("headers", [Headers, RequestHeaders])
@pytest.mark.parametrize("part", ["meta", "cb_kwargs", "cookies"])
def test_the_text_of_a_header_is_written_as_a_text(headers, part):
    seen = headers({"X-Shop": "tea"})
    [name] = seen
    line = json.dumps(Request("http://h/", **{part: {name: [seen["x-shop"]]}}).to_dict())
    [(key, [value])] = getattr(Request.from_dict(json.loads(line)), part).items()
    assert (key.lower(), value) == ("x-shop", "tea")
    assert type(key) is type(value) is str


@pytest.mark.parametrize("callback", [lambda response: None, Two().parse_page, Two.parse_page])
def test_only_methods_of_the_spider_can_be_written(callback):
    with pytest.raises(NotSerializable, match=r"callback: .* allowed: a method of the spider"):
        Request("http://h/", callback).to_dict(spider=Two())


def test_a_method_that_another_hides_has_no_name():
    class Three(Two):
        def parse_page(self, response):
            pass

    hidden = super(Three, Three()).parse_page
    with pytest.raises(NotSerializable, match="the spider has another 'parse_page'"):
        Request("http://h/", hidden).to_dict()


def test_to_curl_is_a_command_a_shell_understands():
    request = Request(
        "http://h/?a=1&b='2'", None, "POST", {"A": "b c", "Accept": None}, "x=1 'y'", {"k": "v"}
    )
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {request.to_curl()}"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.splitlines()
    assert words == [
        "curl", "-X", "POST", "http://h/?a=1&b='2'", "-H", "A: b c", "-H", "Accept:",
        "--cookie", "k=v", "--data-raw", "x=1 'y'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        ("curl http://h/x", ("GET", "http://h/x", {}, {}, None)),
        ("$ curl -s --compressed h/x -o file", ("GET", "http://h/x", {}, {}, None)),
        (
            "curl 'http://h/' \\\n -H 'accept: */*' -H 'Cookie: a=1; b=2' -b c=3 --data-raw 'x=1'",
            (
                "POST",
                "http://h/",
                {"Accept": "*/*", "Content-Type": "application/x-www-form-urlencoded"},
                {"a": "1", "b": "2", "c": "3"},
                b"x=1",
            ),
        ),
        (
            "curl --url http://h/ -X put -d a -d b -H 'Content-Type: text/plain' -u me:secret -A x",
            (
                "PUT",
                "http://h/",
                {
                    "Content-Type": "text/plain",
                    "User-Agent": "x",
                    "Authorization": "Basic bWU6c2VjcmV0",
                },
                {},
                b"a&b",
            ),
        ),
        ("curl -I http://h/", ("HEAD", "http://h/", {}, {}, None)),
    ],
)
def test_a_request_is_read_from_a_curl_command(command, sent):
    it = Request.from_curl(command, callback="parse")
    assert (it.method, it.url, dict(it.headers), it.cookies, it.body) == sent
    assert it.callback == "parse"


def test_what_to_curl_writes_from_curl_reads():
    it = Request(
        "http://h/?a=b c", method="PUT", headers={"X-A": "b"}, cookies={"c": "d"}, body="é"
    )
    again = Request.from_curl(it.to_curl(), headers=it.headers)
    assert again.to_dict() == it.to_dict()


@pytest.mark.parametrize("command", ["", "wget http://h/", "curl -s", "curl -X"])
def test_what_is_no_curl_command_is_told(command):
    with pytest.raises(ValueError, match="curl"):
        Request.from_curl(command)
    with pytest.raises(ValueError, match="--odd is not known"):
        Request.from_curl("curl --odd http://h/", ignore_unknown_options=False)


def test_cookies_may_be_added_to_a_request():
    it = Request("http://h/")
    it.cookies["a"] = "1"
    assert it.replace().cookies == {"a": "1"}
    assert "cookies" not in Request("http://h/").to_dict()
