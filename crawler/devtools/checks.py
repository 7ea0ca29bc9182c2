"""Finds faults in a spider's file before it runs: `crawler check`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from crawler.engine.engine import Engine
from crawler.engine.http import selectors, urls
from crawler.engine.items.sinks.many import ManySinks
from crawler.engine.spiders import domains
from crawler.engine.spiders.spider import Spider
from crawler.errors import InvalidArgument
from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings

_COMPILERS: Mapping[str, Callable[[str], object]] = {"css": selectors.css, "xpath": selectors.xpath}
_CALLBACKS = ("callback", "errback")
_REQUESTING = ("Request", "FormRequest", "JsonRequest", "follow", "follow_all")
"""Calls that take a callback as their second argument."""


@dataclass(frozen=True, order=True)
class Fault:
    """A fault. Line 0 means that it has no line."""

    line: int
    message: str


def faults_of(spider: type[Spider], arguments: Mapping[str, str]) -> Iterator[Fault]:
    """Yield what the engine would refuse, and what would fail on the first page."""
    line = _line_of_class(spider)
    for domain in domains.listed(spider.allowed_domains):
        if fault := domains.fault_of(domain):
            text = f"allowed_domains: {domain!r} is not allowed, {fault}"
            yield Fault(line, f"{spider.name}: {text}")
    for url in _texts(spider.start_urls):
        if not urls.is_web(url):
            text = f"start_urls: {url!r} is not allowed; allowed: an http or https URL"
            yield Fault(line, f"{spider.name}: {text}")
    if not spider.begins_itself() and not _parses(spider):
        text = "no method parse, which gets the pages of start_urls"
        yield Fault(line, f"{spider.name}: {text}")
    try:
        Engine(CrawlSettings(), {spider.name: spider}).crawl(
            Spec(spider.name, parameters=arguments), ManySinks([])
        )
    except InvalidArgument as error:
        yield Fault(line, f"{spider.name}: {_in_words(str(error))}")


def faults_in(path: Path, spiders: Mapping[str, type[Spider]]) -> Iterator[Fault]:
    """Yield the faults that the source of a Python file shows: bad selectors, missing callbacks."""
    classes = {spider.__name__: spider for spider in spiders.values()}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _faults_in_class(node, classes.get(node.name))


def line_in_yaml(text: str, place: str) -> int:
    """The line of a path such as `[1].items[0].fields.price` in a YAML file; 0 if unknown."""
    try:
        node = yaml.compose(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return mark.line + 1 if mark else 0
    line = 0
    for step in place.replace("[", ".[").split("."):
        line = node.start_mark.line + 1 if node is not None else line
        below = _below(node, step) if step else node
        if below is None:
            return line
        node, line = below, below.start_mark.line + 1
    return line


def _below(node: yaml.Node | None, step: str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and step.startswith("["):
        number = int(step.strip("[]"))
        return node.value[number] if number < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    return None


def _faults_in_class(node: ast.ClassDef, spider: type[Spider] | None) -> Iterator[Fault]:
    for each in ast.walk(node):
        if not isinstance(each, ast.Call):
            continue
        yield from _bad_selectors(each)
        if spider is not None:
            yield from _missing_callbacks(each, spider)


def _bad_selectors(call: ast.Call) -> Iterator[Fault]:
    """Check the texts in `response.css("…")`, `follow_all(css="…")` and the like."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    given = [(method, call.args[0])] if call.args else []
    given += [(keyword.arg or "", keyword.value) for keyword in call.keywords]
    for language, value in given:
        compiler = _COMPILERS.get(language)
        if compiler is None or not isinstance(value, ast.Constant) or type(value.value) is not str:
            continue
        try:
            compiler(value.value)
        except selectors.BadSelector as error:
            yield Fault(value.lineno, f"{language}: {value.value!r} is not allowed; {error}")


def _missing_callbacks(call: ast.Call, spider: type[Spider]) -> Iterator[Fault]:
    """Check the callbacks in `Request(url, self.name)`, `follow(…, callback="name")`, …."""
    given = [(each.arg or "", each.value) for each in call.keywords if each.arg in _CALLBACKS]
    if len(call.args) > 1 and _name_of(call.func) in _REQUESTING:
        given.append(("callback", call.args[1]))
    for role, value in given:
        name = _method_name(value)
        if name and not callable(getattr(spider, name, None)):
            yield Fault(value.lineno, f"{role}: spider {spider.name!r} has no method {name!r}")


def _name_of(function: ast.expr) -> str:
    return getattr(function, "attr", "") or getattr(function, "id", "")


def _method_name(value: ast.expr) -> str:
    """The name in `callback="name"` and `callback=self.name`."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if not isinstance(value, ast.Attribute) or not isinstance(value.value, ast.Name):
        return ""
    return value.attr if value.value.id == "self" else ""


def _parses(spider: type[Spider]) -> bool:
    """Whether a spider has a callback for requests without one."""
    return any(
        getattr(spider, name, None) is not getattr(Spider, name, None)
        for name in ("parse", "_parse")
    )


def _line_of_class(spider: type[Spider]) -> int:
    file = getattr(sys.modules.get(spider.__module__), "__file__", None)
    if file is None or "<locals>" in spider.__qualname__:
        return 0
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name == spider.__name__
    ]
    return lines[0] if lines else 0


def _texts(value: object) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Iterable):
        return []
    return [each for each in values if isinstance(each, str)]


def _in_words(message: str) -> str:
    return message.replace("parameters.", "").replace("parameters: ", "")
