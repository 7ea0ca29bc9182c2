"""Scrapy's names of settings."""

import dataclasses
import json
import logging

import pytest

from crawler import Spider
from crawler.engine.engine import Engine
from crawler.engine.spiders.loader import load_spiders
from crawler.errors import ConfigError
from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings
from crawler.settings.scrapy_names import NAMES, faults, of_class, translated, unknown
from tests.site.crawling import ListSink

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
    assert unknown(["MY_KEY", "DOWNLOAD_DELAY", "LOG_LEVEL", "delay_s"]) == ["MY_KEY"]


def load(folder, settings):
    (folder / "one.py").write_text(SPIDER.format(settings=json.dumps(settings)))
    return load_spiders(["one.py"], folder)


def test_it_is_a_warning_when_a_spider_is_loaded(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    assert set(load(tmp_path, {"TELNETCONSOLE_PORT": 1, "DOWNLOAD_DELAY": 1})) == {"one"}
    [record] = caplog.records
    assert record.fields["settings"] == ["TELNETCONSOLE_PORT"]
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
