"""What the reader of a task's items promises: docs/items.md."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_READER = "tests/unit/items/test_reader.py"

MUTANTS = [
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
        "_Bounded(file, min(size, limit) if isinstance(limit, int) else size)",
        "_Bounded(file, limit if isinstance(limit, int) else 2**63)",
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
