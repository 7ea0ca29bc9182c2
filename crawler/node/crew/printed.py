"""What the code of spiders prints in a crawl process: lines of its log, each with its task."""

from __future__ import annotations

import io
import logging
import sys
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from crawler.engine.stats.current_callback import CurrentCallback
from crawler.logs import JsonFormatter
from crawler.node.crew.output import MARK
from crawler.redaction import hide_begun

LOGGER = "spider"
"""The name under which the log has such lines."""
LONGEST = 100_000
"""The characters after which a line without an end is told in parts."""


class OfTask(logging.Filter):
    """Names in each line of the log the task whose callback writes it, unless the line names one
    already."""

    def __init__(self, current: CurrentCallback) -> None:
        super().__init__()
        self._current = current

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the task. Every line is written."""
        called, fields = self._current.now, getattr(record, "fields", {})
        if called is not None and "task" not in fields:
            record.fields = {**fields, "task": called.task}
        return True


class Marking(logging.Formatter):
    """Puts the number of its run before each line of the log: by it the worker knows to which log
    the line belongs."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        """`numbers` are those of the runs, by the names of their tasks."""
        super().__init__()
        self._numbers = numbers
        self._inner = JsonFormatter()

    def format(self, record: logging.LogRecord) -> str:
        """The record as a marked line of JSON; 0 stands for no run."""
        task = getattr(record, "fields", {}).get("task")
        number = self._numbers.get(task, 0) if isinstance(task, str) else 0
        return f"{MARK}{number}{MARK}{self._inner.format(record)}"


class Printed(io.TextIOBase):
    """Stands for standard output and errors. A line is written when it is whole, so that two tasks
    that print by parts do not mix. What is printed is written whatever the level of the log is."""

    def __init__(self, current: CurrentCallback, handler: logging.Handler) -> None:
        self._current = current
        self._handler = handler
        self._rest: defaultdict[str, str] = defaultdict(str)
        """The begun lines, by task."""
        self._writes = False

    encoding = "utf-8"

    @property
    def buffer(self) -> Any:
        """Where bytes go, by whoever writes bytes."""
        return sys.__stderr__.buffer  # type: ignore[union-attr]

    def fileno(self) -> int:
        """Where it goes in the end, for programs that a spider starts."""
        return 2

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Write the lines that are whole now."""
        if self._writes:  # the log itself has failed, and says so
            sys.__stderr__.write(text)  # type: ignore[union-attr]
            return len(text)
        called = self._current.now
        task = "" if called is None else called.task
        *lines, rest = (self._rest.pop(task, "") + text).split("\n")
        if len(rest) > LONGEST:
            part, rest = hide_begun(rest)
            lines.append(part)
        if rest:
            self._rest[task] = rest
        self._writes = True
        try:
            for line in lines:
                self._tell(task, line)
        finally:
            self._writes = False
        return len(text)

    def end(self) -> None:
        """Write the lines that have no end."""
        for task, rest in self._rest.items():
            self._tell(task, rest)
        self._rest.clear()

    def _tell(self, task: str, line: str) -> None:
        record = logging.LogRecord(LOGGER, logging.INFO, "print", 0, "%s", (line,), None)
        record.fields = {"task": task} if task else {}
        self._handler.handle(record)


def tell_of(current: CurrentCallback, numbers: Mapping[str, int] | None = None) -> Printed:
    """Let the log and what is printed name the tasks. The log has been set up. With `numbers`, its
    lines are marked for the worker."""
    [handler] = logging.getLogger().handlers
    if numbers is not None:
        handler.setFormatter(Marking(numbers))
    handler.addFilter(OfTask(current))
    printed = Printed(current, handler)
    sys.stdout = sys.stderr = printed
    return printed
