"""Commands that drain a worker, and let it have tasks again."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import chain, islice

import click

from crawler.api.backend import NodeLoad
from crawler.api.http import bodies
from crawler.api.rpc.client import Client
from crawler.cli.as_json import JSON, show_json
from crawler.cli.base import commands
from crawler.cli.cluster import all_tasks
from crawler.cli.master import CALL, MASTER, connected
from crawler.errors import CrawlerError, NotFound, Retryable
from crawler.model.policy import Judgement
from crawler.model.records import Query, State
from crawler.plural import counted

LOOK_S = 0.5
"""Pause between two looks at a worker that is being drained, in seconds."""

PATIENCE_S = 30.0
"""For how many seconds no master may answer meanwhile: a change of leader takes some seconds."""

MOST_NAMED = 10
"""How many of the remaining tasks are named with a reason; the rest are counted."""

MOST_REASONS = 3
"""How many workers are named for each of them."""


@commands.command()
@MASTER
@click.argument("node")
@click.option("--wait", is_flag=True, help="Return when the worker has no unfinished tasks left.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait at most this long. Then name the tasks that are left, and fail.",
)
@JSON
def drain(master: str, node: str, wait: bool, timeout_s: float | None, as_json: bool) -> None:
    """Move all tasks off the worker NODE (its id or its name), and keep other tasks away."""
    with connected(master) as client:
        load = client.drain(node, CALL)
        tell = _tell_nothing if as_json else _tell_progress
        tell(load)
        if wait or timeout_s is not None:
            load = _watch(client, load, timeout_s, tell)
    if as_json:
        show_json(bodies.node(load))


@commands.command()
@MASTER
@click.argument("node")
@JSON
def uncordon(master: str, node: str, as_json: bool) -> None:
    """Let the worker NODE take tasks again."""
    with connected(master) as client:
        load = client.uncordon(node, CALL)
    if as_json:
        return show_json(bodies.node(load))
    click.echo(f"{load.node.id} takes tasks again")


def _watch(
    client: Client, load: NodeLoad, timeout_s: float | None, tell: Callable[[NodeLoad], None]
) -> NodeLoad:
    """Tell how many tasks a worker has left, until it has none. Returns it as it is then. Raises
    CrawlerError."""
    began_s = heard_s = time.monotonic()
    told = load.unfinished
    while load.unfinished:
        left_s = LOOK_S if timeout_s is None else began_s + timeout_s - time.monotonic()
        if left_s <= 0:
            raise CrawlerError(_staying(client, load, timeout_s or 0.0))
        time.sleep(min(LOOK_S, left_s))
        try:
            load = _look(client, load)
            heard_s = time.monotonic()
        except Retryable:
            if time.monotonic() - heard_s > PATIENCE_S:
                raise
        if load.unfinished != told:
            tell(load)
            told = load.unfinished
    return load


def _look(client: Client, load: NodeLoad) -> NodeLoad:
    found = next((each for each in client.nodes(CALL) if each.node.id == load.node.id), None)
    if found is None:
        raise CrawlerError(f"{load.node.id} is gone; its tasks move when its lease has ended")
    if not found.cordoned:
        raise CrawlerError(f"{load.node.id} was uncordoned meanwhile, and takes tasks again")
    return found


def _tell_nothing(load: NodeLoad) -> None:
    """Who reads JSON gets the end alone."""


def _tell_progress(load: NodeLoad) -> None:
    left = f"has {_tasks(load)} left" if load.unfinished else "is empty"
    click.echo(f"{load.node.id} takes no tasks, and {left}")


def _tasks(load: NodeLoad) -> str:
    return counted(load.unfinished, "unfinished task")


def _staying(client: Client, load: NodeLoad, timeout_s: float) -> str:
    """Return which tasks a worker still has, and why."""
    lines = [
        f"{load.node.id} still has {_tasks(load)} after {timeout_s:g} s; "
        "it takes no others, and these move as soon as another worker suits:"
    ]
    unfinished = chain.from_iterable(
        all_tasks(client, Query(state=state)) for state in (State.ASSIGNED, State.RUNNING)
    )
    mine = (each.name for each in unfinished if each.owner and each.owner.node_id == load.node.id)
    lines += [f"  {name}: {_why(client, name, load.node.id)}" for name in islice(mine, MOST_NAMED)]
    more = load.unfinished - MOST_NAMED
    return "\n".join([*lines, *([f"  and {more} more"] if more > 0 else [])])


def _why(client: Client, name: str, node_id: str) -> str:
    """Return what keeps a task on that worker."""
    try:
        return _obstacle(client.explain(name, CALL).judgement, node_id)
    except NotFound:
        return "was deleted just now"


def _obstacle(judgement: Judgement, node_id: str) -> str:
    if judgement.chosen:
        return f"{judgement.chosen} suits, and gets it at the next pass"
    refusals = [
        f"{each.node_id} {'; '.join(each.refusals.values())}"
        for each in judgement.workers
        if each.refusals and each.node_id != node_id
    ]
    if not refusals:
        return "there is no other worker"
    more = len(refusals) - MOST_REASONS
    return "; ".join([*refusals[:MOST_REASONS], *([f"and {more} more"] if more > 0 else [])])
