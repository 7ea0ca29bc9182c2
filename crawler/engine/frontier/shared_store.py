"""The contract of a store that several runs use at once: the shards of one task.

Each shard keeps what it holds as a run with a store of its own does (`store.py`). What is more is
an exchange with each step. A shard offers the requests that its pages yield. The store drops those
whose URLs are known to any shard, and lays each of the others where its site belongs:

- A site has at most one shard that serves it. What is offered for it goes to that shard.
- Sites that no shard serves lie in the pool. A shard that has nothing to send draws from there.
- A shard that has no request of a site any more lets go of it. One that has more sites than others,
  while another wants some, gives sites back, with all their requests.

A step and its exchange are one: the store takes both, or nothing. So a page has its end in the same
moment in which the requests that it yields are safe, and a request that moves is never with two
shards, nor with none. What a shard has drawn stays where it was until a step says that the shard
holds it.

The task is over when the start was read to its end, no shard holds a request, and none lies
anywhere else. What is over stays over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from crawler.engine.frontier.store import Step, Store
from crawler.model.records import NO_COUNTS, Counts


class Offer(NamedTuple):
    """A request that a page has yielded, or that a shard gives back."""

    mark: int
    """The fingerprint by which it may be known already; 0 if it is wanted in any case."""
    site: str
    priority: int
    record: bytes
    """What `Job.to_record` made, as JSON. Whoever draws it gives it an id of his own."""
    wait_s: float = 0.0
    """The seconds before which it must not be sent."""


@dataclass(slots=True)
class Exchange:
    """What a shard tells the others and asks of them, with a step."""

    offers: Sequence[Offer] = ()
    taken: int = 0
    """How many of the requests that were drawn are in the step, as `added`: the first so many that
    no step before has taken."""
    let_go: Sequence[str] = ()
    """The sites that the shard serves no longer. What it had of them is among the offers."""
    wants: int = 0
    """How many sites more the shard could serve now."""
    sites: int = 0
    """How many sites it serves."""
    left: int = 0
    """How many requests it holds that have no end, also those that are in no store."""
    has_read_start: bool = False
    """Whether this shard has read the start of the spider to its end."""
    counts: Counts = NO_COUNTS
    """What the shard has counted in all its runs."""
    tells: Mapping[str, str] = field(default_factory=dict)
    """A few short texts for all shards, by name. The first one that is told for a name stays."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a shard hears back."""

    drawn: Sequence[Offer] = ()
    """Requests for the shard that no answer before has told in this run; at most `MOST_DRAWN`."""
    known: int = 0
    """How many of the offers were dropped, because another shard or an earlier page knew them."""
    spare: int = 0
    """How many of its sites the shard should give back, because another wants some."""
    others: Mapping[int, Counts] = field(default_factory=dict)
    """What each other shard has counted, by its number: also one that nobody runs any more."""
    left: int = 0
    """How many requests of the task have no end."""
    is_over: bool = False
    told: Mapping[str, str] = field(default_factory=dict)
    """What the shards have told all, this one included."""


class SharedStore(Store, Protocol):
    """Where the state of one shard is kept, beside the others.

    `Found.seen` is empty: the store itself knows the URLs of all shards. `Step.marks` are URLs that
    are known from now on, and that are not offered.
    """

    def exchange(self, step: Step, exchange: Exchange) -> Answer:
        """Take a step, and what it means to the others. Raises StaleRun, StoreLost, StoreFailed."""
        ...

    def offer(self, offers: Sequence[Offer]) -> int:
        """Take offers with marks before the step in which their page has its end. If the page is
        fetched again, it offers what is known then. Returns how many were dropped, as `known` does.
        Raises StaleRun, StoreLost, StoreFailed."""
        ...

    def adopt(self) -> int:
        """Put what other shards hold into the pool, of those that nobody runs any more: for
        `ADOPT_S` no run has held their state. Returns how many requests that were."""
        ...

    def texts(self, name: str) -> Mapping[int, str]:
        """What each other shard keeps under that name (`Step.state`), by its number: also one that
        nobody runs any more. It does not wait for a store that is silent. Raises StoreFailed."""
        ...


ENDED = "ended"
"""The name of the text by which the head of a task says that its crawl has ended, well or not."""

ADOPT_S = 30.0
"""A shard without a run for so long is given up: what it holds, others do. The time is for its next
run, which goes on faster than others can take over."""

MOST_DRAWN = 1000
"""The requests in an answer, at most. The others come with the next ones."""
