"""Connects a command to a running cluster, through the API of any of its masters."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

import click
import gevent
from click.core import ParameterSource

from crawler.api.backend import Call
from crawler.api.rpc.any_client import AnyClient
from crawler.api.rpc.client import Client
from crawler.cli import token_file
from crawler.cli.base import INTERRUPTED, INTERRUPTED_TEXT
from crawler.cli.kept_logins import token_for
from crawler.cli.nearby import nearest
from crawler.cli.reaching import ADDRESS as ADDRESS
from crawler.cli.reaching import MASTER as MASTER
from crawler.cli.reaching import STRANGER as STRANGER
from crawler.cli.reaching import TLS, TOKEN
from crawler.cli.wording import refused, shard_told, unheard
from crawler.errors import (
    ConfigError,
    CrawlerError,
    NotFound,
    Rejected,
    Retryable,
    Unauthenticated,
    shown,
)
from crawler.tracing.traceparent import trace_given

if TYPE_CHECKING:
    from crawler.settings.tls_files import Pem

TIMEOUT_S = 20.0
"""How many seconds an answer may take. On a busy machine a master takes many. A master that is not
there refuses the connection at once."""

TELL_S = 5.0
"""After so many seconds a command says what it waits for."""

CALL = Call(TIMEOUT_S, trace=trace_given(os.environ))

MASTERS = "crawler.masters"
"""The name under which a command keeps the masters to each of which it shows its kept token."""
ASKED = "crawler.asked"
"""The name under which a command keeps the master that answered last."""


def addresses_of(text: str) -> list[str]:
    """Return the addresses in the text of --master."""
    return [address.strip() for address in text.split(",")]


def own_token(master: str = "") -> str:
    """Return what lets this command in at a master, or at the workers of which the last one told:
    what it was given, or what is kept for that very master, which may be renewed meanwhile. It is
    empty if there is nothing. Raises CrawlerError."""
    context = click.get_current_context(silent=True)
    if context is None:
        return ""
    asked = master or context.meta.get(ASKED, "")
    is_shown = asked in context.meta.get(MASTERS, ())
    return context.meta.get(TOKEN) or (token_for(asked) if is_shown else "")


def _source(master: str) -> str:
    """Return where the token comes from that is shown to a master; empty if there is none."""
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(TOKEN):
        is_set = context.get_parameter_source("token") is ParameterSource.ENVIRONMENT
        return "CRAWLER_TOKEN" if is_set else "--token"
    return str(token_file.path()) if own_token(master) else ""


def way_to(worker: str) -> str:
    """Return the address at which to ask a worker. Without a token it must be that of loopback, if
    the worker is on this machine. With one, it is the address that the certificate of TLS names."""
    return worker if own_token() else nearest(worker)


def own_pem() -> Pem | None:
    """Return what this command uses for TLS; None without. Raises ConfigError."""
    context = click.get_current_context(silent=True)
    files = context.meta.get(TLS, {}) if context is not None else {}
    return _read_pem(*(files.get(name, "") for name in ("ca", "cert", "key")))


@lru_cache
def _read_pem(ca: str, cert: str, key: str) -> Pem | None:
    if not ca:
        return None
    from crawler.settings import tls_files  # most commands need no TLS
    from crawler.settings.sections import TlsSettings

    if bool(cert) != bool(key):
        raise ConfigError("--tls-cert and --tls-key: one given; both or none are allowed")
    try:
        return tls_files.read("tls", TlsSettings(ca=ca, cert=cert, key=key), str(Path.cwd()))
    except ConfigError as error:
        raise ConfigError(str(error).replace("tls.", "--tls-")) from error


def _use_kept(addresses: Sequence[str]) -> None:
    """Let the command use what is kept for these masters, if it was given no token."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[MASTERS] = addresses


def _goes_without(master: str) -> bool:
    """Return whether the token that was refused is a kept one. The command goes on without it, as
    another cluster may be at that address by now. It stays in the file: the first one may be back
    tomorrow. Who has a login has signed in at this cluster, and is told of the refusal."""
    context = click.get_current_context(silent=True)
    if context is None or context.meta.get(TOKEN):
        return False
    addresses = context.meta.get(MASTERS, ())
    kept = token_file.kept_for([master]) if master in addresses else ""
    if not kept or not isinstance(kept, str):
        return False
    context.meta[MASTERS] = [each for each in addresses if each != master]
    click.echo(
        f"crawler: the token that {token_file.path()} keeps for {master} is not valid there; "
        f"going on without it. To drop it: crawler token forget --master {master}",
        err=True,
    )
    return True


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """A context in which SIGINT and SIGTERM end the process at once. It has started nothing; and
    gRPC and gevent swallow what a handler raises, if it comes in a call back of theirs."""
    before = {number: signal.signal(number, _end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


@contextlib.contextmanager
def connected(addresses: str, task: str = "", *, is_stranger: bool = False) -> Iterator[Client]:
    """A context with a client of the first of these masters that can answer. An error says which
    master it is about, and what to do. `task` is the task that the command is about, which may not
    be there. A stranger shows nothing that is kept.

    In the meantime SIGINT and SIGTERM end the process. Raises CrawlerError.
    """
    with ended_by_signals():
        client = None
        try:
            several = addresses_of(addresses)
            if not is_stranger:
                _use_kept(several)
            own_pem()  # bad files are told before anything is asked
            client = (
                AnyClient(several, _Telling.of) if len(several) > 1 else _Telling.of(several[0])
            )
            yield client
        except Retryable as error:
            raise CrawlerError(unheard(several, str(error))) from error
        except NotFound as error:
            if not task:
                raise
            raise CrawlerError(
                f"no task {shown(task)}{shard_told(task)}; see crawler tasks"
            ) from error
        finally:
            if client is not None:
                client.close()


class _Telling(Client):
    """A client that says so while it waits long for an answer, and when a kept token is refused."""

    @classmethod
    def of(cls, address: str) -> Self:
        """Return the client of a master, which shows it what is kept for it."""
        return cls(address, token=partial(own_token, address), pem=own_pem)

    def _ask(self, method: str, request: Any, call: Call) -> Any:
        telling = gevent.spawn(self._tell, call.timeout_s)
        try:
            return self._ask_or_go_without(method, request, call)
        except Rejected as error:
            raise refused(error, self.asked, _source(self.asked)) from None
        finally:
            telling.kill(block=False)

    def _ask_or_go_without(self, method: str, request: Any, call: Call) -> Any:
        try:
            return self._ask_noted(method, request, call)
        except Unauthenticated:
            if not _goes_without(self.asked):
                raise
            return self._ask_noted(method, request, call)

    def _ask_noted(self, method: str, request: Any, call: Call) -> Any:
        answer = super()._ask(method, request, call)
        context = click.get_current_context(silent=True)
        if context is not None:
            context.meta[ASKED] = self.asked
        return answer

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
