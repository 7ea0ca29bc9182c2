"""The audit of a node: what callers changed through it, and whom its doors refused.

The node that a caller reached writes the record: it knows the address, and what it answered. The
leader also keeps the records of what others forwarded, so that it can tell the last ones.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from crawler.api.cleaning import clean
from crawler.api.doors import Approach
from crawler.api.sparse import SparseRefusals
from crawler.audit_log import AuditLog, OrdinaryLog
from crawler.clock import Clock, SystemClock
from crawler.errors import CrawlerError, InvalidArgument, OutcomeUnknown
from crawler.model.access import Caller, Need
from crawler.model.audit import (
    COUNTED,
    DONE,
    MOST_RECORDS,
    REFUSALS,
    UNKNOWN,
    AuditRecord,
)
from crawler.supervision import OnEnd, Supervisor

MOST_REFUSED = 200
"""How many refusals are kept in memory. They are apart, so that a flood of them hides nothing."""
TURN_S = 60.0
"""How often the counts of refusals are written, in seconds."""


class Trail:
    """Takes the records of one node, and keeps the last ones."""

    def __init__(
        self, log: AuditLog | None = None, clock: Clock | None = None, has_adds: bool = False
    ) -> None:
        self.has_adds = has_adds
        """Whether each added task is recorded."""
        self.clock = clock or SystemClock()
        self._log = log or OrdinaryLog()
        self._records: deque[AuditRecord] = deque(maxlen=MOST_RECORDS)
        self._refused: deque[AuditRecord] = deque(maxlen=MOST_REFUSED)
        self._sparse = SparseRefusals(self.clock)

    def check(self) -> None:
        """Raises ConfigError if its file cannot be written."""
        self._log.check()

    def start(self, supervisor: Supervisor) -> None:
        """Begin to write, and to tell how many refusals were only counted."""
        self._log.start(supervisor)
        supervisor.spawn("refusals", self._count, on_end=OnEnd.RESTART)

    def close(self) -> None:
        """Write what waits."""
        self._tell_counts(now=True)
        self._log.close()

    def last(self, limit: int) -> Sequence[AuditRecord]:
        """Return the last records, the oldest first."""
        found = sorted([*self._records, *self._refused], key=lambda each: each.time_ns)
        return found[-limit:]

    def note(
        self,
        caller: Caller,
        action: str,
        object: str,
        error: BaseException | None,
        *,
        id: str = "",
        detail: str = "",
    ) -> None:
        """Record what came of a request: nothing else than `error`, if there is one. If another
        master passed it on, that one writes it."""
        record = AuditRecord(
            self.clock.time_ns(),
            clean(caller.name),
            caller.role.value,
            caller.address,
            caller.transport,
            action,
            clean(object),
            outcome_of(error),
            id,
            clean(detail),
            reason_of(error),
        )
        self._records.append(record)
        if not caller.is_recorded:
            self._log.write(record)

    def refused(
        self, approach: Approach, caller: Caller | None, need: Need, error: CrawlerError
    ) -> None:
        """Record that the doors refused somebody, if few were refused in this minute."""
        self._tell_counts()
        if not self._sparse.admits(approach.address):
            return
        self._note_refusal(
            AuditRecord(
                self.clock.time_ns(),
                clean(caller.name) if caller else "",
                caller.role.value if caller else "",
                approach.address,
                approach.transport,
                approach.action or need.value,
                clean(approach.object),
                outcome_of(error),
                reason=_why_refused(caller, error),
            )
        )

    def _count(self) -> None:
        while True:
            self.clock.sleep(TURN_S)
            self._tell_counts()

    def _tell_counts(self, now: bool = False) -> None:
        """Record how many refusals the minute that has ended had beyond those that were written;
        `now` for the one that goes on, too."""
        for address, count in self._sparse.counted(now).items():
            self._note_refusal(
                AuditRecord(
                    self.clock.time_ns(), "", "", address, "", REFUSALS, "", COUNTED, count=count
                )
            )

    def _note_refusal(self, record: AuditRecord) -> None:
        self._refused.append(record)
        self._log.write(record)


def outcome_of(error: BaseException | None) -> str:
    """Return the outcome of a request that raised this, or nothing."""
    if error is None:
        return DONE
    if isinstance(error, CrawlerError):
        return UNKNOWN if isinstance(error, OutcomeUnknown) else error.code
    return "INTERNAL" if isinstance(error, Exception) else UNKNOWN


def _why_refused(caller: Caller | None, error: CrawlerError) -> str:
    """Return why the doors refused a caller: the first clause of what they said to it. The record
    names the caller anyway."""
    told = str(error).removeprefix(f"{caller.name} " if caller else "")
    return clean(re.split(r"[:;] |\. ", told, maxsplit=1)[0])


def reason_of(error: BaseException | None) -> str:
    """Return what was wrong, in a few words, and without any value of a parameter."""
    if error is None:
        return ""
    if not isinstance(error, CrawlerError):
        return "a bug" if isinstance(error, Exception) else "nobody waited for the answer"
    if isinstance(error, InvalidArgument):  # its message shows the value
        found = re.match(r"[a-z_]+", str(error))
        return found[0] if found else ""
    return clean(str(error).split("; ")[0])
