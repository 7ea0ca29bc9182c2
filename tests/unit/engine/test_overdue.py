"""When a request that is on its way is given up: by the moments at which something came."""

import pycurl
import pytest

from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.download.curl_transfer import Transfer
from crawler.engine.http.messages import FetchCall, FetchLimits
from crawler.settings.crawl import CrawlSettings
from tests.unit.engine.fakes import TransferDriver

LIMITS = FetchLimits.of(CrawlSettings(first_byte_timeout_s=5.0, stall_timeout_s=2.0))


class Handle:
    """Says when the request had been sent, in seconds after its beginning; 0 is not yet."""

    def __init__(self, sent_s):
        self._sent_s = sent_s

    def getinfo(self, what):
        assert what == pycurl.PRETRANSFER_TIME
        return self._sent_s


@pytest.fixture
def transfer():
    call = FetchCall("http://h/", (), LIMITS, timeout_s=30.0)
    made = Transfer(call, lambda result: None, BodyMemory(), TransferDriver())
    made.handle = Handle(sent_s=0.5)
    assert made.overdue(100.0, paused=False) == ""
    return made


def test_an_answer_that_stops_in_its_headers_or_its_body_has_stalled(transfer):
    transfer.header_lines.append(b"HTTP/1.1 200 OK\r\n")
    assert transfer.overdue(104.0, paused=False) == ""
    transfer.receive(b"x")
    assert transfer.overdue(106.0, paused=False) == ""
    assert transfer.overdue(108.0, paused=False) == ""
    assert transfer.overdue(108.1, paused=False) == "stalled"


def test_what_waits_for_memory_has_not_stalled(transfer):
    transfer.receive(b"x")
    assert transfer.overdue(101.0, paused=True) == ""
    assert transfer.overdue(110.0, paused=True) == ""
    assert transfer.overdue(112.0, paused=False) == ""
    assert transfer.overdue(112.1, paused=False) == "stalled"


def test_the_wait_for_the_first_byte_begins_when_the_request_was_sent(transfer):
    assert transfer.overdue(105.4, paused=False) == ""
    assert transfer.overdue(105.6, paused=False) == "first byte timeout"
    transfer.handle = Handle(sent_s=0.0)
    assert transfer.overdue(105.6, paused=False) == "", "it connects still"
