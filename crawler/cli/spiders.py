"""`crawler new` and `crawler check`: they write spiders, and find faults in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from crawler import logs
from crawler.cli import options
from crawler.cli.base import FAILED, commands
from crawler.cli.pages import pages_for
from crawler.devtools.checks import Fault, faults_in, faults_of, line_in_yaml
from crawler.devtools.contracts import BadContract, Contract, broken, contracts_of
from crawler.devtools.page_fetcher import Pages
from crawler.devtools.templates import NAME, TEMPLATES, file_name, rendered
from crawler.engine.http import urls
from crawler.engine.spiders.spider import Spider
from crawler.errors import CrawlerError

_PLACE = re.compile(r"((?:\.?\w++|\[\d+\])*+): ")
"""The place of a fault in a file of declarations, at the beginning of its message."""


@commands.group()
def new() -> None:
    """Write a new file."""


@new.command("spider")
@click.argument("name")
@click.argument("url")
@click.option("--template", type=click.Choice(list(TEMPLATES)), default="basic")
def new_spider(name: str, url: str, template: str) -> None:
    """Write a spider NAME that begins at URL into a file of this folder."""
    if not NAME.fullmatch(name):
        raise options.Unusable(
            f"NAME: {name!r} is not allowed; allowed: up to 64 letters, digits, dots, dashes and"
            " underscores, a letter first"
        )
    text = rendered(template, name, _safe(url))
    path = Path(file_name(template, name))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        message = f"{path}: exists already; choose another name, or remove it"
        raise CrawlerError(message) from None
    click.echo(f"{path} is written; try it: crawler runspider {path} -o {name}.jsonl")


@commands.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option(
    "--contracts", is_flag=True, help="Also fetch the pages that docstrings name with @url."
)
@options.ARGUMENTS
@options.SETTINGS
def check(
    files: tuple[str, ...], contracts: bool, arguments: tuple[str, ...], settings: tuple[str, ...]
) -> int:
    """Find faults in the spiders of files, without fetching anything. What only has no effect is
    a warning."""
    logs.setup("warning", "text")
    found = 0
    for file in files:
        path = Path(file)
        spiders, faults = _loaded(path)
        faults += _faults(path, spiders, options.pairs("-a", arguments))
        if contracts and not faults:
            faults += _broken_contracts(path, spiders, arguments, settings)
        click.echo("".join(f"{line}\n" for line in faults), nl=False)
        found += len(faults)
        if not faults:
            click.echo(f"{path}: ok: {', '.join(spiders)}", err=True)
    return FAILED if found else 0


def _loaded(path: Path) -> tuple[Mapping[str, type[Spider]], list[str]]:
    """Return the spiders of a file, or else why it cannot be loaded, one line for each fault."""
    try:
        return options.spiders_of(path), []
    except options.Unusable as error:
        return {}, [_with_line(path, line) for line in error.message.splitlines()]


def _faults(
    path: Path, spiders: Mapping[str, type[Spider]], arguments: dict[str, str]
) -> Iterator[str]:
    """Yield the faults of the spiders of a file, one line each."""
    faults: set[Fault] = set()
    if spiders and path.suffix == ".py":
        faults.update(faults_in(path, spiders))
    for spider in spiders.values():
        faults.update(faults_of(spider, arguments))
    for fault in sorted(faults):
        yield f"{path}:{fault.line}: {fault.message}" if fault.line else f"{path}: {fault.message}"


def _broken_contracts(
    path: Path,
    spiders: Mapping[str, type[Spider]],
    arguments: Sequence[str],
    settings: Sequence[str],
) -> Iterator[str]:
    """Yield the contracts that the callbacks of a file break, one line each."""
    for spider in spiders.values():
        try:
            contracts = list(contracts_of(spider))
        except BadContract as error:
            yield f"{path}: {spider.name}: {error}"
            continue
        with pages_for(spider, arguments, settings, None) as pages:
            for contract in contracts:
                for message in _told(pages, contract):
                    yield f"{path}:{contract.line}: {contract.callback}: {message}"


def _told(pages: Pages, contract: Contract) -> Iterator[str]:
    try:
        yield from broken(pages, contract)
    except CrawlerError as error:
        yield str(error)


def _with_line(path: Path, message: str) -> str:
    """Return the message with the line number of its fault in a file of declarations."""
    rest = message.removeprefix(str(path))
    place = _PLACE.match(rest)
    if path.suffix == ".py" or not path.is_file() or rest == message or place is None:
        return message
    line = line_in_yaml(path.read_text(encoding="utf-8"), place[1])
    return f"{path}:{line}: {rest.removeprefix(':').lstrip(' .')}" if line else message


def _safe(url: str) -> str:
    """Return the URL as it is sent, with https:// if the scheme is missing. Raises Unusable."""
    full = url if "://" in url else f"https://{url}"
    try:
        safe = urls.safe(full)
    except ValueError:
        safe = ""
    if not urls.is_web(safe):
        raise options.Unusable(f"URL: {url!r} is not allowed; allowed: an http or https URL")
    return safe
