"""What a crawl process prints reaches the output of its worker, line by line, without secrets."""

import fcntl
import os
import struct
import termios

import pytest

from crawler import redaction
from crawler.node.crew.output import LONGEST_BYTES, Output
from crawler.supervision import Supervisor
from tests.waiting import eventually

CANARY = "öpen sesame"


@pytest.fixture
def told(monkeypatch, capfd):
    """Print as a crawl process. Returns what its worker passes on."""
    monkeypatch.setattr(redaction, "_known", redaction.Remembered())
    redaction.remember({"shop": CANARY})
    supervisor = Supervisor("test")

    def told(*parts):
        output = Output()
        theirs = os.dup(output.file)
        output.start(supervisor)
        for part in parts:
            os.write(theirs, part)
            eventually(lambda: not unread(theirs), what="its worker has read it")
        os.close(theirs)
        output.drain()
        output.close()
        return capfd.readouterr().err

    yield told
    supervisor.stop()


def unread(pipe):
    """How many bytes of a pipe nobody has read."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def test_a_value_in_two_parts_of_a_line_is_hidden(told):
    raw = f"a {CANARY}!\n".encode()
    assert told(raw[:5], raw[5:]) == "a secret:shop!\n"


@pytest.mark.parametrize("before", range(12))
def test_a_value_where_a_long_line_is_cut_is_hidden(told, before):
    start = b"-" * (LONGEST_BYTES - 40 + before)
    raw = CANARY.encode()
    found = told(start[:30_000], start[30_000:], raw * 3, raw[:7], raw[7:] + b"\xff" + raw[:5])
    assert "sesame" not in found
    assert found.replace("\n", "").endswith("-" + "secret:shop" * 4 + "�ö" + "pen")
