"""Requests that send data."""

import json

import pytest

from crawler import FormRequest, JsonRequest, Request, Response

LOGIN = b"""<form name=other><input name=x></form>
<form id=login action=/in method=post><input type=hidden name=csrf value=abc>
<input name=user><input type=password name=password>
<input type=checkbox name=keep><button name=do value=enter>In</button></form>"""


def page(body=LOGIN):
    return Response("http://h/dir/page?x=1", body=body)


def test_a_form_is_filled_in_and_sent_as_a_browser_would():
    made = FormRequest.from_response(
        page(), formid="login", formdata={"user": "me", "password": "ü"}, callback="entered"
    )
    assert (made.method, made.url, made.callback) == ("POST", "http://h/in", "entered")
    assert made.body == b"csrf=abc&do=enter&user=me&password=%C3%BC"
    assert dict(made.headers) == {"Content-Type": "application/x-www-form-urlencoded"}


def test_a_form_without_action_goes_to_its_page_and_get_puts_fields_into_the_query():
    made = FormRequest.from_response(page(), formdata={"x": ["1", "2"]})
    assert (made.method, made.url, made.body) == ("GET", "http://h/dir/page?x=1&x=2", None)


@pytest.mark.parametrize(
    ("body", "options", "message"),
    [
        (b"<p>none", {}, r"no form on http://h/dir/page\?x=1; allowed: a page with a <form>"),
        (LOGIN, {"formnumber": 2}, "formnumber: 2 is not allowed .*; allowed: up to 1"),
        (LOGIN, {"formcss": "p"}, "no form around .*allowed: one inside a form"),
        (LOGIN, {"formid": "login", "clickdata": {"name": "no"}}, "clickdata: .* 0 elements"),
    ],
)
def test_a_form_or_button_that_is_not_there_is_told(body, options, message):
    with pytest.raises(ValueError, match=message):
        FormRequest.from_response(page(body), **options)


def test_form_data_without_a_page():
    made = FormRequest("http://h/?old=1", formdata=[("a", 1), ("b", ["x y", "&"])])
    assert (made.method, made.url, made.body) == ("POST", "http://h/?old=1", b"a=1&b=x+y&b=%26")
    get = FormRequest("http://h/?old=1#top", method="GET", formdata={"a": "1"})
    assert (get.method, get.url) == ("GET", "http://h/?a=1#top")
    assert FormRequest("http://h/").method == "GET"


def test_json_data():
    made = JsonRequest("http://h/", data={"b": 1, "a": [None]})
    assert (made.method, json.loads(made.body)) == ("POST", {"b": 1, "a": [None]})
    assert made.headers["content-type"] == "application/json"
    assert JsonRequest("http://h/", data=[], method="PUT").method == "PUT"
    assert JsonRequest("http://h/").body is None


@pytest.mark.parametrize(
    "request_",
    [FormRequest("http://h/", formdata={"a": "1"}), JsonRequest("http://h/", data={"a": 1})],
)
def test_they_are_copied_and_written_down_as_they_are_sent(request_):
    for same in (request_.replace(priority=1), Request.from_dict(request_.to_dict())):
        assert (same.method, same.body) == (request_.method, request_.body)
        assert dict(same.headers) == dict(request_.headers)
    assert type(request_.copy()) is type(request_)
