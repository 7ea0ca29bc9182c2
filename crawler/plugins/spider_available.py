"""Filter: only workers that have the task's spider, while any live one has it.

When none has it the task is placed all the same: its worker reports which spiders there are, which
tells the user more than a task that waits in silence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crawler.scheduler.hookspecs import Candidate, Task, hookimpl


@hookimpl
def task_labels() -> Collection[str]:
    """It looks at no label."""
    return ()


@hookimpl
def filter_nodes(task: Task, nodes: Sequence[Candidate]) -> Mapping[str, str] | None:
    """Refuse those without the spider, unless that would refuse all."""
    spider = task.spider_name
    lacking = [c.id for c in nodes if not c.node.has_spider(spider)]
    if not lacking or len(lacking) == len(nodes):
        return None
    # Not by name: tasks whose spiders no worker lists are judged as one.
    return dict.fromkeys(lacking, "does not have its spider")
