"""Requests that send data."""

import json
from urllib.parse import parse_qsl, urlsplit

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


def test_other_data_makes_another_body():
    made = JsonRequest("http://h/", data={"b": 1, "a": 2}, dumps_kwargs={"indent": 1})
    assert made.replace(data={"d": 1, "c": 2}).body == b'{\n "c": 2,\n "d": 1\n}'
    assert made.replace(url="http://h/2").body == made.body
    assert made.replace(data=[1], body=b"x").body == b"x"
    assert made.replace(data=[1], method="PUT").method == "PUT"
    plain = made.replace(cls=Request)
    assert (type(plain), plain.body, plain.method) == (Request, made.body, "POST")
    assert json.loads(Request("http://h/").replace(cls=JsonRequest, data=[1]).body) == [1]


@pytest.mark.parametrize(
    "request_",
    [FormRequest("http://h/", formdata={"a": "1"}), JsonRequest("http://h/", data={"a": 1})],
)
def test_they_are_copied_and_written_down_as_they_are_sent(request_):
    for same in (request_.replace(priority=1), Request.from_dict(request_.to_dict())):
        assert (same.method, same.body) == (request_.method, request_.body)
        assert dict(same.headers) == dict(request_.headers)
    assert type(request_.copy()) is type(request_)


def sent(inside, form="method=post", charset="utf-8", **options):
    """The fields that a form sends, as text."""
    body = f"<form {form}>{inside}</form>".encode(charset)
    response = Response("http://h/d/p?x=1", body=body, encoding=charset)
    made = FormRequest.from_response(response, **options)
    query = made.body.decode("ascii") if made.method == "POST" else urlsplit(made.url).query
    return parse_qsl(query, keep_blank_values=True, encoding=made.encoding)


@pytest.mark.parametrize(
    ("inside", "fields"),
    [
        ("<select name=c disabled><option>1</select>", []),
        ("<fieldset disabled><fieldset><input name=c></fieldset></fieldset>", []),
        ("<fieldset disabled><p><legend><input name=c></legend></p></fieldset>", []),
        (
            "<fieldset disabled><legend><input name=c></legend>"
            "<legend><input name=d></legend></fieldset>",
            ["c="],
        ),
        ("<fieldset disabled><select name=c><option>1</select></fieldset><input name=d>", ["d="]),
        ("<fieldset disabled><form><legend><input name=c></legend></form></fieldset>", []),
        (
            "<fieldset disabled><p>a</p><legend><b><input name=c></b><fieldset disabled>"
            "<input name=d></fieldset></legend><input name=e></fieldset>",
            ["c="],
        ),
        ("<fieldset disabled><fieldset><legend><input name=c></legend></fieldset>", []),
        ("<fieldset DISABLED=''><textarea name=c></textarea></fieldset>", []),
        ("<datalist><input name=c><select name=d><option>1</select></datalist>", []),
        ("<input name=c type=RESET value=1><button name=d type=Button value=1></button>", []),
        ("<input name='' value=1><input value=2>", []),
        ("<input name=c type=strange value=1>", ["c=1"]),
    ],
)
def test_what_cannot_be_filled_in_is_not_sent(inside, fields):
    assert [f"{name}={value}" for name, value in sent(inside)] == fields


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ("<option> a \n b </option><option>2", ["a b"]),
        ("<option><b>bold</b> <i>text</i></option>", ["bold text"]),
        ("<option value=''>x", [""]),
        ("<option selected>1<option selected>2", ["2"]),
        ("<optgroup disabled><option>1</optgroup><optgroup><option>2</optgroup>", ["2"]),
        ("<optgroup disabled><option selected>1</optgroup><option>2", []),
        ("<option disabled>1", []),
        ("", []),
    ],
)
def test_a_select_sends_what_it_shows(options, values):
    assert sent(f"<select name=s>{options}</select>") == [("s", value) for value in values]


def test_lists_from_which_nothing_is_chosen_send_nothing():
    assert sent("<select name=s size=2><option>1</select>") == []
    assert sent("<select name=s multiple><option>1</select>") == []
    many = "<select name=s multiple><option selected>1<option><option selected disabled>3</select>"
    assert sent(many) == [("s", "1")]


def test_of_the_radio_buttons_of_a_name_the_last_that_is_checked_counts():
    one = "<input type=radio name=r value={} checked>"
    assert sent(one.format(1) + one.format(2) + "<input type=Radio name=r value=3>") == [("r", "2")]
    assert sent("<input type=CheckBox name=c checked>") == [("c", "on")]


@pytest.mark.parametrize(
    ("control", "value"),
    [
        ("<textarea name=v>\r\na\rb\n\nc</textarea>", "a\r\nb\r\n\r\nc"),
        ("<textarea name=v>\n\na</textarea>", "\r\na"),
        ("<input name=v value='a\nb'>", "ab"),
        ("<input type=hidden name=v value='a\nb'>", "a\r\nb"),
        ("<input type=Email name=v value=' a@b '>", "a@b"),
        ("<input type=number name=v value=ten>", ""),
        ("<input type=number name=v value=-1.5e3>", "-1.5e3"),
        ("<input type=range name=v min=10 max=20>", "15"),
        ("<input type=color name=v value=red>", "#000000"),
        ("<input type=color name=v value='#AABBCC'>", "#aabbcc"),
        ("<input type=file name=v value=x>", ""),
        ("<input type=hidden name=v value='~*-._ +'>", "~*-._ +"),
    ],
)
def test_a_value_is_sent_as_browsers_keep_it(control, value):
    assert sent(control) == [("v", value)]


def test_a_name_with_a_line_break_and_a_given_value_have_crlf_too():
    assert sent("<input name=a>", formdata={"a": "1\n2", "b": b"3\r4", "c": 5}) == [
        ("a", "1\r\n2"),
        ("b", "3\r\n4"),
        ("c", "5"),
    ]


def test_controls_belong_to_the_form_that_they_name():
    body = (
        b"<input form=f name=before><form id=f method=post><input name=a><input form=g name=b>"
        b"<input form=none name=c></form><form id=g></form><button form=f name=go value=1></button>"
        b"<form id=f></form>"
    )
    made = FormRequest.from_response(page(body))
    assert made.body == b"before=&a=&go=1"
    made = FormRequest.from_response(page(body), clickdata={"name": "go"})
    assert made.body == b"before=&a=&go=1"
    assert FormRequest.from_response(page(body), formid="g").url == "http://h/dir/page?b="


def test_the_clicked_button_stands_where_it_is_and_may_change_everything():
    inside = (
        "<button name=go value=1 formaction=/own formmethod=POST formenctype=Text/Plain></button>"
        "<input name=a value='\u00e9'>"
    )
    made = FormRequest.from_response(page(f"<form action=/f enctype=x>{inside}</form>".encode()))
    assert (made.method, made.url, made.body) == (
        "POST",
        "http://h/own",
        "go=1\r\na=é\r\n".encode(),
    )
    assert made.headers["content-type"] == "text/plain"
    unclicked = FormRequest.from_response(
        page(f"<form action=/f enctype=x>{inside}</form>".encode()), dont_click=True
    )
    assert unclicked.url == "http://h/f?a=%C3%A9"


@pytest.mark.parametrize(
    ("buttons", "fields"),
    [
        ("<input type=IMAGE name=i value=1>", [("i.x", "0"), ("i.y", "0")]),
        ("<input type=image>", [("x", "0"), ("y", "0")]),
        ("<button type=reset name=r></button><button name=b></button>", [("b", "")]),
        ("<button type=odd name=b value=1></button>", [("b", "1")]),
        ("<input type=submit disabled name=a><input type=Submit name=b>", [("b", "")]),
        ("<fieldset disabled><button name=a></button></fieldset>", []),
    ],
)
def test_the_first_button_that_can_be_clicked_is(buttons, fields):
    assert sent(buttons) == fields


def test_a_type_in_clickdata_has_no_case():
    buttons = "<button type=Submit name=a></button><button type=button name=b></button>"
    assert sent(buttons, clickdata={"type": "submit"}) == [("a", "")]


@pytest.mark.parametrize(
    ("form", "charset", "value"),
    [
        ("", "utf-8", b"v=%C5%BC"),
        ("", "iso-8859-2", b"v=%BF"),
        ("", "utf-16", b"v=%C5%BC"),
        ("accept-charset='none, ISO-8859-2 utf-8'", "utf-8", b"v=%BF"),
        ("accept-charset=none", "iso-8859-2", b"v=%C5%BC"),
        ("accept-charset=us-ascii", "utf-8", b"v=%26%23380%3B"),
    ],
)
def test_a_form_is_sent_in_its_encoding_or_that_of_its_page(form, charset, value):
    body = f"<form method=post {form}><input name=v value=\u017c></form>".encode(charset)
    response = Response("http://h/", body=body, encoding=charset)
    assert FormRequest.from_response(response).body == value


def test_a_field_can_ask_for_the_name_of_the_encoding_or_the_direction():
    charset = "<input type=hidden name=_charset_ value=x>"
    assert sent(charset, "method=post accept-charset=latin1") == [("_charset_", "windows-1252")]
    assert sent("<input name=a dirname=a.dir>") == [("a", ""), ("a.dir", "ltr")]
    assert sent("<p dir=RTL><textarea name=a dirname=d></textarea>") == [("a", ""), ("d", "rtl")]
    auto = "<input name=a value='1 שלום' dir=auto dirname=d>"
    assert sent(auto)[1] == ("d", "rtl")


def test_a_form_with_files_is_sent_in_parts():
    body = (
        "<form method=post enctype=Multipart/Form-Data><input name='a\"b' value='é'>"
        "<input type=file name=f><textarea name=t>1\n2</textarea></form>"
    ).encode()
    made, again = (FormRequest.from_response(page(body)) for _ in range(2))
    kind, _, boundary = made.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    parts = made.body.decode().split(f"--{boundary}")
    assert parts[1:] == [
        '\r\nContent-Disposition: form-data; name="a%22b"\r\n\r\né\r\n',
        '\r\nContent-Disposition: form-data; name="f"; filename=""\r\n'
        "Content-Type: application/octet-stream\r\n\r\n\r\n",
        '\r\nContent-Disposition: form-data; name="t"\r\n\r\n1\r\n2\r\n',
        "--\r\n",
    ]
    assert (made.body, made.headers["content-type"]) == (again.body, again.headers["content-type"])


def test_a_get_replaces_the_query_and_an_unknown_method_is_get():
    for form in ("action='/f?old=1#part'", "action='/f?old=1#part' method=put enctype=text/plain"):
        assert FormRequest.from_response(page(f"<form {form}>".encode())).url == "http://h/f#part"


def test_a_dialog_sends_nothing_unless_a_button_does():
    body = b"<form method=Dialog><button name=a></button><button name=b formmethod=get></button>"
    with pytest.raises(ValueError, match="method=dialog and sends nothing; allowed: "):
        FormRequest.from_response(page(body))
    assert FormRequest.from_response(page(body), clickdata={"name": "b"}).url.endswith("?b=")
    assert FormRequest.from_response(page(body), method="POST").body == b"a="


def test_a_form_in_a_template_is_no_form_of_the_page():
    template = "<template><form action=/t><input name=a value=1></form></template>"
    made = FormRequest.from_response(page(f"{template}<form action=/f id=x>".encode()))
    assert made.url == "http://h/f"
    with pytest.raises(ValueError, match="no form on"):
        FormRequest.from_response(page(template.encode()))
