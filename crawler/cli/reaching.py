"""The options with which a command reaches a cluster. They need nothing that makes calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from crawler.cli.base import DEFAULT_MASTER

TOKEN = "crawler.token"
"""The name under which a command keeps the token that it was given."""

TLS = "crawler.tls"
"""The name under which a command keeps the files that it was given for TLS."""


def _addresses(context: click.Context, parameter: click.Parameter, value: str) -> str:
    for address in value.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65_536:
            raise click.BadParameter(
                f"{address!r} is no address; host:port is allowed, or several with commas"
            )
    return value


ADDRESS: Callable[..., Any] = click.option(
    "--master",
    envvar="CRAWLER_MASTER",
    show_envvar=True,
    default=DEFAULT_MASTER,
    metavar="HOST:PORT[,…]",
    callback=_addresses,
    help="gRPC addresses of masters (not those of HTTP). If one cannot answer, the next is asked.",
)

_TOKEN: Callable[..., Any] = click.option(
    "--token",
    envvar="CRAWLER_TOKEN",
    show_envvar=True,
    metavar="TOKEN",
    expose_value=False,
    callback=lambda context, parameter, value: context.meta.update({TOKEN: value or ""}),
    help="What lets this command in. Else what `crawler up`, `login` or `token create` keeps in "
    "~/.config/crawler/tokens.json.",
)


def _tls(name: str, help: str) -> Callable[..., Any]:
    """Return the option with which a command is given one of the files for TLS."""

    def keep(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
        context.meta.setdefault(TLS, {})[name] = value or ""

    return click.option(
        f"--tls-{name}",
        envvar=f"CRAWLER_TLS_{name.upper()}",
        show_envvar=True,
        metavar="FILE",
        expose_value=False,
        callback=keep,
        help=help,
    )


_TLS_OPTIONS = (
    _tls("ca", "The authority (PEM) of a cluster with TLS. Without it, the command uses no TLS."),
    _tls("cert", "A certificate (PEM) of your own, if the cluster asks for one."),
    _tls("key", "The private key (PEM) of --tls-cert."),
)


def MASTER(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options with which a command reaches a cluster."""
    found = command
    for option in (*reversed(_TLS_OPTIONS), _TOKEN, ADDRESS):
        found = option(found)
    return found


def STRANGER(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options with which a command reaches a cluster that need not know it."""
    found = command
    for option in (*reversed(_TLS_OPTIONS), ADDRESS):
        found = option(found)
    return found
