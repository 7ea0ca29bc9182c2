"""Scrapy's names of settings."""

import dataclasses
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from crawler import Spider
from crawler.engine.engine import Engine
from crawler.engine.spiders.loader import load_spiders
from crawler.errors import ConfigError
from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings
from crawler.settings.scrapy_names import NAMES, SWITCHES, faults, of_class, translated, unknown
from crawler.settings.scrapy_unsupported import NEEDLESS, NEEDLESS_AT, instead, told
from tests.site.crawling import ListSink

ROOT = Path(__file__).parents[3]
SPIDER = """
from crawler import Spider

class One(Spider):
    name = "one"
    custom_settings = {settings}
"""


def test_each_is_a_setting_of_a_crawl():
    assert set(NAMES.values()) <= {field.name for field in dataclasses.fields(CrawlSettings)}


def test_the_values_are_taken_over():
    assert translated({"DOWNLOAD_DELAY": 2, "RETRY_HTTP_CODES": [500], "max_depth": 3}) == {
        "delay_s": 2,
        "retry_statuses": [500],
        "max_depth": 3,
    }


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ({"RETRY_ENABLED": False, "RETRY_TIMES": 5}, {"retries": 0}),
        ({"RETRY_ENABLED": True, "RETRY_TIMES": 5}, {"retries": 5}),
        ({"REDIRECT_ENABLED": False}, {"max_redirects": 0}),
        ({"ROBOTSTXT_USER_AGENT": "Bot"}, {"robots_user_agent": "Bot"}),
        ({"DOWNLOAD_MAXSIZE": 0}, {"max_body_bytes": 2**40}),
        ({"DOWNLOAD_DELAY": 1, "delay_s": 2}, {"delay_s": 2}),
        ({"MY_KEY": 1}, {}),
        ({"AUTOTHROTTLE_ENABLED": True}, {"adaptive": 1.0}),
        ({"AUTOTHROTTLE_ENABLED": True, "AUTOTHROTTLE_TARGET_CONCURRENCY": 4}, {"adaptive": 4}),
        ({"AUTOTHROTTLE_TARGET_CONCURRENCY": 4}, {}),
        ({"RANDOMIZE_DOWNLOAD_DELAY": True}, {"delay_random": 0.5}),
        ({"CLOSESPIDER_ITEMCOUNT": 10}, {"max_items": 10}),
        ({"HTTPCACHE_ENABLED": True}, {"cache": "always"}),
        ({"HTTPCACHE_ENABLED": False}, {"cache": "none"}),
        (
            {"HTTPCACHE_ENABLED": True, "HTTPCACHE_EXPIRATION_SECS": 60},
            {"cache": "always", "cache_expires_s": 60},
        ),
    ],
)
def test_what_differs_is_understood(given, ours):
    assert translated(given) == ours
    assert faults(given, "s") == []


def test_faults_are_told_under_the_name_that_was_given():
    found = faults({"DOWNLOAD_DELAY": "long", "wrong": 1, "RETRY_TIMES": -1}, "s")
    assert [line.partition(":")[0] for line in found] == [
        "s.DOWNLOAD_DELAY",
        "s.wrong",
        "s.RETRY_TIMES",
    ]
    assert "'long' is not allowed" in found[0]


def test_what_has_no_counterpart_is_named():
    given = {"MY_KEY": 1, "DOWNLOAD_DELAY": 2, "BOT_NAME": "shop", "delay_s": 3, "RETRY_ENABLED": 0}
    assert unknown(given) == ["MY_KEY"]


@pytest.mark.parametrize(
    ("name", "harmless", "meant"),
    [
        ("COMPRESSION_ENABLED", [True, "True", 1], [False, "0"]),
        ("DNSCACHE_ENABLED", [True], [False]),
        ("FEED_EXPORT_ENCODING", ["utf-8", "UTF8"], ["latin-1"]),
        ("LOG_ENABLED", [True], [False]),
        ("LOG_LEVEL", ["DEBUG", "INFO", logging.INFO], ["ERROR", logging.WARNING]),
    ],
)
def test_what_would_change_something_is_named_at_such_a_value(name, harmless, meant):
    assert [value for value in harmless if unknown({name: value})] == []
    assert [value for value in meant if unknown({name: value}) != [name]] == []
    assert instead(name)


def test_none_says_that_a_setting_of_scrapy_is_not_given():
    for name in (*NAMES, *SWITCHES, "MY_KEY", "FEED_EXPORT_ENCODING"):
        given = {name: None}
        assert (translated(given), faults(given, "s"), unknown(given)) == ({}, [], []), name


def test_each_setting_of_scrapy_is_taken_or_named():
    names = json.loads(
        subprocess.run(
            [sys.executable, "-m", "tests.scrapy_side", "settings"],
            capture_output=True,
            check=True,
            cwd=ROOT,
        ).stdout
    )
    assert len(names) > 150
    taken = NAMES.keys() | SWITCHES.keys() | NEEDLESS | NEEDLESS_AT.keys()
    assert [name for name in names if name not in taken and not instead(name)] == []


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("FEEDS", "the setting sinks"),
        ("FEED_URI", "the setting sinks"),
        ("DOWNLOADER_MIDDLEWARES", "docs/hooks.md"),
        ("DOWNLOADER_CLIENT_TLS_METHOD", "verify_tls"),
        ("MEMUSAGE_LIMIT_MB", "max_pending"),
        ("SHOP_TOKEN", "neither this program nor Scrapy"),
    ],
)
def test_the_name_says_what_to_use_instead(name, advice):
    assert told(name).startswith(f"the setting {name} has no effect: ")
    assert advice in told(name)


@pytest.mark.parametrize(
    ("name", "ours", "off"),
    [
        ("AUTOTHROTTLE_ENABLED", "adaptive", 0.0),
        ("COOKIES_ENABLED", "cookies", False),
        ("HTTPCACHE_ENABLED", "cache", "none"),
        ("REDIRECT_ENABLED", "max_redirects", 0),
        ("RETRY_ENABLED", "retries", 0),
        ("ROBOTSTXT_OBEY", "robots", False),
        ("robots", "robots", False),
    ],
)
def test_a_switch_may_be_a_text(name, ours, off):
    for value in ("False", "false", "0", 0, False):
        assert translated({name: value}).get(ours) == off, value
        assert faults({name: value}, "s") == []
    for value in ("True", "true", "1", 1, True):
        assert translated({name: value}).get(ours) != off, value
        assert faults({name: value}, "s") == []
    for value in ("no", "off", "2", "", [False]):
        [fault] = faults({name: value}, "s")
        assert fault.startswith(f"s.{name}: {value!r} is not allowed; allowed: true"), value


def test_none_is_no_value_of_a_setting_of_this_program():
    [fault] = faults({"robots": None}, "s")
    assert fault.startswith("s.robots: None is not allowed; allowed: true")


@pytest.mark.parametrize(
    ("name", "text", "ours"),
    [
        ("CONCURRENT_REQUESTS", "8", {"concurrency": 8}),
        ("CONCURRENT_REQUESTS", 8.0, {"concurrency": 8}),
        ("DOWNLOAD_DELAY", "0.25", {"delay_s": 0.25}),
        ("DOWNLOAD_MAXSIZE", "0", {"max_body_bytes": 2**40}),
        ("RETRY_HTTP_CODES", "500, 503", {"retry_statuses": [500, 503]}),
        ("RETRY_HTTP_CODES", "[500, 503]", {"retry_statuses": [500, 503]}),
        ("RETRY_HTTP_CODES", ["500", 503], {"retry_statuses": [500, 503]}),
        ("DEFAULT_REQUEST_HEADERS", '{"X-A": "b"}', {"headers": {"X-A": "b"}}),
        ("DEFAULT_REQUEST_HEADERS", {"X-A": "b", "X-B": None}, {"headers": {"X-A": "b"}}),
        ("ITEM_PIPELINES", '{"a.B": 300, "c.D": 1, "e.F": null}', {"pipelines": ["c.D", "a.B"]}),
        ("strip_query", "utm_*, gclid", {"strip_query": ["utm_*", "gclid"]}),
        ("deny_urls", "/[0-9]{2,4}/,?$", {"deny_urls": ["/[0-9]{2,4}/,?$"]}),
        ("deny_urls", '["/a,b"]', {"deny_urls": ["/a,b"]}),
        ("max_pages", "3", {"max_pages": 3}),
    ],
)
def test_numbers_lists_and_mappings_may_be_texts(name, text, ours):
    assert translated({name: text}) == ours
    assert faults({name: text}, "s") == []


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("CONCURRENT_REQUESTS", "8.5", "a whole number from 1"),
        ("CONCURRENT_REQUESTS", "many", "a whole number from 1"),
        ("RETRY_HTTP_CODES", "5xx", "a list, each a whole number from 400"),
        ("DEFAULT_REQUEST_HEADERS", "{'X-A': 1}", "a mapping"),
        ("max_pages", "three", "a whole number"),
    ],
)
def test_a_wrong_text_is_told_under_its_name(name, text, allowed):
    [fault] = faults({name: text}, "s")
    assert fault.startswith(f"s.{name}: ")
    assert allowed in fault


def load(folder, settings):
    (folder / "one.py").write_text(SPIDER.format(settings=json.dumps(settings)))
    return load_spiders(["one.py"], folder)


def test_it_is_a_warning_when_a_spider_is_loaded(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    assert set(load(tmp_path, {"TELNETCONSOLE_PORT": 1, "DOWNLOAD_DELAY": 1})) == {"one"}
    [record] = caplog.records
    assert record.message.startswith("the setting TELNETCONSOLE_PORT has no effect: ")
    assert record.fields["spider"] == "one"


def test_a_wrong_value_is_an_error_when_a_spider_is_loaded(tmp_path):
    with pytest.raises(ConfigError, match=r"one.custom_settings.DOWNLOAD_DELAY: -1 is not allowed"):
        load(tmp_path, {"DOWNLOAD_DELAY": -1})


def test_attributes_of_a_spider_are_settings():
    class Slow(Spider):
        name = "slow"
        start_urls = ("http://h/",)
        download_delay = 7
        http_user = "me"

    assert of_class(Slow) == {"DOWNLOAD_DELAY": 7, "http_user": "me"}
    spider = Engine(CrawlSettings(), {"slow": Slow}).crawl(Spec("slow"), ListSink()).spider
    assert (spider.settings.delay_s, spider.settings.http_user) == (7.0, "me")
    assert of_class(type("None", (Spider,), {"custom_settings": None})) == {}


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "ERROR"])
def test_the_level_of_logs_in_a_spider_is_named(tmp_path, caplog, level):
    (tmp_path / "one.py").write_text(SPIDER.format(settings={"LOG_LEVEL": level}))
    load_spiders(["one.py"], tmp_path)
    [record] = caplog.records
    assert record.message.startswith("the setting LOG_LEVEL has no effect: -L LEVEL on the command")


def test_what_scrapy_calls_and_nobody_here_does_is_named(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    (tmp_path / "one.py").write_text(
        SPIDER.format(settings={})
        + "    @classmethod\n    def from_crawler(cls, crawler):\n        return cls()\n"
    )
    load_spiders(["one.py"], tmp_path)
    [record] = caplog.records
    assert record.message.startswith("from_crawler is never called: the constructor gets")
