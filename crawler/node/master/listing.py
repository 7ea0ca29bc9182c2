"""A page of the tasks that a leader knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from crawler.api.backend import Page
from crawler.clock import give_turn
from crawler.model.records import MAX_PAGE, Counts, Query, Resource
from crawler.node.master.mirrors import Mirrors
from crawler.node.master.order import Order, Place
from crawler.node.master.task_counts import TaskCounts

LOOKED_A_TURN = 1000
"""How many tasks a listing looks at before other greenlets get a turn."""

T = TypeVar("T")

Found = list[tuple[Place, Resource]]
"""Tasks with their places, in order."""


def page_of(mirrors: Mirrors, query: Query, counts_of: Callable[[Resource], Counts]) -> Page:
    """Return a page of the resources as they are stored. Others get turns meanwhile, so it need
    not show one moment. `counts_of` tells the latest counts of a resource. Raises InvalidArgument
    for a bad token."""
    order = Order(query, counts_of)
    after = order.place_after(query.page_token)
    size = max(1, min(query.page_size, MAX_PAGE))
    if order.is_by_name and not query.is_choosy:
        found, counts = _next(mirrors, query, order, after, size + 1), mirrors.counts
    else:
        found, counts = _looked_for(mirrors, query, order, after, size + 1)
    return Page(
        [resource for _, resource in found[:size]],
        order.token(found[size - 1][0]) if len(found) > size else "",
        counts.of(query.state, query.shards),
        counts.told(query.shards),
    )


def _next(mirrors: Mirrors, query: Query, order: Order, after: Place | None, most: int) -> Found:
    """Return the first resources whose names sort after that place, without a look at those behind
    them: at none at all if nothing is in that state. The names are those of the beginning."""
    most = min(most, mirrors.counts.of(query.state, query.shards))
    names = _in_turns(mirrors.names.after(after.name if after else ""))
    present = (each for each in map(mirrors.resource, names) if each is not None)
    wanted = filter(query.admits_state_of, _listed(present, query))
    return [(order.place(each), each) for each in islice(wanted, most)]


def _looked_for(
    mirrors: Mirrors, query: Query, order: Order, after: Place | None, most: int
) -> tuple[Found, TaskCounts]:
    """Return the first resources behind that place, and how many there are in each state. Nobody
    counts tasks by anything else, so one look at each makes both."""
    counts, resources = mirrors.counts, _listed(_in_turns(mirrors.all_resources()), query)
    if query.is_choosy:
        counts = TaskCounts()
        resources = _counted(filter(query.admits_in_any_state, resources), counts)
    return order.first(most, filter(query.admits_state_of, resources), after), counts


def _listed(resources: Iterable[Resource], query: Query) -> Iterator[Resource]:
    """Yield what is listed by itself."""
    return (each for each in resources if query.shards or not each.spec.shard)


def _counted(resources: Iterable[Resource], counts: TaskCounts) -> Iterator[Resource]:
    for resource in resources:
        counts.changed(None, resource)
        yield resource


def _in_turns(looked_at: Iterable[T]) -> Iterator[T]:
    """Let others have turns meanwhile."""
    for number, each in enumerate(looked_at, 1):
        if number % LOOKED_A_TURN == 0:
            give_turn()
        yield each
