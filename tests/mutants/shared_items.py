"""What moving items to a shared place promises: docs/items.md."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_MOVED = "tests/contract/test_shared_items.py"

MUTANTS = [
    Mutant(
        "a file is removed before the shared place says that it counts",
        "crawler/node/run/item_mover.py",
        "            if put:\n",
        "            _remove(path)\n            if put:\n",
        f"{_MOVED} -k cut_off",
    ),
    Mutant(
        "what was written to the shared place is not compared",
        "crawler/items/cloud.py",
        "if found != wanted:",
        "if found is None:",
        f"{_MOVED} -k was_not_written",
    ),
    Mutant(
        "another file of the same name is replaced",
        "crawler/node/run/item_mover.py",
        "return before is not None and before != described(before.path, part)",
        "return False",
        f"{_MOVED} -k not_replaced",
    ),
    Mutant(
        "a copy counts before it is whole",
        "crawler/items/cloud.py",
        "sizes = {each.path: each.size for each in self.moved(task, place).values()}",
        "sizes = {e.base_name: e.size for e in self._listed(self._at(task, place)) if e.is_file}",
        f"{_MOVED} -k not_whole",
    ),
    Mutant(
        "the file of a crawl that goes on is moved",
        "crawler/node/run/item_mover.py",
        "path for path in paths if not path.name.endswith(PART) or _stem(path) in final",
        "paths",
        f"{_MOVED} -k are_there_once",
    ),
    Mutant(
        "two processes move the same files",
        "crawler/node/run/item_mover.py",
        "    except BlockingIOError:\n        return False",
        "    except BlockingIOError:\n        return True",
        f"{_MOVED} -k one_process",
    ),
    Mutant(
        "a task whose files cannot be moved holds up all others",
        "crawler/node/run/item_mover.py",
        "sorted(self._tasks(), key=lambda each: each.name in self._failing)",
        "self._tasks()",
        "tests/contract/test_shared_items.py -k holds_up_no_other",
    ),
]
