"""Commands with which a person signs in at the OpenID provider of a cluster, and out again."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import click

from crawler.api.oidc import sign_in
from crawler.api.oidc.loopback import Loopback
from crawler.api.oidc.provider import Provider, discover
from crawler.cli import token_file
from crawler.cli.base import OTHER_TOKEN, commands
from crawler.cli.master import (
    ADDRESS,
    CALL,
    STRANGER,
    addresses_of,
    connected,
    ended_by_signals,
)
from crawler.cli.token_file import Login
from crawler.errors import CrawlerError, Retryable, shown
from crawler.model.access import SignIn
from crawler.settings.forms import ISSUER

WAIT_S = 300.0
"""So long a person may take in the browser."""
SCOPES = ("openid", "email", "profile")


@commands.command()
@STRANGER
@click.option("--yes", is_flag=True, help="Sign in at a provider that is new for the master.")
@click.option("--device", is_flag=True, help="Show a code to type in a browser elsewhere.")
@click.option("--no-browser", is_flag=True, help="Only print the URL.")
@click.option(
    "--issuer",
    envvar="CRAWLER_LOGIN_ISSUER",
    show_envvar=True,
    metavar="URL",
    help="The OpenID provider. Else the one that the master names.",
)
@click.option(
    "--client",
    envvar="CRAWLER_LOGIN_CLIENT",
    show_envvar=True,
    metavar="ID",
    help="The id of this program there. Else the one that the master names.",
)
@click.option(
    "--client-secret",
    "secret",
    envvar="CRAWLER_LOGIN_SECRET",
    show_envvar=True,
    default="",
    metavar="TEXT",
    help="For a provider that wants one even of programs on people's machines.",
)
@ended_by_signals()
def login(
    master: str,
    yes: bool,
    device: bool,
    no_browser: bool,
    issuer: str | None,
    client: str | None,
    secret: str,
) -> None:
    """Sign in at the OpenID provider of the cluster. Later commands then need no --token."""
    where = _where(master, issuer, client)
    if not ISSUER.fits(where.issuer):
        raise CrawlerError(f"--issuer: {shown(where.issuer)} given; {ISSUER.words} is allowed")
    click.echo(f"crawler: {master} signs in at {where.issuer} as client {where.client}", err=True)
    if not issuer:
        _check_told(master, where, yes)
    provider, own = discover(where.issuer), sign_in.Client(where.client, secret)
    if device:
        found = _by_code(provider, own, where.scopes)
    else:
        found = _by_browser(provider, own, where.scopes, no_browser)
    expires_s = sign_in.expiry_of(found.id)
    made = Login(found.id, expires_s, where.issuer, where.client, secret, found.refresh)
    token_file.keep(addresses_of(master), made)
    _try(master)
    lasts = "commands renew it" if made.refresh else f"it ends at {time.ctime(expires_s)}"
    click.echo(f"signed in at {where.issuer}; {lasts}")
    if os.environ.get("CRAWLER_TOKEN"):
        click.echo(OTHER_TOKEN, err=True)


@commands.command()
@ADDRESS
def logout(master: str) -> None:
    """Drop the login that is kept for the master, and end it at the provider."""
    kept = token_file.kept_for(addresses_of(master))
    if not isinstance(kept, Login):
        raise CrawlerError(f"nobody is signed in at {master}")
    token_file.forget(addresses_of(master))
    if kept.refresh:
        _revoke(kept)
    click.echo(f"signed out of {kept.issuer}")


def _where(master: str, issuer: str | None, client: str | None) -> SignIn:
    if issuer and client:
        return SignIn(issuer, client, SCOPES)
    if issuer or client:
        raise click.UsageError("--issuer and --client belong together: give both or none")
    with connected(master, is_stranger=True) as asked:
        found = asked.sign_in(CALL)
    if not found.issuer:
        raise CrawlerError(
            f"nobody signs in at {master}: its setting api.oidc_issuer is empty; use a token: an "
            "admin makes one with crawler token create"
        )
    return found


def _check_told(master: str, where: SignIn, is_agreed: bool) -> None:
    """Ask before somebody signs in where a master says, unless that was done before. A hostile
    master may name the client of another cluster: it would be shown the login for that. Raises
    CrawlerError."""
    addresses = addresses_of(master)
    kept = {at: each for at, each in token_file.all_kept().items() if isinstance(each, Login)}
    same = {at for at, each in kept.items() if (each.issuer, each.client) == _names(where)}
    own = {token_file.usual(each) for each in addresses}
    if own <= same:
        return
    if others := sorted(same - own):
        _agree(
            f"the client {where.client} is also that of {', '.join(others)}: {master} could use "
            "your login there. Is it the same cluster?",
            f"give --issuer {where.issuer} --client {where.client}, if it is the same cluster",
        )
    elif not is_agreed:
        _agree(f"nobody has signed in there for {master} from here. Go on?", "give --yes, if so")


def _names(where: SignIn) -> tuple[str, str]:
    return where.issuer, where.client


def _agree(question: str, otherwise: str) -> None:
    """Ask the person, and go on after a yes. Raises CrawlerError."""
    try:
        is_agreed = click.confirm(f"crawler: {question}", err=True)
    except click.Abort:  # nobody is there to answer
        is_agreed = False
    if not is_agreed:
        raise CrawlerError(f"nobody was signed in: this was not confirmed; {otherwise}")


def _by_browser(
    provider: Provider, client: sign_in.Client, scopes: Sequence[str], no_browser: bool
) -> sign_in.Tokens:
    with Loopback() as loopback:
        flow = sign_in.CodeFlow(provider, client, scopes, loopback.url)
        click.echo(f"sign in with a browser of this machine:\n\n  {flow.url}\n", err=True)
        if not no_browser and _has_screen():
            import webbrowser

            webbrowser.open(flow.url)
        query = loopback.wait(flow.is_ours, WAIT_S)
    if query is None:
        raise CrawlerError(
            f"nobody signed in within {WAIT_S:.0f} s; if there is no browser on this machine, use "
            "crawler login --device"
        )
    return flow.finish(query)


def _has_screen() -> bool:
    """Whether a browser can show itself. One of the terminal would take it from its user."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return sys.platform == "darwin" or any(map(os.environ.get, names))


def _by_code(provider: Provider, client: sign_in.Client, scopes: Sequence[str]) -> sign_in.Tokens:
    code = sign_in.device_code(provider, client, scopes)
    click.echo(f"open {code.url} in any browser, and type: {code.user}", err=True)
    return sign_in.await_device(provider, client, code, time.sleep)


def _try(master: str) -> None:
    """Show the login to the master, so that its refusal is told now. Raises CrawlerError."""
    try:
        with connected(master) as client:
            client.leader(CALL)
    except CrawlerError as error:
        if not isinstance(error.__cause__, Retryable):
            raise
        click.echo(f"crawler: {error}", err=True)


def _revoke(kept: Login) -> None:
    try:
        client = sign_in.Client(kept.client, kept.secret)
        sign_in.revoke(discover(kept.issuer), client, kept.refresh)
    except Retryable as error:
        click.echo(f"crawler: the login goes on at the provider until it ends: {error}", err=True)
