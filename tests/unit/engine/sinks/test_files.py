"""A file that grows by whole records, also when there is no room for the next."""

import resource
from contextlib import contextmanager

import pytest

from crawler.engine.items.sinks.files import GrowingFile, last_line_end


@contextmanager
def files_of_at_most(size):
    """The system writes this process no file larger than that, as if a disk were full."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def test_what_cannot_be_written_whole_is_not_there_in_part(tmp_path):
    path = tmp_path / "items.jsonl"
    file = GrowingFile(path, last_line_end)
    file.open()
    file.append(b"one\n")
    with files_of_at_most(100_000), pytest.raises(OSError, match="too large"):
        file.append(b"lost\n" * 40_000)
    assert path.read_bytes() == b"one\n"
    file.append(b"two\n")
    file.close()
    assert path.read_bytes() == b"one\ntwo\n"
