"""Finds the tags and texts of XML piece by piece, and never stops, however broken the XML is.

A parser of XML gives up at its first error, or drops what follows. What is broken in a list of URLs
must cost one URL. So `&` and `<` that begin nothing are text here, and tags need not fit together.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from enum import Enum
from typing import NamedTuple

LONGEST_TAG = 65_536
"""A `<` without its `>` within so many characters begins no tag."""

_TAG = re.compile(
    r"<(?P<end>/?)(?:[\w.-]+:)?(?P<name>[A-Za-z_][\w.-]*+)"
    r"(?P<rest>(?:\s(?:[^<>\"']++|\"[^\"<]*\"|'[^'<]*'|[\"'])*+|/)?)>"
)
_ATTRIBUTE = re.compile(
    r"(?<![\w.:-])((?:[\w.-]++:)?[\w.-]++)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')"
)
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_CDATA = "<![CDATA["
_HIDING = {"<!--": "-->", _CDATA: "]]>", "<?": "?>", "<!": ">"}
"""What begins a part without tags, and what ends it."""


class What(Enum):
    """What was found."""

    START = 1
    END = 2
    TEXT = 3


class Found(NamedTuple):
    """A tag, or a part of a text. The references of a text are for `meant`, when it is whole."""

    what: What
    value: str
    """The local name of a tag, in lower case, or the text."""
    rest: str = ""
    """What stands in a start tag behind the name."""

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of a start tag by their local names."""
        return {name.rpartition(":")[2]: value for name, value in self._attributes()}

    @property
    def base(self) -> str:
        """The `xml:base` of a start tag; empty without one."""
        return dict(self._attributes()).get("xml:base", "").strip()

    def _attributes(self) -> Iterator[tuple[str, str]]:
        for name, double, single in _ATTRIBUTE.findall(self.rest):
            yield name.lower(), meant(double or single)

    @property
    def is_empty(self) -> bool:
        """Whether a start tag has no end tag: `<a/>`."""
        return self.rest.endswith("/")


_Part = Generator[Found, None, int]


class LooseXml:
    """Takes a document in pieces, and gives what is in them."""

    def __init__(self) -> None:
        self._rest = ""
        self._until = ""
        """What ends the part without tags in which the next piece begins."""
        self._is_text = False
        """Whether that part is text: CDATA."""

    def feed(self, piece: str) -> Iterator[Found]:
        """What is complete with another piece of the document."""
        text, at = self._rest + piece, 0
        self._rest = ""
        while at < len(text):
            if self._until:
                at = yield from self._hidden(text, at)
            elif text[at] != "<":
                end = text.find("<", at)
                end = len(text) if end < 0 else end
                if not text[at:end].isspace():
                    yield Found(What.TEXT, text[at:end])
                at = end
            elif _may_go_on(text, at):
                self._rest, at = text[at:], len(text)
            else:
                at = yield from self._tag(text, at)

    def _hidden(self, text: str, at: int) -> _Part:
        """Pass a part without tags. Returns where it ends."""
        end = text.find(self._until, at)
        if end < 0:
            end = max(at, len(text) - len(self._until) + 1)
            self._rest = text[end:]
            after = len(text)
        else:
            after = end + len(self._until)
            self._until = ""
        if self._is_text and end > at:
            yield Found(What.TEXT, text[at:end].replace("&", "&amp;"))
        return after

    def _tag(self, text: str, at: int) -> _Part:
        """Read what begins with `<`. Returns where it ends."""
        found = _TAG.match(text, at)
        if found is not None:
            what = What.END if found["end"] else What.START
            yield Found(what, found["name"].lower(), found["rest"])
            return found.end()
        for begins, ends in _HIDING.items():
            if text.startswith(begins, at):
                declares = begins == "<!" and "[" in text[at : text.find(">", at) + 1]
                self._until = "]>" if declares else ends
                self._is_text = begins == _CDATA
                return at + len(begins)
        yield Found(What.TEXT, "&lt;")
        return at + 1


def meant(text: str) -> str:
    """A text with its references as characters. A bare `&` stays as it is."""
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(reference: re.Match[str]) -> str:
    name, decimal, hexadecimal = reference.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"


def _may_go_on(text: str, at: int) -> bool:
    """Whether the next piece is needed to say what begins with this `<`."""
    if len(text) - at > LONGEST_TAG or text.find("<", at + 1) >= 0:
        return False
    if _CDATA.startswith(text[at : at + len(_CDATA)]):
        return True
    return not text.startswith(("<?", "<!"), at) and text.find(">", at) < 0
