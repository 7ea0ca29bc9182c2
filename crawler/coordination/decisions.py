"""People's decisions about the scheduler, as etcd stores them: the policy and the cordons.

Every master mirrors the decisions. Only the leader writes them, with a fence.
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
"""How often a decision is made again because another one was stored meanwhile."""

Decision = Policy | Cordon


class Decided(NamedTuple):
    """What happened to a decision."""

    done: bool
    """Whether it is written. If not, another decision was stored before, or the answer was lost."""
    current: KeyValue | None
    """The value that is stored now."""
    revision: int
    """The revision at which `current` was read."""

    @property
    def stored_at(self) -> int:
        """The revision from which a mirror has `current`: that of the value, if there is one."""
        return self.current.mod_revision if self.current else self.revision


class Decisions:
    """The mirror of the decisions, and the way to change them."""

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
        """The stored policy, or None if nobody changed it."""
        found = self.mirror.values.get(self._keys.policy)
        return found if isinstance(found, Policy) else None

    @property
    def cordoned(self) -> frozenset[str]:
        """The ids of the workers that take no tasks."""
        values = self.mirror.values.values()
        return frozenset(each.node_id for each in values if isinstance(each, Cordon))

    def switch(self, leadership: Leadership, policy: Callable[[], Policy | None]) -> None:
        """Store a policy, or remove it (None). `policy` is called again if another was stored
        meanwhile.

        Raises what `policy` raises, Conflict, LeadershipLost, Retryable, StoreRefused.
        """

        def value() -> bytes | None:
            chosen = policy()
            return None if chosen is None else encode_policy(chosen)

        self._decide(leadership, self._keys.policy, value)

    def cordon(self, leadership: Leadership, cordon: Cordon) -> None:
        """Store that a worker takes no tasks. Raises as `switch` does."""
        key = self._keys.cordon(cordon.node_id)
        self._decide(leadership, key, lambda: encode_cordon(cordon))

    def uncordon(self, leadership: Leadership, node_id: str) -> None:
        """Let a worker take tasks again. Raises as `switch` does."""
        self._decide(leadership, self._keys.cordon(node_id), lambda: None)

    def _decide(self, leadership: Leadership, key: str, value: Callable[[], bytes | None]) -> None:
        """Store a decision. Make it again if another one was stored in between."""
        based_on = 0
        for _ in range(MOST_TRIES):
            decided = write_decision(self._store, leadership, key, value(), based_on)
            self.mirror.apply(key, decided.current, decided.stored_at)
            if decided.done:
                return
            based_on = decided.stored_at if decided.current else 0
        raise Conflict(f"others keep writing {key}: try again")


def write_mirrored(
    store: Store,
    mirror: Mirror[Any],
    leadership: Leadership,
    key: str,
    value: bytes | None,
    based_on: int,
    what: str,
) -> int:
    """Write a decision, or remove it with None, and let a mirror know at once. Return the revision.

    Raises Conflict, which names `what`, if another one was stored meanwhile; and as
    `write_decision` does.
    """
    written = write_decision(store, leadership, key, value, based_on)
    mirror.apply(key, written.current, written.stored_at)
    if not written.done:
        raise Conflict(f"{what} was changed at the same moment; try again")
    return written.stored_at


def write_decision(
    store: Store, leadership: Leadership, key: str, value: bytes | None, based_on: int
) -> Decided:
    """Write a decision, or remove it with None.

    `based_on` is the revision of the value that it replaces. If the answer to the write is lost,
    the stored value is read. If the decision is not there, it was not written so far, and the
    caller can decide again on what is there. Raises LeadershipLost, Retryable, StoreRefused.
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
    """Return what happened to a decision. Raises OutcomeUnknown if the stored value cannot be
    read."""
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
    """Encode the whole policy, so that another master's settings make no difference."""
    return dump(
        {
            "Strategy": policy.strategy,
            "Disabled": sorted(policy.disabled),
            "Weights": dict(policy.weights),
        }
    )


def encode_cordon(cordon: Cordon) -> bytes:
    """Encode which worker takes no tasks, and since when."""
    return dump({"ID": cordon.node_id, "Since": cordon.since})


def decode_decision(keys: Keys, kv: KeyValue) -> Decision | None:
    """Decode a decision for a mirror; None for other keys below the prefix. Raises ValueError."""
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
    """Decode a cordon. The key decides which worker it is."""
    since = value.get("Since", 0)
    if value.get("ID", node_id) != node_id:
        raise ValueError(f"ID is {value['ID']!r:.80}, but the key says {node_id!r}")
    if not isinstance(since, int) or isinstance(since, bool) or not 0 <= since < 2**63:
        raise ValueError(f"Since is {since!r:.80}; a Unix time in nanoseconds is allowed")
    return Cordon(node_id, since)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -1e15 < value < 1e15 and math.isfinite(value)
