"""What a worker does with the lines that its crawl processes write: it notes them in the logs of
their runs, and says how its own log shows them."""

from __future__ import annotations

from crawler.logs import text_of
from crawler.model.records import Resource
from crawler.node.run.run_logs import RunLogs, made, parsed


class ToldLines:
    """Takes lines without secrets. Those of the log are JSON, as far as a process that runs code of
    spiders can be trusted."""

    def __init__(
        self, logs: RunLogs | None = None, *, as_text: bool = False, colour: bool = False
    ) -> None:
        """`as_text` says that the worker's own log has readable lines."""
        self._logs = logs
        self._as_text = as_text
        self._colour = colour

    def of_log(self, resource: Resource | None, line: str) -> str:
        """Take a line of the log, and the run that it is about. Return how it is shown."""
        if resource is None and not self._as_text:
            return line
        found = parsed(line)
        if resource is not None and self._logs is not None:
            self._logs.told(resource, found)
        return text_of(found, self._colour) if self._as_text else line

    def other(self, resource: Resource, line: str) -> None:
        """Take something else that was written while that run alone was in the process."""
        if self._logs is not None:
            self._logs.told(resource, made(line))
