"""What the reader of a task's items promises: docs/items.md."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_READER = "tests/unit/items/test_reader.py"
_CLUSTER = "tests/integration/test_task_items.py"

MUTANTS = [
    Mutant(
        "a bounded caller reads the items of an earlier task of that name",
        "crawler/api/task_items.py",
        'return stem is not None and stem.id.partition("~")[0] == own',
        "return True",
        f"{_CLUSTER} -k bounds",
    ),
    Mutant(
        "anybody reads the files of a worker",
        "crawler/api/rpc/access.py",
        'f"{_WORKER}ReadItems": Need.NODES',
        'f"{_WORKER}ReadItems": Need.READ',
        f"{_CLUSTER} -k bounds",
    ),
    Mutant(
        "a worker follows links that spiders made",
        "crawler/node/run/item_shelf.py",
        "os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK",
        "os.O_RDONLY | os.O_NONBLOCK",
        f"{_CLUSTER} -k bounds",
    ),
    Mutant(
        "a worker reads any file",
        "crawler/node/run/item_shelf.py",
        "if not _is_of_items(path) or not _PLACE.fullmatch(moved):",
        "if not path:",
        f"{_CLUSTER} -k bounds",
    ),
    Mutant(
        "a file is replaced by a part of one",
        "crawler/engine/items/sinks/targets.py",
        "return lambda path: BatchedSink(file_writer(kind, path, True))",
        "return None",
        f"{_CLUSTER} -k as_a_whole",
    ),
    Mutant(
        "who follows a crawl gets what was there again and again",
        "crawler/items/following.py",
        "        ends[name] = end\n",
        "",
        "tests/unit/items/test_following.py",
    ),
    Mutant(
        "ids are compared as texts",
        "crawler/items/crawls.py",
        "return int(id) if id.isdecimal() else -1, id, epoch",
        "return 0, id, epoch",
        f"{_READER} -k counts",
    ),
    Mutant(
        "a crawl that began anew is read together with the one before",
        "crawler/items/chains.py",
        "grouped.setdefault((shard, stem.id, first), [])",
        'grouped.setdefault((shard, stem.id, ""), [])',
        f"{_READER} -k chooses_another",
    ),
    Mutant(
        "a run that has only just begun hides what is there",
        "crawler/items/crawls.py",
        "and not (told and self._is_part(name))",
        "",
        f"{_READER} -k counts",
    ),
    Mutant(
        "what lies beyond the limit of a file counts",
        "crawler/items/reader.py",
        "crawl.limits.get(name), has_ended",
        "None, has_ended",
        f"{_READER} -k limit",
    ),
    Mutant(
        "of two copies of a file any may be read",
        "crawler/items/crawls.py",
        "return not path.name.endswith(PART), size_of(path)",
        "return False, 0",
        f"{_READER} -k several_machines",
    ),
    Mutant(
        "a file that has ended may lack its end",
        "crawler/items/source.py",
        "return self.has_ended and self.limit is None",
        "return False",
        f"{_READER} -k must_have_its_end",
    ),
    Mutant(
        "a part of a line counts while a crawl goes on",
        "crawler/items/texts.py",
        'return source.has_ended or source.limit is not None or line.endswith(b"\\n")',
        "return True",
        f"{_READER} -k file_that_grows",
    ),
    Mutant(
        "a file that grows is read without an end",
        "crawler/items/source.py",
        "counts = min(size, limit) if isinstance(limit, int) else size",
        "counts = limit if isinstance(limit, int) else 2**63",
        f"{_READER} -k as_far_as_it_was",
    ),
    Mutant(
        "a row that was written again counts twice",
        "crawler/items/tables.py",
        "if not any(_has(other, tables, id) for other, tables in later):",
        "if True:",
        f"{_READER} -k written_again",
    ),
]
