"""`crawler parse` and `crawler shell`: single pages, as a spider would get them."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence

import click

from crawler import logs
from crawler.cli import options
from crawler.cli.base import CONFIG, commands
from crawler.devtools.one_spider import engine_for
from crawler.devtools.page_fetcher import Pages, by_hand
from crawler.devtools.parsing import parsed, place_of
from crawler.devtools.shell import Shell, address
from crawler.engine.http.request import Request
from crawler.engine.spiders.spider import Spider
from crawler.errors import CrawlerError, InvalidArgument

IN_SETTINGS = "the settings file"
"""Where the spiders are if no FILE is given."""


class Plain(Spider):
    """The spider of a shell for which no other is named."""

    name = "shell"


@commands.command("parse")
@click.argument("url")
@click.option(
    "--spider", metavar="NAME", help="Name of the spider, from FILE or from the settings."
)
@click.option("--file", "path", metavar="FILE", help="File with the spider, in Python or YAML.")
@click.option(
    "--callback",
    metavar="NAME",
    help="Method of the spider to run. The default is the callback of start URLs.",
)
@click.option(
    "--depth", type=click.IntRange(1), default=1, help="How many levels of pages to parse."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each page.")
@options.ARGUMENTS
@options.SETTINGS
@options.LEVEL
@CONFIG
def parse_page(
    url: str,
    spider: str | None,
    path: str | None,
    callback: str | None,
    depth: int,
    as_json: bool,
    arguments: tuple[str, ...],
    settings: tuple[str, ...],
    level: str,
    file: str | None,
) -> None:
    """Fetch URL, and show which items and requests a callback yields for it."""
    logs.setup(level, "text")
    kind = options.chosen(options.known_spiders(path, file), spider, path or IN_SETTINGS)
    if callback and not callable(getattr(kind, callback, None)):
        raise options.Unusable(f"--callback: spider {kind.name!r} has no method {callback!r}")
    with pages_for(kind, arguments, settings, file) as pages:
        for found in parsed(pages, Request(address(url), callback), depth):
            if as_json:
                click.echo(json.dumps(found.to_json(), ensure_ascii=False))
            else:
                click.echo("\n".join(found.lines()))


@commands.command()
@click.argument("url", required=False)
@click.option("-c", "--code", metavar="CODE", help="Evaluate this, print its value, and end.")
@click.option(
    "--spider",
    metavar="NAME",
    help="Name of the spider whose settings apply, from FILE or from the settings.",
)
@click.option("--file", "path", metavar="FILE", help="File with the spider, in Python or YAML.")
@options.ARGUMENTS
@options.SETTINGS
@options.LEVEL
@click.option("--config", "file", envvar="CRAWLER_CONFIG", metavar="FILE", help="Settings file.")
def shell(
    url: str | None,
    code: str | None,
    spider: str | None,
    path: str | None,
    arguments: tuple[str, ...],
    settings: tuple[str, ...],
    level: str,
    file: str | None,
) -> None:
    """Try selectors on a page: a URL, or a file such as ./page.html."""
    logs.setup(level, "text")
    kind: type[Spider] = Plain
    if spider or path:
        known = options.known_spiders(path, file)
        kind = options.chosen(known, spider, path or IN_SETTINGS)
    with pages_for(kind, arguments, settings, file, any_status=True) as pages:
        session = Shell(pages)
        if url is not None:
            session.fetch(url)
        if code is None:
            session.interact()
        else:
            _evaluate(session, code)


def _evaluate(session: Shell, code: str) -> None:
    try:
        value = session.evaluate(code)
    except CrawlerError:
        raise
    except Exception as error:
        text = f"-c: {type(error).__name__}: {error}{place_of(error)}"
        raise CrawlerError(text) from error
    if value is not None:
        click.echo(value)


@contextlib.contextmanager
def pages_for(
    kind: type[Spider],
    arguments: Sequence[str],
    settings: Sequence[str],
    file: str | None,
    any_status: bool = False,
) -> Iterator[Pages]:
    """A context with the pages for a spider. Raises Unusable."""
    spec = options.spec_of(kind, arguments, settings)
    with engine_for(options.crawl_settings(file), by_hand(kind)) as engine:
        try:
            pages = Pages(engine, spec, any_status)
        except InvalidArgument as error:
            raise options.refused(error) from error
        try:
            yield pages
        finally:
            pages.close()
            sys.stdout.flush()
