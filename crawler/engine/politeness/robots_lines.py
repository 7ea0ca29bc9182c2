"""Reads the lines of robots.txt as RFC 9309 means them, for a parser that reads them otherwise.

Protego ends a group at every line that it does not know, takes a part of a product token for the
whole, and does not know `User-agent: Bot/1.0`. It gets lines in which there is nothing to mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_LINE = re.compile(r"\r\n?|\n")
_ODD_BREAKS = dict.fromkeys(map(ord, "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), " ")
"""Characters that end a line for Python, and not for RFC 9309."""
_FIELD = re.compile(
    r"\s*(?:(?P<agent>user[ -]?agent)|(?P<rule>allow|d[ias]+l+[oa]w)|(?P<delay>crawl[ -]?delay))"
    r"(?:\s*:\s*|\s+)(?P<value>.*)",
    re.IGNORECASE,
)
"""A line that matters. Common misspellings of `disallow` count."""
_COMPATIBLE = re.compile(r"compatible;\s*([A-Za-z_][\w.-]*)", re.IGNORECASE)
_WITH_CONTACT = re.compile(
    r"\b(?!compatible\b)([A-Za-z_][\w.-]*)(?:/[\w.]+)?(?:;\s*|\s*\(\s*)\+?https?://", re.I
)
_IN_QUERY = {"%3a": ":", "%3A": ":", "%2f": "/", "%2F": "/"}
"""Escapes that mean nothing in a query (RFC 9309, 2.2.2, the table)."""
_ROBOT = re.compile(r"([A-Za-z_][\w.-]*(?:bot|crawler|spider)[\w-]*)/\d", re.IGNORECASE)
_FIRST = re.compile(r"[^\s/;,()*]+")


@lru_cache(maxsize=256)
def token(user_agent: str) -> str:
    """The product token of a user agent (RFC 9309, 2.2.1); empty if there is none.

    Robots that call themselves Mozilla say who they are in a comment: `Mozilla/5.0 (compatible;
    ExampleBot/0.1; https://www.example.com/bot.html)` is ExampleBot.
    """
    first = _FIRST.search(user_agent)
    if first is None:
        return ""
    if first[0].lower() == "mozilla":
        for pattern in (_COMPATIBLE, _WITH_CONTACT, _ROBOT):
            found = pattern.search(user_agent)
            if found is not None:
                return found[1]
    return first[0]


def name(user_agent: str) -> str:
    """The name of a user agent in the lines that `plain` returns."""
    return f"{token(user_agent).lower()}/"


def compared(path: str) -> str:
    """A path of a rule or a URL in the form in which both are compared."""
    before, mark, query = path.partition("?")
    if "%" in query:
        for escape, meant in _IN_QUERY.items():
            query = query.replace(escape, meant)
    return f"{before}{mark}{query}"


def plain(text: str) -> str:
    """The groups of a robots.txt, one line for each product token, rule or delay."""
    return "\n".join(_groups(text.translate(_ODD_BREAKS)))


def _groups(text: str) -> Iterator[str]:
    agents: list[str] = []
    told = 0
    """How many of the agents the lines name that were returned last."""
    ruled = False
    for line in _LINE.split(text):
        found = _FIELD.match(line.partition("#")[0])
        if found is None:
            continue  # other records must not interfere (RFC 9309, 2.2.4)
        value = found["value"].strip()
        if found["agent"]:
            if ruled:
                agents, told, ruled = [], 0, False
            agents.append(_agent(value))
            continue
        if told < len(agents):
            yield from map(_line, agents)
            told = len(agents)
        if found["delay"]:
            yield f"Crawl-delay: {value}"
        else:
            ruled = True
            allows = found["rule"].lower() == "allow"
            yield f"{'Allow' if allows else 'Disallow'}: {compared(value)}"
    if not ruled:  # a group without rules allows everything
        yield from map(_line, agents)


def _line(agent: str) -> str:
    return f"User-agent: {agent}"


def _agent(value: str) -> str:
    return "*" if value.strip("* ") == "" else name(value)
