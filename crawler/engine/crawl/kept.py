"""What a store has kept of a crawl, for the run after it.

It needs nothing of the engine: a worker looks into states that it does not crawl itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from crawler.engine.frontier.store import Found, Step, Store, StoreFailed
from crawler.model.records import Counts, Spec, State

FINISH_S = 10.0
"""The seconds for which a crawl with a store, when it is stopped, waits for answers under way."""
COUNTERS, SENDER, LIMITS = "counters", "sender", "limits"
SPIDER, ABOUT, DONE, PLACES = "spider", "about", "done", "places"
MARKS, LEFT_MARKS = "marks", "left_marks"
"""The marks of the files of the last run, and those of other files of the runs before."""
OTHERS = "others"
"""What the other shards had counted when the head of a task ended."""
"""The names of the texts that a store keeps for a crawl."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A store that is open, and what the run has found in it."""

    store: Store
    found: Found
    remembers_end: bool = False
    """Whether the store keeps that the crawl was done and has not failed, until its owner clears
    it."""
    drops_missing: bool = False
    """Whether requests whose callbacks are gone fail. Else they keep the crawl from its start."""
    places: Sequence[str] = ()
    """Where the items of this run go, by names that hold for later runs."""
    remembers_failure: bool = False
    """Whether the store also keeps that the crawl has failed, or has reached a limit. Only a crawl
    that could not be kept, or whose items could not be written, then goes on."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """What else the first step of this run keeps, by names that the crawl does not use."""
    shard: int | None = None
    """Which shard of its task the crawl is, if several workers run it: 0 reads the start. Then the
    store is a `SharedStore`. None if the crawl runs alone."""

    @property
    def is_done(self) -> bool:
        """Whether the crawl had its end in an earlier run."""
        return DONE in self.found.state

    @property
    def end(self) -> tuple[State, str]:
        """How it ended then: DONE, or FAILED with a reason."""
        state, reason = self.value(DONE)
        return State(state), reason

    @property
    def counts(self) -> Counts:
        """What all earlier runs have counted."""
        counted = self.value(COUNTERS)
        if counted is None:
            return Counts()
        failures = sum(sum(counted[name].values()) for name in ("failed", "raised"))
        return Counts(counted["pages"], counted["items"], failures, counted["seconds"])

    @property
    def others(self) -> dict[int, Counts]:
        """What each other shard had counted when it ended, if it is the head of a task."""
        return {int(shard): Counts(*each) for shard, each in (self.value(OTHERS) or {}).items()}

    @property
    def places_before(self) -> Sequence[str] | None:
        """Where the items of all earlier runs went; None if no run has told it."""
        places: Sequence[str] | None = self.value(PLACES)
        return places

    @property
    def marks(self) -> dict[str, Any]:
        """How far each file of items counts, by its name in all runs."""
        return {**(self.value(LEFT_MARKS) or {}), **(self.value(MARKS) or {})}

    def value(self, name: str) -> Any:
        """What was kept under a name; None if nothing was."""
        text = self.found.state.get(name)
        return None if text is None else json.loads(text)


def open_store(
    store: Store,
    spec: Spec,
    anew: Callable[[Kept], None] | None = None,
    *,
    remembers_end: bool = False,
    drops_missing: bool = False,
    places: Sequence[str] = (),
) -> Kept:
    """Open a store for a task. With `anew`, drop what is there after `anew` was told of it.

    Raises StoreFailed, also if the store is that of another spider or has other arguments.
    """
    kept = Kept(store, store.open(), remembers_end, drops_missing, places)
    if anew is not None and not kept.found.is_new:
        anew(kept)
        store.clear()
        kept = replace(kept, found=store.open())
    about = about_of(spec)
    if kept.found.is_new:
        store.write(Step(state={ABOUT: json.dumps(about)}))
    elif kept.value(ABOUT) not in (None, about):
        store.close(kept.found.is_clean)
        raise StoreFailed(_is_anothers(store, kept.value(ABOUT), about))
    return kept


def about_of(spec: Spec) -> list[Any]:
    """What a store is about: the spider, and a digest of each of its arguments, which may be
    passwords."""
    given = {name: value for name, value in spec.parameters.items() if name != "settings"}
    return [spec.spider_name, {name: digest(value) for name, value in given.items()}]


def digest(value: Any) -> str:
    """What tells a value from others, and does not show it."""
    text = json.dumps(value, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _is_anothers(store: Store, there: list[Any], here: list[Any]) -> str:
    (spider, before), (name, now) = there, here
    if spider != name:
        return (
            f"{store.place} keeps a crawl of spider {spider!r}, and this is {name!r}; give another"
            " folder, or --anew"
        )
    differ = [each for each in sorted({*before, *now}) if before.get(each) != now.get(each)]
    return (
        f"{store.place} keeps a crawl of spider {name!r} with other arguments:"
        f" {', '.join(differ)} {'differs' if len(differ) == 1 else 'differ'}; give the same"
        " arguments, another folder, or --anew"
    )
