"""The URLs by which Redis is named: one server, the servers behind Sentinel, or a cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

PORTS = {"": 6379, "+sentinel": 26379, "+cluster": 6379}
"""The port of each kind where a URL names none."""
MOST_PORT = 65_535
ALLOWED = (
    "redis://[user[:password]@]host:port/db, redis+sentinel://host:port,host:port/service/db or"
    " redis+cluster://host:port,host:port, with rediss for TLS,"
)

_URL = re.compile(
    r"(?P<scheme>rediss?)(?P<kind>\+sentinel|\+cluster|)://"
    r"((?P<user>[^\s:@/?#]*)(:(?P<password>[^\s@/?#]*))?@)?"
    r"(?P<hosts>[^\s@/?#]+)(?P<path>(/[^\s@/?#]+){0,2})/?"
)
_HOST = re.compile(r"(?P<name>[^\s:\[\]]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
_DATABASE = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Where Redis is."""

    kind: str
    """`""` for one server, `"+sentinel"`, `"+cluster"`."""
    is_tls: bool
    user: str
    password: str
    hosts: Sequence[tuple[str, int]]
    service: str
    """The name that Sentinel has for the servers."""
    database: int

    def __str__(self) -> str:
        """The URL without its user and its password."""
        hosts = ",".join(f"{f'[{name}]' if ':' in name else name}:{n}" for name, n in self.hosts)
        path = f"/{self.service}" if self.service else ""
        path += "" if self.kind == "+cluster" else f"/{self.database}"
        return f"redis{'s' if self.is_tls else ''}{self.kind}://{hosts}{path}"

    def __repr__(self) -> str:
        return f"RedisUrl({str(self)!r})"


def is_redis_url(text: str) -> bool:
    """Whether it is a URL of Redis."""
    try:
        parsed(text)
    except ValueError:
        return False
    return True


def parsed(text: str) -> RedisUrl:
    """The parts of a URL. Raises ValueError, which does not repeat the URL: it may hold a password.

    Source of `redis://` and `rediss://`: the registrations at IANA. The two others are ours.
    """
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError(f"it is not {ALLOWED.rstrip(',')}")
    kind, path = match["kind"], match["path"].split("/")[1:]
    service = path.pop(0) if kind == "+sentinel" and path else ""
    database = path.pop(0) if path and kind != "+cluster" else "0"
    if kind == "+sentinel" and not service:
        raise ValueError("it names no service: redis+sentinel://host:port/service")
    if path or not _DATABASE.fullmatch(database):
        raise ValueError("its end is not the number of a database")
    hosts = [_host(each, PORTS[kind]) for each in match["hosts"].split(",")]
    if not kind and len(hosts) > 1:
        raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
    return RedisUrl(
        kind,
        match["scheme"] == "rediss",
        unquote(match["user"] or ""),
        unquote(match["password"] or ""),
        hosts,
        service,
        int(database),
    )


def _host(text: str, default: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if match is None or not 0 < (port := int(match["port"] or default)) <= MOST_PORT:
        raise ValueError("one of its hosts is not host:port, or its login is not before an @")
    return match["name"].strip("[]"), port
