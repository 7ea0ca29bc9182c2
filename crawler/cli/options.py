"""The options of commands on one spider: its file, its arguments, settings of the crawl."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from crawler.cli.base import Unusable as Unusable
from crawler.cli.given import ARGUMENTS as ARGUMENTS
from crawler.cli.given import SETTINGS as SETTINGS
from crawler.cli.given import arguments_of
from crawler.cli.given import pairs as pairs
from crawler.cli.given import settings_of as settings_of
from crawler.engine.spiders.loader import load_file, load_spiders
from crawler.engine.spiders.spider import Spider
from crawler.errors import ConfigError, InvalidArgument
from crawler.model.records import Spec
from crawler.settings import config
from crawler.settings.crawl import CrawlSettings

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

LEVELS = ("debug", "info", "warning", "error")

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
    return Spec(spider.name, parameters={**arguments_of(arguments), "settings": changes})


def refused(error: InvalidArgument) -> Unusable:
    """Return the engine's refusal of a task's parameters in the words of the command line."""
    return Unusable(str(error).replace("parameters.", "-a ").replace("parameters:", "-a:"))
