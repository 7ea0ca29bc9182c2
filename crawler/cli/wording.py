"""What a command says of a refusal, or of a silent master, in the words of its options."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from gevent import socket

from crawler.cli import token_file
from crawler.errors import Forbidden, Rejected, Unauthenticated, shown
from crawler.model.shards import is_like_shard

PROBE_S = 1.0
"""How many seconds an address may take to show that it speaks HTTP."""

_UNHEARD = ("cannot reach {}", "{} did not answer", "{} went away", "{} does not answer")
"""The beginnings of errors that say that a master is absent or silent."""
_CANNOT_TALK = "cannot talk to {}"

_OPTIONS = {'add "wait_for_spider": true': "give --wait-for-spider"}
"""Words of the interface, and those of the command line."""


def refused(error: Rejected, asked: str, source: str) -> Rejected:
    """Return an error of the same kind in the words of the command line. `source` says where the
    token came from that was shown; empty if none was."""
    text = str(error)
    for words, own in _OPTIONS.items():
        text = text.replace(words, own)
    if isinstance(error, Unauthenticated):
        text = _named(text, source) if source else f"{text}{_elsewhere(asked)}"
    elif isinstance(error, Forbidden) and source and text.startswith("token "):
        text = f"{text}; the token is that of {source}"
    return error if text == str(error) else type(error)(text)


def unheard(addresses: Sequence[str], message: str) -> str:
    """Return what to say if none of these masters could answer."""
    told = [
        f"{each} speaks HTTP; commands need the gRPC address, usually port 9091"
        for each in addresses
        if any(form.format(each) in message for form in (*_UNHEARD, _CANNOT_TALK))
        and _speaks_http(each)
    ]
    if len(addresses) > 1:
        named = "; ".join([message, *told])
        return f"{named}; start a master, or name others with --master or CRAWLER_MASTER"
    [address] = addresses
    if told:
        return told[0]
    if message.startswith(tuple(each.format(address) for each in _UNHEARD)):
        return (
            f"no master answers at {address}; start one (crawler up, crawler master), "
            "or name the gRPC address of another: --master HOST:PORT or CRAWLER_MASTER"
        )
    if message.startswith(_CANNOT_TALK.format(address)):
        return message
    return f"the master at {address} says: {message}"


def shard_told(name: str) -> str:
    """Return what to say of a name that is not there, if it is that of a shard."""
    if not is_like_shard(name):
        return ""
    task = shown(name.rpartition("~")[0])
    return f": it would be a shard of {task}, and no such shard is there; name {task} itself"


def _named(text: str, source: str) -> str:
    return text.replace("this token is not valid", f"the token of {source} is not valid", 1)


def _elsewhere(asked: str) -> str:
    """Return for which other masters something is kept; empty if for none."""
    others = sorted(token_file.all_kept().keys() - {token_file.usual(asked)})
    if not others:
        return ""
    return (
        f". {token_file.path()} keeps one for {', '.join(others)}; if that is this cluster, ask"
        " there: --master HOST:PORT"
    )


def _speaks_http(address: str) -> bool:
    """Return whether a server answers like one of HTTP. It is shown no token."""
    host, _, port = address.rpartition(":")
    place = (host.strip("[]"), int(port))
    with contextlib.suppress(OSError), socket.create_connection(place, PROBE_S) as probe:
        probe.sendall(f"GET /healthz HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        return bytes(probe.recv(5)) == b"HTTP/"
    return False
