"""Filter: only workers that have the task's spider, while any live one has it.

A task that was to wait for its spider is offered only while a worker has it. If no worker has it,
another task is placed all the same. Its worker then reports which spiders there are, which tells
the user more than a task that waits. A task of a project always waits: a worker that knows nothing
of projects would take another spider of that name, also one that lists no spiders.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crawler.model.records import Node
from crawler.scheduler.hookspecs import Candidate, Task, hookimpl


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no label."""
    return ()


@hookimpl
def filter_nodes(task: Task, nodes: Sequence[Candidate]) -> Mapping[str, str] | None:
    """Refuse workers without the spider, unless that would refuse all."""
    lacking = [c.id for c in nodes if not _offers(c.node, task)]
    if not lacking or (len(lacking) == len(nodes) and not task.project):
        return None
    # The reason has no name: tasks whose spiders no worker lists have the same shape.
    return dict.fromkeys(lacking, "does not have its spider")


def _offers(node: Node, task: Task) -> bool:
    return node.has_spider(task.spider_name) and not (task.project and node.spiders is None)
