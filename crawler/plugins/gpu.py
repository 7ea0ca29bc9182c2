"""Filter: a task labelled `gpu` goes only to workers labelled `gpu`.

A label says yes unless its value is empty, `0`, `false` or `no`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crawler.scheduler.hookspecs import Candidate, Task, hookimpl

LABEL = "gpu"
NO = frozenset({"", "0", "false", "no"})


@hookimpl
def filter_nodes(task: Task, nodes: Sequence[Candidate]) -> Mapping[str, str]:
    """Refuse workers without a GPU to a task that needs one."""
    if not _says_yes(task.labels):
        return {}
    return {c.node.id: "has no GPU" for c in nodes if not _says_yes(c.node.labels)}


def _says_yes(labels: Mapping[str, str]) -> bool:
    return labels.get(LABEL, "").lower() not in NO
