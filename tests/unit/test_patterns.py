"""Patterns that others write: what they are, and that none of them can hold up a process."""

import time

import pytest
import re2

from crawler.engine.frontier.filters import Filters
from crawler.engine.http import urls
from crawler.engine.spiders.declarative import compile_declaration
from crawler.engine.spiders.sitemap import SitemapSpider
from crawler.errors import ConfigError, InvalidArgument
from crawler.settings.crawl import CrawlSettings
from crawler.settings.overrides import override
from crawler.settings.patterns import PROBE_BYTES, BadPattern, first_fault, is_linear, linear
from crawler.settings.task_parameters import faults

ENDLESS = ["(x+x+)+y", "(?:.*,)+$!", "(x|x|xx)*z", "^(?:[^/]+/?)+#$"]


@pytest.mark.parametrize("pattern", ENDLESS)
def test_no_pattern_takes_more_than_a_moment(pattern):
    began_s = time.process_time()
    assert linear(pattern).search("x" * 300_000 + ",") is None
    assert time.process_time() - began_s < 2, "re would take longer than the world exists"


def test_the_larger_the_pattern_the_less_of_a_text_is_searched():
    large = linear("[ab]*a[ab]{900}c")
    began_s = time.process_time()
    assert large.search("ab" * 5_000_000) is None
    assert time.process_time() - began_s < 30
    assert linear("needle").search("x" * 3_000_000 + "needle")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)", "invalid perl operator"),
        ("(?<!a)b", "invalid perl operator"),
        (r"(a)\1", "invalid escape sequence"),
        ("a{,3}", "write {0,n}"),
        (r"x\\{,3}", "write {0,n}"),
        ("[{]a{,4}", "write {0,n}"),
        (r"\Q[\E{,4}", "write {0,n}"),
        (r"\[a{,4}]", "write {0,n}"),
        ("a{,}", "write {0,n}"),
        ("(?:a{100}){100}", "."),
        ("[ab]{150}" * 20, "repeats too much"),
        ("x" * 1001, "at most 1000"),
        ("\ud800", "."),
        ("(", "missing"),
        (r"\pL\PN" * 6, "more than 10 classes of Unicode"),
    ],
)
def test_what_re2_does_not_know_is_refused_with_a_reason(pattern, why):
    with pytest.raises(BadPattern, match=why):
        linear(pattern)


@pytest.mark.parametrize(
    "pattern",
    [r"\PN" * 300, "(?:q{1000})" * 80, r"(?i)[\pL\pN]{1000}", "(?:z?){1000}" * 60],
)
def test_what_is_far_too_large_is_refused_at_once(pattern, monkeypatch):
    """With all its memory RE2 takes up to a second for that, and a list may hold hundreds."""
    compile, given = re2.compile, []

    def noted(pattern, options):
        given.append(options.max_mem)
        return compile(pattern, options=options)

    monkeypatch.setattr(re2, "compile", noted)
    assert not is_linear(f"{pattern}at once")
    assert set(given) <= {PROBE_BYTES}  # or it is refused before


def test_a_list_of_patterns_is_read_up_to_its_first_fault():
    assert first_fault(["a", "b+"]) is None
    assert first_fault([]) is None
    many = (f"/shelf-{number}/" for number in range(10**6))
    at, told = first_fault(many)
    assert "more than 50,000 steps" in told
    assert next(many) == f"/shelf-{at + 1}/"
    wrong = iter(["a", "(?=b)", "c"])
    assert first_fault(wrong)[0] == 1
    assert next(wrong) == "c"


def test_each_pattern_of_a_long_list_is_compiled_once(monkeypatch):
    """The list is longer than what is kept of compiled patterns."""
    compiled = []
    compile = re2.compile
    monkeypatch.setattr(
        re2, "compile", lambda text, **options: compiled.append(text) or compile(text, **options)
    )
    given = [f"/{number}" for number in range(1_100)]
    assert faults({"settings": {"deny_urls": given}, "sitemap_follow": ["/own"]}) == []
    assert compiled == ["/own", *given]


def test_others_run_while_a_long_list_is_checked():
    turns = []
    given = {"settings": {"deny_urls": [f"/aisle-{number}" for number in range(200)]}}
    assert faults(given, lambda: turns.append(1)) == []
    assert 10 < len(turns) < 100
    assert faults({**given, "sitemap_follow": ["(?=x)"]}) != []
    assert len(turns) < 100, "only who asks for it gives turns"


def test_a_match_has_its_groups_and_texts_may_be_odd():
    found = linear("(é)|(o)").search("zo")
    assert (found[0], found[1], found[2]) == ("o", None, "o")
    assert linear("(é)|(o)").groups == 2
    assert linear("b$").search("a\ud800b")
    assert linear(r"a\{,3}").search("a{,3}")
    for quoted in (
        "[{,2}]+",
        r"[^]{,2}]{4}|[\]{,2}]{4}",
        r"\Q{,2}\E",
        "[[:^alpha:]{,2}]+",
        r"\Q{,2}",
    ):
        assert linear(quoted).search("{,2}")[0] == "{,2}"
    assert not linear(r"^\d$").search("٣")


def test_a_task_is_told_its_pattern_and_what_is_allowed():
    given = {"deny_urls": ["ok", "(?!x)y"]}
    with pytest.raises(InvalidArgument, match=r"settings\.deny_urls: .*\(\?!x\)y.*no look-around"):
        override(CrawlSettings(), given, "settings")


def test_urls_are_denied_by_any_of_several_patterns():
    filters = Filters(CrawlSettings(deny_urls=["(?i)/PRINT/", "(a+)+$"]))
    assert filters.refusal(urls.parse("http://h/print/")) == "denied"
    assert filters.refusal(urls.parse(f"http://h/{'a' * 1500}")) == "denied"
    assert filters.refusal(urls.parse(f"http://h/{'a' * 1500}!")) == ""


def test_a_declaration_has_linear_patterns_and_no_others():
    fields = {"a": {"css": "p", "regex": "(?<=x)y"}, "b": {"xpath": "//a[re:test(@x, '(a+)+$')]"}}
    with pytest.raises(ConfigError) as told:
        compile_declaration({"name": "s", "items": [{"match": r"(a)\1", "fields": fields}]})
    lines = str(told.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "spider.items[0].match",
        "spider.items[0].fields.a.regex",
        "spider.items[0].fields.b.xpath",
    ]
    assert "use the key regex" in lines[2]


def test_rules_of_a_sitemap_are_the_authors_own_unless_a_task_gives_them():
    class Own(SitemapSpider):
        sitemap_rules = (("(?!x)y", "parse"),)

    assert Own()
    with pytest.raises(BadPattern):
        Own(sitemap_rules=[["(?!x)y", "parse"]])
    with pytest.raises(BadPattern):
        Own(sitemap_follow=["(?=x)"])
    assert Own(sitemap_follow=["(x+)+$"])._follow[0].search("x")
