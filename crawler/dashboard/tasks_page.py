"""The tasks: searched, filtered, sorted, and acted on, many at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from flask import Response, request

from crawler.api.backend import Backend, Call, Page
from crawler.api.service import Service
from crawler.api.workers import WORKER
from crawler.dashboard.asked import (
    action,
    allowed,
    backend,
    call,
    page,
    shared,
    show,
    stream,
    tell,
)
from crawler.dashboard.live import Shown
from crawler.dashboard.writing import part
from crawler.errors import CrawlerError, InvalidArgument, shown
from crawler.model.access import Need
from crawler.model.records import Query
from crawler.plural import counted
from crawler.schemas import task_schemas

SIZE = 100
"""How many tasks a page shows."""
MOST_NAMED = 3
"""How many refused tasks are named."""

COLUMNS = (
    ("name", "Task", ""),
    ("state", "State", ""),
    ("node", "Worker", ""),
    ("run", "Run", "n"),
    ("pages", "Pages", "n"),
    ("items", "Items", "n"),
    ("failures", "Failures", "n"),
    ("reason", "Reason", ""),
)
SORTS = ("name", "state", "node", "pages", "items", "failures")
FALLING = ("pages", "items", "failures")
"""What is sorted by these, begins with the largest."""

Act = Callable[[Backend, str, Call], object]

BULK: Mapping[str, tuple[str, str, Act]] = {
    "pause": ("Pause", "paused", lambda asked, *given: asked.pause(*given)),
    "resume": ("Resume", "resumed", lambda asked, *given: asked.resume(*given)),
    "run": ("Run once more", "begun", lambda asked, *given: asked.run(*given)),
    "stop": ("Stop", "stopped", lambda asked, *given: asked.stop(*given)),
    "delete": ("Delete", "deleted", lambda asked, *given: asked.delete(*given)),
}
"""What can be done with tasks: its name, and what has become of them then."""


@dataclass(frozen=True)
class Asked:
    """Which tasks somebody wants to see, and in which order."""

    search: str = ""
    state: str = ""
    label: str = ""
    spider: str = ""
    node: str = ""
    sort: str = ""
    after: str = ""

    @property
    def query(self) -> dict[str, Any]:
        """The same as a query of the page."""
        return asdict(self)

    @property
    def is_filtered(self) -> bool:
        """Whether some tasks may be left out."""
        return any((self.search, self.state, self.label, self.spider, self.node, self.after))

    @property
    def descending(self) -> bool:
        """Whether the largest come first."""
        return self.sort.startswith("-")

    def other(self, **changed: str) -> dict[str, Any]:
        """Return the query with something changed, from its first page on."""
        return asdict(replace(self, **{"after": "", **changed}))

    def sorted(self, key: str) -> dict[str, Any]:
        """Return the query in the order of a column, or in the other direction."""
        falls = self.sort == key or (self.sort != f"-{key}" and key in FALLING)
        return self.other(sort=f"-{key}" if falls else key)

    def wanted(self) -> Query:
        """Return what the leader is asked. Raises InvalidArgument."""
        given: dict[str, Any] = {"page_size": SIZE, "page_token": self.after}
        given |= {"sort": self.sort.removeprefix("-") or "name", "descending": self.descending}
        given |= {"search": self.search, "spider": self.spider, "node": self.node}
        if self.state:
            given["state"] = self.state
        if self.label:
            given["labels"] = dict([task_schemas.load_label(self.label)])
        return task_schemas.load_query(given)


@page("/tasks")
def tasks() -> Response:
    """Show a page of the tasks."""
    asked = _asked()
    bulk = [(word, name) for word, (name, *_) in BULK.items()]
    return show(
        "tasks.html",
        page=_page(shared().service, asked.wanted(), call()),
        nodes=_workers(asked.node),
        asked=asked,
        bulk=bulk,
        columns=COLUMNS,
        sorts=SORTS,
    )


@page("/tasks/live")
def tasks_live() -> Response:
    """Follow it."""
    service, acts, asked = shared().service, allowed(), _asked()
    wanted = asked.wanted()
    return stream("tasks", lambda call: _shown(service, asked, wanted, call, acts))


@action("/tasks", Need.TASKS)
def change_tasks() -> str:
    """Do the same with each of the chosen tasks. Says what was refused, and why."""
    chosen, word = request.form.getlist("task"), request.form.get("act", "")
    if word not in BULK:
        raise InvalidArgument(f"act: {shown(word)} is not allowed; allowed are {', '.join(BULK)}")
    if not chosen:
        raise InvalidArgument("no task was chosen: choose some first")
    done, refusals = 0, []
    for name in chosen:
        try:
            carry_out(word, name)
            done += 1
        except CrawlerError as error:
            refusals.append(f"{name}: {error}")
    if refusals:
        more = f"; and {len(refusals) - MOST_NAMED} others" if len(refusals) > MOST_NAMED else ""
        tell("error", f"refused: {'; '.join(refusals[:MOST_NAMED])}{more}")
    return f"{counted(done, 'task')} {BULK[word][1]}." if done else ""


def carry_out(word: str, name: str) -> None:
    """Do one of the things of `BULK` with a task. Raises whatever calls raise."""
    asking = call()
    BULK[word][2](backend(asking), task_schemas.load_name({"name": name}), asking)


def _asked() -> Asked:
    given = {key: request.args.get(key, "").strip() for key in Asked.__dataclass_fields__}
    return Asked(**given)


def _workers(asked: str) -> Sequence[str]:
    """Return the ids of the workers that may be asked for: those that live, and the one that is
    asked for."""
    asking = call()
    live = {each.node.id for each in backend(asking).nodes(asking) if each.role == WORKER}
    return sorted(live | {asked} - {""})


def _page(service: Service, query: Query, call: Call) -> Page:
    return service.backend(call).list(query, call)


def _shown(
    service: Service, asked: Asked, query: Query, call: Call, acts: Mapping[str, bool]
) -> Shown:
    found = _page(service, query, call)
    rows = {f"task-{each.name}": _part("row", each, acts) for each in found.resources}
    around = {each: _part(each, found, asked) for each in ("states", "pager")}
    parts = {**around, "empty": _part("empty", found, asked, acts), **rows}
    return Shown(parts, {"tasks": list(rows)})


_part = partial(part, "task_parts.html")
