"""`crawler new` and `crawler check`: writing spiders, and finding what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from crawler import logs
from crawler.cli import given
from crawler.cli.base import FAILED, commands
from crawler.engine import urls
from crawler.errors import CrawlerError
from crawler.local.checks import Fault, faults_in, faults_of, line_in_yaml
from crawler.local.templates import NAME, TEMPLATES, file_name, rendered

_PLACE = re.compile(r"((?:\.?\w+|\[\d+\])*): ")
"""Where in a file of declarations a fault is, at the beginning of its message."""


@commands.group()
def new() -> None:
    """Write a file to begin with."""


@new.command("spider")
@click.argument("name")
@click.argument("url")
@click.option("--template", type=click.Choice(list(TEMPLATES)), default="basic")
def new_spider(name: str, url: str, template: str) -> None:
    """Write the file of a spider NAME that begins at URL, into this folder."""
    if not NAME.fullmatch(name):
        raise given.Unusable(
            f"NAME: {name!r} is not allowed; allowed: up to 64 letters, digits, dots, dashes and"
            " underscores, a letter first"
        )
    text = rendered(template, name, _safe(url))
    path = Path(file_name(template, name))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        message = f"{path}: is there already; choose another name, or remove it"
        raise CrawlerError(message) from None
    click.echo(f"{path} is written; try it: crawler runspider {path} -o {name}.jsonl")


@commands.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@given.ARGUMENTS
def check(files: tuple[str, ...], arguments: tuple[str, ...]) -> int:
    """Find what is wrong with the spiders of files, without fetching anything."""
    logs.setup("error", "auto")
    given_arguments = given.pairs("-a", arguments)
    found = 0
    for file in files:
        for line in _checked(Path(file), given_arguments):
            found += 1
            click.echo(line)
    return FAILED if found else 0


def _checked(path: Path, arguments: dict[str, str]) -> Iterator[str]:
    """The faults of a file, a line each; tells the spiders of one without."""
    try:
        spiders = given.spiders_of(path)
    except given.Unusable as error:
        yield from (_with_line(path, line) for line in error.message.splitlines())
        return
    faults: set[Fault] = set()
    if path.suffix == ".py":
        faults.update(faults_in(path, spiders))
    for spider in spiders.values():
        faults.update(faults_of(spider, arguments))
    for fault in sorted(faults):
        yield f"{path}:{fault.line}: {fault.message}" if fault.line else f"{path}: {fault.message}"
    if not faults:
        click.echo(f"{path}: ok: {', '.join(spiders)}", err=True)


def _with_line(path: Path, message: str) -> str:
    """The same message with the line of a file of declarations that it is about."""
    rest = message.removeprefix(str(path))
    place = _PLACE.match(rest)
    if path.suffix == ".py" or rest == message or place is None:
        return message
    line = line_in_yaml(path.read_text(encoding="utf-8"), place[1])
    return f"{path}:{line}: {rest.removeprefix(':').lstrip(' .')}" if line else message


def _safe(url: str) -> str:
    """The URL as it is sent, with https:// before it when that is missing. Raises Unusable."""
    full = url if "://" in url else f"https://{url}"
    try:
        safe = urls.safe(full)
    except ValueError:
        safe = ""
    if not urls.is_web(safe):
        raise given.Unusable(f"URL: {url!r} is not allowed; allowed: an http or https URL")
    return safe
