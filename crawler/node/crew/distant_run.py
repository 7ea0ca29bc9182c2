"""A run whose crawl is in a process of the crew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gevent.event import Event

from crawler.items.names import FAILED, STOPPED
from crawler.model.records import Resource, Spec, State
from crawler.node.crew.told import counts_of, shard_counts_of
from crawler.node.run.run import Run
from crawler.redaction import hide


class Process(Protocol):
    """Where the crawl of a run is."""

    gone: Event
    """Set when it does nothing more."""

    def tell(self, kind: str, *values: Any) -> None:
        """Send a message, unless the process is gone."""
        ...


class DistantRun(Run):
    """It knows what the process has told of it, and passes on what the worker wants of it."""

    def __init__(
        self,
        resource: Resource,
        number: int,
        end_files: Callable[[DistantRun, str], None] = lambda run, how: None,
    ) -> None:
        """`end_files` has its files end, once it is over."""
        super().__init__(resource)
        self._end_files = end_files
        self.number = number
        """Tells it from all other runs of the crew."""
        self.process: Process | None = None
        """Where it was begun; None before."""
        self.over = Event()
        """Set when its crawl does nothing more."""
        self._can_go_on = False
        self._is_ending = False

    @property
    def can_go_on(self) -> bool:
        """Whether it has failed in a way after which a later run goes on."""
        return self._state is State.FAILED and self._can_go_on

    @property
    def is_ending(self) -> bool:
        """Whether it fetches no more, and writes its last items."""
        return self._is_ending and not self.over.is_set()

    def stop(self) -> None:
        """Make the crawl end soon. Its outcome no longer counts."""
        self.stops += 1
        self._tell("stop")

    def break_off(self) -> None:
        """Stop, and wait for no answer under way."""
        self.stops += 1
        self._tell("break_off")

    def cut(self) -> None:
        """End its callback where it is."""
        self._tell("cut")

    def end_files(self, how: str = STOPPED) -> None:
        """Have a process note that nothing more comes to the files of items."""
        self._end_files(self, how)

    def how_ended(self, how: str) -> str:
        """What `.runs` must tell of its end; `how` says that, if it has not ended by itself. Empty
        if it is done: its process has given the files their names before it said so."""
        if self._state is State.DONE:
            return ""
        return FAILED if self._state is State.FAILED and not self._interrupted else how

    @property
    def is_torn(self) -> bool:
        """Whether nobody can be in the midst of writing to its files, but may have been."""
        return self.process is None or self.process.gone.is_set()

    def begin(self, process: Process) -> None:
        """Let a process crawl it."""
        self.process = process
        self._state = State.RUNNING
        given = (dict(self.secrets), dict(self.former))
        process.tell("start", self.number, self.resource, *given)
        self.secrets = self.former = {}  # from now on the process alone has them
        if self._spec is not self.resource.spec:
            self._tell("adjust", self._spec)

    def take_counts(self, row: Any, shards: Any) -> None:
        """Take over what the process has told. Raises TypeError and ValueError."""
        self._counts = counts_of(row)
        if shards:
            self._shard_counts = shard_counts_of(shards)

    def take(self, status: Any) -> None:
        """Take over how it is. Raises KeyError, TypeError and ValueError."""
        self._state, self._reason = State(status["state"]), hide(str(status["reason"]))
        self._awaits_spider = bool(status["awaits_spider"])
        self.later_epoch = int(status["later_epoch"])
        self.is_kept = bool(status["is_kept"])
        self._can_go_on = bool(status["can_go_on"])
        self._is_ending = bool(status["is_ending"])
        self.take_counts(status["counts"], status["shards"])

    def _take_over(self, spec: Spec) -> None:
        self._tell("adjust", spec)

    def _tell(self, kind: str, *values: Any) -> None:
        if self.process is not None:
            self.process.tell(kind, self.number, *values)
