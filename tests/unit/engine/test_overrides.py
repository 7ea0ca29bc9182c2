"""Crawl settings over crawl settings: what is allowed, and what is said about the rest."""

import dataclasses

import pytest

from crawler.errors import InvalidArgument
from crawler.settings.crawl import CrawlSettings, Limit
from crawler.settings.overrides import MOST_TOLD, faults, override, parsed


def test_given_fields_replace_and_the_rest_stays():
    base = CrawlSettings(delay_s=3.0)
    changed = override(base, {"retries": 5, "robots": False, "retry_statuses": [500]}, "x")
    assert changed == dataclasses.replace(base, retries=5, robots=False, retry_statuses=[500])


def test_a_whole_number_will_do_for_seconds():
    delay_s = override(CrawlSettings(), {"delay_s": 2}, "x").delay_s
    assert (delay_s, type(delay_s)) == (2.0, float)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("delay_s", -0.1, "a number from 0 to 3600 s"),
        ("delay_s", "1", "a number from 0 to 3600 s"),
        ("delay_s", True, "a number"),
        ("delay_s", float("nan"), "a number from 0"),
        ("retries", 1.5, "a whole number from 0 to 100"),
        ("retries", 101, "a whole number from 0 to 100"),
        ("robots", 1, "true or false"),
        ("user_agent", None, "a text"),
        ("retry_statuses", 500, "a list, each a whole number from 400 to 599"),
        ("retry_statuses", [200], "a whole number from 400 to 599"),
        ("retry_statuses", "500", "a list"),
        ("limits", {"events": 1}, "a list, each a mapping of events (a whole number from 1 to"),
        ("limits", [{"events": 0}], "events (a whole number from 1 to 1000000)"),
        ("limits", [{"evnets": 1}], "events (a whole"),
    ],
)
def test_a_fault_names_field_value_and_what_is_allowed(key, value, allowed):
    [fault] = faults({key: value}, "parameters.settings")
    assert fault.startswith(f"parameters.settings.{key}: {value!r} is not allowed; allowed: ")
    assert allowed in fault


def test_every_fault_is_told_and_unknown_keys_are_faults():
    with pytest.raises(InvalidArgument) as raised:
        override(CrawlSettings(), {"delay": 1, "retries": -1}, "custom_settings")
    text = str(raised.value)
    assert "custom_settings.delay: unknown crawl setting; did you mean delay_s?" in text
    assert "adaptive" not in text, "nobody reads seventy names"
    assert "custom_settings.retries: -1 is not allowed" in text


def test_an_error_stays_short_whatever_was_given():
    many = faults({f"delay_{number}": 1 for number in range(50_000)}, "x")
    assert len(many) == MOST_TOLD
    [name] = faults({"delay" * 200_000: 1}, "x")
    assert "did you mean" not in name
    secret = [f"http://me:secret@host:{number}" for number in range(99_990, 99_999)]
    for changes in ({"sinks": "s" * 10**6}, {"retry_statuses": [500] * 10**5 + [1]}, [1] * 10**6):
        [fault] = faults(changes, "x")
        assert len(fault) < 500
    [fault] = faults({"proxies": secret * 5}, "x")
    assert "secret" not in fault


def test_of_a_long_list_the_item_at_fault_is_named():
    [fault] = faults({"retry_statuses": [500] * 100 + [200]}, "x")
    assert fault.startswith("x.retry_statuses[100]: 200 given; a whole number from 400 to 599 is")


def test_it_must_be_a_mapping():
    assert faults([1], "x") == ["x: [1] is not allowed; allowed: a mapping of crawl settings"]


def test_a_rate_limit_is_given_as_a_mapping():
    changed = override(CrawlSettings(), {"limits": [{"events": 10, "per_s": 60}]}, "x")
    assert changed.limits == [Limit(10, 60.0, burst=1)]


def test_settings_given_as_text_are_those_given_as_values():
    texts = {"delay_s": "2", "limits": "[{burst: 3}]", "retry_statuses": "500, 503", "no": "x"}
    assert parsed(texts) == {
        "delay_s": 2,
        "limits": [{"burst": 3}],
        "retry_statuses": [500, 503],
        "no": "x",
    }


def test_every_default_is_allowed():
    assert faults(dataclasses.asdict(CrawlSettings()), "x") == []


def test_a_header_is_one_line_with_a_name():
    for wrong in ({"X-A": "a\r\nHost: evil"}, {"X A": "a"}, {"": "a"}, 3):
        assert faults({"headers": wrong}, "s")
    assert faults({"headers": {"X-A": "a b: c"}}, "s") == []
