"""Requests read from curl commands are those that bash and curl would send."""

import logging
import subprocess

import pytest

from crawler import Request

FORM = "application/x-www-form-urlencoded"
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
QUOTED = [
    r"$'a=1'",
    r"$'it\'s \"it\" \\ \?\a\b\e\E\f\r\t\v'",
    r"$'------Boundary\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1'",
    r"$'\u00e9\U0001f600 \xc3\xa9 \303\251 \x41\0501 \! \q'",
    r"$'\xff'",
    r"a$'b'c",
    r"'a $'b\'c",
    r"'cost: 5$'",
    "\"a $'b' c\"",
    r"'a\b'\a",
    "'two\\\nlines'",
    "on\\\ne",
]


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_body_is_read_as_bash_reads_it(quoted):
    bash = ["bash", "-c", f"printf %s {quoted}"]
    sent = subprocess.run(bash, capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}).stdout
    assert Request.from_curl(f"curl http://h/ --data-raw {quoted}").body == sent


def test_two_halves_of_a_character_are_one():
    assert Request.from_curl(r"curl h -d $'\ud83d\ude00'").body == "😀".encode()


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ("""--json '{"a": 1}' h""", ("POST", "http://h", JSON, b'{"a": 1}')),
        (
            """-XPUT --json '[1' -H 'accept: */*' --json ',2]' h""",
            ("PUT", "http://h", {**JSON, "Accept": "*/*"}, b"[1,2]"),
        ),
        (
            "--data-urlencode 'q=a b&c' -d d=1 --data-urlencode '=x=y' --data-urlencode 'ж' h",
            ("POST", "http://h", {"Content-Type": FORM}, b"q=a+b%26c&d=1&x%3Dy&%D0%B6"),
        ),
        ("-G -d q=1 --data-urlencode 'r=a b' h/s", ("GET", "http://h/s?q=1&r=a+b", {}, None)),
        ("-Gd q=1 'h/s?p=0#top'", ("GET", "http://h/s?p=0&q=1#top", {}, None)),
        ("--get -I h/s -d a=b", ("HEAD", "http://h/s?a=b", {}, None)),
        ("-G h/s", ("GET", "http://h/s", {}, None)),
        ("-d -5 -sSLk -ofile h", ("POST", "http://h", {"Content-Type": FORM}, b"-5")),
        ("-d '' h", ("POST", "http://h", {"Content-Type": FORM}, b"")),
        ("-H 'Accept:' -H 'X-A;' h", ("GET", "http://h", {"Accept": None, "X-A": ""}, None)),
        ("--data-raw '@me' h", ("POST", "http://h", {"Content-Type": FORM}, b"@me")),
    ],
)
def test_options_mean_what_they_mean_to_curl(options, sent):
    it = Request.from_curl(f"curl {options}")
    assert (it.method, it.url, dict(it.headers), it.body) == sent


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("-F a=b http://h/", "--form a=b: a multipart form is not read; allowed: --data-raw"),
        ("-T file http://h/", "--upload-file file: a file is not read; allowed"),
        ("-d @file http://h/", "--data @file: a file is not read; allowed"),
        ("--json @file http://h/", "--json @file: a file is not read; allowed"),
        ("--data-urlencode a@file http://h/", "--data-urlencode a@file: a file is not read"),
        ("-b jar.txt http://h/", "--cookie jar.txt: a file is not read; allowed: name=value"),
        ("http://h/ http://i/", "several URLs are given: http://h/, http://i/; allowed: one URL"),
        ("--odd 5 http://h/", "5, http://h/; allowed: one URL; --odd is not known, and may have"),
        ("http://h/ -d", "-d has no value; allowed: -d VALUE"),
        ("http://h/ -d 'a", "No closing quotation; allowed: a command as bash reads it"),
        (r"http://h/ -d $'\ud800'", "allowed: a command as bash reads it"),
    ],
)
def test_what_a_request_cannot_send_is_refused(options, told):
    with pytest.raises(ValueError, match=r"^curl command: ") as caught:
        Request.from_curl(f"curl {options}")
    assert told in str(caught.value)


def test_an_unknown_option_is_named(caplog):
    caplog.set_level(logging.WARNING)
    assert Request.from_curl("curl --odd=5 -s --compressed -! http://h/").url == "http://h/"
    [line] = caplog.records
    assert line.message == "curl command: --odd=5 -! is not known, and left out"


def test_headers_that_are_empty_or_left_out_come_back():
    headers = {"Accept": None, "X-Empty": "", "X-A": "b"}
    assert (
        dict(Request.from_curl(Request("http://h/", headers=headers).to_curl()).headers) == headers
    )


@pytest.mark.parametrize("part", ["'", '"', "$'", "\\", "$'\\", "'\"", "\\\n"])
def test_no_quotes_hold_it_up(part):
    try:
        Request.from_curl(f"curl http://h/ -d {part * 20_000}")
    except ValueError as error:
        assert "curl command" in str(error)  # noqa: PT017
