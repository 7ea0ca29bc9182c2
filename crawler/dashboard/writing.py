"""Writes pages: the templates, and the forms in which they show values.

The templates are Jinja's, and everything in them is escaped. They may be rendered outside a
request, for all who watch the same page.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from crawler.model.records import Leader, Node
from crawler.plural import counted

PREFIX = "/dashboard"
"""Where all pages are."""
SECTIONS = (
    ("cluster", "Cluster", "read"),
    ("tasks", "Tasks", "read"),
    ("schedules", "Schedules", "read"),
    ("projects", "Projects", "read"),
    ("scheduler", "Scheduler", "read"),
    ("alerts", "Alerts", "read"),
    ("audit", "Audit", "cluster"),
    ("tokens", "Tokens", "cluster"),
)
"""The pages that each page leads to: the first part of the path, the name, and what who sees it
must be allowed."""
NONE = "–"
"""Stands for what there is not."""
NS = 1_000_000_000
_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
_SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def moment(ns: int) -> str:
    """Return a moment as an element that the browser shows in its own zone."""
    if not ns:
        return NONE
    at = datetime.fromtimestamp(ns / NS, UTC)
    text = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    iso = at.isoformat(timespec="seconds")
    return Markup('<time datetime="{}">{}</time>').format(iso, text)


def instant(text: str) -> str:
    """Return a moment that is written as RFC 3339 does, in the reader's zone."""
    return moment(round(datetime.fromisoformat(text).timestamp()) * NS)


def duration(seconds: float) -> str:
    """Return a duration in its largest two units: `3 min 20 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds > 0 else "0 s"
    left, parts = round(seconds), []
    for size, unit in _UNITS:
        count, left = divmod(left, int(size))
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def number(value: float) -> str:
    """Return a number with separated thousands."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def size(count: float) -> str:
    """Return a number of bytes in a unit that fits."""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} B"


def quantity(value: float) -> str:
    """Return an amount without needless digits."""
    return f"{value:g}"


def percent(share: float) -> str:
    """Return a share of one."""
    return f"{share * 100:.0f} %"


def path(*parts: str, **query: Any) -> str:
    """Return the path of a page: its parts are quoted, and empty values of the query left out."""
    given = {name: value for name, value in query.items() if value not in ("", None)}
    at = "/".join([PREFIX, *(quote(str(part), safe="") for part in parts)])
    return f"{at}?{urlencode(given, doseq=True)}" if given else at


def pretty(value: Any) -> str:
    """Return a JSON value on several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)


def labels(given: Mapping[str, str]) -> str:
    """Return labels, each as an element."""
    each = Markup('<span class="label">{}={}</span>')
    return Markup(" ").join(each.format(*pair) for pair in sorted(given.items()))


def node(id: str) -> str:
    """Return the id of a node without the name of its service: `worker-2`."""
    return id.rpartition(".")[2]


def leads(leader: Leader | None, node: Node) -> bool:
    """Whether a master is the leader."""
    return leader is not None and leader.address == node.address


def host(url: str) -> str:
    """Return the host of a URL."""
    return urlsplit(url).hostname or url


@cache
def asset(name: str) -> str:
    """Return the path of a static file, which is another one when its content is."""
    data = files("crawler.dashboard").joinpath("static", name).read_bytes()
    return path("static", name, v=hashlib.sha256(data).hexdigest()[:12])


_FILTERS = (
    *(moment, instant, duration, number, size, percent, quantity),
    *(pretty, labels, node, leads, host),
)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("crawler.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update({each.__name__: each for each in _FILTERS})
    made.globals.update(path=path, asset=asset, counted=counted, NONE=NONE)
    return made


_templates = _environment()


def written(template: str, **values: Any) -> str:
    """Return a page, or a part of one."""
    return _templates.get_template(template).render(**values)


def part(template: str, macro: str, *values: Any, **named: Any) -> str:
    """Return what one macro of a template writes: a row, or another part that changes alone."""
    module = _templates.get_template(template).module
    return str(getattr(module, macro)(*values, **named))
