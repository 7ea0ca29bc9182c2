"""Draws a flame graph as SVG: one box for each function in each stack, as wide as its time.

A picture needs no script: the title of a box, which viewers show under the pointer, has its whole
name and its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from zlib import crc32

WIDTH = 1200.0
HEIGHT = 17
LEAST_WIDTH = 0.4
"""Narrower boxes are left out, with all above them."""
LETTER = 6.6
"""The width of a letter."""

_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" width="100%"'
    ' font-family="monospace" font-size="11">\n'
    '<rect width="100%" height="100%" fill="#fff"/>\n'
)
_BOX = (
    '<g><title>{title}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}"'
    ' fill="{fill}" stroke="#fff" stroke-width="0.5"/>{text}</g>\n'
)


@dataclass
class _Node:
    name: str
    spent_us: int = 0
    inner: dict[str, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Box:
    node: _Node
    x: float
    width: float
    depth: int


def drawn(times: Mapping[tuple[str, ...], int]) -> str:
    """Return the flame graph of a profile, the outermost functions on top."""
    root = _tree(times)
    boxes = list(_boxes(root))
    height = (max(box.depth for box in boxes) + 1) * HEIGHT
    parts = (_drawn(box, root.spent_us) for box in boxes)
    return f"{_HEAD.format(width=WIDTH, height=height)}{''.join(parts)}</svg>\n"


def _tree(times: Mapping[tuple[str, ...], int]) -> _Node:
    root = _Node("all")
    for stack, spent_us in times.items():
        node = root
        node.spent_us += spent_us
        for name in stack:
            node = node.inner.setdefault(name, _Node(name))
            node.spent_us += spent_us
    return root


def _boxes(root: _Node) -> Iterator[_Box]:
    left = [_Box(root, 0.0, WIDTH, 0)]
    while left:
        box = left.pop()
        yield box
        x = box.x
        for node in sorted(box.node.inner.values(), key=lambda node: node.name):
            width = WIDTH * node.spent_us / max(1, root.spent_us)
            if width >= LEAST_WIDTH:
                left.append(_Box(node, x, width, box.depth + 1))
            x += width


def _drawn(box: _Box, whole_us: int) -> str:
    name, spent_us = box.node.name, box.node.spent_us
    y, share = box.depth * HEIGHT, spent_us / max(1, whole_us)
    letters = int((box.width - 4) / LETTER)
    text = ""
    if letters >= 3:
        shown = name if len(name) <= letters else f"{name[: letters - 1]}…"
        text = f'<text x="{box.x + 2:.1f}" y="{y + HEIGHT - 5}">{_escaped(shown)}</text>'
    return _BOX.format(
        title=_escaped(f"{name}: {spent_us / 1000:.1f} ms, {share:.1%}"),
        x=box.x,
        y=y,
        width=box.width,
        height=HEIGHT,
        fill=_colour(name),
        text=text,
    )


def _colour(name: str) -> str:
    """Return a warm colour, the same for the same function."""
    number = crc32(name.encode(errors="replace"))
    return f"rgb({205 + number % 50},{90 + number // 50 % 130},{number // 6500 % 55})"


def _escaped(text: str) -> str:
    """Return a text as XML takes it, which has no control characters."""
    return escape("".join(each if each.isprintable() else "?" for each in text))
