"""Finds the tags in the head of a page that say how the rest of it is to be read.

It reads tags as browsers do (HTML standard, 13.2.5): quotes, comments, scripts and the like hide
what is written in them. It builds no tree, so a page that is never parsed costs only this.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from crawler.engine.http.lazy import lazy

LEAST = 1024
"""The first characters are searched even behind the head, as the standard asks (13.2.3.2)."""

MOST_READ = 65_536
"""The characters of one tag in which attributes are sought."""

_TAG = re.compile(
    r"<(?:!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|(?:[!?]|/(?![a-z]))[^>]*+(?:>|\Z)"
    r"|(?P<end>/?)(?P<name>[a-z][^\s/>]*+)"
    r"(?P<rest>(?:[^>\"'=]++|=\s*+\"[^\"]*+(?:\"|\Z)|=\s*+'[^']*+(?:'|\Z)|[\"'=])*+)"
    r"(?:>|(?P<cut>\Z)))",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"([^\s/>=][^\s/>=]*+)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>\"'][^\s>]*+)))?"
)
_REFERENCE = re.compile(r"&(?:#\d+|#x[0-9a-f]+|[a-z]\w*);", re.IGNORECASE)
_WANTED = frozenset({"meta", "base"})
_ANY_WANTED = re.compile("<[MmBb][EeAa][TtSs][AaEe]")
"""Finds the beginning of each, and little else. IGNORECASE would take a hundred times as long."""
_HIDING = frozenset(
    {
        *("script", "style", "title", "textarea", "noscript", "template"),
        *("xmp", "iframe", "noembed", "noframes"),
    }
)
"""Elements in which tags are text, or have no effect. The crawler runs scripts no more than it
reads what is meant for those who run none."""
_OF_HEAD = frozenset(["html", "head", "link", "object", "basefont", "bgsound", "command"])

_HIDING_THE_END = [("<!--", "-->"), ("<script", "</script"), ("<noscript", "</noscript")]
"""What can hide a tag that is not the end of the head, though it looks like it."""


class Tag:
    """A start tag."""

    def __init__(self, name: str, rest: str) -> None:
        self.name = name
        """In lower case."""
        self._rest = rest

    def mentions(self, word: str) -> bool:
        """Whether a word, given in lower case, stands anywhere in the tag."""
        return word in self._rest.lower()

    def get(self, attribute: str) -> str | None:
        """The value of an attribute, without white space around it; None if it is missing."""
        return self._attributes.get(attribute)

    @lazy
    def _attributes(self) -> Mapping[str, str]:
        """Of two attributes with the same name the first counts."""
        attributes: dict[str, str] = {}
        for name, double, single, bare in _ATTRIBUTE.findall(self._rest[:MOST_READ]):
            value = _REFERENCE.sub(_meant, double or single or bare)
            attributes.setdefault(name.lower(), value.strip())
        return attributes


def tags(markup: str, *words: str, is_xml: bool = False) -> Iterator[Tag]:
    """The <meta> and <base> tags of a page up to the end of its head, in their order.

    There are none if `words`, in lower case, are given and none of them stands in the head. In XML
    `<title/>` is a whole element; in HTML the title begins there.
    """
    if words and _lacks(markup, words):
        return
    at = 0
    while found := _TAG.search(markup, at):
        at = found.end()
        if found["cut"] is not None:
            return
        name = (found["name"] or "").lower()
        if found["end"]:
            if name == "head" and at > LEAST:
                return
        elif name in _WANTED:
            yield Tag(name, found["rest"])
        elif name in _HIDING and not (is_xml and found["rest"].endswith("/")):
            closing = _closing(name).search(markup, at)
            if closing is None:
                return
            at = closing.start()
        elif name and name not in _OF_HEAD and at > LEAST:
            return


def _lacks(markup: str, words: tuple[str, ...]) -> bool:
    """Whether it is certain, at a glance, that no word stands in the head. Most pages end here."""
    if _ANY_WANTED.search(markup) is None:
        return True
    end = markup.find("</head", LEAST)  # not there if the head is short, or there is none
    text = (markup if end < 0 else markup[:end]).lower()
    if "<meta" not in text and "<base" not in text:
        return end < 0 or not _hides_its_end(text)
    for word in words:
        if word in text:
            return end < 0 and _are_behind_the_head(text, words)
    return end < 0 or not _hides_its_end(text)


def _are_behind_the_head(text: str, words: tuple[str, ...]) -> bool:
    body = text.find("<body", LEAST)
    head = text[: max(body, 0)]
    return body >= 0 and not any(word in head for word in words) and not _hides_its_end(head)


def _hides_its_end(head: str) -> bool:
    return any(head.rfind(begins) > head.rfind(ends) for begins, ends in _HIDING_THE_END)


def _meant(reference: re.Match[str]) -> str:
    return html.unescape(reference[0])


@lru_cache(maxsize=32)
def _closing(name: str) -> re.Pattern[str]:
    return re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
