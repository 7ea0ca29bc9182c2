"""Every command: its module, what the module needs of the process, and its line in --help.

Most commands do not need what another command imports. So a module is imported when its command is
called, after the process was prepared for its imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from crawler.runtime import patch, prepare, quiet_grpc


def leave() -> None:
    """Leave the process as it is, for a command that needs nothing."""


class Source(NamedTuple):
    """Where a command comes from."""

    module: str
    """The module in this package. Importing it adds the command to the others."""
    prepare: Callable[[], None]
    """Called before the import."""
    help: str
    """The first sentence of the command's own text."""


ONCE_MORE = "run TASK"
"""The command that `crawler run` is if it names a task."""

INDEX: Mapping[str, Source] = {
    "add": Source(
        "add",
        quiet_grpc,
        "Add the task NAME, or those of a file, and show which worker gets it, or why it waits.",
    ),
    "again": Source(
        "update",
        quiet_grpc,
        "Begin TASK anew, whatever its state: what its crawl has done so far is dropped.",
    ),
    "alert": Source(
        "alerts", quiet_grpc, "Set, list and delete the rules of alerts, and test their channels."
    ),
    "alerts": Source(
        "alerts", quiet_grpc, "List what is the matter now, and what was over lately."
    ),
    "audit": Source(
        "audit", quiet_grpc, "Show who changed what lately, from where, and with which outcome."
    ),
    "certs": Source("certs", patch, "Make the certificates of a small cluster."),
    "check": Source(
        "spiders", patch, "Find faults in the spiders of files, without fetching anything."
    ),
    "completion": Source(
        "completion",
        leave,
        "Print the script with which SHELL completes commands, options and the names of tasks.",
    ),
    "delete": Source(
        "delete",
        quiet_grpc,
        "Delete tasks: their crawls stop, and nothing more is known of them.",
    ),
    "demo": Source(
        "local",
        prepare,
        "Crawl the bundled demo site on a local cluster: etcd, two masters, two workers.",
    ),
    "deploy": Source(
        "deploy",
        quiet_grpc,
        "Deploy the spiders of FOLDER, or of a wheel, with its settings and requirements.",
    ),
    "drain": Source(
        "drain",
        quiet_grpc,
        "Move all tasks off the worker NODE (its id or its name), and keep other tasks away.",
    ),
    "explain": Source(
        "explain",
        quiet_grpc,
        "Show why TASK is on its worker, or waits: what each plugin says of each worker now.",
    ),
    "frontier": Source(
        "frontier",
        patch,
        "Look at what workers keep of their tasks, on this machine or in Redis, or remove it.",
    ),
    "history": Source(
        "history",
        quiet_grpc,
        "Show what happened to TASK: when it was added, placed, begun, moved, ended, and by whom.",
    ),
    "items": Source("items", patch, "Write the items of TASK, over all runs of its last crawl."),
    "login": Source("login", quiet_grpc, "Sign in at the OpenID provider of the cluster."),
    "logout": Source(
        "login",
        quiet_grpc,
        "Drop the login that is kept for the master, and end it at the provider.",
    ),
    "logs": Source("logs", quiet_grpc, "Show the log of TASK, whichever workers have or had it."),
    "master": Source(
        "nodes",
        prepare,
        "Run a master.",
    ),
    "new": Source("spiders", patch, "Write a new file."),
    "nodes": Source(
        "cluster", quiet_grpc, "List the live nodes, and how many tasks each worker has."
    ),
    "parse": Source(
        "pages",
        patch,
        "Fetch URL, and show which items and requests a callback yields for it.",
    ),
    "pause": Source(
        "life",
        quiet_grpc,
        "Let TASK rest: its crawl ends in order and keeps its state, and no worker has it until "
        "`crawler resume TASK`.",
    ),
    "plugins": Source(
        "scheduler",
        quiet_grpc,
        "List the plugins of the scheduler, or switch some for the whole cluster.",
    ),
    "projects": Source(
        "deploy",
        quiet_grpc,
        "List the deployed projects, or the versions of the project NAME.",
    ),
    "resume": Source(
        "life",
        quiet_grpc,
        "Let TASK go on, which was paused: it is placed again, and goes on where it was.",
    ),
    "rollback": Source(
        "deploy",
        quiet_grpc,
        "Let the project NAME run another version: that of DIGEST, or the one before.",
    ),
    "run": Source(
        "local", patch, "Run the tasks of a settings file in this process, without etcd."
    ),
    ONCE_MORE: Source(
        "life",
        quiet_grpc,
        "Run TASK of a cluster once more, from the beginning: it is done, failed or was stopped.",
    ),
    "runs": Source("history", quiet_grpc, "List the latest runs of all tasks, the latest first."),
    "runspider": Source(
        "runspider",
        patch,
        "Run the spider of FILE, Python or YAML, in this process: no cluster, no etcd.",
    ),
    "schedule": Source(
        "schedule",
        quiet_grpc,
        "Let tasks begin at set times: add, list, show, pause, resume, run and delete schedules.",
    ),
    "secret": Source(
        "secret", quiet_grpc, "Set, list and delete the secrets that tasks name, as secret:NAME."
    ),
    "shell": Source(
        "pages", patch, "Try selectors on a page: a URL, or a file such as ./page.html."
    ),
    "site": Source("local", patch, "Serve the demo site alone, until Ctrl-C."),
    "spiders": Source(
        "offered",
        quiet_grpc,
        "List the spiders that tasks can ask for, or show which parameters the spider NAME takes.",
    ),
    "stats": Source(
        "stats",
        quiet_grpc,
        "Show the statistics of the crawl of TASK, live or at its end, as its worker has them.",
    ),
    "stop": Source(
        "life",
        quiet_grpc,
        "End TASK for good: its crawl ends in order, and TASK stays with what it has counted.",
    ),
    "strategy": Source(
        "scheduler",
        quiet_grpc,
        "Show the strategy in force, or switch to NAME from the next pass on.",
    ),
    "task": Source("cluster", quiet_grpc, "Show everything that is known of one task."),
    "tasks": Source("cluster", quiet_grpc, "List the tasks."),
    "token": Source(
        "token", quiet_grpc, "Make, list and revoke the tokens that let callers into a cluster."
    ),
    "uncordon": Source("drain", quiet_grpc, "Let the worker NODE take tasks again."),
    "up": Source(
        "local",
        prepare,
        "Start a local cluster and the demo site, and leave them running until Ctrl-C.",
    ),
    "update": Source("update", quiet_grpc, "Change TASK."),
    "worker": Source("nodes", prepare, "Run a worker."),
}
