"""The parts of the test site that go on for ever."""

from __future__ import annotations

from collections.abc import Mapping

from tests.site.asked import Asked, Page, Reply, html


def calendar(asked: Asked) -> Reply:
    """/calendar?month=7: links to the months before and after, without end."""
    month = int(asked.number("month", 0))
    return html(f"month {month}", f"?month={month - 1}", f"?month={month + 1}")


def maze(asked: Asked) -> Reply:
    """/maze/: relative links that append to the path of the page, /maze/a/b/a/b/…, without end."""
    return html(asked.path, "a/b/")


def shelf(asked: Asked) -> Reply:
    """/shelf?a=1&b=2: a list whose links change one of its filters each, in every combination."""
    chosen = dict(asked.query)
    wanted = ({**chosen, name: str(value)} for name in "abcdef" for value in range(4))
    return html("shelf", *("?" + "&".join(f"{k}={v}" for k, v in each.items()) for each in wanted))


TRAPS: Mapping[str, Page] = {"calendar": calendar, "maze": maze, "shelf": shelf}
