"""What identifies a run, and how its folders and files are called: those of its items and state."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from crawler.items.names import folder_name
from crawler.model.records import Resource
from crawler.model.shards import shard_name


class RunKey(NamedTuple):
    """Identifies one run. A task of the same name may be another task, or have another
    assignment."""

    id: str
    epoch: int


def id_name(id: str) -> str:
    """Return the id of a task as the beginning of a name."""
    return folder_name(id) or "task"


def run_name(resource: Resource) -> str:
    """Return `<id>-<epoch>`, which names a run among all of its task's; `<id>~<shard>-<epoch>` for
    one of a shard."""
    return f"{shard_name(id_name(resource.id), resource.spec.shard)}-{resource.epoch}"


def task_folder(folder: Path, resource: Resource) -> Path:
    """Return the folder of a task, and of its shards, in one for all tasks.

    A name too long for a file system is cut; the id in the names in it still distinguishes tasks.
    """
    return folder / folder_name(resource.spec.task)
