"""What the audit keeps of each change: who asked for it, from where, of what, and what came of it.

It never has the value of a parameter, of a secret, or the text of a token.
"""

from __future__ import annotations

from dataclasses import dataclass

from crawler.model.times import moment

DONE = "done"
"""The outcome of what was carried out."""
UNKNOWN = "unknown"
"""The outcome of what was sent and never answered: it may have been carried out."""
COUNTED = "counted"
"""The outcome of a record that stands for several refusals, which were not written one by one."""

TASK_ADD = "task.add"
TASK_UPDATE = "task.update"
TASK_DELETE = "task.delete"
TASK_AGAIN = "task.again"
TASK_PAUSE = "task.pause"
TASK_RESUME = "task.resume"
TASK_STOP = "task.stop"
TASK_RUN = "task.run"
NODE_DRAIN = "node.drain"
NODE_UNCORDON = "node.uncordon"
SCHEDULER_UPDATE = "scheduler.update"
SCHEDULER_RESET = "scheduler.reset"
TOKEN_CREATE = "token.create"
TOKEN_LIST = "token.list"
TOKEN_REVOKE = "token.revoke"
SECRET_SET = "secret.set"
SECRET_LIST = "secret.list"
SECRET_DELETE = "secret.delete"
SCHEDULE_ADD = "schedule.add"
SCHEDULE_UPDATE = "schedule.update"
SCHEDULE_DELETE = "schedule.delete"
SCHEDULE_PAUSE = "schedule.pause"
SCHEDULE_RESUME = "schedule.resume"
SCHEDULE_RUN = "schedule.run"
PROJECT_DEPLOY = "project.deploy"
PROJECT_ROLLBACK = "project.rollback"
PROJECT_DELETE = "project.delete"
ALERT_RULE_SET = "alert-rule.set"
ALERT_RULE_DELETE = "alert-rule.delete"
ALERT_TEST = "alert.test"
AUDIT_READ = "audit.read"
REFUSALS = "refusals"
"""The action of a record that stands for several refusals."""

DEFAULT_LIMIT = 100
"""How many records a client gets that does not say how many."""
MOST_RECORDS = 1000
"""How many records a master keeps in memory."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One line of the audit."""

    time_ns: int
    """The wall time of its end."""
    who: str
    """The name of the caller; empty if nobody knows it."""
    role: str
    address: str
    """From where, without a port."""
    transport: str
    """`http` or `grpc`."""
    action: str
    """A word that stays the same in later versions, such as `task.delete`."""
    object: str
    """What it was about, as the caller named it."""
    outcome: str
    """`done`, `unknown`, or the code of the error."""
    id: str = ""
    """The id of the object, where it has one and the answer told it."""
    detail: str = ""
    """The names of the fields that it changed, or the role of a new token."""
    reason: str = ""
    """What was wrong, in a few words."""
    count: int = 1
    """For how many requests the record stands."""


def told(record: AuditRecord) -> dict[str, object]:
    """Return a record as the fields of a line. What nobody needs is left out."""
    found: dict[str, object] = {
        "time": moment(record.time_ns),
        "who": record.who,
        "role": record.role,
        "from": record.address,
        "transport": record.transport,
        "action": record.action,
        "object": record.object,
        "outcome": record.outcome,
    }
    for name in ("id", "detail", "reason"):
        if value := getattr(record, name):
            found[name] = value
    if record.count != 1:
        found["count"] = record.count
    return found
