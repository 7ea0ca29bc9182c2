"""What every view must be: accessible, as far as a program can see, and as wide as its window."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""The rules of axe that WCAG 2.2 AA consists of, and what its makers advise besides."""

WIDEST = """() => [...document.querySelectorAll("body *")]
    .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
    .map(each => `${each.tagName.toLowerCase()}.${each.className}`)"""
OVERFLOWS = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"


def violations(page):
    """What axe finds wrong with the page as it is now: a line for each element."""
    rules = {"runOnly": WCAG, "resultTypes": ["violations"]}
    found = Axe().run(page, options=rules).response["violations"]
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['html']}"
        for rule in found
        for node in rule["nodes"]
    ]


def scrolls_sideways(page):
    """The elements that reach beyond the window, if one has to scroll sideways to see them."""
    return page.evaluate(WIDEST) if page.evaluate(OVERFLOWS) else []
