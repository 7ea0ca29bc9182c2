"""Commands that make, list and revoke the tokens of a cluster."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence

import click

from crawler.api.http import bodies
from crawler.api.rpc.client import Client
from crawler.cli import token_file
from crawler.cli.as_json import JSON_LINES, show_json_lines
from crawler.cli.base import commands, labels_option, show_table, shown_time
from crawler.cli.master import ADDRESS, CALL, MASTER, addresses_of, connected, own_token
from crawler.cli.token_file import Kept, Login
from crawler.coordination.token_secret import parts_of
from crawler.errors import CrawlerError, InvalidArgument
from crawler.model.access import GIVEN, NewToken, Role, Token, TokenWish
from crawler.terminal import tables

REPLACE = click.option("--replace", is_flag=True, help="Allow it to replace a kept one.")

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
@click.option("--save", is_flag=True, help="Keep it for the master, as the first one always is.")
@REPLACE
def create(
    master: str,
    role: str,
    name: str,
    expires: str | None,
    labels: dict[str, str],
    save: bool,
    replace: bool,
) -> None:
    """Make a token, and print it. It is shown this once: the cluster keeps only a hash of it.

    The first token of a cluster is of an admin. It is kept for the master, so that later commands
    of this user find it.
    """
    expires_ns = time.time_ns() + _seconds(expires) * 10**9 if expires else 0
    wish = TokenWish(name, Role(role), labels, expires_ns)
    with connected(master) as client:
        known = client.tokens(CALL)
        if save:
            _check_replaced(_others(master), known, is_allowed=replace)
        made = _made(client, wish, expires)
    click.echo(made.text)
    _tell_made(made, is_first=not known)
    if save or (not known and not own_token()):
        _keep(master, made.text, is_wanted=save)


@token.command()
@ADDRESS
@REPLACE
def save(master: str, replace: bool) -> None:
    """Keep a token for the master: the one that standard input, or you at a prompt, gives."""
    is_asked = sys.stdin.isatty()
    text = click.prompt("token", hide_input=True, err=True) if is_asked else sys.stdin.read()
    found = parts_of(text.strip())
    if found is None:
        raise CrawlerError("this is no token; one is crawler_, an id, _ and a secret")
    _check_replaced(_others(master, found.id), (), is_allowed=replace)
    _keep(master, found.text, is_wanted=True)


def _others(master: str, id: str = "") -> Mapping[str, Kept]:
    """Return what is kept for these masters, by their addresses, without the token of that id."""
    kept = {each: token_file.kept_for([each]) for each in addresses_of(master)}
    return {at: each for at, each in kept.items() if each and token_file.id_of(each) != id}


def _check_replaced(others: Mapping[str, Kept], known: Sequence[Token], is_allowed: bool) -> None:
    """Say what a token replaces in the file. Without leave nothing is replaced: it may be the only
    token of an admin. Raises CrawlerError."""
    for address, kept in others.items():
        told = _named(kept, known)
        if not is_allowed:
            raise CrawlerError(
                f"{token_file.path()} keeps {told} for {address} already; to replace it, give"
                " --replace"
            )
        click.echo(f"crawler: for {address} it replaces {told}", err=True)


def _named(kept: Kept, known: Sequence[Token]) -> str:
    """Return how to name what is kept to somebody who may know its name and its role."""
    if isinstance(kept, Login):
        return f"a login at {kept.issuer}"
    id = token_file.id_of(kept)
    about = (f" ({each.name or 'no name'}, {each.role.value})" for each in known if each.id == id)
    return f"token {id}{next(about, '')}"


def _made(client: Client, wish: TokenWish, expires: str | None) -> NewToken:
    """Make a token. An error names the option, and not the field of the request."""
    try:
        return client.create_token(wish, CALL)
    except InvalidArgument as error:
        if not (expires and str(error).startswith("expiration_time: ") and "first" in str(error)):
            raise
        raise InvalidArgument(
            f"--expires {expires} is not allowed for the first token of a cluster: from then on "
            "everybody needs a token, and this one must let somebody make more; leave out --expires"
        ) from None


def _tell_made(made: NewToken, is_first: bool) -> None:
    now = ". It is the first one: from now on everybody needs a token" if is_first else ""
    click.echo(
        f"crawler: token {made.token.id} ({made.token.role.value}); give it with --token or"
        f" CRAWLER_TOKEN, over HTTP as Authorization: Bearer TOKEN{now}",
        err=True,
    )


def _keep(master: str, text: str, is_wanted: bool) -> None:
    """Keep a token for a master. If that fails, the user has it all the same, so it is an error
    only if that was wanted."""
    try:
        token_file.keep(addresses_of(master), text)
    except OSError as error:
        told = f"the token cannot be kept: {error}; write it down"
        if is_wanted:
            raise CrawlerError(told) from error
    else:
        told = (
            f"{token_file.path()} keeps it for {master}: commands find it there; "
            "crawler token forget drops it"
        )
    click.echo(f"crawler: {told}", err=True)


@token.command(name="list")
@MASTER
@JSON_LINES
def list_(master: str, as_json: bool) -> None:
    """List the tokens, without their secrets."""
    with connected(master) as client:
        found = client.tokens(CALL)
    if as_json:
        return show_json_lines(map(bodies.token, found))
    if not found:
        click.echo(
            "no tokens: nodes answer callers of their own machine alone; crawler token create"
            " makes one"
        )
        return
    show_table(("ID", "NAME", "ROLE", "LABELS", "CREATED", "EXPIRES"), map(_row, found))


@token.command()
@MASTER
@click.argument("id")
def revoke(master: str, id: str) -> None:
    """End the token ID. It counts no more on any node, at once."""
    with connected(master) as client:
        ended = client.revoke_token(id, CALL)
    with contextlib.suppress(OSError):  # what cannot be read is not used either
        token_file.forget_id(ended.id)
    click.echo(f"token {ended.id} ({ended.name or ended.role.value}) is revoked")


@token.command()
@ADDRESS
def forget(master: str) -> None:
    """Drop the token that this user's file keeps for the master. The cluster still knows it."""
    dropped = token_file.forget(addresses_of(master))
    click.echo(f"{token_file.path()} keeps {'no longer a' if dropped else 'no'} token for {master}")


def _row(found: Token) -> tuple[str, ...]:
    times = (shown_time(found.created_ns), _end(found))
    return (found.id, found.name, found.role.value, tables.pairs(found.labels), *times)


def _end(found: Token) -> str:
    """Return when a token ends, or that it has ended."""
    if not found.expires_ns:
        return "never"
    begin = "expired " if found.has_expired(time.time_ns()) else ""
    return f"{begin}{shown_time(found.expires_ns)}"


def _seconds(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if not (number.isdecimal() and number.isascii() and unit in _UNITS_S and int(number)):
        raise click.BadParameter(
            f"{text!r} is not allowed; allowed is a number and one of {', '.join(_UNITS_S)}",
            param_hint="--expires",
        )
    return int(number) * _UNITS_S[unit]
