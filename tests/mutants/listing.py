"""What must not go wrong with the listing of tasks."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_LISTING = "tests/unit/node/test_listing.py"
_SORTED = f"{_LISTING} -k sorted_list_has"
_ORDER = "crawler/node/master/order.py"

MUTANTS = [
    Mutant(
        "the last task of a page is on the next one, too",
        _ORDER,
        "place > after:",
        "place >= after:",
        _SORTED,
    ),
    Mutant(
        "tasks that are alike have no order, and get lost between pages",
        _ORDER,
        "return Place(self._value(task), task.spec.name)",
        'return Place(self._value(task), "")',
        f"{_LISTING} -k both_ways",
    ),
    Mutant(
        "in descending order a name comes before a longer one that begins with it",
        _ORDER,
        ".translate(_COMPLEMENT) + _LAST",
        ".translate(_COMPLEMENT)",
        f"{_LISTING} -k both_ways",
    ),
    Mutant(
        "a token of another order is taken",
        _ORDER,
        "if found is None or not self._made(found):",
        "if found is None:",
        f"{_LISTING} -k its_order_alone",
    ),
    Mutant(
        "a token of another order is taken for a name",
        _ORDER,
        "if self.is_by_name and found is None:",
        "if self.is_by_name:",
        f"{_LISTING} -k its_order_alone",
    ),
    Mutant(
        "a token with a number is taken for one with a text",
        _ORDER,
        "return same and isinstance(token.value, bytes) == is_text",
        "return same",
        f"{_LISTING} -k somebody_changed",
    ),
    Mutant(
        "a token that was cut off is taken",
        _ORDER,
        "return found if _written(found) == token else None",
        "return found",
        f"{_LISTING} -k somebody_changed",
    ),
    Mutant(
        "nobody has a turn while a leader looks at all tasks",
        "crawler/node/master/listing.py",
        "            give_turn()",
        "            pass",
        f"{_LISTING} -k have_turns",
    ),
    Mutant(
        "a task that changes its state is counted twice",
        "crawler/node/master/task_counts.py",
        "[before.state, before.told_state] -= 1",
        "[before.state, before.told_state] -= 0",
        f"{_LISTING} -k where_it_is_now",
    ),
    Mutant(
        "the counts of a choice are those of all tasks",
        "crawler/node/master/listing.py",
        "        counts = TaskCounts()\n",
        "        counts = mirrors.counts\n",
        _SORTED,
    ),
    Mutant(
        "tasks are sorted by what was counted before their runs began",
        "crawler/node/master/live_counts.py",
        "        head = resource if told is None else told\n",
        "        head = resource\n",
        f"{_LISTING} -k counted_up_to_now",
    ),
]
