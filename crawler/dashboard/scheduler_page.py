"""The scheduler: its strategy and plugins, and where the tasks are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flask import Response, request

from crawler.api.backend import Call, NodeLoad
from crawler.api.workers import WORKER
from crawler.dashboard.asked import (
    NEEDS,
    action,
    backend,
    call,
    check_form,
    field,
    page,
    pages,
    show,
)
from crawler.errors import CrawlerError, InvalidArgument, shown
from crawler.model import audit
from crawler.model.access import Need
from crawler.model.policy import DryRun, PolicyChange, SchedulerView

TRY_S = 30.0
"""Deadline of a dry run: it asks about all tasks."""


class Use(NamedTuple):
    """How much of a quantity a worker's tasks take."""

    quantity: str
    used: float
    capacity: float

    @property
    def share(self) -> float:
        """The share of what there is; 0 if nobody says how much that is."""
        return self.used / self.capacity if 0 < self.capacity < math.inf else 0.0


@page("/scheduler")
def scheduler() -> Response:
    """Show the policy, the plugins, and a map of the tasks."""
    return _scheduler()


@pages.post("/scheduler/try")
def try_policy() -> Response:
    """Show what a change would do. Nothing is changed."""
    check_form()
    asking = Call(TRY_S, caller=call().caller)
    try:
        asked = backend(asking)
        return _scheduler(asked.dry_run(_changes(asked.scheduler(asking)), asking))
    except CrawlerError as error:
        return _scheduler(fault=str(error))


NEEDS["dashboard.try_policy"] = Need.CLUSTER


def _scheduler(tried: DryRun | None = None, fault: str = "") -> Response:
    asking = call()
    asked = backend(asking)
    workers = [each for each in asked.nodes(asking) if each.role == WORKER]
    most = max((each.unfinished for each in workers), default=0) or 1
    return show(
        "scheduler.html",
        view=asked.scheduler(asking),
        tried=tried,
        fault=fault,
        typed=request.form if tried or fault else None,
        workers=[(each, each.unfinished / most, list(uses(each))) for each in workers],
    )


@action("/scheduler", Need.CLUSTER, audit.SCHEDULER_UPDATE)
def update_policy() -> str:
    """Change the strategy, the weights, and which plugins are on."""
    asking = call()
    asked = backend(asking)
    change = _changes(asked.scheduler(asking))
    if change == PolicyChange():
        return "Nothing was changed."
    found = asked.update_scheduler(change, asking)
    return f"The next pass decides by {found.policy.strategy}. No running task moves because of it."


@action("/scheduler/reset", Need.CLUSTER, audit.SCHEDULER_RESET)
def reset_policy() -> str:
    """Go back to the policy of the settings."""
    asking = call()
    found = backend(asking).reset_scheduler(asking)
    return f"The policy is that of the settings again: {found.policy.strategy}."


def uses(load: NodeLoad) -> Iterator[Use]:
    """Yield what the tasks of a worker take of what it has."""
    for quantity in sorted({*load.used, *load.node.capacity}):
        used, capacity = load.used.get(quantity, 0.0), load.node.capacity.get(quantity, math.inf)
        yield Use(quantity, used, capacity)


def _changes(view: SchedulerView) -> PolicyChange:
    """Return what the form changes of the policy. Raises InvalidArgument."""
    strategy, on = field("strategy"), set(request.form.getlist("on"))
    names: Sequence[str] = [each.name for each in view.plugins]
    was_on = {each.name for each in view.plugins if each.on}
    own = {each.name: each.weight for each in view.plugins}
    weigh = {name: _weight(name, own[name]) for name in names}
    return PolicyChange(
        strategy=None if strategy == view.policy.strategy else strategy,
        disable=frozenset(was_on - on),
        enable=frozenset((on & own.keys()) - was_on),
        weigh={name: weight for name, weight in weigh.items() if weight != own[name]},
    )


def _weight(name: str, own: float) -> float:
    given = request.form.get(f"weight-{name}", "").strip()
    try:
        weight = float(given) if given else own
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise InvalidArgument(f"weight of {name}: {shown(given)} is not allowed; a number is")
    return weight
