"""Reads the lines of robots.txt as RFC 9309 means them, for a parser that reads them otherwise.

Protego ends a group at every line that it does not know, takes a part of a product token for the
whole, and does not know `User-agent: Bot/1.0`. It gets lines in which there is nothing to mistake.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

MOST_AGENTS = 1000
MOST_WILDCARDS = 5000
MOST_RULES = 200_000
"""How many agents a group may name, how many rules may have a `*` or a `$`, and how many rules and
delays there may be, counted for each agent. A file can name sixteen thousand agents for sixteen
thousand rules, which the parser would write down one by one; and each rule with a `*` or a `$` is
tried on each URL."""

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
    r"(?<![\w.-])(?!compatible\b)([A-Za-z_][\w.-]*+)(?:/[\w.-]++)?(?:;\s*+|\s*+\(\s*+)\+?https?://",
    re.IGNORECASE,
)
_IN_QUERY = {"%3a": ":", "%3A": ":", "%2f": "/", "%2F": "/"}
"""Escapes that mean nothing in a query (RFC 9309, 2.2.2, the table)."""
_ROBOT = re.compile(
    r"(?<![\w.-])(?=[\w.-]*?(?:bot|crawler|spider))([A-Za-z_][\w.-]*+)/\d", re.IGNORECASE
)
"""These patterns begin at a word and read it once: any site can write any word, of any length."""
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


def plain(text: str) -> tuple[Sequence[str], int]:
    """The groups of a robots.txt, one line for each product token, rule or delay, up to the bounds
    of what parsing and asking may cost. Returns also how many lines lie beyond them."""
    groups = _Groups()
    for line in _LINE.split(text.translate(_ODD_BREAKS)):
        found = _FIELD.match(line.partition("#")[0])
        if found is not None:  # other records must not interfere (RFC 9309, 2.2.4)
            groups.take(found)
    groups.end()
    return groups.lines, groups.ignored


class _Groups:
    """The groups that were read so far. Each agent is written at most twice: for its delay, which
    holds for the agents before it, and for the rules, which hold for all agents of the group."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ignored = 0
        self._agents: list[str] = []
        self._new: list[str] = []
        """The agents that no delay of the group has followed yet."""
        self._named = 0
        """For how many agents the next line holds."""
        self._ruled = False
        self._rules = 0
        self._wildcards = 0

    def take(self, found: re.Match[str]) -> None:
        """Take the next line that matters."""
        value = found["value"].strip()
        if found["agent"]:
            self._add(_agent(value))
        elif found["delay"]:
            self._name(self._new)
            self._rule(f"Crawl-delay: {value}", is_wild=False)
        else:
            if not self._ruled:
                self._name(self._agents)
            self._ruled = True
            allows = found["rule"].lower() == "allow"
            rule = f"{'Allow' if allows else 'Disallow'}: {compared(value)}"
            self._rule(rule, is_wild="*" in value or "$" in value)

    def end(self) -> None:
        """End the last group. Without rules it allows everything."""
        self._name(self._new)

    def _add(self, agent: str) -> None:
        if self._ruled:
            self._agents, self._new, self._ruled = [], [], False
        if len(self._agents) < MOST_AGENTS:
            self._agents.append(agent)
            self._new.append(agent)
        else:
            self.ignored += 1

    def _name(self, agents: Sequence[str]) -> None:
        """Say for which agents the next lines hold, unless the lines say so already."""
        if agents:
            self.lines += map(_line, agents)
            self._named = len(agents)
            self._new = []

    def _rule(self, line: str, is_wild: bool) -> None:
        self._rules += self._named
        self._wildcards += is_wild
        if self._rules > MOST_RULES or (is_wild and self._wildcards > MOST_WILDCARDS):
            self.ignored += 1
        else:
            self.lines.append(line)


def _line(agent: str) -> str:
    return f"User-agent: {agent}"


def _agent(value: str) -> str:
    return "*" if value.strip("* ") == "" else name(value)
