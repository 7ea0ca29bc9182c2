"""Passes items from the callbacks to the sinks: through a schema, then through pipelines in order.

A pipeline is a class like Scrapy's. `process_item(item, spider)` returns the item, changed or not,
or raises DropItem. `open_spider(spider)` and `close_spider(spider)` are called before and after a
crawl. Each method may omit `spider`, and may be an `async def` that awaits no event loop.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from crawler import coroutines
from crawler.engine.http.failures import FAULTS
from crawler.engine.items.item import ALLOWED, fields_of, is_item
from crawler.errors import ConfigError
from crawler.model.secrets import NAME, PREFIX
from crawler.redaction import hide
from crawler.supervision import do_all

if TYPE_CHECKING:
    from marshmallow import Schema

Step = Callable[[Any], Any]
"""Takes an item and returns it. Raises DropItem to drop it."""

LONGEST_REASON = 80
_BEFORE_COLON = re.compile(rf"(?:{PREFIX}{NAME}|[^:])*")
"""A text up to a colon. That of the name which stands for a value does not count."""


class DropItem(Exception):
    """A pipeline, or a function as `item_schema`, raises this with a reason to drop an item."""

    @property
    def reason(self) -> str:
        """The reason to count: the text before a colon, because the rest is often the item."""
        text = str(self.args[0]) if self.args else ""
        before = _BEFORE_COLON.match(hide(text))
        assert before is not None  # it matches nothing at worst
        return before[0].strip()[:LONGEST_REASON] or "no reason given"


class Invalid(DropItem):
    """The item does not match its schema."""

    def __init__(self, fields: str, detail: str) -> None:
        super().__init__(f"invalid {fields}".strip())
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.detail}"


class Pipelines:
    """The pipelines of one crawl."""

    def __init__(self, spider: Any) -> None:
        """Raises ConfigError for a bad schema, or a pipeline that cannot be loaded."""
        named = spider.settings.pipelines
        self._spider = spider
        self._pipelines = [_made(each) for each in (*named, *spider.pipelines)]
        self._steps = [_process(each, spider) for each in self._pipelines]
        if spider.item_schema is not None:
            self._steps.insert(0, _check(spider.item_schema))

    def open(self) -> None:
        """Call `open_spider` of all pipelines."""
        for pipeline in self._pipelines:
            _tell(pipeline, "open_spider", self._spider)

    def process(self, item: Any) -> Any:
        """Pass an item through all steps. Raises DropItem, and what a pipeline raises."""
        for step in self._steps:
            item = step(item)
        return item

    def close(self) -> None:
        """Call `close_spider` of all pipelines. Raises what the first of them raised."""
        do_all(*(partial(_tell, each, "close_spider", self._spider) for each in self._pipelines))


def load(path: str) -> Any:
    """Import the class `module:Class`, or Scrapy's `module.Class`. Raises ConfigError."""
    module, _, name = path.rpartition(":" if ":" in path else ".")
    try:
        return getattr(importlib.import_module(module), name)
    except FAULTS as error:  # the module may raise anything
        raise ConfigError(
            f"pipelines: {path!r} cannot be imported ({type(error).__name__}: {error}); "
            "allowed: module:Class, of an installed Python module"
        ) from error


def _made(pipeline: Any) -> Any:
    kind = load(pipeline) if isinstance(pipeline, str) else pipeline
    try:
        made = kind() if isinstance(kind, type) else kind
    except FAULTS as error:
        raise ConfigError(
            f"pipelines: {_name(kind)} cannot be made ({type(error).__name__}: {error}); "
            "its constructor gets no arguments, open_spider gets the spider"
        ) from error
    if not callable(getattr(made, "process_item", None)):
        raise ConfigError(
            f"pipelines: {_name(kind)} has no method process_item; "
            "allowed: a class with process_item(item, spider)"
        )
    return made


def _process(pipeline: Any, spider: Any) -> Step:
    method = pipeline.process_item
    bound = (lambda item: method(item, spider)) if _takes(method, 2) else method

    def step(item: Any) -> Any:
        result = bound(item)
        if coroutines.are_awaited(result):
            result = coroutines.run(result)
        if not is_item(result):
            raise TypeError(
                f"{_name(pipeline)}.process_item returned {type(result).__name__}; "
                f"allowed: the item, {ALLOWED}"
            )
        return result

    return step


def _tell(pipeline: Any, name: str, spider: Any) -> None:
    method = getattr(pipeline, name, None)
    if method is not None:
        result = method(spider) if _takes(method, 1) else method()
        if coroutines.are_awaited(result):
            coroutines.run(result)


def _takes(method: Callable[..., Any], count: int) -> bool:
    """Whether a method can be called with so many arguments."""
    try:
        inspect.signature(method).bind(*range(count))
    except TypeError:
        return False
    return True


def _check(schema: Any) -> Step:
    """The step for an `item_schema`: a marshmallow schema, or a function."""
    if isinstance(schema, type) and _is_schema(schema):
        schema = schema()
    if _is_schema(type(schema)):
        return lambda item: _fitting(schema, item)
    if callable(schema):
        return lambda item: _accepted(schema, item)
    raise ConfigError(
        f"item_schema: {schema!r} is not allowed; allowed: a marshmallow schema, or a function "
        "that takes the item and raises ValueError for one that is invalid"
    )


def _is_schema(kind: type) -> bool:
    """Whether it is a class of marshmallow's schemas: who has made one, has imported that."""
    marshmallow = sys.modules.get("marshmallow")
    return marshmallow is not None and issubclass(kind, marshmallow.Schema)


def _fitting(schema: Schema, item: Any) -> Any:
    """The item itself, after the schema has checked it. The schema changes nothing."""
    errors: Mapping[Any, Any] = schema.validate(dict(fields_of(item)))
    if errors:
        fields = ", ".join(sorted(map(str, errors)))
        raise Invalid(hide(fields)[:LONGEST_REASON], str(errors))
    return item


def _accepted(check: Callable[[Any], Any], item: Any) -> Any:
    try:
        answer = check(item)
    except ValueError as error:
        raise Invalid("", str(error)) from error
    if answer is False:
        raise Invalid("", f"{_name(check)} returned False")
    return answer if is_item(answer) else item


def _name(thing: Any) -> str:
    return getattr(thing, "__qualname__", type(thing).__qualname__)
