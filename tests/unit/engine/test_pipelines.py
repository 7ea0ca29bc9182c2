"""What items pass through: schemas and pipelines; each item ends in one count."""

import dataclasses
import io
import json
import logging
import re
import sys
from types import ModuleType

import pytest
from marshmallow import EXCLUDE, Schema, fields

from crawler import DropItem, logs, redaction
from crawler.clock import ManualClock
from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.item_writer import MOST_REASONS, ItemWriter
from crawler.engine.engine import Engine
from crawler.engine.hookspecs import hookimpl
from crawler.engine.items.pipelines import Pipelines
from crawler.engine.spiders.spider import Spider
from crawler.errors import ConfigError, InvalidArgument
from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings
from tests.unit.engine.fakes import FakeFetcher, ListSink, shared


class Doubled:
    def process_item(self, item, spider):
        return {**item, "n": item["n"] * 2, "by": spider.name}


class NoOdd:
    def process_item(self, item, spider):
        if item["n"] % 2:
            raise DropItem(f"odd: {item!r}")
        return item


class Passing:
    """Has one of the shapes that a pipeline may have, and notes what it is asked."""

    def __init__(self):
        self.asked = []

    def open_spider(self, spider):
        self.asked.append(f"open {spider.name}")

    async def process_item(self, item):
        self.asked.append(item)
        return item

    def close_spider(self):
        self.asked.append("close")


class Shop(Spider):
    name = "shop"


def item_writer(*pipelines, schema=None, named=(), sink=None):
    spider = Shop()
    spider.settings = CrawlSettings(pipelines=named)
    spider.pipelines = pipelines
    spider.item_schema = schema
    clock = ManualClock()
    context = CrawlContext.of("task", spider, shared(FakeFetcher(clock), clock))
    sink = ListSink() if sink is None else sink
    made = ItemWriter(context, sink)
    made.open()
    return made, sink, context.counters


def test_pipelines_are_passed_in_their_order_those_of_the_settings_first():
    made, sink, _ = item_writer(NoOdd, named=[f"{__name__}:Doubled"])
    made.take({"n": 3}, "http://h/")
    assert sink == [{"n": 6, "by": "shop"}]


def test_scrapy_s_form_of_a_name_is_understood():
    _, sink, _ = made = item_writer(named=[f"{__name__}.Doubled"])
    made[0].take({"n": 1}, "http://h/")
    assert sink == [{"n": 2, "by": "shop"}]


def test_a_pipeline_may_leave_the_spider_out_and_be_asynchronous():
    pipeline = Passing()
    made, sink, _ = item_writer(pipeline)
    made.take({"n": 1}, "http://h/")
    made.close()
    assert sink == [{"n": 1}]
    assert pipeline.asked == ["open shop", {"n": 1}, "close"]
    assert sink.calls == ["open", "close"]


class Broken:
    def process_item(self, item, spider):
        return item["missing"]


class Forgetful:
    def process_item(self, item, spider):
        item["seen"] = True


def test_every_item_is_counted_once_as_written_dropped_or_failed():
    class Sometimes:
        def process_item(self, item, spider):
            return {"n": 0, "x": item["x"]} if item["n"] == 4 else item

    sink = ListSink()
    made, _, counters = item_writer(NoOdd, Sometimes, sink=sink)
    for n in range(6):
        made.take({"n": n}, "http://h/")
    sink.lost["refused"] = 1
    made.close()
    assert counters.items_dropped == {"odd": 3}
    assert counters.items_failed == {"pipeline raised KeyError": 1, "refused": 1}
    assert counters.items == 1
    assert counters.items_taken == 6


def test_a_pipeline_that_returns_no_item_costs_the_item():
    made, sink, counters = item_writer(Forgetful)
    made.take({"n": 1}, "http://h/")
    assert sink == []
    assert counters.items_failed == {"pipeline raised TypeError": 1}


def test_reasons_are_bounded():
    class Verbose:
        def process_item(self, item, spider):
            raise DropItem(f"number {item['n']}")

    made, _, counters = item_writer(Verbose)
    for n in range(MOST_REASONS + 50):
        made.take({"n": n}, "http://h/")
    assert len(counters.items_dropped) == MOST_REASONS + 1
    assert counters.items_dropped["other"] == 50


class BookSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    title = fields.Str(required=True)
    price = fields.Float()


@dataclasses.dataclass
class Book:
    title: str | None
    price: str = "1"


@pytest.mark.parametrize("schema", [BookSchema, BookSchema()])
def test_a_schema_drops_what_does_not_fit_and_changes_nothing(schema):
    made, sink, counters = item_writer(schema=schema)
    for item in (
        {"title": "A", "price": "1.5", "more": 1},
        {"price": 2},
        Book("B"),
        Book(None, "x"),
    ):
        made.take(item, "http://h/")
    assert sink == [{"title": "A", "price": "1.5", "more": 1}, Book("B")]
    assert counters.items_dropped == {"invalid title": 1, "invalid price, title": 1}


def test_the_example_of_an_invalid_item_is_in_the_log(caplog):
    made, _, _ = item_writer(schema=BookSchema)
    with caplog.at_level("INFO"):
        made.take({"price": 2}, "http://h/book")
    [record] = [each for each in caplog.records if each.message == "item is dropped"]
    told = str(vars(record))
    assert "http://h/book" in told
    assert "Missing data" in told


def cheap(item):
    if item["n"] > 10:
        raise ValueError("too dear")
    return item["n"] > 0


def test_a_function_may_be_the_schema():
    made, sink, counters = item_writer(schema=cheap)
    for n in (5, 11, 0):
        made.take({"n": n}, "http://h/")
    assert sink == [{"n": 5}]
    assert counters.items_dropped == {"invalid": 2}


def test_an_item_is_checked_before_it_passes_pipelines():
    pipeline = Passing()
    made, sink, _ = item_writer(Doubled, pipeline, schema=cheap)
    made.take({"n": 8}, "http://h/")
    made.take({"n": 0}, "http://h/")
    assert sink == [{"n": 16, "by": "shop"}]
    assert pipeline.asked == ["open shop", *sink]


@pytest.mark.parametrize(
    ("pipelines", "schema", "says"),
    [
        (["no.such:Thing"], None, "cannot be imported"),
        (["plain"], None, "cannot be imported"),
        ([dict], None, "process_item"),
        ([type("Needs", (), {"__init__": lambda self, x: None})], None, "cannot be made"),
        ([], 5, "item_schema: 5 is not allowed"),
    ],
)
def test_what_is_no_pipeline_is_told_before_the_crawl(pipelines, schema, says):
    spider = Shop()
    spider.settings = CrawlSettings()
    spider.pipelines, spider.item_schema = pipelines, schema
    with pytest.raises(ConfigError, match=says) as told:
        Pipelines(spider)
    assert "allowed" in str(told.value) or "gets" in str(told.value)


def test_scrapy_s_setting_lists_pipelines_by_number():
    from crawler.settings.scrapy_names import faults, translated

    given = {"ITEM_PIPELINES": {"a.b.C": 300, Doubled: 100, "off.D": None}}
    assert faults(given, "custom_settings") == []
    assert translated(given) == {"pipelines": [f"{__name__}:Doubled", "a.b.C"]}


def test_a_declaration_says_which_fields_an_item_must_have():
    from crawler.engine.spiders.declarative import compile_declaration

    title = {"css": "h1", "required": True}
    items = [{"fields": {"title": title, "n": "b"}}]
    made = compile_declaration({"name": "d", "start_urls": ["http://h/"], "items": items})
    schema = made(name="d").item_schema
    it, sink, counters = item_writer(schema=schema)
    for item in ({"title": "A", "n": None}, {"title": None, "n": "1"}, {"other": 1}):
        it.take(item, "http://h/")
    assert sink == [{"title": "A", "n": None}, {"other": 1}]
    assert counters.items_dropped == {"invalid title": 1}


class Stamped:
    def process_item(self, item, spider):
        return {**item, "by": [*item.get("by", []), "plugin"]}


class Own:
    def process_item(self, item, spider):
        return {**item, "by": ["own"]}


def test_a_plugin_adds_pipelines_after_those_of_the_spider(monkeypatch):
    plugin = ModuleType("stamping")
    plugin.pipelines = hookimpl(lambda spider: [Stamped] if spider.name == "shop" else [])
    monkeypatch.setitem(sys.modules, "stamping", plugin)
    sink = ListSink()

    class Start(Shop):
        pipelines = (Own,)

        def start(self):
            yield {"n": 1}

    engine = Engine(CrawlSettings(), {"shop": Start}, plugins=["stamping"])
    engine.start()
    engine.crawl(Spec("task", "shop"), sink).run()
    engine.stop()
    assert sink == [{"n": 1, "by": ["own", "plugin"]}]


def test_a_plugin_that_fails_is_told_before_the_crawl(monkeypatch):
    plugin = ModuleType("failing")
    plugin.pipelines = hookimpl(lambda spider: 1 / 0)
    monkeypatch.setitem(sys.modules, "failing", plugin)
    engine = Engine(
        CrawlSettings(),
        {"shop": type("S", (Shop,), {"start_urls": ["http://h/"]})},
        plugins=["failing"],
    )
    with pytest.raises(InvalidArgument, match="pipelines of spider 'shop': ZeroDivisionError"):
        engine.crawl(Spec("task", "shop"), ListSink())


@pytest.fixture
def lines(monkeypatch):
    """The lines of the log, of a process that has a secret."""
    monkeypatch.setattr(redaction, "_known", redaction.Remembered())
    redaction.remember({"shop": CANARY})
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    logs.setup("debug", "json", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


CANARY = "open: sesame, for 4711"


@dataclasses.dataclass
class Login:
    word: str


@pytest.mark.parametrize("before", range(0, 80, 7))
def test_no_reason_has_a_part_of_a_value(lines, before):
    class Telling:
        def process_item(self, item, spider):
            raise DropItem(f"{'x' * before}{CANARY}: {'y' * (480 - before)}{CANARY}")

    made, _, counters = item_writer(Telling)
    made.take({"n": 1}, "http://h/")
    assert list(counters.items_dropped) == [("x" * before + "secret:shop")[:80]]
    assert "open" not in json.dumps(lines())


@pytest.mark.parametrize("item", [{"n": f"{'x' * 9}{CANARY}"}, Login(f"{CANARY}{'x' * 40}")])
def test_no_log_has_a_part_of_a_value_of_an_item(lines, item):
    class Dropping:
        def process_item(self, item, spider):
            raise DropItem("no")

    made, _, _ = item_writer(Dropping)
    made.take(item, "http://h/")
    [line] = lines()
    assert not re.search("open|sesame|4711", line["item"])
    assert "secret:" in line["item"]


def test_a_schema_tells_no_part_of_a_value(lines):
    made, _, counters = item_writer(schema=type("One", (Schema,), {}))
    made.take({"x" * 60 + CANARY: 1}, "http://h/")
    assert list(counters.items_dropped) == ["invalid " + "x" * 60 + "secret:shop"]
