"""Requests on their way through a term: handed in, decided on, answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from gevent.event import Event

from crawler.api.service import Call
from crawler.clock import Clock
from crawler.coordination.ledger import Outcome
from crawler.errors import (
    Conflict,
    CrawlerError,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
)
from crawler.node.master.commands import Command
from crawler.node.master.draft import Draft

MOST_WAITING = 10_000
"""Requests that may wait for the writing greenlet; more are refused."""

MOST_TRIES = 5
"""How often a request is decided anew because somebody else wrote the same resource."""

CONTENDED = (
    "others keep changing this task: try again; or they stored what cannot be read: "
    "then the leader's log says why, and the value in etcd has to be mended"
)


class QueuedCommand:
    """A request that somebody waits for."""

    def __init__(self, request: Command, deadline_s: float) -> None:
        self.request = request
        self.deadline_s = deadline_s
        self.tries = 0
        self.names: Sequence[str] = ()
        """The resources its answer depends on, once it was decided on."""
        self.rejection: Rejected | None = None
        """Why the request is at fault, if those resources stand as the draft had them."""
        self.outcomes: Sequence[Outcome] = ()
        """What became of them."""
        self.error: CrawlerError | None = None
        self.done = Event()

    def decide(self, draft: Draft) -> None:
        """Apply the request to a draft. A rejection is no answer yet: what it rests on may be out
        of date, or not be committed, so the commit has to make sure of it."""
        try:
            self.names, self.rejection = self.request.apply(draft), None
        except Rejected as error:
            self.names, self.rejection = self.request.subjects, error
            for name in self.names:
                draft.keep(name)

    def settle(self, error: CrawlerError | None = None) -> None:
        """Answer it: done, or why not."""
        self.error = error
        self.done.set()


class CommandQueue:
    """Those that wait for the writing greenlet, in the order of their coming."""

    def __init__(self, clock: Clock, on_full: Callable[[], None]) -> None:
        """`on_full` is called for each request that is refused because too many wait."""
        self._clock = clock
        self._on_full = on_full
        self._waiting: deque[QueuedCommand] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def hand_in(self, request: Command, call: Call, wake: Event) -> Sequence[Outcome]:
        """Wait until a request is answered; `wake` whoever does that. Raises as it was answered,
        Overloaded, OutcomeUnknown."""
        if len(self._waiting) >= MOST_WAITING:
            self._on_full()
            raise Overloaded("too many requests are waiting; try again in a second")
        queued = QueuedCommand(request, self._clock.monotonic() + call.timeout_s)
        self._waiting.append(queued)
        wake.set()
        if not self._clock.wait(queued.done, call.timeout_s):
            raise OutcomeUnknown("no answer in time; read the task to see what was done")
        if queued.error is not None:
            raise queued.error
        return queued.outcomes

    def take(self) -> Iterator[QueuedCommand]:
        """Those that wait now; who has gone meanwhile must not have it done behind its back."""
        now_s = self._clock.monotonic()
        for _ in range(len(self._waiting)):
            queued = self._waiting.popleft()
            if queued.deadline_s <= now_s:
                queued.settle(Unavailable("the request waited too long; try again"))
            else:
                yield queued

    def put_back(self, queued: QueuedCommand) -> None:
        """Somebody else wrote the same resource: have it decided anew, but not for ever."""
        queued.tries += 1
        if queued.tries > MOST_TRIES:
            queued.settle(Conflict(CONTENDED))
        else:
            self._waiting.append(queued)

    def refuse_all(self, error: CrawlerError) -> None:
        """Answer all that wait, and were not decided on, with this error."""
        while self._waiting:
            self._waiting.popleft().settle(error)
