"""`crawler spiders`: the spiders of a cluster, and which parameters each takes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from crawler.api.http import bodies
from crawler.cli.as_json import JSON_LINES, show_json_lines
from crawler.cli.base import commands, show_table
from crawler.cli.master import CALL, MASTER, connected
from crawler.errors import NotFound, shown
from crawler.model.spiders import OfferedSpider, SpiderArgument

UNTOLD = "no worker tells what it takes"


@commands.command()
@MASTER
@click.argument("name", metavar="[NAME]", required=False)
@JSON_LINES
def spiders(master: str, name: str | None, as_json: bool) -> None:
    """List the spiders that tasks can ask for, or show which parameters the spider NAME takes."""
    with connected(master) as client:
        found = client.spiders(CALL)
    for note in found.notes:
        click.echo(f"crawler: {note}", err=True)
    chosen = [each for each in found.spiders if name in (None, each.name)]
    if name is not None and not chosen:
        raise NotFound(f"no spider {shown(name)}; crawler spiders lists those that there are")
    if as_json:
        return show_json_lines(map(bodies.spider, chosen))
    if name is None:
        headers = ("SPIDER", "PROJECT", "WORKERS", "PARAMETERS", "ABOUT")
        return show_table(headers, map(_row, chosen))
    for each in chosen:
        _show(each)


def _row(spider: OfferedSpider) -> tuple[str, ...]:
    told = spider.about
    names = ", ".join(_marked(each) for each in told.arguments) if told else ""
    about = told.about if told else UNTOLD
    return spider.name, spider.project, str(len(spider.nodes)), names, about


def _marked(argument: SpiderArgument) -> str:
    return f"{argument.name}*" if argument.required else argument.name


def _show(spider: OfferedSpider) -> None:
    for line in _lines(spider):
        click.echo(line)
    if spider.about is not None:
        show_table(("PARAMETER", "TYPE", "DEFAULT"), map(_argument, spider.about.arguments))


def _lines(spider: OfferedSpider) -> Iterator[str]:
    of = f" of project {spider.project}" if spider.project else ""
    yield f"spider {spider.name}{of}: {spider.about.about if spider.about else UNTOLD}"
    yield f"offered by {', '.join(spider.nodes) or 'no worker'}"
    if spider.differs:
        yield "workers have different versions of it; this is what most of them have"


def _argument(argument: SpiderArgument) -> tuple[str, str, str]:
    default = "" if argument.default is None else json.dumps(argument.default)
    return argument.name, argument.type, "must be given" if argument.required else default
