"""What people decided about the scheduler, as it lies in etcd: the policy, and the cordons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from crawler.coordination.fields import dump, load_object
from crawler.coordination.keys import Keys
from crawler.coordination.store import KeyValue
from crawler.model.policy import Cordon, Policy

Decision = Policy | Cordon


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
