"""The conditions of a task on its worker, and the taints of a worker, as frozen values.

Labels are text, and so are the values that they are compared with; `Gt` and `Lt` compare them as
whole numbers. All values are hashable, because tasks with equal constraints are placed together.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_WHOLE = re.compile(r"-?[0-9]{1,18}")

NODE = "node"
"""The value of `Neighbour.over` and `Spread.over` for which each worker is a domain of its own."""

UNBOUNDED = frozenset({"cpu", "memory"})
"""Quantities that every worker has. A worker whose capacity does not name one has no limit. It has
none of any other quantity that its capacity does not name."""

MOST_AMOUNT = 10**12
"""The largest amount of a quantity. A double keeps three decimals of it."""


class Operator(enum.Enum):
    """How an expression compares a label of a worker."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


class Effect(enum.Enum):
    """What a taint does to tasks that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    """They are not placed there."""
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    """They are placed elsewhere if that costs little."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition on one label of a worker."""

    label: str
    operator: Operator
    values: tuple[str, ...] = ()
    """Any of these for `In`, none of these for `NotIn`, one number for `Gt` and `Lt`."""
    weight: float = 1.0
    """Among preferred expressions: how much this one counts in proportion to the others."""

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a worker with these labels fulfils it. An absent label fulfils `NotIn`, as in
        Kubernetes."""
        return _HOLDS[self.operator](labels.get(self.label), self.values)

    def __str__(self) -> str:
        return " ".join([self.label, self.operator.value, ", ".join(self.values)]).rstrip()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The wish to be near to, or apart from, unfinished tasks with a label."""

    label: str
    value: str = ""
    """The value of the other tasks' label; empty means this task's own value."""
    over: str = NODE
    """A label of workers. Workers with the same value are one domain; for `node`, each worker is
    one."""
    weight: float = 0.0
    """0 means required. Above 0 it is a preference that counts in proportion to its weight."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The wish to be spread evenly over domains, together with the unfinished tasks that have a
    label."""

    over: str
    """A label of workers, or `node`."""
    label: str
    value: str = ""
    """The value of the counted tasks' label; empty means this task's own value."""
    max_skew: int = 1
    """How many more tasks a domain may have than the domain with the fewest."""
    weight: float = 0.0
    """0 means required. Above 0 it is a preference that counts in proportion to its weight."""


@dataclass(frozen=True, slots=True)
class Taint:
    """A mark of a worker that keeps tasks away unless they tolerate it."""

    key: str
    value: str
    effect: Effect

    @classmethod
    def parse(cls, text: str) -> Taint:
        """Read `key=value:effect`. The value may be omitted. Raises ValueError."""
        name, colon, effect = text.rpartition(":")
        key, _, value = name.partition("=")
        allowed = [each.value for each in Effect]
        if not colon or not key or effect not in allowed:
            raise ValueError(
                f"{text!r} is no taint; allowed is key=value:effect, the effect one of "
                + ", ".join(allowed)
            )
        return cls(key, value, Effect(effect))

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect.value}"


@dataclass(frozen=True, slots=True)
class Toleration:
    """The taints that a task tolerates. An empty field matches all."""

    key: str = ""
    value: str = ""
    effect: Effect | None = None

    def covers(self, taint: Taint) -> bool:
        """Whether it covers that taint."""
        return (
            self.key in ("", taint.key)
            and self.value in ("", taint.value)
            and self.effect in (None, taint.effect)
        )


@dataclass(frozen=True, slots=True)
class Constraints:
    """All conditions of a task on its worker."""

    node: str = ""
    """The id, or the name within its role, of the only worker that may get the task."""
    requests: tuple[tuple[str, float], ...] = ()
    """How much of each quantity the task takes, sorted by the names of the quantities."""
    required: tuple[Expression, ...] = ()
    preferred: tuple[Expression, ...] = ()
    near: tuple[Neighbour, ...] = ()
    apart: tuple[Neighbour, ...] = ()
    spread: tuple[Spread, ...] = ()
    tolerations: tuple[Toleration, ...] = ()


NONE = Constraints()
"""The constraints of a task that accepts any worker."""


def goes_by(node_id: str, name: str) -> bool:
    """Whether a worker has that id, or that name within its role."""
    return node_id == name or node_id.endswith(f"-{name}")


def says_yes(value: str | None) -> bool:
    """Whether a label with that value means that there is such a thing. None means an absent
    label."""
    return (value or "").lower() not in ("", "0", "false", "no")


def _number(text: str | None) -> int | None:
    """Return the number in a label; None if it is none. `int` would take much more: spaces,
    underscores, the digits of every script, and any length."""
    return int(text) if text is not None and _WHOLE.fullmatch(text) else None


def _compared(found: str | None, values: tuple[str, ...], above: bool) -> bool:
    number, bound = _number(found), _number(values[0])
    if number is None or bound is None:
        return False
    return number > bound if above else number < bound


_HOLDS: Mapping[Operator, Callable[[str | None, tuple[str, ...]], bool]] = {
    Operator.IN: lambda found, values: found in values,
    Operator.NOT_IN: lambda found, values: found not in values,
    Operator.EXISTS: lambda found, values: found is not None,
    Operator.DOES_NOT_EXIST: lambda found, values: found is None,
    Operator.GT: lambda found, values: _compared(found, values, above=True),
    Operator.LT: lambda found, values: _compared(found, values, above=False),
}
