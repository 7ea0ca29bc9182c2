"""What people decided about the scheduler, as it lies in etcd: the policy, and the cordons.

Every master mirrors the decisions. The leader alone writes them, fenced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from crawler.clock import Clock
from crawler.coordination.fence import check_fence, fence
from crawler.coordination.fields import dump, load_object
from crawler.coordination.keys import Keys
from crawler.coordination.mirror import Mirror
from crawler.coordination.store import Delete, Get, KeyValue, Put, Store, unchanged
from crawler.errors import Conflict, OutcomeUnknown, Retryable
from crawler.logs import get_logger
from crawler.model.policy import Cordon, Policy
from crawler.model.records import Leadership

log = get_logger(__name__)

MOST_TRIES = 5
"""How often a decision is made anew because another one was stored meanwhile."""

Decision = Policy | Cordon


class Decided(NamedTuple):
    """What became of a decision."""

    done: bool
    """Whether it is written; else another one was there already, or the answer never came."""
    current: KeyValue | None
    """What stands there now."""
    revision: int
    """The revision at which that was so."""


class Decisions:
    """The mirror of what was decided, and the way to decide otherwise."""

    def __init__(
        self, store: Store, keys: Keys, clock: Clock, on_change: Callable[[], None]
    ) -> None:
        self._store = store
        self._keys = keys
        self.mirror: Mirror[Decision] = Mirror(
            store, keys.decisions, partial(decode_decision, keys), clock, lambda _: on_change()
        )

    @property
    def policy(self) -> Policy | None:
        """The policy that somebody switched to, as it is stored."""
        found = self.mirror.values.get(self._keys.policy)
        return found if isinstance(found, Policy) else None

    @property
    def cordoned(self) -> frozenset[str]:
        """Ids of the workers that take no tasks."""
        values = self.mirror.values.values()
        return frozenset(each.node_id for each in values if isinstance(each, Cordon))

    def switch(self, leadership: Leadership, policy: Callable[[], Policy | None]) -> None:
        """Store a policy, or none; `policy` is called again when another was stored meanwhile.

        Raises what `policy` raises, Conflict, LeadershipLost, Retryable, StoreRefused.
        """

        def value() -> bytes | None:
            chosen = policy()
            return None if chosen is None else encode_policy(chosen)

        self._decide(leadership, self._keys.policy, value)

    def cordon(self, leadership: Leadership, cordon: Cordon) -> None:
        """Store that a worker takes no tasks. Raises as `switch`."""
        key = self._keys.cordon(cordon.node_id)
        self._decide(leadership, key, lambda: encode_cordon(cordon))

    def uncordon(self, leadership: Leadership, node_id: str) -> None:
        """Let a worker take tasks again. Raises as `switch`."""
        self._decide(leadership, self._keys.cordon(node_id), lambda: None)

    def _decide(self, leadership: Leadership, key: str, value: Callable[[], bytes | None]) -> None:
        """Store a decision, made anew when another one came in between."""
        based_on = 0
        for _ in range(MOST_TRIES):
            decided = write_decision(self._store, leadership, key, value(), based_on)
            based_on = decided.current.mod_revision if decided.current else 0
            self.mirror.apply(key, decided.current, based_on or decided.revision)
            if decided.done:
                return
        raise Conflict(f"others keep writing {key}: try again")


def write_decision(
    store: Store, leadership: Leadership, key: str, value: bytes | None, based_on: int
) -> Decided:
    """Write a decision, or take it back with None.

    `based_on` is the revision of the value that it replaces. A write whose answer never came is
    settled by reading: one that is not there was not written so far, and can be decided anew on
    what is there. Raises LeadershipLost, Retryable, StoreRefused.
    """
    compares = [fence(leadership), unchanged(key, based_on)]
    write = Delete(key) if value is None else Put(key, value)
    try:
        result = store.txn(compares, [write], [Get(leadership.key), Get(key)])
    except OutcomeUnknown as error:
        log.warning(
            "no answer to the write of a decision; reading whether it is stored", error=str(error)
        )
        return _settled(store, key, value, based_on)
    if not result.succeeded:
        check_fence(leadership, result.gets[0])
        return Decided(False, result.gets[1], result.revision)
    current = None if value is None else KeyValue(key, value, 0, result.revision)
    return Decided(True, current, result.revision)


def _settled(store: Store, key: str, value: bytes | None, based_on: int) -> Decided:
    """What became of a decision. Raises OutcomeUnknown when that cannot be read."""
    try:
        read = store.txn([], [Get(key)])
    except Retryable as error:
        raise OutcomeUnknown(
            f"a decision was sent, and reading whether it is stored failed: {error}"
        ) from error
    found = read.gets[0]
    if found is None:
        return Decided(value is None, None, read.revision)
    done = found.value == value and found.mod_revision > based_on
    return Decided(done, found, read.revision)


def encode_policy(policy: Policy) -> bytes:
    """All of it, so that the settings of another master make no difference."""
    return dump(
        {
            "Strategy": policy.strategy,
            "Disabled": sorted(policy.disabled),
            "Weights": dict(policy.weights),
        }
    )


def encode_cordon(cordon: Cordon) -> bytes:
    """Which worker, and since when."""
    return dump({"ID": cordon.node_id, "Since": cordon.since})


def decode_decision(keys: Keys, kv: KeyValue) -> Decision | None:
    """A mirror's decoder; None for what else lies below the prefix. Raises ValueError."""
    if kv.key == keys.policy:
        return _policy(load_object(kv.value))
    node_id = kv.key.removeprefix(keys.cordon(""))
    return _cordon(node_id, load_object(kv.value)) if node_id not in ("", kv.key) else None


def _policy(value: Mapping[str, Any]) -> Policy:
    strategy, disabled = value.get("Strategy"), value.get("Disabled", [])
    weights = value.get("Weights", {})
    if not isinstance(strategy, str) or not strategy:
        raise ValueError(f"Strategy is {strategy!r:.80}; the name of a strategy is allowed")
    if not isinstance(disabled, list) or not all(isinstance(name, str) for name in disabled):
        raise ValueError(f"Disabled is {disabled!r:.80}; a list of names is allowed")
    if not isinstance(weights, dict) or not all(map(_is_number, weights.values())):
        raise ValueError(f"Weights is {weights!r:.80}; a map from names to numbers is allowed")
    numbers = {name: float(weight) for name, weight in weights.items()}
    return Policy(strategy, frozenset(disabled), numbers)


def _cordon(node_id: str, value: Mapping[str, Any]) -> Cordon:
    """The key decides which worker it is."""
    since = value.get("Since", 0)
    if value.get("ID", node_id) != node_id:
        raise ValueError(f"ID is {value['ID']!r:.80}, but the key says {node_id!r}")
    if not isinstance(since, int) or isinstance(since, bool) or not 0 <= since < 2**63:
        raise ValueError(f"Since is {since!r:.80}; a Unix time in nanoseconds is allowed")
    return Cordon(node_id, since)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -1e15 < value < 1e15 and math.isfinite(value)
