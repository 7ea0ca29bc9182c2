"""The options of commands on one spider: its file, its arguments, settings of the crawl."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from crawler.cli.base import Unusable as Unusable
from crawler.engine.spiders.loader import load_file, load_spiders
from crawler.engine.spiders.spider import Spider
from crawler.errors import ConfigError, InvalidArgument
from crawler.model.records import Spec
from crawler.settings import config, overrides, scrapy_names, scrapy_unsupported
from crawler.settings.crawl import CrawlSettings
from crawler.settings.schema import from_text, meant

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

LEVELS = ("debug", "info", "warning", "error")

ARGUMENTS: Decorator = click.option(
    "-a", "arguments", metavar="NAME=VALUE", multiple=True, help="An argument of the spider."
)
SETTINGS: Decorator = click.option(
    "-s",
    "settings",
    metavar="SETTING=VALUE",
    multiple=True,
    help="A setting of the crawl, such as delay_s=0.",
)
OUTPUT = (
    "Where items go: a file to append to, a database, or - for standard output; see docs/items.md. "
    "You may give it more than once."
)
SPIDER: Decorator = click.option(
    "--spider", metavar="NAME", help="Name of the spider, if the file has several."
)
LEVEL: Decorator = click.option(
    "-L",
    "--log-level",
    "--loglevel",
    "level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="warning",
)


def spiders_of(file: str | Path) -> dict[str, type[Spider]]:
    """Return the spiders of a file, which may import modules beside it. Raises Unusable."""
    path = Path(file)
    if path.is_dir():
        raise Unusable(f"{path}: is a folder; give the path of a spider in it, .py or .yaml")
    if not path.is_file():
        raise Unusable(f"{path}: no such file; give the path of a spider, .py or .yaml")
    sys.path.insert(0, str(path.resolve().parent))
    try:
        return load_file(path)
    except ConfigError as error:
        raise Unusable(str(error)) from error


def known_spiders(path: str | None, file: str | None) -> dict[str, type[Spider]]:
    """Return the spiders of a file, or else those in the settings. Raises Unusable, ConfigError."""
    if path is not None:
        return spiders_of(path)
    settings = config.load(file, os.environ)
    if not settings.spiders:
        raise Unusable("no spiders are known; name a file with --file FILE")
    return load_spiders(settings.spiders, settings.folder)


def chosen(spiders: Mapping[str, type[Spider]], name: str | None, file: str) -> type[Spider]:
    """Return the spider of that name, or the only one. Raises Unusable."""
    if name is None and len(spiders) == 1:
        return next(iter(spiders.values()))
    has = ", ".join(sorted(spiders))
    if name is None:
        raise Unusable(
            f"{file} has several spiders: {has}; choose one with --spider, or name another file"
        )
    if name not in spiders:
        raise Unusable(f"{file} has no spider {name!r}; allowed: {has}")
    return spiders[name]


def crawl_settings(file: str | None) -> CrawlSettings:
    """Return the crawl settings of the settings file and the environment. Raises ConfigError."""
    return config.load(file, os.environ).crawl


def spec_of(spider: type[Spider], arguments: Iterable[str], settings: Iterable[str]) -> Spec:
    """Return the task that these options describe. Raises Unusable, as `settings_of` does."""
    changes = settings_of(settings)
    given: dict[str, Any] = pairs("-a", arguments)
    if "settings" in given:
        raise Unusable("-a settings: not allowed; give settings of the crawl with -s")
    return Spec(spider.name, parameters={**given, "settings": changes})


def settings_of(texts: Iterable[str]) -> dict[str, Any]:
    """Return crawl settings given as SETTING=VALUE. Scrapy's get the names they have here.

    Raises Unusable with every fault.
    """
    given = pairs("-s", texts)
    parsed = {key: _setting(key, text) for key, text in given.items()}
    faults = scrapy_names.faults(parsed, "-s")
    faults += [
        f"-s.{name}: {scrapy_unsupported.told(name)}"
        + meant(name, (*scrapy_names.NAMES, *scrapy_names.SWITCHES))
        for name in scrapy_names.unknown(parsed)
    ]
    if faults:
        raise Unusable("\n".join(fault.replace("-s.", "-s ", 1) for fault in faults))
    return scrapy_names.translated(parsed)


def _setting(key: str, text: str) -> Any:
    """Read the value of a setting of this program, or of a switch that only Scrapy has."""
    is_mapping = text.lstrip().startswith("{")  # ITEM_PIPELINES, with a number for each
    if scrapy_names.is_scrapys(key) and (key not in scrapy_names.NAMES or is_mapping):
        return from_text(text, bool)
    found = overrides.from_json(text)
    if found is not text:
        return found
    name = scrapy_names.NAMES.get(key, key)
    return overrides.parsed({name: text})[name]


def refused(error: InvalidArgument) -> Unusable:
    """Return the engine's refusal of a task's parameters in the words of the command line."""
    return Unusable(str(error).replace("parameters.", "-a ").replace("parameters:", "-a:"))


def pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Return what was given as NAME=VALUE. The last value of a name counts. Raises Unusable."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise Unusable(f"{option} {text!r} is not allowed; allowed: NAME=VALUE")
        found[name] = value
    return found
