"""Connects a command to a running cluster, through the API of any of its masters."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import Any

import click
import gevent

from crawler.api.backend import Call
from crawler.api.rpc.any_client import AnyClient
from crawler.api.rpc.client import Client
from crawler.cli.base import INTERRUPTED, INTERRUPTED_TEXT
from crawler.cli.kept_logins import token_for
from crawler.errors import CrawlerError, NotFound, Retryable, shown
from crawler.model.shards import is_like_shard

TIMEOUT_S = 20.0
"""How many seconds an answer may take. On a busy machine a master takes many. A master that is not
there refuses the connection at once."""

TELL_S = 5.0
"""After so many seconds a command says what it waits for."""

CALL = Call(TIMEOUT_S)

TOKEN = "crawler.token"
"""The name under which a command keeps the token that it was given."""

MASTERS = "crawler.masters"
"""The name under which a command keeps the masters whose kept token it uses."""

_UNHEARD = ("cannot reach {}", "{} did not answer", "{} went away", "{} does not answer")
"""The beginnings of errors that say that a master is absent or silent."""


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
    default="127.0.0.1:9091",
    metavar="HOST:PORT[,…]",
    callback=_addresses,
    help="gRPC addresses of masters. If one cannot answer, the next is asked.",
)

_TOKEN: Callable[..., Any] = click.option(
    "--token",
    envvar="CRAWLER_TOKEN",
    show_envvar=True,
    metavar="TOKEN",
    expose_value=False,
    callback=lambda context, parameter, value: context.meta.update({TOKEN: value or ""}),
    help="What lets this command in. Else what `crawler up` or `crawler login` keeps.",
)


def MASTER(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options with which a command reaches a cluster."""
    found: Callable[..., Any] = ADDRESS(_TOKEN(command))
    return found


def addresses_of(text: str) -> list[str]:
    """Return the addresses in the text of --master."""
    return [address.strip() for address in text.split(",")]


def own_token() -> str:
    """Return what lets this command in: what it was given, or what is kept for its masters, which
    may be renewed meanwhile. It is empty if there is nothing. Raises CrawlerError."""
    context = click.get_current_context(silent=True)
    if context is None:
        return ""
    return context.meta.get(TOKEN) or token_for(context.meta.get(MASTERS, ()))


def _use_kept(addresses: Sequence[str]) -> None:
    """Let the command use what is kept for these masters, if it was given no token."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[MASTERS] = addresses


@contextlib.contextmanager
def connected(addresses: str, task: str = "", *, is_stranger: bool = False) -> Iterator[Client]:
    """A context with a client of the first of these masters that can answer. An error says which
    master it is about, and what to do. `task` is the task that the command is about, which may not
    be there. A stranger shows nothing that is kept.

    In the meantime SIGINT and SIGTERM end the process. Raises CrawlerError.
    """
    before = {number: signal.signal(number, _end) for number in (signal.SIGINT, signal.SIGTERM)}
    client = None
    try:
        several = addresses_of(addresses)
        if not is_stranger:
            _use_kept(several)
        make = partial(_Telling, token=own_token)
        client = AnyClient(several, make) if len(several) > 1 else make(several[0])
        yield client
    except Retryable as error:
        raise CrawlerError(_told(several, str(error))) from error
    except NotFound as error:
        if not task:
            raise
        raise CrawlerError(
            f"no task {shown(task)}{_shard_told(task)}; see crawler tasks"
        ) from error
    finally:
        if client is not None:
            client.close()
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


class _Telling(Client):
    """A client that says so while it waits long for an answer."""

    def _ask(self, method: str, request: Any, call: Call) -> Any:
        telling = gevent.spawn(self._tell, call.timeout_s)
        try:
            return super()._ask(method, request, call)
        finally:
            telling.kill(block=False)

    def _tell(self, timeout_s: float) -> None:
        gevent.sleep(TELL_S)
        click.echo(
            f"crawler: {self.asked} has not answered yet; this command waits for up to"
            f" {timeout_s:g} s; Ctrl-C ends it",
            err=True,
        )


def _end(number: int, frame: FrameType | None) -> None:
    """End the process at once: it has started nothing, and gRPC swallows what a handler raises."""
    with contextlib.suppress(RuntimeError):  # the signal came while it was being written to
        sys.stdout.flush()
    os.write(sys.stderr.fileno(), f"{INTERRUPTED_TEXT}\n".encode())
    os._exit(INTERRUPTED)


def _told(addresses: list[str], message: str) -> str:
    if len(addresses) > 1:
        return f"{message}; start a master, or name others with --master or CRAWLER_MASTER"
    [address] = addresses
    if message.startswith(tuple(each.format(address) for each in _UNHEARD)):
        return (
            f"no master answers at {address}; start one (crawler up, crawler master), "
            "or name the gRPC address of another: --master HOST:PORT or CRAWLER_MASTER"
        )
    return f"the master at {address} says: {message}"


def _shard_told(name: str) -> str:
    """Return what to say of a name that is not there, if it is that of a shard."""
    if not is_like_shard(name):
        return ""
    task = shown(name.rpartition("~")[0])
    return f": it would be a shard of {task}, and no such shard is there; name {task} itself"
