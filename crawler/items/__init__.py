"""The items that tasks have written, over all their runs: `for item in items_of("books"): ...`.

This package knows the formats of the files, and needs neither the engine nor a cluster.
"""

from crawler.items.reader import TaskItems, items_of, tasks_in

__all__ = ["TaskItems", "items_of", "tasks_in"]
