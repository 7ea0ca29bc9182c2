"""Filter: only workers that have the task's spider, while any live one has it.

When none has it the task is placed all the same: its worker reports which spiders there are, which
tells the user more than a task that waits in silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crawler.scheduler.hookspecs import Candidate, Task, hookimpl


@hookimpl
def filter_nodes(task: Task, nodes: Sequence[Candidate]) -> Mapping[str, str]:
    """Refuse those without the spider, unless that would refuse all."""
    lacking = [c.node.id for c in nodes if not c.node.has_spider(task.spider_name)]
    if len(lacking) == len(nodes):
        return {}
    return dict.fromkeys(lacking, f"does not have the spider {task.spider_name!r}")
