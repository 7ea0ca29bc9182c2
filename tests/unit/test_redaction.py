"""Values of secrets are hidden in every form in which a text may have them."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@given(value=VALUES, before=TEXTS, after=TEXTS)
def test_no_form_of_a_value_is_left(way, value, before, after):
    hidden = Redactor({value: "\0"}).hide(before + way(value) + after)
    assert value not in hidden
    assert "\0" in hidden


@given(VALUES)
def test_of_a_value_that_an_error_cuts_off_less_is_left_than_can_be_hidden(value):
    told = f"password: {shown(f'p={value}')} is not allowed"
    hidden = Redactor({value: "secret:p"}).hide(told)
    written = repr(value)[1:-1]
    assert f"p={written[:LEAST]}" not in hidden or len(written) < LEAST


@given(st.recursive(TEXTS | st.integers() | st.none(), lambda a: st.lists(a) | st.tuples(a, a)))
def test_what_has_no_secret_stays_as_it_is(value):
    found = Redactor({"\0\1\2\3": "secret:p"}).hidden(value)
    assert json.dumps(found) == json.dumps(value)


def test_texts_are_found_at_any_depth():
    told = {"a open sesame": [("open sesame!", 5, None, True, 1.5)], "e": ValueError("open sesame")}
    assert Redactor({"open sesame": "secret:p"}).hidden(told) == {
        "a secret:p": [["secret:p!", 5, None, True, 1.5]],
        "e": "secret:p",
    }


def test_a_value_of_several_lines_is_hidden_line_by_line():
    redactor = Redactor({"-----BEGIN\nabcdef\n\nx\n": "secret:key"})
    assert redactor.hide("it said abcdef") == "it said secret:key"


def test_the_longest_value_counts_and_the_first_name_stays():
    redactor = Redactor({"open": "secret:short", "open sesame": "secret:long"})
    redactor.add({"open": "secret:other"})
    assert redactor.hide("open sesame, open") == "secret:long, secret:short"


def test_a_value_that_is_too_short_is_not_looked_for():
    assert Redactor({"abc": "secret:p"}).hide("abc") == "abc"
