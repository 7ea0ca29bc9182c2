"""How the folders and files of a task's runs are called: those of its items, and of its state."""

from __future__ import annotations

from pathlib import Path

from crawler.items.names import folder_name
from crawler.model.records import Resource
from crawler.model.shards import shard_name


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
