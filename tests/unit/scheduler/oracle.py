"""Placement done the long way, to compare with: one task at a time, everything counted anew.

It shares no code with the scheduler but the records, and knows of no batches, heaps or counts kept.
`placed` is a list of (spec, node) of the unfinished tasks that have a worker.
"""

from __future__ import annotations

import hashlib

from crawler.model.constraints import NODE, Effect, Operator

UNLIMITED = ("cpu", "memory")


def place_of(node, key):
    return node.id if key == NODE else node.labels.get(key, "")


def fulfils(expression, labels):
    found = labels.get(expression.label)
    values = expression.values
    match expression.operator:
        case Operator.IN:
            return found in values
        case Operator.NOT_IN:
            return found not in values
        case Operator.EXISTS:
            return found is not None
        case Operator.DOES_NOT_EXIST:
            return found is None
        case Operator.GT:
            return found is not None and found.isdigit() and int(found) > int(values[0])
        case Operator.LT:
            return found is not None and found.isdigit() and int(found) < int(values[0])


def minded(spec, node, effect):
    """The taints of a worker that the task does not tolerate."""
    return [
        taint
        for taint in node.taints
        if taint.effect is effect
        and not any(
            each.key in ("", taint.key)
            and each.value in ("", taint.value)
            and (each.effect is None or each.effect is taint.effect)
            for each in spec.constraints.tolerations
        )
    ]


def yes(labels):
    return labels.get("gpu", "").lower() not in ("", "0", "false", "no")


def needs_gpu(spec):
    return yes(spec.labels) or dict(spec.constraints.requests).get("gpu", 0) > 0


def has_gpu(node):
    return yes(node.labels) or node.capacity.get("gpu", 0) > 0


def suits(spec, node, workers):
    """Whether a worker may have a task, whatever there is on any worker."""
    asked = spec.constraints
    if asked.node and node.id != asked.node and not node.id.endswith("-" + asked.node):
        return False
    able = [each for each in workers if each.spiders is None or spec.spider_name in each.spiders]
    if able and node not in able:
        return False
    if needs_gpu(spec) and not has_gpu(node):
        return False
    if minded(spec, node, Effect.NO_SCHEDULE):
        return False
    return all(fulfils(each, node.labels) for each in asked.required)


def value_of(spec, term):
    return term.value or spec.labels.get(term.label, "")


def there(placed, key, place, label, value):
    """How many unfinished tasks with that label are in that place."""
    return sum(
        1
        for other, node in placed
        if place_of(node, key) == place and other.labels.get(label) == value
    )


def has_room(spec, node, placed):
    for quantity, amount in spec.constraints.requests:
        if quantity in node.capacity:
            most = node.capacity[quantity]
        elif quantity in UNLIMITED or (quantity == "gpu" and yes(node.labels)):
            continue
        else:
            most = 0
        used = sum(
            dict(other.constraints.requests).get(quantity, 0)
            for other, where in placed
            if where.id == node.id
        )
        if used + amount > most + 1e-9:
            return False
    return True


def near_enough(spec, node, workers, placed):
    for term in spec.constraints.near:
        value = value_of(spec, term)
        if term.weight or not value:
            continue
        place = place_of(node, term.over)
        if not place:
            return False
        if there(placed, term.over, place, term.label, value):
            continue
        places = {place_of(each, term.over) for each in workers} - {""}
        first = not any(there(placed, term.over, each, term.label, value) for each in places)
        if not (first and spec.labels.get(term.label) == value):
            return False
    return True


def far_enough(spec, node, placed):
    for term in spec.constraints.apart:
        value = value_of(spec, term)
        place = place_of(node, term.over)
        if term.weight or not value or not place:
            continue
        if there(placed, term.over, place, term.label, value):
            return False
    for other, where in placed:
        for term in other.constraints.apart:
            value = value_of(other, term)
            place = place_of(node, term.over)
            if term.weight or not value or not place or place != place_of(where, term.over):
                continue
            if spec.labels.get(term.label) == value:
                return False
    return True


def even_enough(spec, node, workers, placed):
    suitable = [each for each in workers if suits(spec, each, workers)]
    for term in spec.constraints.spread:
        value = value_of(spec, term)
        if term.weight or not value:
            continue
        mine = place_of(node, term.over)
        if not mine:
            return False
        places = {place_of(each, term.over) for each in suitable} - {""}
        fewest = min(there(placed, term.over, each, term.label, value) for each in places)
        after = there(placed, term.over, mine, term.label, value)
        after += spec.labels.get(term.label) == value
        if after - fewest > term.max_skew:
            return False
    return True


def feasible(spec, node, workers, placed):
    """Whether a worker may have a task now."""
    return (
        suits(spec, node, workers)
        and has_room(spec, node, placed)
        and near_enough(spec, node, workers, placed)
        and far_enough(spec, node, placed)
        and even_enough(spec, node, workers, placed)
    )


def points(resource, node, workers, placed):
    """What all plugins together give a worker, with their usual weights."""
    spec = resource.spec
    total = 1e7 * (node.id not in resource.failed_on[-1:]) if resource.failed_on else 0
    if not needs_gpu(spec):
        total += 1e6 * (not has_gpu(node))
    return total + 10 * (
        _labels(spec, node)
        + _taints(spec, node, workers)
        + _neighbours(spec, node, placed)
        + _evenness(spec, node, workers, placed)
    )


def _labels(spec, node):
    wishes = spec.constraints.preferred
    total = sum(each.weight for each in wishes)
    return sum(each.weight for each in wishes if fulfils(each, node.labels)) / total if total else 0


def _taints(spec, node, workers):
    suitable = [each for each in workers if suits(spec, each, workers)]
    most = max(len(minded(spec, each, Effect.PREFER_NO_SCHEDULE)) for each in suitable)
    return 1 - len(minded(spec, node, Effect.PREFER_NO_SCHEDULE)) / most if most else 0


def _neighbours(spec, node, placed):
    asked = spec.constraints
    wishes = [(term, True) for term in asked.near] + [(term, False) for term in asked.apart]
    wishes = [(term, near) for term, near in wishes if term.weight and value_of(spec, term)]
    got = 0
    for term, near in wishes:
        place = place_of(node, term.over)
        met = bool(place and there(placed, term.over, place, term.label, value_of(spec, term)))
        got += term.weight * (met is near)
    return got / sum(term.weight for term, _ in wishes) if wishes else 0


def _evenness(spec, node, workers, placed):
    suitable = [each for each in workers if suits(spec, each, workers)]
    wishes = [each for each in spec.constraints.spread if each.weight and value_of(spec, each)]
    got = 0
    for term in wishes:
        value = value_of(spec, term)
        places = {place_of(each, term.over) for each in suitable} - {""}
        found = [there(placed, term.over, each, term.label, value) for each in places]
        place = place_of(node, term.over)
        if place:
            mine = there(placed, term.over, place, term.label, value)
            width = max(found) - min(found)
            got += term.weight * (1 - (mine - min(found)) / width if width else 1)
    return got / sum(term.weight for term in wishes) if wishes else 0


class LeastLoad:
    def rate(self, resource, node, placed):
        return -sum(1 for _, where in placed if where.id == node.id)

    def chose(self, node):
        pass


class RoundRobin:
    """Each worker has a line of turns of equal length, the first of which begins at 0."""

    weighted = False

    def __init__(self):
        self.now = 0
        self.end = {}

    def length(self, node):
        return 1 / float(node.labels.get("weight", 1)) if self.weighted else 1

    def rate(self, resource, node, placed):
        return -(self.end.get(node.id, 0) + self.length(node))

    def chose(self, node):
        self.now = max(self.now, self.end.get(node.id, 0) + self.length(node))
        self.end[node.id] = self.now


class WeightedRoundRobin(RoundRobin):
    weighted = True


class ConsistentHash:
    def number(self, text):
        return int(hashlib.blake2b(text.encode(), digest_size=8).hexdigest(), 16)

    def rate(self, resource, node, placed):
        product = (self.number(resource.name) // 2**37) * (1 + self.number(node.id) / 2**64)
        return product - int(product)

    def chose(self, node):
        pass


STRATEGIES = {
    "least-load": LeastLoad,
    "round-robin": RoundRobin,
    "weighted-round-robin": WeightedRoundRobin,
    "consistent-hash": ConsistentHash,
}
