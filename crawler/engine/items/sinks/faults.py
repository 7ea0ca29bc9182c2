"""Says in which file a sink could not write, and what to do then."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """A context whose errors of the operating system name the file. Calls on an open file do not
    do that themselves."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def why_unwritten(error: OSError, task: str) -> str:
    """Return why the items of a task could not be written, and what to do next. An error without a
    number comes from a sink, which says that itself."""
    if error.errno is None:
        return f"items could not be written: {error}"
    place = f" to {error.filename}" if error.filename else ""
    cause = "make room" if error.errno in FULL else "mend that"
    return (
        f"items could not be written{place}: [Errno {error.errno}] {error.strerror}; {cause}, then"
        f" crawler again {task} (or run the same command again)"
    )
