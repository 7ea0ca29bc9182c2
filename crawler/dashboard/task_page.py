"""The page of one task: how it stands, what it does now, its runs, and why it is where it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from flask import Response

from crawler.api.backend import Call
from crawler.dashboard.asked import action, allowed, backend, call, page, shared, show, stream
from crawler.dashboard.live import Shown
from crawler.dashboard.task_seen import TaskSeen, TaskWatch
from crawler.dashboard.tasks_page import BULK, Act
from crawler.dashboard.writing import part
from crawler.model.access import Need
from crawler.model.policy import LAST
from crawler.model.records import Resource
from crawler.schemas import task_schemas

ACTS: Mapping[str, tuple[str, str, Act]] = {
    **BULK,
    "again": ("Begin anew", "begun anew", lambda asked, *given: asked.again(*given)),
}
"""What can be done with a task: its name, and what has become of it then."""
NOTED = {word: f"task.{word}" for word in ACTS}
"""What the audit calls each."""
PARTS = ("head", "acts", "facts", "numbers", "statuses", "hosts", "runs", "explained")
"""The parts of the page that change alone."""


@page("/tasks/<name>")
def task(name: str) -> Response:
    """Show a task."""
    seen = TaskWatch(shared(), _named(name)).look(call())
    return show("one_task.html", seen=seen, acts=list(acts(seen.task)), last=LAST)


@page("/tasks/<name>/live")
def task_live(name: str) -> Response:
    """Follow it."""
    watch, may = TaskWatch(shared(), _named(name)), allowed()
    return stream("task", lambda call: _shown(watch, call, may))


def _acting(word: str, noted: str) -> None:
    """Let people do one of the things of `ACTS`."""

    def change(name: str) -> str:
        asking = call()
        ACTS[word][2](backend(asking), _named(name), asking)
        return f"{name} is {ACTS[word][1]}."

    change.__name__ = f"{word}_task"
    action(f"/tasks/<name>/{word}", Need.TASKS, noted)(change)


for _word, _noted in NOTED.items():
    _acting(_word, _noted)


def acts(task: Resource) -> Iterator[tuple[str, str, str]]:
    """Yield what makes sense in its present state: the word, the name, and what to ask first."""
    name = task.name
    if task.has_ended:
        yield "run", ACTS["run"][0], ""
    elif task.paused:
        yield "resume", ACTS["resume"][0], ""
    else:
        yield "pause", ACTS["pause"][0], ""
    if not task.has_ended:
        yield "stop", ACTS["stop"][0], f"Stop {name} for good? Its counts and items stay."
        yield (
            "again",
            ACTS["again"][0],
            f"Begin {name} anew? What its present crawl has found is dropped.",
        )
    yield "delete", ACTS["delete"][0], f"Delete {name}? Its items and its history stay."


def _named(name: str) -> str:
    return task_schemas.load_name({"name": name})


def _shown(watch: TaskWatch, call: Call, may: Mapping[str, bool]) -> Shown:
    seen = watch.look(call)
    return Shown({f"task-{each}": _written(each, seen, may) for each in PARTS})


def _written(each: str, seen: TaskSeen, may: Mapping[str, bool]) -> str:
    if each == "acts":
        return _part("acts", seen.task, list(acts(seen.task)), may)
    return _part(each, seen, LAST) if each == "explained" else _part(each, seen)


_part = partial(part, "one_task_parts.html")
