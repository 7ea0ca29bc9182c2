"""A page of the tasks that a leader knows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from crawler.api.backend import Page
from crawler.clock import give_turn
from crawler.model.records import MAX_PAGE, Query, Resource, ToldState
from crawler.node.master.mirrors import Mirrors

LOOKED_A_TURN = 1000
"""How many tasks a listing looks at before other greenlets get a turn."""


def page_of(mirrors: Mirrors, query: Query) -> Page:
    """Return a page of the resources as they are stored, sorted by name. Others get turns
    meanwhile, so it need not show one moment."""
    size = max(1, min(query.page_size, MAX_PAGE))
    if query.labels or isinstance(query.state, ToldState):
        found, total = _chosen(mirrors, query, size + 1)
    else:
        found = list(islice(_matching(mirrors, query, query.page_token), size + 1))
        total = mirrors.count(query.state, query.shards)
    page = found[:size]
    return Page(page, page[-1].name if len(found) > size else "", total)


def _chosen(mirrors: Mirrors, query: Query, most: int) -> tuple[list[Resource], int]:
    """Return the resources of a page, and how many there are in all. Nobody counts tasks by their
    labels, or those that are paused, so one look at each of them makes both."""
    found: list[Resource] = []
    total = 0
    for resource in _matching(mirrors, query, ""):
        total += 1
        if len(found) < most and resource.name > query.page_token:
            found.append(resource)
    return found, total


def _matching(mirrors: Mirrors, query: Query, after: str) -> Iterator[Resource]:
    """Yield the matching resources whose names sort after that one. The names are those that there
    were at the beginning."""
    for number, name in enumerate(mirrors.names.after(after), 1):
        if number % LOOKED_A_TURN == 0:
            give_turn()
        resource = mirrors.resource(name)
        if resource is None or (resource.spec.shard and not query.shards):
            continue
        if query.admits(resource):
            yield resource
