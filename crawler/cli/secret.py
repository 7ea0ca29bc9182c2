"""Commands that set, list and delete the secrets that tasks name, and make keys for them."""

from __future__ import annotations

import sys
from typing import IO

import click

from crawler.api.http import bodies
from crawler.cli.as_json import JSON_LINES, show_json_lines
from crawler.cli.base import commands, show_table, shown_time
from crawler.cli.master import CALL, MASTER, connected
from crawler.coordination.sealing import new_key
from crawler.model.secrets import PREFIX, SecretWish
from crawler.schemas.secret_schemas import load_wish


@commands.group()
def secret() -> None:
    """Set, list and delete the secrets that tasks name, as secret:NAME."""


@secret.command(name="set")
@MASTER
@click.argument("name")
@click.argument("more", nargs=-1, metavar="")
@click.option("--file", type=click.File(encoding="utf-8"), help="Read the value from this file.")
def set_(master: str, name: str, more: tuple[str, ...], file: IO[str] | None) -> None:
    """Set the secret NAME. Its value comes from standard input, a prompt, or --file.

    A line break at its end is no part of it. Runs under way keep the value that they had.
    """
    if more:
        raise click.UsageError(
            "a value is no argument: everybody on this machine could read it; give it on standard"
            " input, at the prompt, or with --file"
        )
    wish: SecretWish = load_wish({"name": name, "value": _value(name, file)})
    with connected(master) as client:
        client.set_secret(wish, CALL)
    click.echo(f"secret {name} is set; a task names it as {PREFIX}{name}")


@secret.command(name="list")
@MASTER
@JSON_LINES
def list_(master: str, as_json: bool) -> None:
    """List the secrets: their names, when and by whom they were set, and under which key."""
    with connected(master) as client:
        found = client.secrets(CALL)
    if as_json:
        return show_json_lines(map(bodies.secret, found))
    if not found:
        click.echo("no secrets; crawler secret set NAME sets one")
        return
    rows = ((each.name, shown_time(each.set_ns), each.set_by, each.key_id) for each in found)
    show_table(["NAME", "SET", "BY", "KEY"], rows)


@secret.command()
@MASTER
@click.argument("name")
def delete(master: str, name: str) -> None:
    """Delete the secret NAME. Tasks that name it fail when they next begin."""
    with connected(master) as client:
        client.delete_secret(name, CALL)
    click.echo(f"secret {name} is deleted")


@secret.command()
def key() -> None:
    """Print a new key for secrets. Give it to all masters and workers, and keep it well."""
    click.echo(new_key())
    click.echo(
        "crawler: keep it in a file that only the nodes read, and set secrets.key to"
        " [file:PATH], or CRAWLER_SECRETS_KEY; without it nobody can read the secrets",
        err=True,
    )


def _value(name: str, file: IO[str] | None) -> str:
    """Return the value that the user gives, without a line break at its end."""
    if file is None and sys.stdin.isatty():
        found: str = click.prompt(f"value of {name}", hide_input=True, confirmation_prompt=True)
        return found
    try:
        text = (file or sys.stdin).read()
    except UnicodeDecodeError:
        raise click.UsageError("the value is no text in UTF-8; encode it, as base64") from None
    return text.removesuffix("\n").removesuffix("\r")
