"""The queue of requests in a term: they arrive, are decided, and are answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from gevent.event import Event

from crawler.api.backend import Call
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
"""How many requests may wait for the writer. The master refuses any more."""

MOST_TRIES = 5
"""How often a request is decided again because another program wrote the same resource."""

CONTENDED = (
    "others keep changing this task: try again; or they stored a value that cannot be read: "
    "then the leader's log says why, and somebody has to mend the value in etcd"
)


class QueuedCommand:
    """A request whose caller waits for the answer."""

    def __init__(self, request: Command, deadline_s: float, who: str = "", trace: str = "") -> None:
        self.request = request
        self.trace = trace
        """The span in which it was made; empty if there are no traces."""
        self.who = who
        """The name of the caller, or what makes this process ask; empty if nobody knows."""
        self.deadline_s = deadline_s
        self.tries = 0
        self.names: Sequence[str] = ()
        """The resources on which the answer depends, once the request was decided."""
        self.rejection: Rejected | None = None
        """Why the request is rejected, if those resources are as the draft shows them."""
        self.outcomes: Sequence[Outcome] = ()
        """The outcomes of the changes of those resources."""
        self.error: CrawlerError | None = None
        self.done = Event()

    def decide(self, draft: Draft) -> None:
        """Apply the request to a draft.

        A rejection is not an answer yet: the state that it rests on may be outdated, or may fail to
        commit. The commit therefore checks that state.
        """
        draft.trace = self.trace
        try:
            self.names, self.rejection = self.request.apply(draft), None
        except Rejected as error:
            self.names, self.rejection = self.request.subjects, error
            for name in self.names:
                draft.keep(name)
        finally:
            draft.trace = ""

    def settle(self, error: CrawlerError | None = None) -> None:
        """Answer the request: it was done, or `error` says why not."""
        self.error = error
        self.done.set()


class CommandQueue:
    """The requests that wait for the writer, in the order in which they arrived."""

    def __init__(self, clock: Clock, on_full: Callable[[], None]) -> None:
        """`on_full` is called for each request that is refused because too many wait."""
        self._clock = clock
        self._on_full = on_full
        self._waiting: deque[QueuedCommand] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def hand_in(self, request: Command, call: Call, wake: Event) -> Sequence[Outcome]:
        """Queue a request, set `wake`, and wait for the answer.

        Raises Overloaded if too many requests wait, OutcomeUnknown if no answer arrives in time,
        and the error with which the request was answered.
        """
        if len(self._waiting) >= MOST_WAITING:
            self._on_full()
            raise Overloaded("too many requests are waiting; try again in a second")
        who = call.caller.name if call.caller else call.cause
        deadline_s = self._clock.monotonic() + call.timeout_s
        queued = QueuedCommand(request, deadline_s, who, call.trace)
        self._waiting.append(queued)
        wake.set()
        if not self._clock.wait(queued.done, call.timeout_s):
            raise OutcomeUnknown("no answer in time; read the task to see what was done")
        if queued.error is not None:
            raise queued.error
        return queued.outcomes

    def take(self) -> Iterator[QueuedCommand]:
        """Yield the requests that wait now. Refuse those whose deadline has passed: their callers
        have gone, and the change must not happen without their knowledge."""
        now_s = self._clock.monotonic()
        for _ in range(len(self._waiting)):
            queued = self._waiting.popleft()
            if queued.deadline_s <= now_s:
                queued.settle(Unavailable("the request waited too long; try again"))
            else:
                yield queued

    def put_back(self, queued: QueuedCommand) -> None:
        """Queue a request again, because another program wrote the same resource. After
        `MOST_TRIES` it is answered with Conflict."""
        queued.tries += 1
        if queued.tries > MOST_TRIES:
            queued.settle(Conflict(CONTENDED))
        else:
            self._waiting.append(queued)

    def refuse_all(self, error: CrawlerError) -> None:
        """Answer all waiting requests that were not decided with this error."""
        while self._waiting:
            self._waiting.popleft().settle(error)
