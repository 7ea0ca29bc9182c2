"""Commands that make, list and revoke the tokens of a cluster."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from crawler.cli.base import commands, labels_option, show_table
from crawler.cli.master import CALL, MASTER, connected
from crawler.model.access import GIVEN, Role, Token, TokenWish

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@commands.group()
def token() -> None:
    """Make, list and revoke the tokens that let callers into a cluster."""


@token.command()
@MASTER
@click.option("--role", type=click.Choice([role.value for role in GIVEN]), required=True)
@click.option("--name", default="", help="What people read about it, as `deploy`.")
@click.option("--expires", metavar="TIME", help="From now, as 30d, 12h, 45m. Else never.")
@labels_option("Its holder sees and changes only tasks that have this label.")
def create(master: str, role: str, name: str, expires: str | None, labels: dict[str, str]) -> None:
    """Make a token, and print it. It is shown this once: the cluster keeps only a hash of it."""
    expires_ns = time.time_ns() + _seconds(expires) * 10**9 if expires else 0
    wish = TokenWish(name, Role(role), labels, expires_ns)
    with connected(master) as client:
        made = client.create_token(wish, CALL)
    click.echo(made.text)
    click.echo(
        f"crawler: token {made.token.id} ({role}); give it with --token or CRAWLER_TOKEN, over HTTP"
        " as Authorization: Bearer TOKEN. From now on everybody needs one",
        err=True,
    )


@token.command(name="list")
@MASTER
def list_(master: str) -> None:
    """List the tokens, without their secrets."""
    with connected(master) as client:
        found = client.tokens(CALL)
    if not found:
        click.echo(
            "no tokens: nodes answer callers of their own machine alone; crawler token create"
            " makes one"
        )
        return
    show_table(["id", "name", "role", "labels", "created", "expires"], map(_row, found))


@token.command()
@MASTER
@click.argument("id")
def revoke(master: str, id: str) -> None:
    """End the token ID. It counts no more on any node, at once."""
    with connected(master) as client:
        ended = client.revoke_token(id, CALL)
    click.echo(f"token {ended.id} ({ended.name or ended.role.value}) is revoked")


def _row(found: Token) -> tuple[str, ...]:
    labels = ",".join(f"{key}={value}" for key, value in sorted(found.labels.items()))
    times = (_shown(found.created_ns), _shown(found.expires_ns) if found.expires_ns else "never")
    return (found.id, found.name, found.role.value, labels, *times)


def _shown(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")


def _seconds(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if not (number.isdecimal() and number.isascii() and unit in _UNITS_S and int(number)):
        raise click.BadParameter(
            f"{text!r} is not allowed; allowed is a number and one of {', '.join(_UNITS_S)}",
            param_hint="--expires",
        )
    return int(number) * _UNITS_S[unit]
