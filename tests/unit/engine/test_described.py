"""What the class of a spider shows of itself, for forms."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from crawler import redaction
from crawler.engine.spiders import described as module
from crawler.engine.spiders.crawl_spider import CrawlSpider
from crawler.engine.spiders.declarative import compile_declaration
from crawler.engine.spiders.described import about, described
from crawler.engine.spiders.spider import Spider
from crawler.model.spiders import MOST_ARGUMENTS, SpiderAbout, SpiderArgument, abouts_from

URL = "http://a.example/"


class Base(Spider):
    region: str = "north"
    _hidden: str = ""
    kinds: ClassVar[list[str]] = []

    def __init__(self, city, *args, depth: int = 2, **kwargs):
        super().__init__(*args, **kwargs)


class Shop(Base):
    """Crawls a shop.

    And more.
    """

    name = "shop"
    start_urls = (URL,)

    def __init__(self, pages: int | None = None, depth: float = 0.5, **kwargs):
        super().__init__(**kwargs)


def arguments(spider):
    return {each.name: each for each in about(spider).arguments}


def test_the_arguments_of_all_constructors_and_declared_attributes_are_told():
    told = about(Shop)
    assert told.about == "Crawls a shop."
    assert told.takes_others
    assert list(told.arguments) == [
        SpiderArgument("pages", "integer"),
        SpiderArgument("depth", "number", 0.5),
        SpiderArgument("city", required=True),
        SpiderArgument("start_urls", "array", [URL]),
        SpiderArgument("region", "string", "north"),
    ]


def test_a_constructor_that_passes_nothing_on_ends_the_list():
    class Closed(Base):
        def __init__(self, only=True):
            super().__init__("x")

    told = about(Closed)
    assert not told.takes_others
    assert [each.name for each in told.arguments] == ["only", "start_urls", "region"]
    assert told.arguments[0] == SpiderArgument("only", "boolean", True)


def test_start_urls_are_required_if_the_spider_begins_nowhere_else():
    class Itself(Spider):
        def start_requests(self):
            yield from ()

    assert arguments(Spider)["start_urls"] == SpiderArgument("start_urls", "array", None, True)
    assert not arguments(Itself)["start_urls"].required
    assert not arguments(Shop)["start_urls"].required


def test_types_are_those_of_json():
    class Typed(Spider):
        a: Sequence[int]
        b: Mapping[str, Any] | None = None
        c: int | str = 1
        d: "Unknown" = 3  # noqa: F821

    class Other(Spider):
        e: list[str] = ["x"]  # noqa: RUF012
        f: bool = False

    assert [each.type for each in about(Typed).arguments][1:] == ["", "", "integer", "integer"]
    assert [each.type for each in about(Other).arguments][1:] == ["array", "boolean"]


def test_what_json_cannot_say_shortly_and_what_looks_secret_has_no_default():
    class Odd(Spider):
        def __init__(self, thing=Spider, long="x" * 1000, api_key="k", nan=float("nan"), **more):
            super().__init__(**more)

    found = arguments(Odd)
    assert [found[name].default for name in ("thing", "long", "api_key", "nan")] == [None] * 4
    assert found["long"].type == "string"


def test_a_secret_of_the_settings_is_hidden():
    redaction.remember({"setting": "hunter2-hunter2"})
    try:

        class Leaking(Spider):
            """Has hunter2-hunter2."""

            word: str = "hunter2-hunter2"

        told = about(Leaking)
    finally:
        redaction.remember({})
    assert "hunter2" not in str(told)


def test_spiders_of_the_engine_s_own_kinds_are_described_too():
    declared = compile_declaration({"name": "d", "start_urls": [URL], "items": []})

    class Ruled(CrawlSpider):
        name = "ruled"

    for spider in (declared, Ruled):
        told = about(spider)
        assert [each.name for each in told.arguments] == ["start_urls"]
        assert told.takes_others


def test_a_class_that_cannot_be_described_keeps_no_other_one_back(monkeypatch):
    class Bad(Spider):
        def __init__(self, **more):
            super().__init__(**more)

        __init__.__signature__ = "none"

    assert [*described({"bad": Bad, "shop": Shop})] == ["shop"]
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    assert described({"shop": Shop}) == {}, "the names alone"


def test_it_comes_back_as_it_was_and_nonsense_is_left_out():
    told = about(Shop)
    data = {"shop": told.to_json(), "bad": {"about": 1}, "worse": None, "long": long_one()}
    found = abouts_from(data)
    assert found["shop"] == SpiderAbout(told.about, [*told.arguments])
    assert [*found] == ["shop", "long"]
    assert len(found["long"].arguments) == MOST_ARGUMENTS
    assert found["long"].arguments[0] == SpiderArgument("a", "", None, True)
    assert abouts_from(None) == abouts_from([1]) == {}


def long_one():
    one = {"name": "a", "type": "odd", "default": "x" * 1000, "required": 1}
    return {"about": "", "arguments": [one] * 1000, "takes_others": True}
