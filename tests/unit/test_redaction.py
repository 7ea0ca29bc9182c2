"""Values of secrets are hidden in every form in which a text may have them."""

import base64
import itertools
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crawler.engine.http import urls
from crawler.engine.http.url_forms import forms_in_urls
from crawler.errors import shown
from crawler.redaction import LEAST, Redactor

VALUES = st.text(st.characters(codec="utf-8"), min_size=LEAST, max_size=100)
TEXTS = st.text(max_size=30)
WAYS = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON with letters": lambda value: json.dumps(value, ensure_ascii=False),
    "Python": repr,
    "the path of a URL": quote,
    "a part of a URL": lambda value: quote(value, safe=""),
    "the query of a URL": quote_plus,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "Basic": lambda value: base64.b64encode(f"me:{value}".encode()).decode(),
    "base64 after four bytes": lambda value: base64.b64encode(f"user{value}x".encode()).decode(),
    "base64 of URLs": lambda value: base64.urlsafe_b64encode(f"user:{value}".encode()).decode(),
    "base64 without padding": lambda value: base64.b64encode(value.encode()).decode().rstrip("="),
    "bytes": lambda value: repr(value.encode()),
    "small escapes": lambda value: re.sub("%..", lambda found: found[0].lower(), quote(value)),
    "path": lambda value: path(value),
    "login": lambda value: login(value).href,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@given(value=VALUES, before=TEXTS, after=TEXTS)
def test_no_form_of_a_value_is_left(way, value, before, after):
    redactor = Redactor({value: "\0"})
    redactor.know(forms_in_urls)
    hidden = redactor.hide(f"{before} {way(value)} {after}")
    assert value not in hidden
    assert "\0" in hidden


def path(value):
    """A URL with a value in its path, if that is one part of it."""
    assume(not set("#/\\") & set(value))
    return urls.safe(f"http://h/-{value}-")


def login(value):
    url = urls.parse("http://h/")
    url.password = value
    return url


@given(VALUES)
def test_of_a_value_that_an_error_cuts_off_less_is_left_than_can_be_hidden(value):
    told = f"password: {shown(f'p={value}')} is not allowed"
    hidden = Redactor({value: "secret:p"}).hide(told)
    written = repr(value)[1:-1]
    assert f"p={written[:LEAST]}" not in hidden or len(written) < LEAST


@given(st.recursive(TEXTS | st.integers() | st.none(), lambda a: st.lists(a) | st.tuples(a, a)))
def test_what_has_no_secret_stays_as_it_is(value):
    found = Redactor({"\0\1\2\3" * 2: "secret:p"}).hidden(value)
    assert json.dumps(found) == json.dumps(value)


def test_texts_are_found_at_any_depth():
    told = {"a open sesame": [("open sesame!", 5, None, True, 1.5)], "e": ValueError("open sesame")}
    assert Redactor({"open sesame": "secret:p"}).hidden(told) == {
        "a secret:p": [["secret:p!", 5, None, True, 1.5]],
        "e": "secret:p",
    }


def test_a_value_of_several_lines_is_hidden_line_by_line():
    redactor = Redactor({"-----BEGIN\n abcdefgh\n\nx\nusername": "secret:key"})
    assert redactor.hide("it said 'abcdefgh', x and user") == "it said 'secret:key', x and user"


def test_the_longest_value_counts_and_the_first_name_stays():
    redactor = Redactor({"open wide": "secret:short", "open wide sesame": "secret:long"})
    redactor.add({"open wide": "secret:other"})
    assert redactor.hide("open wide sesame, open wide") == "secret:long, secret:short"


def test_a_value_that_is_too_short_is_not_looked_for():
    assert Redactor({"abcdefg": "secret:p"}).hide("abcdefg") == "abcdefg"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("Gr@ß!2024", "http://h/Gr@%C3%9F!2024/x"),
        ("Gr@ß!2024", "http://h/?q=Gr@%C3%9F!2024"),
        ("key word ß#2024", "http://h/?q=key%20word%20%C3%9F"),
        ("Gr@ß!2024", "http://me:Gr%40%c3%9f!2024@h/"),
        (" a key word ", "with 'a key word'"),
        ("http://me:pass word@Shop.example/x?token=a b&a=1", "http://shop.example/x?a=1&token=a+b"),
        ("http://me:pass word@Shop.example/x?token=a b", "GET /y?token=a%20b"),
        ("http://me:pass word@Shop.example/", "login me:pass%20word"),
    ],
)
def test_a_value_is_found_as_the_engine_writes_it_in_urls(value, told):
    redactor = Redactor({value: "secret:p"})
    redactor.know(forms_in_urls)
    hidden = redactor.hide(told)
    assert "secret:p" in hidden
    assert not re.search("Gr|2024|key|token|word", hidden)


def test_the_site_of_a_url_is_no_secret():
    redactor = Redactor({"http://me:password@shop.example/": "secret:p"})
    redactor.know(forms_in_urls)
    assert redactor.hide("http://shop.example/a") == "http://shop.example/a"


KEY = "-----BEGIN PRIVATE KEY-----\n"


TEXTS_LIKE_KEYS = ["a line ...\n" * 6000, f"{KEY}...\n" * 2000, "-" * 65_536, f"{KEY[:20]}x" * 3000]


def test_many_long_values_are_looked_for_in_a_long_text_at_once():
    """With an expression of all forms each text takes minutes, and so does each value."""
    long = [
        KEY + "\n".join(f"{number:08}{line:056}" for line in range(120)) for number in range(400)
    ]
    redactor = Redactor()
    for number, value in enumerate(long):
        redactor.add({value: f"secret:{number}"})
    for text, each in itertools.product(TEXTS_LIKE_KEYS, range(10)):
        assert "PRIVATE KEY" not in redactor.hide(f"{each}{text}{KEY}...")
    assert redactor.hide(long[7]) == "secret:7"
    redactor.forget(long)
    assert redactor.hide(long[7]) == long[7]
    assert not redactor.size


def test_a_form_of_two_values_stays_hidden_until_both_are_forgotten():
    redactor = Redactor({"a key word": "secret:a", " a key word": "secret:b"})
    redactor.forget(["a key word"])
    assert redactor.hide("a key word") == "secret:b"
    redactor.forget([" a key word"])
    assert redactor.hide("a key word") == "a key word"


@given(VALUES, st.data())
def test_a_text_that_comes_in_parts_tells_no_value(value, data):
    redactor = Redactor({value: "\0"})
    text = data.draw(TEXTS) + value + data.draw(TEXTS)
    told, rest = "", ""
    while text:
        size = data.draw(st.integers(1, len(text)))
        part, rest = redactor.hide_begun(rest + text[:size])
        told, text = told + part, text[size:]
    assert value not in told + redactor.hide(rest)
    assert "\0" in told + redactor.hide(rest)
