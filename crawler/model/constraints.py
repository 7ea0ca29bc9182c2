"""What a task may ask of its worker, and what a worker may keep away with: frozen values.

Labels are text, and so are the values they are compared with; `Gt` and `Lt` compare them as whole
numbers. Everything here is hashable, as tasks that ask the same are placed together.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

NODE = "node"
"""The domain of `Neighbour.over` and `Spread.over` in which each worker stands alone."""

UNBOUNDED = frozenset({"cpu", "memory"})
"""Quantities that every worker has: one that does not say how much of them is not limited. Of any
other quantity a worker has none unless it says so."""

MOST_AMOUNT = 10**12
"""Largest amount of a quantity; a double holds three decimals of it."""


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
    """Among preferred expressions: how much this one counts beside the others."""

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a worker with these labels fulfils it. An absent label fulfils `NotIn`, as it
        does in Kubernetes."""
        return _HOLDS[self.operator](labels.get(self.label), self.values)

    def __str__(self) -> str:
        return " ".join([self.label, self.operator.value, ", ".join(self.values)]).rstrip()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """To be near to, or apart from, unfinished tasks with a label."""

    label: str
    value: str = ""
    """Of the other tasks; empty is the value that this task has itself."""
    over: str = NODE
    """A label of workers: those with the same value of it are one place. `node` is each alone."""
    weight: float = 0.0
    """0 is required; more is preferred, and how much beside other preferences."""


@dataclass(frozen=True, slots=True)
class Spread:
    """To be spread evenly over places, together with the unfinished tasks that have a label."""

    over: str
    """A label of workers, or `node`."""
    label: str
    value: str = ""
    """Of the tasks counted; empty is the value that this task has itself."""
    max_skew: int = 1
    """By how many tasks a place may exceed the one with the fewest."""
    weight: float = 0.0
    """0 is required; more is preferred, and how much beside other preferences."""


@dataclass(frozen=True, slots=True)
class Taint:
    """What keeps tasks off a worker unless they tolerate it."""

    key: str
    value: str
    effect: Effect

    @classmethod
    def parse(cls, text: str) -> Taint:
        """Read `key=value:effect`; the value may be left out. Raises ValueError."""
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
    """Taints that a task does not mind; what is empty matches all."""

    key: str = ""
    value: str = ""
    effect: Effect | None = None

    def covers(self, taint: Taint) -> bool:
        """Whether a taint is one of them."""
        return (
            self.key in ("", taint.key)
            and self.value in ("", taint.value)
            and self.effect in (None, taint.effect)
        )


@dataclass(frozen=True, slots=True)
class Constraints:
    """All that a task asks of its worker."""

    node: str = ""
    """Id, or name within its role, of the only worker that may have it."""
    requests: tuple[tuple[str, float], ...] = ()
    """How much it takes of which quantity, in the order of their names."""
    required: tuple[Expression, ...] = ()
    preferred: tuple[Expression, ...] = ()
    near: tuple[Neighbour, ...] = ()
    apart: tuple[Neighbour, ...] = ()
    spread: tuple[Spread, ...] = ()
    tolerations: tuple[Toleration, ...] = ()


NONE = Constraints()
"""Of a task that takes any worker."""


def goes_by(node_id: str, name: str) -> bool:
    """Whether a worker is the one that a task names: by its id, or its name within its role."""
    return node_id == name or node_id.endswith(f"-{name}")


def says_yes(value: str | None) -> bool:
    """Whether a label with that value, None when it is absent, says that there is such a thing."""
    return (value or "").lower() not in ("", "0", "false", "no")


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


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
