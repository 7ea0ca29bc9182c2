"""The demo shop's robots.txt, and what it means (RFC 9309, section 2.2).

It is separate from the crawler's own robots code on purpose: the shop says which books a polite
crawler finds, and that answer must not share a mistake with the crawler.
"""

from __future__ import annotations

import re

ALLOW, DISALLOW = "Allow", "Disallow"

_RULES = (
    (DISALLOW, "/staff/"),
    (DISALLOW, "/*/reserved/"),
    (ALLOW, "/department/science/reserved/open-access/"),
)
_SHUT_OUT = "greedybot"


def robots_txt() -> str:
    """The text of the file."""
    return "\n".join(
        [
            "# The staff's pages and what is put aside for customers are not for robots.",
            "User-agent: *",
            *(f"{verb}: {rule}" for verb, rule in _RULES),
            "",
            f"User-agent: {_SHUT_OUT}",
            f"{DISALLOW}: /\n",
        ]
    )


def allowed(address: str, user_agent: str) -> bool:
    """Whether robots.txt lets a user agent fetch a path with its query. The longest rule wins."""
    if user_agent.lower().startswith(_SHUT_OUT):
        return False
    matching = [(len(rule), verb) for verb, rule in _RULES if _matches(rule, address)]
    return max(matching, default=(0, ALLOW))[1] == ALLOW


def _matches(rule: str, address: str) -> bool:
    pattern = ".*".join(map(re.escape, rule.split("*")))
    return re.match(pattern, address) is not None
