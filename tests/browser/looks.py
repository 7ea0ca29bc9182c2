"""What every view must be: accessible, as far as a program can see, and as wide as its window."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""The rules of axe that WCAG 2.2 AA consists of, and what its makers advise besides."""

OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules whose outcome another scheme of colours can change."""
OF_SIZES = ["target-size", "scrollable-region-focusable", "aria-hidden-focus"]
"""Those whose outcome another width of the window can change."""

REACH_OUT = """() => {
    const scrolls = at => /auto|scroll|hidden/.test(getComputedStyle(at).overflowX);
    const within = at => at !== document.body && (scrolls(at) || within(at.parentElement));
    return [...document.querySelectorAll("body *")]
        .filter(at => at.getBoundingClientRect().right > innerWidth + 1)
        .filter(at => !within(at.parentElement))
        .map(at => at.outerHTML.slice(0, 120));
}"""
OVERFLOWS = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"


def violations(page, rules=()):
    """What axe finds wrong with the page as it is now, by all rules or some: a line for each
    element."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    options = {"runOnly": list(rules or WCAG), "resultTypes": ["violations"]}
    found = page.evaluate("options => axe.run(options)", options)["violations"]
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['html']}"
        for rule in found
        for node in rule["nodes"]
    ]


def scrolls_sideways(page):
    """The elements that reach beyond the window, if one has to scroll sideways to see them."""
    if not page.evaluate(OVERFLOWS):
        return []
    return page.evaluate(REACH_OUT) or ["something that is not an element"]
