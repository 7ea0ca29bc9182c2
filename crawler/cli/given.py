"""What users give on the command line about a crawl: arguments, settings, and files with more.

Nothing here knows the engine, so that commands that ask a master read the same as those that crawl.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

import click

from crawler.cli.base import Unusable
from crawler.model.secrets import within_texts
from crawler.settings import overrides, scrapy_names, scrapy_unsupported, yaml_text
from crawler.settings.live import SETTINGS as SETTINGS_OF_CRAWL
from crawler.settings.schema import from_text, meant

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

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


def arguments_of(texts: Iterable[str]) -> dict[str, str]:
    """Return the arguments of a spider given as NAME=VALUE: text, as spiders read it. Raises
    Unusable."""
    found = pairs("-a", texts)
    if "settings" in found:
        raise Unusable("-a settings: not allowed; give settings of the crawl with -s")
    return found


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


def parameters_of(arguments: Iterable[str], settings: Iterable[str]) -> dict[str, Any]:
    """Return what a spider gets, of arguments and settings that were given. Raises Unusable."""
    found: dict[str, Any] = dict(arguments_of(arguments))
    of_crawl = settings_of(settings)
    return {**found, SETTINGS_OF_CRAWL: of_crawl} if of_crawl else found


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


def pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Return what was given as NAME=VALUE. The last value of a name counts. Raises Unusable."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise Unusable(f"{option} {text!r} is not allowed; allowed: NAME=VALUE")
        found[name] = value
    return found


def document_of(option: str, file: IO[str]) -> Any:
    """Return the content of a file in JSON or YAML. Raises Unusable."""
    where = f"{option} {file.name}"
    try:
        return document(where, file.read())
    except UnicodeDecodeError as error:
        raise Unusable(f"{where}: is no text in UTF-8: {error}") from None


def document(where: str, text: str) -> Any:
    """Return the value of a text in JSON or YAML. Raises Unusable."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    import yaml  # it takes a while, and few commands need it

    try:
        return yaml_text.parse(text)
    except yaml.YAMLError as error:
        why = " ".join(str(error).split())
        raise Unusable(f"{where}: is neither JSON nor YAML: {why}") from None


def warn_of_texts_with_secrets(parameters: Mapping[str, Any]) -> None:
    """Warn of texts in which a secret is named in the midst: a site would get them as they are."""
    for path, named in within_texts(parameters, "parameters"):
        click.echo(
            f"crawler: warning: {path}: {named} is a part of a longer text, so it stands for no"
            " secret, and is used as it is; put the whole text into the secret",
            err=True,
        )
